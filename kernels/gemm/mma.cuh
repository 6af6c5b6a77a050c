// gemm/mma.cuh: one tile of the sum over k on tensor cores, from shared memory into the sums that a thread keeps in registers.
//
// Shapes    SharedTile of A and B in, f32; thread_m x thread_n sums a thread in and out, f32; from sm_80
// Bound     tensor cores, or shared memory: a warp reads 8 thread_m + 4 thread_n floats for each k
// Order     tiles of k in ascending order; within an instruction the hardware's own, the same at every run
// Idea      a sum does not care which k is called which: k 2t and 2t + 1, side by side, are one read of 8 bytes
// Checked   tests/tensor_cores, through both tensor-core products
//
// Lane 4g + t owns row g of A's fragments, column g of B's, and of every eight k the pair 2t, 2t + 1. An operand whose rows run
// along k is read as that pair: in banks, eight rows are 8 or 24 apart and never meet. The other kind is read as two
// neighbours across k, at each k of the pair: rows 2t are 8 or 24 banks apart. Such neighbours are rows g and g + 8 of a
// fragment of A, or column g of two fragments of B; `Place` and `sum_index` put the sums where they belong.

#pragma once

#include "gemm/form.cuh"

// A lane's pair of k from `count` eighths of a warp's share; `from` is where the lane's part of these k starts.
template <class T, int count>
__device__ __forceinline__ void read_pairs(float (&pairs)[count][2], const float* from) {
    if constexpr (T::k_contiguous) {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            float2 two = *reinterpret_cast<const float2*>(from + 8 * i * T::stride);
            pairs[i][0] = two.x, pairs[i][1] = two.y;
        }
    } else {
        static_assert(count % 2 == 0, "neighbours across k are read by twos");
#pragma unroll
        for (int kk = 0; kk < 2; ++kk)
#pragma unroll
            for (int i = 0; i < count; i += 2) {
                float2 two = *reinterpret_cast<const float2*>(from + kk * T::stride + 8 * i);
                pairs[i][kk] = two.x, pairs[i + 1][kk] = two.y;
            }
    }
}

// Floats from one k to the next.
template <class T>
constexpr int K_STEP = T::k_contiguous ? 1 : T::stride;

// The float of a tile at which a lane's pairs start.
template <class T>
__device__ __forceinline__ int pairs_start(int warp_offset, int g, int t) {
    return T::k_contiguous ? (warp_offset + g) * T::stride + 2 * t : 2 * t * T::stride + warp_offset + 2 * g;
}

template <class F>
__device__ __forceinline__ int a_lane_start(const Place<F>& place) {
    return pairs_start<typename F::A>(place.warp_row, place.lane_row, place.lane_column);
}

template <class F>
__device__ __forceinline__ int b_lane_start(const Place<F>& place) {
    return pairs_start<typename F::B>(place.warp_column, place.lane_row, place.lane_column);
}

// Which of a thread's columns of C the left (right = 0) or right (1) sum of B's n-th fragment is.
template <class F>
__device__ __forceinline__ constexpr int sum_index(int n, int right) {
    return F::B::k_contiguous ? 2 * n + right : n / 2 * 4 + 2 * right + n % 2;
}

// Adds a tile's products, `Arithmetic::depth` k at a time; `a` and `b` are where the lane's pairs start.
template <class Arithmetic, class F>
__device__ __forceinline__ void multiply_pairs(Sums<F>& sums, const float* a, const float* b) {
    using A = typename F::A;
    using B = typename F::B;
    static_assert(F::tile_k % Arithmetic::depth == 0, "TILE_K is whole instructions");
#pragma unroll
    for (int k = 0; k < F::tile_k; k += Arithmetic::depth) {
        unsigned int rows[F::thread_m][2], columns[F::thread_n / 2][2];
        Arithmetic::template read<A>(rows, a + k * K_STEP<A>);
        Arithmetic::template read<B>(columns, b + k * K_STEP<B>);
#pragma unroll
        for (int m = 0; m < F::thread_m; m += 2)
#pragma unroll
            for (int n = 0; n < F::thread_n / 2; ++n) {
                int left = sum_index<F>(n, 0), right = sum_index<F>(n, 1);
                float(&upper)[F::thread_n] = sums.of_c[m];
                float(&lower)[F::thread_n] = sums.of_c[m + 1];
                Arithmetic::multiply(upper[left], upper[right], lower[left], lower[right], rows[m], rows[m + 1], columns[n]);
            }
    }
}
