// gemm/async_copy.cuh: copies from global to shared memory that pass no register and are waited for later.
//
// Shapes    4 or 16 bytes a copy, zeros where `present` is false
// Idea      cp.async (sm_80): a thread starts the copies of tiles to come, then multiplies the tile that has arrived
// Checked   tests/gemm, through 8_split_k

#pragma once

#include "gemm/source.cuh"

template <int bytes>
__device__ __forceinline__ void copy_async(unsigned int to_shared, const float* from, bool present) {
    int wanted = present ? bytes : 0;
    if constexpr (bytes == 16) {
        // Past L1: no other thread of the multiprocessor wants these bytes soon.
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to_shared), "l"(from), "r"(wanted) : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to_shared), "l"(from), "r"(wanted) : "memory");
    }
}

// Closes the group of the copies started since the last one.
__device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most `pending` groups are under way.
template <int pending>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Starts the copies of a source's next tile.
template <class T, int threads>
__device__ __forceinline__ void fetch_tile(Source<T, threads>& source, unsigned int tile) {
#pragma unroll
    for (int p = 0; p < Source<T, threads>::passes; ++p)
        if (source.has(p)) copy_async<4 * VECTOR>(tile + 4 * source.to[p], source.from[p], source.exists(p));
    source.advance();
}
