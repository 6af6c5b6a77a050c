// softmax: the softmax of every row, in three passes and in two (maximum and sum found together).
// Shapes: input and output are ROWS x COLUMNS f32, row-major; any COLUMNS.
// Launch: grid ROWS, block 32 (a warp for each row).
// Exercises: shfl.bfly, max, ex2.approx through expf and __expf, div.rn.

constexpr unsigned int FULL = 0xffffffffu;
constexpr float LOWEST = -3.402823466e38f;

__device__ float warp_max(float value) {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) value = fmaxf(value, __shfl_xor_sync(FULL, value, mask));
    return value;
}

__device__ float warp_sum(float value) {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) value += __shfl_xor_sync(FULL, value, mask);
    return value;
}

extern "C" __global__ void softmax(const float* input, float* output, int columns) {
    const float* row = input + blockIdx.x * columns;
    float* target = output + blockIdx.x * columns;
    float largest = LOWEST;
    for (int i = threadIdx.x; i < columns; i += 32) largest = fmaxf(largest, row[i]);
    largest = warp_max(largest);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < columns; i += 32) sum += expf(row[i] - largest);
    sum = warp_sum(sum);
    for (int i = threadIdx.x; i < columns; i += 32) target[i] = expf(row[i] - largest) / sum;
}

extern "C" __global__ void softmax_online(const float* input, float* output, int columns) {
    const float* row = input + blockIdx.x * columns;
    float* target = output + blockIdx.x * columns;
    float largest = LOWEST, sum = 0.0f;
    for (int i = threadIdx.x; i < columns; i += 32) {
        float next = fmaxf(largest, row[i]);
        sum = sum * __expf(largest - next) + __expf(row[i] - next);
        largest = next;
    }
    float overall = warp_max(largest);
    sum = warp_sum(sum * __expf(largest - overall));
    for (int i = threadIdx.x; i < columns; i += 32) target[i] = __fdividef(__expf(row[i] - overall), sum);
}
