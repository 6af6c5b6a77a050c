// reduce: the sum of a vector, as one partial sum for each block, or whole by the block that ends last.
// Shapes: input is N f32, any N; partial holds gridDim.x f32; total is one f32; counter is one u32, zero before a launch
//         and zero again after it.
// Launch: grid any, block any multiple of 32 up to 1024.
// Exercises: shfl.down, shared memory between warps, __threadfence and a wrapping atomic counter.

__device__ float warp_sum(float value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    return value;
}

// The block's sum, in thread 0.
__device__ float block_sum(float value) {
    __shared__ float warps[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    value = warp_sum(value);
    if (lane == 0) warps[warp] = value;
    __syncthreads();
    if (warp == 0) value = warp_sum(lane < blockDim.x / 32 ? warps[lane] : 0.0f);
    return value;
}

__device__ float strided_sum(const float* input, int n) {
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += input[i];
    return sum;
}

extern "C" __global__ void reduce_partial(const float* input, float* partial, int n) {
    float sum = block_sum(strided_sum(input, n));
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void reduce_last_block(const float* input, volatile float* partial, float* total,
                                             unsigned int* counter, int n) {
    __shared__ bool last;
    float sum = block_sum(strided_sum(input, n));
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
        __threadfence();
        last = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    sum = 0.0f;
    for (int i = threadIdx.x; i < gridDim.x; i += blockDim.x) sum += partial[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}
