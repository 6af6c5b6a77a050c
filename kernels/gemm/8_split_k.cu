// gemm/8_split_k: C = A B and what training needs around it, several blocks sharing the sum over k of one tile of C.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid tiles * splits, of both products where there are two; block and tiles by macros (form.cuh); from sm_80
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN*(1 + 2*splits where > 1)) * 4 bytes of global memory
// Bound     FP32 issue where the grid fills the chip; latency of the pipeline's first tiles and of the last block where not
// Order     each part sums k in ascending order, the parts are added in ascending order: deterministic
// Idea      7_async_copy leaves a large chip idle where C has few tiles: here K is cut as well, and whoever ends last adds up
// Checked   tests/gemm, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_split_k
#endif
#ifndef STAGES
#define STAGES 3
#endif

#include "gemm/fragment.cuh"
#include "gemm/split_k.cuh"

#include "gemm/launch.cuh"
