// gemm/fragment.cuh: one tile of the sum over k, from shared memory into the sums that a thread keeps in registers.
//
// Shapes    SharedTile of A and B in, thread_m x thread_n sums a thread in and out
// Bound     FP32 issue: thread_m thread_n FMA for (thread_m + thread_n) / 4 reads of 16 bytes
// Order     each sum takes k in ascending order: deterministic
// Idea      every read is 16 bytes: four k of one row, or four neighbours of one k, whichever lie side by side; only where four k
//           at once are more than registers hold, rows are read by two, 8 bytes
// Checked   tests/gemm, through every product

#pragma once

#include "gemm/form.cuh"

// k that a thread holds fragments of at once: fewer where registers are scarce.
template <class F>
constexpr int DEPTH = F::two_blocks_fit ? 2 : 4;

// DEPTH neighbours along k of one row or column.
template <int count>
__device__ __forceinline__ void read_row(float (&fragment)[4][count], int i, const float* from) {
    float4 four = *reinterpret_cast<const float4*>(from);
    fragment[0][i] = four.x, fragment[1][i] = four.y, fragment[2][i] = four.z, fragment[3][i] = four.w;
}
template <int count>
__device__ __forceinline__ void read_row(float (&fragment)[2][count], int i, const float* from) {
    float2 two = *reinterpret_cast<const float2*>(from);
    fragment[0][i] = two.x, fragment[1][i] = two.y;
}

// ANCHOR: read_fragment
// `depth` k of the `count` rows or columns of a warp's share that a lane reads; `lanes` lanes lie side by side across k.
template <class T, int lanes, int depth, int count>
__device__ __forceinline__ void read_fragment(float (&fragment)[depth][count], const float* lane_start, int k) {
    if constexpr (T::k_contiguous) {
#pragma unroll
        for (int i = 0; i < count; ++i) read_row(fragment, i, lane_start + i * lanes * T::stride + k);
    } else {
#pragma unroll
        for (int kk = 0; kk < depth; ++kk)
#pragma unroll
            for (int i = 0; i < count; i += 4) {
                float4 four = *reinterpret_cast<const float4*>(lane_start + (k + kk) * T::stride + i * lanes);
                fragment[kk][i] = four.x, fragment[kk][i + 1] = four.y;
                fragment[kk][i + 2] = four.z, fragment[kk][i + 3] = four.w;
            }
    }
}
// ANCHOR_END: read_fragment

// The float of a tile at which a lane's fragments start.
template <class T>
__device__ __forceinline__ int lane_start(int warp_offset, int lane_offset) {
    return T::k_contiguous ? (warp_offset + lane_offset) * T::stride : warp_offset + 4 * lane_offset;
}

template <class F>
__device__ __forceinline__ int a_lane_start(const Place<F>& place) {
    return lane_start<typename F::A>(place.warp_row, place.lane_row);
}

template <class F>
__device__ __forceinline__ int b_lane_start(const Place<F>& place) {
    return lane_start<typename F::B>(place.warp_column, place.lane_column);
}

// Adds a tile's products; `a` and `b` are where the lane's fragments start.
template <class F>
__device__ __forceinline__ void multiply_tile(Sums<F>& sums, const float* a, const float* b) {
#pragma unroll
    for (int k = 0; k < F::tile_k; k += DEPTH<F>) {
        float rows[DEPTH<F>][F::thread_m], columns[DEPTH<F>][F::thread_n];
        read_fragment<typename F::A, LANE_ROWS>(rows, a, k);
        read_fragment<typename F::B, LANE_COLUMNS>(columns, b, k);
#pragma unroll
        for (int kk = 0; kk < DEPTH<F>; ++kk)
#pragma unroll
            for (int i = 0; i < F::thread_m; ++i)
#pragma unroll
                for (int j = 0; j < F::thread_n; ++j)
                    sums.of_c[i][j] = fmaf(rows[kk][i], columns[kk][j], sums.of_c[i][j]);
    }
}
