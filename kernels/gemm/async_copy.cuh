// gemm/async_copy.cuh: copies from global to shared memory that pass no register and are waited for later.
//
// Shapes    4 or 16 bytes a copy
// Idea      cp.async (sm_80): a thread starts the copies of tiles to come, then multiplies the tile that has arrived
// Checked   tests/gemm, tests/tensor_cores

#pragma once

#include "gemm/source.cuh"

// ANCHOR: copy_async
// Copies VECTOR floats to `offset` bytes after a shared address; past L1, where nobody else will ask for them soon.
template <int offset>
__device__ __forceinline__ void copy_async(unsigned int to, const float* from) {
    if constexpr (VECTOR == 4) {
        asm volatile("cp.async.cg.shared.global [%0 + %2], [%1], 16;" ::"r"(to), "l"(from), "n"(offset) : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0 + %2], [%1], 4;" ::"r"(to), "l"(from), "n"(offset) : "memory");
    }
}
// ANCHOR_END: copy_async

// As copy_async where `exists`; zeros otherwise, and `from` is not read.
template <int offset>
__device__ __forceinline__ void copy_or_clear_async(unsigned int to, const float* from, bool exists) {
    int bytes = exists ? 4 * VECTOR : 0;
    if constexpr (VECTOR == 4) {
        asm volatile("cp.async.cg.shared.global [%0 + %3], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes), "n"(offset)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0 + %3], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes), "n"(offset)
                     : "memory");
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

// Starts the copies of a source's next tile, of which `left` k exist; `to` is where the thread's first piece goes.
template <bool whole, int tile_floats, int pass = 0, class S>
__device__ __forceinline__ void fetch_tile(const S& source, unsigned int to, int left) {
    if constexpr (pass < S::passes) {
        constexpr int offset = 4 * (tile_floats + pass * S::pass_floats);
        if (source.has(pass)) {
            if constexpr (whole) {
                copy_async<offset>(to, source.from(pass));
            } else {
                copy_or_clear_async<offset>(to, source.from(pass), source.exists(pass, left));
            }
        }
        fetch_tile<whole, tile_floats, pass + 1>(source, to, left);
    }
}
