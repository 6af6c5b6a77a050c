// gemm/launch.cuh: the kernel itself, around the `multiply` of the numbered file that includes this at its end.
//
// Launch    the first blocks belong to the first product, the others to the second where there is one
// Idea      two small products side by side fill a chip that each alone would leave idle
// Checked   tests/gemm, one product and two; tests/operations

#pragma once

#include "gemm/form.cuh"

#ifdef LAYOUT_2
constexpr bool TWO_BLOCKS_FIT = First::two_blocks_fit && Second::two_blocks_fit;
#else
constexpr bool TWO_BLOCKS_FIT = First::two_blocks_fit;
#endif
// Else at most 168 registers a thread, of small blocks: left to itself, the compiler stops at 128 in places and spills.
constexpr int LEAST_BLOCKS = TWO_BLOCKS_FIT ? 2 : 384 / First::threads;

#ifdef LAYOUT_2
extern "C" __global__ void __launch_bounds__(First::threads, LEAST_BLOCKS) KERNEL(Product first, Product second) {
    __shared__ __align__(16) float shared[LAUNCH_FLOATS];
    int block = blockIdx.x, blocks = blocks_of<First>(first);
    if (block < blocks) {
        multiply<First>(first, block, shared);
    } else {
        multiply<Second>(second, block - blocks, shared);
    }
}
#else
extern "C" __global__ void __launch_bounds__(First::threads, LEAST_BLOCKS) KERNEL(Product product) {
    __shared__ __align__(16) float shared[LAUNCH_FLOATS];
    multiply<First>(product, blockIdx.x, shared);
}
#endif
