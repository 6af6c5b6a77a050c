// block_sum.cuh: the sum of one double a thread over a block.
//
// Shapes    one double a thread in, the sum out, valid in thread 0
// Launch    blocks of a multiple of 32 threads, at most 1024; all threads call
// Order     a fixed tree: lanes by halves, then warps in ascending order: deterministic
// Checked   tests/operations, through every loss

#pragma once

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
