// bce/2_shared_memory: the binary cross-entropy of logits against targets, a thread an element, a tree in shared memory.
//
// Shapes    logits, targets [length] f32, flat, targets in [0, 1]; partial [blocks] f64
// Launch    grid ceil(length / 256), block 256; then sum.cu over the partial losses
// Cost      about 60 operations an element; 8 bytes of global memory
// Bound     latency at a batch of 100; issue and barriers where it is large
// Order     elements in f32, a block in a fixed tree in f64, by halves, blocks as sum.cu adds them: deterministic
// Idea      1_one_thread keeps 1 lane of 32 busy on one multiprocessor. Here all lanes of all of them are: a block adds its 256
//           values in 8 steps, each half as many as the one before. Neighbours read and write side by side: no bank conflict
// Checked   tests/kernels

#include "math.cuh"

constexpr int BLOCK = 256;

extern "C" __global__ void __launch_bounds__(BLOCK) bce_shared_memory(const float* logits, const float* targets,
                                                                      double* partial, unsigned long long length) {
    __shared__ double values[BLOCK];
    unsigned long long i = blockIdx.x * (unsigned long long)BLOCK + threadIdx.x;
    float gradient;
    values[threadIdx.x] = i < length ? bce_with_gradient(logits[i], targets[i], gradient) : 0.0;
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = values[0];
}
