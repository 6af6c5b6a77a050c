// sgemm_blocked: C = A B with 8x8 sums in the registers of each thread and a double-buffered shared tile.
// Shapes: A is M x K, B is K x N, C is M x N, f32, row-major; M and N multiples of 128, K a multiple of 8 (at least 8);
//         the three pointers aligned to 16 bytes.
// Launch: grid (N/128, M/128), block 256.
// Exercises: float4 loads and stores of global and shared memory, register pressure, one barrier for each slice of K.

constexpr int TILE = 128;   // of C, for each block
constexpr int SLICE = 8;    // of K, for each step
constexpr int PATCH = 8;    // of C, for each thread
constexpr int PADDED = TILE + 4;

// Multiplies one slice: thread (tx, ty) owns columns 4 tx.. and 64 + 4 tx.., rows 4 ty.. and 64 + 4 ty...
__device__ __forceinline__ void multiply_slice(const float (&a)[SLICE][PADDED], const float (&b)[SLICE][TILE],
                                               float (&sum)[PATCH][PATCH], int tx, int ty) {
#pragma unroll
    for (int i = 0; i < SLICE; ++i) {
        float left[PATCH], right[PATCH];
        *reinterpret_cast<float4*>(&left[0]) = *reinterpret_cast<const float4*>(&a[i][ty * 4]);
        *reinterpret_cast<float4*>(&left[4]) = *reinterpret_cast<const float4*>(&a[i][TILE / 2 + ty * 4]);
        *reinterpret_cast<float4*>(&right[0]) = *reinterpret_cast<const float4*>(&b[i][tx * 4]);
        *reinterpret_cast<float4*>(&right[4]) = *reinterpret_cast<const float4*>(&b[i][TILE / 2 + tx * 4]);
#pragma unroll
        for (int y = 0; y < PATCH; ++y)
#pragma unroll
            for (int x = 0; x < PATCH; ++x) sum[y][x] = fmaf(left[y], right[x], sum[y][x]);
    }
}

extern "C" __global__ void __launch_bounds__(256)
sgemm_blocked(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int m, int n, int k) {
    __shared__ __align__(16) float a_tile[2][SLICE][PADDED];
    __shared__ __align__(16) float b_tile[2][SLICE][TILE];
    int t = threadIdx.x, tx = t % 16, ty = t / 16;
    int a_row = t / 2, a_column = t % 2 * 4;
    int b_row = t / 32, b_column = t % 32 * 4;
    const float* a_next = a + (blockIdx.y * TILE + a_row) * k + a_column;
    const float* b_next = b + b_row * n + blockIdx.x * TILE + b_column;

    float sum[PATCH][PATCH] = {};
    float4 from_a = *reinterpret_cast<const float4*>(a_next);
    float4 from_b = *reinterpret_cast<const float4*>(b_next);
    int slices = k / SLICE;
    for (int s = 0; s < slices; ++s) {
        int buffer = s % 2;
        a_tile[buffer][a_column + 0][a_row] = from_a.x;
        a_tile[buffer][a_column + 1][a_row] = from_a.y;
        a_tile[buffer][a_column + 2][a_row] = from_a.z;
        a_tile[buffer][a_column + 3][a_row] = from_a.w;
        *reinterpret_cast<float4*>(&b_tile[buffer][b_row][b_column]) = from_b;
        // One barrier is enough: the buffer written next was last read before the barrier of this round.
        __syncthreads();
        if (s + 1 < slices) {
            from_a = *reinterpret_cast<const float4*>(a_next + (s + 1) * SLICE);
            from_b = *reinterpret_cast<const float4*>(b_next + (s + 1) * SLICE * n);
        }
        multiply_slice(a_tile[buffer], b_tile[buffer], sum, tx, ty);
    }

#pragma unroll
    for (int y = 0; y < PATCH; ++y) {
        int row = blockIdx.y * TILE + (y < 4 ? 0 : TILE / 2 - 4) + ty * 4 + y;
        float* target = c + row * n + blockIdx.x * TILE + tx * 4;
        *reinterpret_cast<float4*>(target) = make_float4(sum[y][0], sum[y][1], sum[y][2], sum[y][3]);
        *reinterpret_cast<float4*>(target + TILE / 2) = make_float4(sum[y][4], sum[y][5], sum[y][6], sum[y][7]);
    }
}
