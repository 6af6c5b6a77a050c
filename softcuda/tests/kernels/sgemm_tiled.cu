// sgemm_tiled: C = A B through 32x32 tiles in shared memory.
// Shapes: A is M x K, B is K x N, C is M x N, f32, row-major; any M, N, K: what lies beyond an edge counts as zero.
// Launch: grid (ceil(N/32), ceil(M/32)), block (32, 32).
// Exercises: static shared memory, two barriers for each tile, predicated loads and stores.

constexpr int TILE = 32;

extern "C" __global__ void sgemm_tiled(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float a_tile[TILE][TILE];
    __shared__ float b_tile[TILE][TILE];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * TILE + y;
    int column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (int start = 0; start < k; start += TILE) {
        a_tile[y][x] = row < m && start + x < k ? a[row * k + start + x] : 0.0f;
        b_tile[y][x] = start + y < k && column < n ? b[(start + y) * n + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; ++i) sum = fmaf(a_tile[y][i], b_tile[i][x], sum);
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}
