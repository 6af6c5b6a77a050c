// gemm/2_coalesced: C = A B, a thread for each element of C, lanes along its rows.
//
// Shapes    A [M, K] row-major f32, B [K, N] row-major f32, C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid ceil(M/32) * ceil(N/32), tiles of C row by row; block 1024
// Cost      2MNK FLOP; (5MNK + 4MN) bytes of global memory in whole sectors, before any cache
// Bound     L1: two loads for each FMA, however well they coalesce
// Order     each C element sums k in ascending order: deterministic
// Idea      1_naive moves 33 sectors for each FMA of a warp and 32 for a store of C. Here only `/` and `%` change places: lanes
//           side by side take columns side by side, 4 sectors for 32 floats of B or of C, and one of A that all lanes share
// Checked   tests/staircase, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#include "gemm/product.cuh"

constexpr int TILE = 32;

extern "C" __global__ void __launch_bounds__(TILE * TILE) gemm_coalesced(Product p) {
    int tiles_n = (p.n + TILE - 1) / TILE;
    int row = blockIdx.x / tiles_n * TILE + threadIdx.x / TILE;
    int column = blockIdx.x % tiles_n * TILE + threadIdx.x % TILE;
    if (row >= p.m || column >= p.n) return;
    float sum = 0.0f;
    for (int k = 0; k < p.k; ++k) {
        float a = p.a[(size_t)row * p.k + k];
        float b = p.b[(size_t)k * p.n + column];
        sum = fmaf(a, b, sum);
    }
    p.c[(size_t)row * p.n + column] = sum;
}
