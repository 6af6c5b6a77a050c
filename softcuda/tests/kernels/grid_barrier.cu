// grid_barrier: several phases over one vector, each of which reads what other blocks wrote in the phase before.
// Shapes: values and scratch are N f32 each, any N; arrivals is one u32, zero before the launch.
// Launch: cooperative (all blocks alive at once), grid any, block any.
//         Each phase replaces element i by the mean of i - 1, i and i + 1 around the ring; an even number of phases
//         leaves the result in values, an odd one in scratch.
// Exercises: a spin on a global counter, ld.volatile, __threadfence, atomicAdd, cooperative launches.

__device__ void wait_for_grid(unsigned int* arrivals, unsigned int target) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrivals, 1u);
        while (*(volatile unsigned int*)arrivals < target) {
        }
        __threadfence();
    }
    __syncthreads();
}

extern "C" __global__ void grid_barrier(float* values, float* scratch, unsigned int* arrivals, int n, int phases) {
    volatile float* from = values;
    volatile float* to = scratch;
    for (int phase = 0; phase < phases; ++phase) {
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
            to[i] = (from[(i + n - 1) % n] + from[i] + from[(i + 1) % n]) / 3.0f;
        wait_for_grid(arrivals, (phase + 1) * gridDim.x);
        volatile float* swapped = from;
        from = to;
        to = swapped;
    }
}
