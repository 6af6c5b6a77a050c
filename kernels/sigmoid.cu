// sigmoid: y = 1 / (1 + e^-x), and its backward pass.
//
// Shapes    x, y, dy, dx [length] f32, flat
// Launch    grid ceil(length / 4 / 256), block 256
// Cost      about 40 operations an element forward, 3 backward; 8 bytes of global memory forward, 12 backward
// Bound     memory; latency at a batch of 100
// Order     none: every element by itself
// Idea      dy/dx = y (1 - y) follows from y, so nothing else need be kept. Where y rounds to 1 this is 0: a loss taken from
//           the logits (bce/) has no such blind spot, and training uses that
// Checked   tests/kernels

#include "math.cuh"
#include "quad.cuh"

__device__ __forceinline__ float sigmoid_gradient(float y, float dy) {
    return dy * (y * (1.0f - y));
}

extern "C" __global__ void sigmoid_forward(const float* x, float* y, unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(x, first, length);
    store_quad(y, first, length, make_float4(sigmoid(a.x), sigmoid(a.y), sigmoid(a.z), sigmoid(a.w)));
}

extern "C" __global__ void sigmoid_backward(const float* y, const float* dy, float* dx, unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(y, first, length), g = load_quad(dy, first, length);
    store_quad(dx, first, length,
               make_float4(sigmoid_gradient(a.x, g.x), sigmoid_gradient(a.y, g.y), sigmoid_gradient(a.z, g.z),
                           sigmoid_gradient(a.w, g.w)));
}
