// gemm/6_vectorised: C = A B and what training needs around it, every access to memory as wide as it can be.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid of tiles, of both products where there are two; block and tiles by macros (form.cuh)
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN) * 4 bytes of global memory
// Bound     FP32 issue from K of about 64 up; latency where the grid is smaller than the chip
// Order     each C element sums k in ascending order: deterministic
// Idea      5_tile2d moves single floats; 16 bytes an instruction are a quarter of the instructions for the same bytes
// Checked   tests/gemm, M, N, K in {1, 2, 3, 7, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_vectorised
#endif
#ifndef STAGES
#define STAGES 2
#endif

#include "gemm/epilogue.cuh"
#include "gemm/fragment.cuh"
#include "gemm/source.cuh"

// The pieces of one tile on their way through a thread's registers.
template <class T, int threads>
struct Cargo {
    float pieces[Source<T, threads>::passes][VECTOR];

    __device__ __forceinline__ void load(Source<T, threads>& source) {
#pragma unroll
        for (int p = 0; p < Source<T, threads>::passes; ++p) {
#pragma unroll
            for (int v = 0; v < VECTOR; ++v) pieces[p][v] = 0.0f;
            if (source.has(p) && source.exists(p)) load_run(pieces[p], source.from[p]);
        }
        source.advance();
    }

    __device__ __forceinline__ void store(const Source<T, threads>& source, float* tile) const {
#pragma unroll
        for (int p = 0; p < Source<T, threads>::passes; ++p)
            if (source.has(p)) store_run(tile + source.to[p], pieces[p]);
    }
};

// Sums all tiles of k; while one is multiplied, the next is on its way to the other half of shared memory.
template <class F>
__device__ __forceinline__ void sum_tiles(const Product& p, const Place<F>& place, float* shared,
                                          float (&sums)[F::thread_m][F::thread_n]) {
    Source<typename F::A, F::threads> a(p.a, place.row, p.m, 0, p.k);
    Source<typename F::B, F::threads> b(p.b, place.column, p.n, 0, p.k);
    Cargo<typename F::A, F::threads> a_cargo;
    Cargo<typename F::B, F::threads> b_cargo;
    auto load = [&] {
        a_cargo.load(a);
        b_cargo.load(b);
    };
    auto store = [&](int half) {
        a_cargo.store(a, shared + half);
        b_cargo.store(b, shared + half + F::A::floats);
    };
    load();
    store(0);
    __syncthreads();

    int a_start = lane_start<typename F::A>(place.warp_row, place.lane_row);
    int b_start = F::A::floats + lane_start<typename F::B>(place.warp_column, place.lane_column);
    int half = 0;
#pragma unroll 1
    for (int k = 0; k < p.k; k += F::tile_k) {
        bool more = k + F::tile_k < p.k;
        if (more) load();
        multiply_tile<F>(sums, shared + half + a_start, shared + half + b_start);
        half = F::stage_floats - half;
        if (more) store(half);
        __syncthreads();
    }
}

template <class F>
__device__ __forceinline__ void multiply(const Product& p, int block, float* shared) {
    static_assert(F::stages == 2, "one tile is multiplied while the next one comes");
    Place<F> place(p, block);
    float sums[F::thread_m][F::thread_n] = {};
    sum_tiles<F>(p, place, shared, sums);
    finish<F>(p, place, sums);
}

#include "gemm/launch.cuh"
