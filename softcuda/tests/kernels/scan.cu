// scan: inclusive prefix sums within each block.
// Shapes: input and output are N i32 each, any N; sums holds gridDim.x i32, the total of each block.
// Launch: grid ceil(N/block), block any multiple of 32 up to 1024.
// Exercises: shfl.up with its predicate, shared memory, divergence of whole warps.

__device__ int warp_scan(int value) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
        int before = __shfl_up_sync(0xffffffffu, value, offset);
        if (lane >= offset) value += before;
    }
    return value;
}

extern "C" __global__ void scan(const int* input, int* output, int* sums, int n) {
    __shared__ int totals[32];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int value = warp_scan(i < n ? input[i] : 0);
    if (lane == 31) totals[warp] = value;
    __syncthreads();
    if (warp == 0) {
        int total = warp_scan(lane < warps ? totals[lane] : 0);
        if (lane < warps) totals[lane] = total;
    }
    __syncthreads();
    if (warp > 0) value += totals[warp - 1];
    if (i < n) output[i] = value;
    if (threadIdx.x == blockDim.x - 1) sums[blockIdx.x] = value;
}
