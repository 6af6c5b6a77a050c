// gemm/form.cuh: the forms that an instance of a kernel multiplies in, from the macros it is compiled with.
//
// Shapes    LAYOUT, EPILOGUE: product.cuh; TILE_M x TILE_N of C a block, TILE_K of the sum a step; THREAD_M x THREAD_N of C a
//           thread; STAGES tiles in flight; VECTOR floats a copy: 4 where rows and addresses are multiples of 16 bytes, else 1
// Launch    blocks of TILE_M / THREAD_M * TILE_N / THREAD_N threads; a warp is 4 (rows) x 8 (columns) threads, on tensor
//           cores 8 x 4
// Idea      one source, many instances. With *_2 a second product, of another form, is multiplied in the same launch
// Checked   tests/gemm, every layout, tile and pair of products

#pragma once

#include "gemm/product.cuh"

#ifndef LAYOUT
#define LAYOUT NN
#endif
#ifndef EPILOGUE
#define EPILOGUE PLAIN
#endif
#ifndef TILE_M
#define TILE_M 64
#endif
#ifndef TILE_N
#define TILE_N 64
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
#ifndef THREAD_M
#define THREAD_M 8
#endif
#ifndef THREAD_N
#define THREAD_N 4
#endif
#ifndef VECTOR
#define VECTOR 1
#endif
#ifndef TENSOR_CORES
#define TENSOR_CORES 0
#endif
#ifndef REGISTER_COPIES
#define REGISTER_COPIES 0
#endif
// KERNEL and STAGES: the numbered file has defaults of its own. TENSOR_CORES; REGISTER_COPIES, tiles on their way to shared
// memory lie in registers: the numbered file says so.

// How the lanes of a warp lie in its share of C.
constexpr int LANE_ROWS = TENSOR_CORES ? 8 : 4;
constexpr int LANE_COLUMNS = 32 / LANE_ROWS;

// An operand's tile in shared memory, as the operand lies in memory: its rows run along k, or across it.
template <bool along_k, int across, int tile_depth>
struct SharedTile {
    static constexpr bool k_contiguous = along_k;
    static constexpr int depth = tile_depth;
    static constexpr int rows = along_k ? across : tile_depth;
    static constexpr int columns = along_k ? tile_depth : across;
    // Along k, eight rows read 16 bytes each at the same k fall into different banks where a row is an odd number of 16
    // bytes. Tensor cores: mma.cuh.
    static constexpr int scalar_padding = along_k && tile_depth % 8 == 0 ? 4 : 0;
    static constexpr int tensor_padding = columns % 16 != 0 ? 0 : along_k ? 8 : 4;
    static constexpr int stride = columns + (TENSOR_CORES ? tensor_padding : scalar_padding);
    static constexpr int floats = rows * stride;
};

// What follows from the macros, given as the members of `Choice`.
template <class Choice>
struct Form : Choice {
    static constexpr int warps_m = Choice::tile_m / (LANE_ROWS * Choice::thread_m);
    static constexpr int warps_n = Choice::tile_n / (LANE_COLUMNS * Choice::thread_n);
    static constexpr int threads = 32 * warps_m * warps_n;
    using A = SharedTile<Choice::layout != TN, Choice::tile_m, Choice::tile_k>;
    using B = SharedTile<Choice::layout == NT, Choice::tile_n, Choice::tile_k>;
    static constexpr int stage_floats = A::floats + B::floats;
    // Whether 8 x 8 sums, fragments and addresses find room in 128 registers, so that two blocks share a multiprocessor: not
    // where fragments of both operands take four k at once, nor where copies are many or pass through registers.
    static constexpr bool two_blocks_fit = !TENSOR_CORES && !REGISTER_COPIES && VECTOR == 4 && threads == 256 &&
                                           A::k_contiguous && !B::k_contiguous;
    // Neighbours in a row of C that a thread owns.
    static constexpr int column_run = !B::k_contiguous ? 4 : TENSOR_CORES ? 2 : 1;

    static_assert(warps_m * LANE_ROWS * Choice::thread_m == Choice::tile_m, "a warp's rows divide TILE_M");
    static_assert(warps_n * LANE_COLUMNS * Choice::thread_n == Choice::tile_n, "a warp's columns divide TILE_N");
    static_assert(Choice::tile_k % 4 == 0, "TILE_K is a multiple of 4");
    static_assert(A::k_contiguous || TENSOR_CORES || Choice::thread_m % 4 == 0, "A's columns are read by fours");
    static_assert(!TENSOR_CORES || (Choice::thread_m % 2 == 0 && Choice::thread_n % 2 == 0), "whole fragments");
    static_assert(B::k_contiguous || Choice::thread_n % 4 == 0, "B's columns are kept by fours: so is THREAD_N");
    static_assert(Choice::thread_m * Choice::thread_n % 4 == 0, "partial sums are kept by fours");

