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

#include "gemm/async_copy.cuh"
#include "gemm/epilogue.cuh"
#include "gemm/fragment.cuh"

// Sums this part's tiles of k, STAGES of them in flight.
template <class F>
__device__ __forceinline__ void sum_part(const Product& p, const Place<F>& place, float* shared,
                                         float (&sums)[F::thread_m][F::thread_n]) {
    int tiles_k = (p.k + F::tile_k - 1) / F::tile_k;
    int begin = (int)((long long)tiles_k * place.split / p.splits);
    int count = (int)((long long)tiles_k * (place.split + 1) / p.splits) - begin;
    Source<typename F::A, F::threads> a(p.a, place.row, p.m, begin * F::tile_k, p.k);
    Source<typename F::B, F::threads> b(p.b, place.column, p.n, begin * F::tile_k, p.k);

    unsigned int start = (unsigned int)__cvta_generic_to_shared(shared), filled = 0;
    auto fetch = [&](bool more) {
        if (more) {
            fetch_tile(a, start + 4 * filled);
            fetch_tile(b, start + 4 * (filled + F::A::floats));
            filled = filled == (F::stages - 1) * F::stage_floats ? 0 : filled + F::stage_floats;
        }
        // An empty group keeps the count of pending groups the same at the end as in the middle.
        commit_copies();
    };
#pragma unroll
    for (int tile = 0; tile < F::stages - 1; ++tile) fetch(tile < count);

    int a_start = lane_start<typename F::A>(place.warp_row, place.lane_row);
    int b_start = F::A::floats + lane_start<typename F::B>(place.warp_column, place.lane_column);
    int read = 0;
#pragma unroll 1
    for (int tile = 0; tile < count; ++tile) {
        wait_for_copies<F::stages - 2>();
        // The tile has arrived for all, and all are done with the one whose place is filled next.
        __syncthreads();
        fetch(tile + F::stages - 1 < count);
        multiply_tile<F>(sums, shared + read + a_start, shared + read + b_start);
        read = read == (F::stages - 1) * F::stage_floats ? 0 : read + F::stage_floats;
    }
}

// Leaves this part's sums in the workspace. In the block that is last to do so of its tile, `sums` becomes the sum of all
// parts; the others get false.
template <class F>
__device__ __forceinline__ bool add_parts(const Product& p, const Place<F>& place, float (&sums)[F::thread_m][F::thread_n]) {
    constexpr int fours = F::thread_m * F::thread_n / 4;
    auto sum_of = [&](int n) -> float& { return sums[n / F::thread_n][n % F::thread_n]; };
    float4* parts = reinterpret_cast<float4*>(p.workspace) + (size_t)place.tile * p.splits * fours * F::threads + threadIdx.x;
    float4* part = parts + (size_t)place.split * fours * F::threads;
#pragma unroll
    for (int f = 0; f < fours; ++f)
        part[f * F::threads] = make_float4(sum_of(4 * f), sum_of(4 * f + 1), sum_of(4 * f + 2), sum_of(4 * f + 3));

    __shared__ bool last;
    __threadfence();
    __syncthreads();
    // The ticket returns to 0 with the last block: ready for the next launch.
    if (threadIdx.x == 0) last = atomicInc(&p.tickets[place.tile], p.splits - 1) == p.splits - 1;
    __syncthreads();
    if (!last) return false;
    __threadfence();
#pragma unroll
    for (int n = 0; n < 4 * fours; ++n) sum_of(n) = 0.0f;
#pragma unroll 1
    for (int split = 0; split < p.splits; ++split, parts += fours * F::threads) {
#pragma unroll
        for (int f = 0; f < fours; ++f) {
            float4 more = __ldcg(&parts[f * F::threads]);
            sum_of(4 * f) += more.x, sum_of(4 * f + 1) += more.y;
            sum_of(4 * f + 2) += more.z, sum_of(4 * f + 3) += more.w;
        }
    }
    return true;
}

template <class F>
__device__ __forceinline__ void multiply(const Product& p, int block, float* shared) {
    Place<F> place(p, block);
    float sums[F::thread_m][F::thread_n] = {};
    sum_part<F>(p, place, shared, sums);
    if (p.splits > 1 && !add_parts<F>(p, place, sums)) return;
    finish<F>(p, place, sums);
}

#include "gemm/launch.cuh"
