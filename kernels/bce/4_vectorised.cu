// bce/4_vectorised: the binary cross-entropy of logits against targets, four elements a thread.
//
// Shapes    logits, targets [length] f32, flat, at multiples of 16 bytes, targets in [0, 1]; partial [blocks] f64
// Launch    grid ceil(length / 4 / 256), block 256; then sum.cu over the partial losses
// Cost      about 60 operations an element; 8 bytes of global memory
// Bound     latency at a batch of 100; issue where it is large
// Order     a thread's four in f32, a block in a fixed tree in f64, blocks as sum.cu adds them: deterministic
// Idea      3_shuffle loads 4 bytes an instruction and ends a tree for every 256 elements. With 16 bytes an instruction both
//           happen a quarter as often: a quarter of the load requests, of the blocks, of the shuffles and of sum.cu's parts.
//           In training the loss is an epilogue (gemm/epilogue.cuh)
// Checked   tests/kernels

#include "block_sum.cuh"
#include "math.cuh"
#include "quad.cuh"

__device__ __forceinline__ float bce_of(float logit, float target) {
    float gradient;
    return bce_with_gradient(logit, target, gradient);
}

extern "C" __global__ void bce_vectorised(const float* logits, const float* targets, double* partial,
                                          unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    float4 a = load_quad(logits, first, length), t = load_quad(targets, first, length);
    float loss = 0.0f;
    if (first < length) loss += bce_of(a.x, t.x);
    if (first + 1 < length) loss += bce_of(a.y, t.y);
    if (first + 2 < length) loss += bce_of(a.z, t.z);
    if (first + 3 < length) loss += bce_of(a.w, t.w);
    double sum = block_sum(loss);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
