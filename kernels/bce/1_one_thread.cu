// bce/1_one_thread: the binary cross-entropy of logits against targets, added up by a single thread.
//
// Shapes    logits, targets [length] f32, flat, targets in [0, 1]; partial [1] f64
// Launch    grid 1, block 1; partial is the loss
// Cost      about 60 operations an element; 8 bytes of global memory, 64 in whole sectors before any cache
// Bound     latency: one lane of one warp of one multiprocessor waits for every load
// Order     elements in f32, added in ascending order in f64: deterministic
// Idea      the loop that a processor would run. The loss of an element is max(a, 0) - a t + ln(1 + e^-|a|) from the logit a, exact
//           in both tails, where the logarithm of a sigmoid is not
// Checked   tests/kernels

#include "math.cuh"

extern "C" __global__ void bce_one_thread(const float* logits, const float* targets, double* partial,
                                          unsigned long long length) {
    double sum = 0.0;
    for (unsigned long long i = 0; i < length; ++i) {
        float gradient;
        sum += bce_with_gradient(logits[i], targets[i], gradient);
    }
    partial[0] = sum;
}
