// gemm/6_vectorised: C = A B and what training needs around it, every access to memory as wide as it can be.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid of tiles, of both products where there are two; block and tiles by macros (form.cuh)
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN) * 4 bytes of global memory
// Bound     FP32 issue from K of about 64 up; latency where the grid is smaller than the chip
// Order     each C element sums k in ascending order: deterministic
// Idea      5_tile2d moves single floats; 16 bytes an instruction are a quarter of the loads and stores for the same bytes, and
//           fewer instructions for each FMA
// Checked   tests/gemm, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_vectorised
#endif
#ifndef STAGES
#define STAGES 2
#endif
#define REGISTER_COPIES 1

#include "gemm/epilogue.cuh"
#include "gemm/fragment.cuh"
#include "gemm/source.cuh"

// VECTOR floats, moved by one instruction.
template <int floats>
struct Piece {
    using type = float;
};
template <>
struct Piece<4> {
    using type = float4;
};

// The pieces of one tile on their way through a thread's registers.
template <class F, class T>
struct Cargo {
    using S = Source<F, T>;
    using Wide = typename Piece<VECTOR>::type;
    Wide pieces[S::passes];

    // Loads the source's next tile, of which `left` k exist.
    __device__ __forceinline__ void load(S& source, int left) {
        if (left >= T::depth) {
#pragma unroll
            for (int p = 0; p < S::passes; ++p)
                if (source.has(p)) pieces[p] = *reinterpret_cast<const Wide*>(source.from(p));
        } else {
#pragma unroll
            for (int p = 0; p < S::passes; ++p) {
                pieces[p] = Wide{};
                if (source.has(p) && source.exists(p, left))
                    pieces[p] = *reinterpret_cast<const Wide*>(source.from(p));
            }
        }
        source.advance();
    }

    // Stores the pieces; `to` is where the thread's first piece goes.
    __device__ __forceinline__ void store(const S& source, float* to) const {
#pragma unroll
        for (int p = 0; p < S::passes; ++p)
            if (source.has(p)) *reinterpret_cast<Wide*>(to + p * S::pass_floats) = pieces[p];
    }
};

// Sums all tiles of k; while one is multiplied, the next is on its way to the other half of shared memory.
template <class F>
__device__ __forceinline__ void sum_tiles(const Product& p, const Place<F>& place, float* shared, Sums<F>& sums) {
    Source<F, typename F::A> a(p.a, place.row, p.m, 0, p.k);
    Source<F, typename F::B> b(p.b, place.column, p.n, 0, p.k);
    Cargo<F, typename F::A> a_cargo;
    Cargo<F, typename F::B> b_cargo;
    auto load = [&](int left) {
        a_cargo.load(a, left);
        b_cargo.load(b, left);
    };
    float *a_to = shared + a.to(), *b_to = shared + F::A::floats + b.to();
    auto store = [&] {
        a_cargo.store(a, a_to);
        b_cargo.store(b, b_to);
    };
    load(p.k);
    store();
    __syncthreads();

    const float* a_lane = shared + lane_start<typename F::A>(place.warp_row, place.lane_row);
    const float* b_lane = shared + F::A::floats + lane_start<typename F::B>(place.warp_column, place.lane_column);
    // ANCHOR: two_halves
    int half = 0;
#pragma unroll 1
    for (int left = p.k; left > 0; left -= F::tile_k) {
        bool more = left > F::tile_k;
        if (more) load(left - F::tile_k);
        multiply_tile(sums, a_lane, b_lane);
        if (place.sums_column()) sum_column(sums, shared + half);
        int step = half == 0 ? F::stage_floats : -F::stage_floats;
        half += step;
        a_lane += step;
        b_lane += step;
        a_to += step;
        b_to += step;
        if (more) store();
        __syncthreads();
    }
    // ANCHOR_END: two_halves
}

template <class F>
__device__ __forceinline__ void multiply(const Product& p, int block, float* shared) {
    static_assert(F::stages == 2, "one tile is multiplied while the next one comes");
    Place<F> place(p, block);
    Sums<F> sums;
    sum_tiles(p, place, shared, sums);
    finish(p, place, sums);
}

#include "gemm/launch.cuh"
