// gemm/split_k.cuh: a product whose sum over k is cut among several blocks, each with a pipeline of its own.
//
// Shapes    workspace thread_m x thread_n sums for each thread of a split product
// Order     each part sums k in ascending order, the parts are added in ascending order: deterministic
// Idea      a small product has few tiles but a long sum: its parts fill the chip, and the block that ends last adds them
// Checked   tests/gemm, tests/tensor_cores

#pragma once

#include "gemm/epilogue.cuh"
#include "gemm/pipeline.cuh"

// Sums this part's tiles of k.
template <class F>
__device__ __forceinline__ void sum_part(const Product& p, const Place<F>& place, float* shared, Sums<F>& sums) {
    int tiles_k = (p.k + F::tile_k - 1) / F::tile_k;
    int each = tiles_k / p.splits, longer = tiles_k % p.splits;
    int k = (place.split * each + min(place.split, longer)) * F::tile_k;
    sum_tiles(p, place, k, each + (place.split < longer), shared, sums);
}

// A part's sums in the workspace: those of C by fours, thread beside thread, then those of A's columns.
template <class F>
struct Part {
    static constexpr int fours = F::thread_m * F::thread_n / 4;
    static constexpr int floats = 4 * fours * F::threads + (F::sums_columns ? F::tile_m : 0);
    float* start;

    __device__ __forceinline__ Part(const Product& p, const Place<F>& place, int split)
        : start(p.workspace + ((size_t)place.tile * p.splits + split) * floats) {}

    __device__ __forceinline__ void write(const Place<F>& place, const Sums<F>& sums) const {
        const auto& of_c = sums.of_c;
#pragma unroll
        for (int f = 0; f < fours; ++f) {
            float four[4];
#pragma unroll
            for (int r = 0; r < 4; ++r) four[r] = of_c[(4 * f + r) / F::thread_n][(4 * f + r) % F::thread_n];
            store_run(start + 4 * (f * F::threads + threadIdx.x), four);
        }
        if (place.sums_column()) start[4 * fours * F::threads + threadIdx.x] = sums.of_column;
    }

    // Past L1, which knows nothing of what other multiprocessors wrote.
    __device__ __forceinline__ void add_to(const Place<F>& place, Sums<F>& sums) const {
        const float4* threads_fours = reinterpret_cast<const float4*>(start) + threadIdx.x;
#pragma unroll
        for (int f = 0; f < fours; ++f) {
            float4 more = __ldcg(threads_fours + f * F::threads);
            float four[4] = {more.x, more.y, more.z, more.w};
#pragma unroll
            for (int r = 0; r < 4; ++r) sums.of_c[(4 * f + r) / F::thread_n][(4 * f + r) % F::thread_n] += four[r];
        }
        if (place.sums_column()) sums.of_column += __ldcg(start + 4 * fours * F::threads + threadIdx.x);
    }
};

// ANCHOR: add_parts
// Leaves this part's sums in the workspace. In the block that is last to do so of its tile, `sums` becomes the sum of all
// parts; the others get false.
template <class F>
__device__ __forceinline__ bool add_parts(const Product& p, const Place<F>& place, Sums<F>& sums) {
    Part<F>(p, place, place.split).write(place, sums);
    __shared__ int last;
    __threadfence();
    __syncthreads();
    // The ticket returns to 0 with the last block: ready for the next launch.
    if (threadIdx.x == 0) last = atomicInc(&p.tickets[place.tile], p.splits - 1) == p.splits - 1;
    __syncthreads();
    if (!last) return false;
    __threadfence();
    sums = {};
    // Several parts are read before the first is added, as far as registers allow.
#pragma unroll(Part<F>::fours > 8 ? 1 : 4)
    for (int split = 0; split < p.splits; ++split) Part<F>(p, place, split).add_to(place, sums);
    return true;
}
// ANCHOR_END: add_parts

template <class F>
__device__ __forceinline__ void multiply(const Product& p, int block, float* shared) {
    Place<F> place(p, block);
    Sums<F> sums;
    sum_part(p, place, shared, sums);
    if (p.splits > 1 && !add_parts(p, place, sums)) return;
    finish(p, place, sums);
}
