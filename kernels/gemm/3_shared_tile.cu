// gemm/3_shared_tile: C = A B, a block brings tiles of A and B to shared memory, where all of its threads read them.
//
// Shapes    A [M, K] row-major f32, B [K, N] row-major f32, C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid ceil(M/32) * ceil(N/32), tiles of C row by row; block 1024, shared 8 KiB static
// Cost      2MNK FLOP; (MK*ceil(N/32) + KN*ceil(M/32) + MN) * 4 bytes of global memory
// Bound     shared memory: two loads for each FMA
// Order     each C element sums k in ascending order: deterministic
// Idea      2_coalesced moves 5 bytes of global memory for each FMA. The threads of a row of C need the same row of A, those
//           of a column the same column of B: an element that is loaded once serves 32 of them, 1/4 byte for each FMA
// Checked   tests/staircase, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#include "gemm/product.cuh"

constexpr int TILE = 32;

extern "C" __global__ void __launch_bounds__(TILE * TILE) gemm_shared_tile(Product p) {
    __shared__ float a[TILE][TILE], b[TILE][TILE];
    int tiles_n = (p.n + TILE - 1) / TILE;
    int y = threadIdx.x / TILE, x = threadIdx.x % TILE;
    int row = blockIdx.x / tiles_n * TILE + y;
    int column = blockIdx.x % tiles_n * TILE + x;
    float sum = 0.0f;
    for (int k0 = 0; k0 < p.k; k0 += TILE) {
        // Zeros stand for what lies outside: they add nothing.
        a[y][x] = row < p.m && k0 + x < p.k ? p.a[(size_t)row * p.k + k0 + x] : 0.0f;
        b[y][x] = k0 + y < p.k && column < p.n ? p.b[(size_t)(k0 + y) * p.n + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum = fmaf(a[y][k], b[k][x], sum);
        // All have read the tiles before the next ones overwrite them.
        __syncthreads();
    }
    if (row < p.m && column < p.n) p.c[(size_t)row * p.n + column] = sum;
}
