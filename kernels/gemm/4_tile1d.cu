// gemm/4_tile1d: C = A B, each thread keeps a column of 8 elements of C in registers.
//
// Shapes    A [M, K] row-major f32, B [K, N] row-major f32, C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid ceil(M/64) * ceil(N/64), tiles of C row by row; block 512, shared 4 KiB static
// Cost      2MNK FLOP; (MK*ceil(N/64) + KN*ceil(M/64) + MN) * 4 bytes of global memory
// Bound     shared memory: 9 loads for 8 FMA
// Order     each C element sums k in ascending order: deterministic
// Idea      3_shared_tile loads two values from shared memory for each FMA. A value of B, once in a register, serves 8 rows: 9
//           loads for 8 FMA. The tile grows with it to 64 x 64, which halves the bytes of global memory for each FMA to 1/8
// Checked   tests/staircase, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#include "gemm/product.cuh"

constexpr int TILE = 64;   // of C, rows and columns
constexpr int DEPTH = 8;   // k that lie in shared memory at once
constexpr int ROWS = 8;    // of C, a thread
constexpr int THREADS = TILE * TILE / ROWS;
static_assert(THREADS == TILE * DEPTH, "a thread loads one element of each tile");

extern "C" __global__ void __launch_bounds__(THREADS) gemm_tile1d(Product p) {
    __shared__ float a[TILE][DEPTH], b[DEPTH][TILE];
    int tiles_n = (p.n + TILE - 1) / TILE;
    int first_row = blockIdx.x / tiles_n * TILE, first_column = blockIdx.x % tiles_n * TILE;
    // What the thread loads of a tile: along rows of 8 of A and of 64 of B, whole sectors of both.
    int a_y = threadIdx.x / DEPTH, a_x = threadIdx.x % DEPTH;
    int b_y = threadIdx.x / TILE, b_x = threadIdx.x % TILE;
    // What it sums.
    int y = threadIdx.x / TILE * ROWS, x = threadIdx.x % TILE;
    float sums[ROWS] = {};
    for (int k0 = 0; k0 < p.k; k0 += DEPTH) {
        bool has_a = first_row + a_y < p.m && k0 + a_x < p.k, has_b = k0 + b_y < p.k && first_column + b_x < p.n;
        a[a_y][a_x] = has_a ? p.a[(size_t)(first_row + a_y) * p.k + k0 + a_x] : 0.0f;
        b[b_y][b_x] = has_b ? p.b[(size_t)(k0 + b_y) * p.n + first_column + b_x] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float of_b = b[k][x];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) sums[i] = fmaf(a[y + i][k], of_b, sums[i]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        int row = first_row + y + i, column = first_column + x;
        if (row < p.m && column < p.n) p.c[(size_t)row * p.n + column] = sums[i];
    }
}
