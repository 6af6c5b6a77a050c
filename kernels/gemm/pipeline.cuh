// gemm/pipeline.cuh: the sum over some tiles of k, which are on their way to shared memory while those before are multiplied.
//
// Shapes    STAGES tiles in shared memory, the one that is multiplied among them
// Order     tiles in ascending order
// Idea      `multiply_tile`, which the numbered file brings along, is all that one arithmetic has other than the next
// Checked   tests/gemm, tests/tensor_cores

#pragma once

#include "gemm/async_copy.cuh"

// The thread's index. The compiler takes it for a new number, and so computes again what follows from it, rather than keep that
// in registers through the multiplication of a tile.
__device__ __forceinline__ unsigned int thread_anew() {
    unsigned int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

// Adds `count` tiles from `k` on, STAGES of them in flight.
template <class F>
__device__ __forceinline__ void sum_tiles(const Product& p, const Place<F>& place, int k, int count, float* shared,
                                          Sums<F>& sums) {
    Source<F, typename F::A> a(p.a, place.row, p.m, k, p.k);
    Source<F, typename F::B> b(p.b, place.column, p.n, k, p.k);
    int left = p.k - k;

    unsigned int start = (unsigned int)__cvta_generic_to_shared(shared), a_to = start + 4 * a.to(), b_to = start + 4 * b.to();
    // Brings the next tile to the stage at this float.
    auto fetch = [&](int stage) {
        if constexpr (F::two_blocks_fit) {
            unsigned int thread = thread_anew();
            a.stand(thread);
            b.stand(thread);
            a_to = start + 4 * a.to(), b_to = start + 4 * b.to();
        }
        if (left >= F::tile_k) {
            fetch_tile<true, 0>(a, a_to + 4 * stage, left);
            fetch_tile<true, F::A::floats>(b, b_to + 4 * stage, left);
        } else {
            fetch_tile<false, 0>(a, a_to + 4 * stage, left);
            fetch_tile<false, F::A::floats>(b, b_to + 4 * stage, left);
        }
        left -= F::tile_k;
        a.advance();
        b.advance();
    };
    // ANCHOR: pipeline
    // Groups are committed even where they are empty: their number tells which tile has arrived.
#pragma unroll 1
    for (int tile = 0; tile < F::stages - 1; ++tile) {
        if (tile < count) fetch(tile * F::stage_floats);
        commit_copies();
    }

    constexpr int last_stage = (F::stages - 1) * F::stage_floats;
    const float* a_lane = shared + a_lane_start(place);
    const float* b_lane = shared + F::A::floats + b_lane_start(place);
    int stage = 0, used = last_stage;
#pragma unroll 1
    for (int tile = 0; tile < count; ++tile) {
        wait_for_copies<F::stages - 2>();
        // The tile has arrived for all, and all are done with the one before, whose place is filled now.
        __syncthreads();
        if (tile + F::stages - 1 < count) fetch(used);
        commit_copies();
        multiply_tile(sums, a_lane, b_lane);
        if (place.sums_column()) sum_column(sums, shared + stage);
        used = stage;
        int step = stage == last_stage ? -last_stage : F::stage_floats;
        stage += step;
        a_lane += step;
        b_lane += step;
    }
    // ANCHOR_END: pipeline
}
