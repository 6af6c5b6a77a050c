// bce/gradient: the gradient of the binary cross-entropy at the logits.
//
// Shapes    logits, targets, gradient [length] f32, flat, at multiples of 16 bytes, targets in [0, 1]
// Launch    grid ceil(length / 4 / 256), block 256
// Cost      about 40 operations an element; 12 bytes of global memory
// Bound     latency at a batch of 100; issue where it is large
// Order     none: every element by itself
// Idea      sigmoid(a) - t: all that is left of the loss's derivative when it is taken at the logit a. In training it is an epilogue
//           (gemm/epilogue.cuh)
// Checked   tests/kernels

#include "math.cuh"
#include "quad.cuh"

__device__ __forceinline__ float gradient_of(float logit, float target) {
    float gradient;
    bce_with_gradient(logit, target, gradient);
    return gradient;
}

extern "C" __global__ void bce_gradient(const float* logits, const float* targets, float* gradient,
                                        unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(logits, first, length), t = load_quad(targets, first, length);
    store_quad(gradient, first, length,
               make_float4(gradient_of(a.x, t.x), gradient_of(a.y, t.y), gradient_of(a.z, t.z), gradient_of(a.w, t.w)));
}
