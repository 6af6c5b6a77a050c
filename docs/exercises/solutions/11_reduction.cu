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
    __shared__ float of_warp[BLOCK / 32];
    int at = blockIdx.x * BLOCK + threadIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float value = at < length ? x[at] : -3.4e38f;
    for (int offset = 16; offset > 0; offset /= 2)
        value = fmaxf(value, __shfl_down_sync(0xffffffffu, value, offset));
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    if (warp > 0) return;
    value = of_warp[lane % (BLOCK / 32)];
    for (int offset = BLOCK / 64; offset > 0; offset /= 2)
        value = fmaxf(value, __shfl_down_sync(0xffffffffu, value, offset));
    if (lane == 0) out[blockIdx.x] = value;
}
