// gemm/1_naive: C = A B, a thread for each element of C, as the formula has it.
//
// Shapes    A [M, K] row-major f32, B [K, N] row-major f32, C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid ceil(M/32) * ceil(N/32), tiles of C row by row; block 1024
// Cost      2MNK FLOP; (33MNK + 32MN) bytes of global memory in whole sectors, before any cache
// Bound     L1: 33 sectors for each FMA of a warp
// Order     each C element sums k in ascending order: deterministic
// Idea      the formula as it stands. Lanes side by side take rows one below the other, thus addresses K floats apart: a load of A
//           touches 32 sectors of 32 bytes for 32 floats, a store of C as well, and 7/8 of what moves is thrown away
// Checked   tests/staircase, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#include "gemm/product.cuh"

constexpr int TILE = 32;

extern "C" __global__ void __launch_bounds__(TILE * TILE) gemm_naive(Product p) {
    int tiles_n = (p.n + TILE - 1) / TILE;
    int row = blockIdx.x / tiles_n * TILE + threadIdx.x % TILE;
    int column = blockIdx.x % tiles_n * TILE + threadIdx.x / TILE;
    if (row >= p.m || column >= p.n) return;
    float sum = 0.0f;
    for (int k = 0; k < p.k; ++k) {
        float a = p.a[(size_t)row * p.k + k];
        float b = p.b[(size_t)k * p.n + column];
        sum = fmaf(a, b, sum);
    }
    p.c[(size_t)row * p.n + column] = sum;
}
