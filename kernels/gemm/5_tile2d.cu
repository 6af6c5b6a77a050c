// gemm/5_tile2d: C = A B, each thread keeps 8 x 8 elements of C in registers.
//
// Shapes    A [M, K] row-major f32, B [K, N] row-major f32, C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid ceil(M/128) * ceil(N/128), tiles of C row by row; block 256, shared 8 KiB static
// Cost      2MNK FLOP; (MK*ceil(N/128) + KN*ceil(M/128) + MN) * 4 bytes of global memory
// Bound     FP32 issue from K of about 64 up; latency where the grid is smaller than the chip
// Order     each C element sums k in ascending order: deterministic
// Idea      4_tile1d loads 9 values from shared memory for 8 FMA; an outer product loads 16 for 64. The tile is 128 x 128: 1/16
//           byte of global memory for each FMA. A thread's elements lie 16 apart, so that a warp's 16 columns are side by side:
//           no bank is asked twice, and a store of C is 2 rows of whole sectors
// Checked   tests/staircase, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#include "gemm/product.cuh"

constexpr int TILE = 128;   // of C, rows and columns
constexpr int DEPTH = 8;    // k that lie in shared memory at once
constexpr int SIDE = 16;    // threads of a block along each side of the tile
constexpr int THREADS = SIDE * SIDE;
constexpr int EACH = TILE / SIDE;              // rows of C a thread, and columns
constexpr int LOADS = TILE * DEPTH / THREADS;  // elements of each operand's tile a thread

extern "C" __global__ void __launch_bounds__(THREADS) gemm_tile2d(Product p) {
    __shared__ float a[TILE][DEPTH], b[DEPTH][TILE];
    int tiles_n = (p.n + TILE - 1) / TILE;
    int first_row = blockIdx.x / tiles_n * TILE, first_column = blockIdx.x % tiles_n * TILE;
    int y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
    float sums[EACH][EACH] = {};
    for (int k0 = 0; k0 < p.k; k0 += DEPTH) {
#pragma unroll
        for (int load = 0; load < LOADS; ++load) {
            int at = threadIdx.x + load * THREADS, row = at / DEPTH, column = at % DEPTH;
            bool exists = first_row + row < p.m && k0 + column < p.k;
            a[row][column] = exists ? p.a[(size_t)(first_row + row) * p.k + k0 + column] : 0.0f;
        }
#pragma unroll
        for (int load = 0; load < LOADS; ++load) {
            int at = threadIdx.x + load * THREADS, row = at / TILE, column = at % TILE;
            bool exists = k0 + row < p.k && first_column + column < p.n;
            b[row][column] = exists ? p.b[(size_t)(k0 + row) * p.n + first_column + column] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float rows[EACH], columns[EACH];
#pragma unroll
            for (int i = 0; i < EACH; ++i) rows[i] = a[y + i * SIDE][k], columns[i] = b[k][x + i * SIDE];
#pragma unroll
            for (int i = 0; i < EACH; ++i)
#pragma unroll
                for (int j = 0; j < EACH; ++j) sums[i][j] = fmaf(rows[i], columns[j], sums[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            int row = first_row + y + i * SIDE, column = first_column + x + j * SIDE;
            if (row < p.m && column < p.n) p.c[(size_t)row * p.n + column] = sums[i][j];
        }
}
