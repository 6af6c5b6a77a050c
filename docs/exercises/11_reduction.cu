// Exercise 11 (chapter 10, reductions): the largest of a block.
//
// `largest` leaves the largest of each block's 256 elements in out[block]. As it stands, a tree in shared memory takes
// nine barriers and halves the threads that work with each of them.
//
// Goal: at most 2 barriers a warp and 4 requests to shared memory a warp.
// Hint: __shfl_down_sync(0xffffffff, value, offset) hands a lane the value of the lane `offset` further, without shared
// memory and without a barrier. Eight warps leave eight numbers.

constexpr int BLOCK = 256;

extern "C" __global__ void largest(const float* x, float* out, int length) {
    __shared__ float values[BLOCK];
    int at = blockIdx.x * BLOCK + threadIdx.x;
    values[threadIdx.x] = at < length ? x[at] : -3.4e38f;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) values[threadIdx.x] = fmaxf(values[threadIdx.x], values[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = values[0];
}
