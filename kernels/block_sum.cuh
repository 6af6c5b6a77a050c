// block_sum.cuh: the sum of one double a thread, or of an array, by a block.
//
// Shapes    one double a thread or [count] f64 in, the sum out, valid in thread 0
// Launch    blocks of a multiple of 32 threads, at most 1024; all threads call
// Order     a thread's share of an array first, then a fixed tree: lanes by halves, warps in ascending order: deterministic
// Idea      shuffles add up a warp without shared memory and without a barrier; one number a warp is left
// Checked   tests/operations, through every loss; tests/kernels

#pragma once

// ANCHOR: block_sum
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double of_warp[32];
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    double sum = 0.0;
    if (threadIdx.x == 0) {
        for (int i = 0; i < (int)blockDim.x / 32; ++i) sum += of_warp[i];
    }
    return sum;
}
// ANCHOR_END: block_sum

// The sum of `parts`. Unlike block_sum it may be called again at once.
__device__ __forceinline__ double sum_of(const double* parts, int count) {
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
    __syncthreads();
    return block_sum(sum);
}
