// bce/3_shuffle: the binary cross-entropy of logits against targets, a thread an element, a tree of shuffles.
//
// Shapes    logits, targets [length] f32, flat, targets in [0, 1]; partial [blocks] f64
// Launch    grid ceil(length / 256), block 256; then sum.cu over the partial losses
// Cost      about 60 operations an element; 8 bytes of global memory
// Bound     latency at a batch of 100; issue where it is large
// Order     elements in f32, a block in a fixed tree in f64, by warps, blocks as sum.cu adds them: deterministic
// Idea      2_shared_memory waits at 8 barriers and takes every value through shared memory. The lanes of a warp hand theirs from
//           register to register (block_sum.cuh): one barrier, and of 256 values 8 pass through shared memory
// Checked   tests/kernels

#include "block_sum.cuh"
#include "math.cuh"

constexpr int BLOCK = 256;

extern "C" __global__ void __launch_bounds__(BLOCK) bce_shuffle(const float* logits, const float* targets,
                                                                double* partial, unsigned long long length) {
    unsigned long long i = blockIdx.x * (unsigned long long)BLOCK + threadIdx.x;
    float gradient;
    double sum = block_sum(i < length ? bce_with_gradient(logits[i], targets[i], gradient) : 0.0);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
