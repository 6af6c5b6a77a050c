// gemm/source.cuh: where in memory the floats lie that a thread brings to shared memory, tile after tile along k.
//
// Shapes    an operand across x k (rows along k) or k x across, row-major; any size, nothing outside is touched
// Idea      what lies outside across k is replaced by the last that lies inside: no element of C is made of it. So all that a
//           copy needs is a pointer that moves on; only a last, ragged tile along k is looked at and filled up with zeros
// Checked   tests/gemm, at ragged sizes and odd addresses

#pragma once

#include "gemm/form.cuh"

template <class F, class T>
struct Source {
    static constexpr int pieces_a_row = T::columns / VECTOR;
    static constexpr int rows_a_pass = F::threads / pieces_a_row;
    static constexpr int passes = (T::rows + rows_a_pass - 1) / rows_a_pass;
    static_assert(F::threads % pieces_a_row == 0, "a pass over a tile is whole rows of it");

    // A pointer for each pass. Rows across k are a fixed way apart: where registers are scarce, one pointer does. Rows along k
    // need theirs, for the last one may stand for others beyond it.
    static constexpr int pointers = T::k_contiguous || !F::two_blocks_fit ? passes : 1;

    const float* starts[pointers];
    size_t step, pass_step;    // floats from one tile to the next, and from one pass to the next where one pointer does
    int row, column;           // of the thread's first piece in a tile

    // `first` is the tile's first row or column across k, of `across`; `k0` the first k, of `k`.
    __device__ __forceinline__ Source(const float* operand, int first, int across, int k0, int k) {
        stand(threadIdx.x);
        step = T::k_contiguous ? T::columns : (size_t)T::rows * across;
        pass_step = (size_t)rows_a_pass * across;
        const float* start = operand + (T::k_contiguous ? k0 + column : min(first + column, across - VECTOR));
#pragma unroll
        for (int p = 0; p < pointers; ++p) {
            int memory_row = row + p * rows_a_pass + (T::k_contiguous ? first : k0);
            if (T::k_contiguous) memory_row = min(memory_row, across - 1);
            starts[p] = start + (long long)memory_row * (T::k_contiguous ? k : across);
        }
    }

    // Finds the first piece of this thread.
    __device__ __forceinline__ void stand(unsigned int thread) {
        row = thread / pieces_a_row;
        column = thread % pieces_a_row * VECTOR;
    }

    // Where the thread's piece of this pass lies in memory.
    __device__ __forceinline__ const float* from(int p) const {
        return pointers == passes ? starts[p] : starts[0] + p * pass_step;
    }

    // The float of a shared tile that the thread's first piece goes to; each pass goes so many floats further.
    __device__ __forceinline__ int to() const { return row * T::stride + column; }
    static constexpr int pass_floats = rows_a_pass * T::stride;

    // Whether the thread has a piece in this pass: the last pass may be one of fewer threads.
    __device__ __forceinline__ bool has(int p) const {
        return T::rows % rows_a_pass == 0 || p < passes - 1 || row + p * rows_a_pass < T::rows;
    }

    // Whether this pass's piece is among the next `left` k.
    __device__ __forceinline__ bool exists(int p, int left) const {
        return (T::k_contiguous ? column : row + p * rows_a_pass) < left;
    }

    // Goes on to the next tile.
    __device__ __forceinline__ void advance() {
#pragma unroll
        for (int p = 0; p < pointers; ++p) starts[p] += step;
    }
};
