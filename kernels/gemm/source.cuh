// gemm/source.cuh: where in memory the floats lie that a thread brings to shared memory, tile after tile along k.
//
// Shapes    an operand across x k (rows along k) or k x across, row-major; any size, nothing outside is touched
// Idea      all that does not change from tile to tile is computed once; what is left is one comparison a row and a selection
// Checked   tests/gemm, at ragged sizes and odd addresses

#pragma once

#include "gemm/form.cuh"

template <class T, int threads>
struct Source {
    static constexpr int pieces_a_row = T::columns / VECTOR;
    static constexpr int pieces = T::rows * pieces_a_row;
    static constexpr int passes = (pieces + threads - 1) / threads;
    static_assert(T::columns % VECTOR == 0, "a row of a tile is whole pieces");

    const float* from[passes];
    int to[passes];         // float of the shared tile
    int depth[passes];      // k within the tile
    bool inside[passes];    // whether the piece's place across k exists
    size_t step;            // floats from one tile to the next
    int left;               // of the sum over k, from the next tile on

    // `first` is the tile's first row or column across k, of `across`; `k0` the first k, of `k`.
    __device__ __forceinline__ Source(const float* operand, int first, int across, int k0, int k) {
        int length = T::k_contiguous ? k : across;
        step = T::k_contiguous ? T::columns : (size_t)T::rows * length;
        left = k - k0;
#pragma unroll
        for (int p = 0; p < passes; ++p) {
            int piece = threadIdx.x + p * threads;
            int row = piece / pieces_a_row, column = piece % pieces_a_row * VECTOR;
            depth[p] = T::k_contiguous ? column : row;
            inside[p] = first + (T::k_contiguous ? row : column) < across;
            to[p] = row * T::stride + column;
            size_t memory_row = row + (T::k_contiguous ? first : k0);
            from[p] = operand + memory_row * length + column + (T::k_contiguous ? k0 : first);
        }
    }

    // Whether the thread has a piece in this pass: the last pass may be one of fewer threads.
    __device__ __forceinline__ bool has(int p) const {
        return pieces % threads == 0 || p < passes - 1 || threadIdx.x + p * threads < pieces;
    }

    // Whether the piece of this pass exists in memory; the tile has zeros in its place otherwise.
    __device__ __forceinline__ bool exists(int p) const { return inside[p] && depth[p] < left; }

    // Goes on to the next tile.
    __device__ __forceinline__ void advance() {
        left -= T::k_contiguous ? T::columns : T::rows;
#pragma unroll
        for (int p = 0; p < passes; ++p) from[p] += step;
    }
};
