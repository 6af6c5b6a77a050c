// adam: one step of Adam over a whole arena, and the end of the step.
//
// Shapes    parameters, gradients, first, second [length] f32, flat
// Launch    grid ceil(length / 4 / 256), block 256
// Cost      28 bytes of global memory and 11 operations a parameter
// Bound     memory
// Order     every parameter by itself; the block that comes last ends the step, whichever it is
// Idea      all layers lie side by side, so one launch updates them all, four neighbours a thread
// Checked   tests/operations, against f64 step by step

#include "finish.cuh"
#include "quad.cuh"

struct Adam {
    float* parameters;
    const float* gradients;
    float* first;
    float* second;
    unsigned long long length;
    Finish end;
    int ends_step;
};

constexpr float FRESH_1 = (float)(1.0 - BETA_1), FRESH_2 = (float)(1.0 - BETA_2), KEEP_2 = (float)BETA_2;
constexpr float EPSILON = 1e-8f;

// ANCHOR: update
// Algorithm 1 of Kingma and Ba 2015; step_size and root_scale hold its two bias corrections.
__device__ __forceinline__ void update(float& parameter, float gradient, float& first, float& second, float step_size,
                                       float root_scale) {
    first = fmaf(gradient - first, FRESH_1, first);
    second = fmaf(second, KEEP_2, FRESH_2 * gradient * gradient);
    parameter -= step_size * first / fmaf(sqrtf(second), root_scale, EPSILON);
}
// ANCHOR_END: update

__device__ __forceinline__ void update_quad(const Adam& p, unsigned long long i) {
    float step_size = p.end.control->step_size, root_scale = p.end.control->root_scale;
    float4 parameter = load_quad(p.parameters, i, p.length), gradient = load_quad(p.gradients, i, p.length);
    float4 first = load_quad(p.first, i, p.length), second = load_quad(p.second, i, p.length);
    update(parameter.x, gradient.x, first.x, second.x, step_size, root_scale);
    update(parameter.y, gradient.y, first.y, second.y, step_size, root_scale);
    update(parameter.z, gradient.z, first.z, second.z, step_size, root_scale);
    update(parameter.w, gradient.w, first.w, second.w, step_size, root_scale);
    store_quad(p.parameters, i, p.length, parameter);
    store_quad(p.first, i, p.length, first);
    store_quad(p.second, i, p.length, second);
}

// Whether this block is the last of the launch to come here. All threads call.
__device__ __forceinline__ bool is_last_block(Control* control) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(&control->blocks_done, 1) == gridDim.x - 1;
    __syncthreads();
    return last;
}

extern "C" __global__ void adam(Adam p) {
    Control* control = p.end.control;
    bool finite = !control->found && control->suspect == NOWHERE;
    unsigned long long i = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    if (finite && i < p.length) update_quad(p, i);
    if (!p.ends_step || !is_last_block(control)) return;
    __threadfence();
    if (threadIdx.x == 0) control->blocks_done = 0;
    finish(p.end);
}