    // Whether columns of A are summed as well, a thread each.
    static constexpr bool sums_columns = Choice::epilogue == BIAS_GRADIENT;
    static_assert(!sums_columns || (!A::k_contiguous && threads >= Choice::tile_m), "a thread for each column of A's tile");
};

struct FirstChoice {
    static constexpr Layout layout = LAYOUT;
    static constexpr Epilogue epilogue = EPILOGUE;
    static constexpr int tile_m = TILE_M, tile_n = TILE_N, tile_k = TILE_K;
    static constexpr int thread_m = THREAD_M, thread_n = THREAD_N, stages = STAGES;
};
using First = Form<FirstChoice>;

#ifdef LAYOUT_2
struct SecondChoice {
    static constexpr Layout layout = LAYOUT_2;
    static constexpr Epilogue epilogue = EPILOGUE_2;
    static constexpr int tile_m = TILE_M_2, tile_n = TILE_N_2, tile_k = TILE_K_2;
    static constexpr int thread_m = THREAD_M_2, thread_n = THREAD_N_2, stages = STAGES_2;
};
using Second = Form<SecondChoice>;
static_assert(First::threads == Second::threads, "both products of a launch have the same threads a block");
constexpr int LAUNCH_FLOATS = First::stages * First::stage_floats > Second::stages * Second::stage_floats
                                  ? First::stages * First::stage_floats
                                  : Second::stages * Second::stage_floats;
#else
constexpr int LAUNCH_FLOATS = First::stages * First::stage_floats;
#endif

// What a thread sums: its share of C, and in a block of C's first column of tiles, for BIAS_GRADIENT, a column of A.
template <class F>
struct Sums {
    float of_c[F::thread_m][F::thread_n] = {};
    float of_column = 0.0f;
};

// Adds the thread's column of a tile of A whose rows run across k.
template <class F>
__device__ __forceinline__ void sum_column(Sums<F>& sums, const float* a_tile) {
#pragma unroll
    for (int k = 0; k < F::tile_k; ++k) sums.of_column += a_tile[k * F::A::stride + threadIdx.x];
}

// Where a lane's i-th element lies among those of `lanes` lanes, which take turns of `run` neighbours.
template <int run, int lanes>
__device__ __forceinline__ int place_in_runs(int lane, int i) {
    return i / run * (run * lanes) + lane * run + i % run;
}

// Where a block and its threads stand in C.
template <class F>
struct Place {
    int tile, split;          // tiles go down the rows of C first: neighbours share a tile of B, the larger operand
    int row, column;          // of the tile's first element
    int warp_row, warp_column;
    int lane_row, lane_column;

    __device__ __forceinline__ Place(const Product& p, int block) {
        int tiles_m = (p.m + F::tile_m - 1) / F::tile_m;
        tile = block / p.splits;
        split = block % p.splits;
        row = tile % tiles_m * F::tile_m;
        column = tile / tiles_m * F::tile_n;
        int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        warp_row = warp % F::warps_m * (LANE_ROWS * F::thread_m);
        warp_column = warp / F::warps_m * (LANE_COLUMNS * F::thread_n);
        lane_row = lane / LANE_COLUMNS;
        lane_column = lane % LANE_COLUMNS;
    }

    // The row of C that the thread's i-th sums belong to: as A is read, so that lanes side by side read side by side.
    __device__ __forceinline__ int row_of(int i) const {
        constexpr int run = F::A::k_contiguous ? 1 : TENSOR_CORES ? 2 : 4;
        return row + warp_row + place_in_runs<run, LANE_ROWS>(lane_row, i);
    }

    // Whether the thread sums a column of A.
    __device__ __forceinline__ bool sums_column() const {
        return F::sums_columns && column == 0 && threadIdx.x < F::tile_m;
    }

    __device__ __forceinline__ int column_of(int j) const {
        return column + warp_column + place_in_runs<F::column_run, LANE_COLUMNS>(lane_column, j);
    }
};

// Blocks that a product takes.
template <class F>
__device__ __forceinline__ int blocks_of(const Product& p) {
    return ((p.m + F::tile_m - 1) / F::tile_m) * ((p.n + F::tile_n - 1) / F::tile_n) * p.splits;
}
