// bce: the binary cross-entropy of logits against targets, and its gradient at the logits.
//
// Shapes    logits, targets, gradient [length] f32, flat, targets in [0, 1]; partial [blocks] f64
// Launch    grid ceil(length / 4 / 256), block 256; then sum.cu over the partial losses
// Cost      about 60 operations an element for the loss, 40 for the gradient; 8 bytes of global memory, 12 for the gradient
// Bound     latency at a batch of 100; issue where it is large
// Order     a thread's four in f32, a block in a fixed tree in f64, blocks as sum.cu adds them: deterministic
// Idea      max(a, 0) - a t + ln(1 + e^-|a|) from the logit a is exact in both tails, where the logarithm of a sigmoid is not; the
//           gradient is sigmoid(a) - t. In training both are an epilogue (gemm/epilogue.cuh)
// Checked   tests/kernels

#include "block_sum.cuh"
#include "math.cuh"
#include "quad.cuh"

__device__ __forceinline__ float bce_of(float logit, float target) {
    float gradient;
    return bce_with_gradient(logit, target, gradient);
}

__device__ __forceinline__ float gradient_of(float logit, float target) {
    float gradient;
    bce_with_gradient(logit, target, gradient);
    return gradient;
}

extern "C" __global__ void bce_loss(const float* logits, const float* targets, double* partial,
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

extern "C" __global__ void bce_gradient(const float* logits, const float* targets, float* gradient,
                                        unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(logits, first, length), t = load_quad(targets, first, length);
    store_quad(gradient, first, length,
               make_float4(gradient_of(a.x, t.x), gradient_of(a.y, t.y), gradient_of(a.z, t.z), gradient_of(a.w, t.w)));
}
