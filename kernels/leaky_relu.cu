// leaky_relu: y = x where x > 0, 0.2 x elsewhere, and its backward pass.
//
// Shapes    x, y, dy, dx [length] f32, flat
// Launch    grid ceil(length / 4 / 256), block 256
// Cost      1 operation an element; 8 bytes of global memory forward, 12 backward
// Bound     memory; latency at a batch of 100
// Order     none: every element by itself
// Idea      x and y have the same sign, so the backward pass needs y alone and x may be overwritten. In training both are
//           epilogues of the products (gemm/epilogue.cuh): a kernel of their own passes over memory once more
// Checked   tests/kernels

#include "math.cuh"
#include "quad.cuh"

// ANCHOR: forward
extern "C" __global__ void leaky_relu_forward(const float* x, float* y, unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(x, first, length);
    store_quad(y, first, length, make_float4(leaky_relu(a.x), leaky_relu(a.y), leaky_relu(a.z), leaky_relu(a.w)));
}
// ANCHOR_END: forward

extern "C" __global__ void leaky_relu_backward(const float* y, const float* dy, float* dx, unsigned long long length) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (first >= length) return;
    float4 a = load_quad(y, first, length), g = load_quad(dy, first, length);
    g.x *= leaky_relu_derivative(a.x);
    g.y *= leaky_relu_derivative(a.y);
    g.z *= leaky_relu_derivative(a.z);
    g.w *= leaky_relu_derivative(a.w);
    store_quad(dx, first, length, g);
}
