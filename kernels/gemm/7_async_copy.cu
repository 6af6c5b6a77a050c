// gemm/7_async_copy: C = A B and what training needs around it, tiles copied to shared memory behind the threads' backs.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid of tiles, of both products where there are two; block and tiles by macros (form.cuh); from sm_80
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN) * 4 bytes of global memory
// Bound     FP32 issue from K of about 64 up; latency where the grid is smaller than the chip
// Order     each C element sums k in ascending order: deterministic
// Idea      6_vectorised loads a tile into registers and stores it from there. cp.async does both in one instruction: nothing
//           but C is stored, and no register waits for memory, so that a thread takes fewer of them
// Checked   tests/gemm, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_async_copy
#endif
#ifndef STAGES
#define STAGES 2
#endif

#include "gemm/epilogue.cuh"
#include "gemm/fragment.cuh"
#include "gemm/pipeline.cuh"

template <class F>
__device__ __forceinline__ void multiply(const Product& p, int block, float* shared) {
    Place<F> place(p, block);
    Sums<F> sums;
    sum_tiles(p, place, 0, (p.k + F::tile_k - 1) / F::tile_k, shared, sums);
    finish(p, place, sums);
}

#include "gemm/launch.cuh"
