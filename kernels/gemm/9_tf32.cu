// gemm/9_tf32: C = A B and what training needs around it, on tensor cores with operands rounded to tf32.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid tiles * splits, of both products where there are two; block and tiles by macros (form.cuh); from sm_80
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN*(1 + 2*splits where > 1)) * 4 bytes of global memory
// Bound     tensor cores where the grid fills the chip; latency of the pipeline's first tiles and of the last block where not
// Order     each part sums k in ascending order by 8, the parts are added in ascending order: deterministic
// Idea      8_split_k spends an instruction on 32 products; mma.sync multiplies 16 x 8 by 8 x 8 in one, for 13 bits of precision
// Checked   tests/tensor_cores, M, N, K in {1, 2, 3, 7..9, 15..17, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_tf32
#endif
#ifndef STAGES
#define STAGES 3
#endif
#define TENSOR_CORES 1

#include "gemm/mma.cuh"

// ANCHOR: tf32
// Operands of 8 bits of exponent and 10 of fraction, rounded to the nearest, halves away from zero.
struct Tf32 {
    static constexpr int depth = 8;

    template <class T, int count>
    static __device__ __forceinline__ void read(unsigned int (&fragment)[count][2], const float* from) {
        float pairs[count][2];
        read_pairs<T>(pairs, from);
#pragma unroll
        for (int i = 0; i < count; ++i)
#pragma unroll
            for (int kk = 0; kk < 2; ++kk) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(fragment[i][kk]) : "f"(pairs[i][kk]));
    }

    // Sums of rows g (c0, c1) and g + 8 (c2, c3), from A's fragments of these rows and one of B.
    static __device__ __forceinline__ void multiply(float& c0, float& c1, float& c2, float& c3,
                                                    const unsigned int (&upper)[2], const unsigned int (&lower)[2],
                                                    const unsigned int (&b)[2]) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                     : "r"(upper[0]), "r"(lower[0]), "r"(upper[1]), "r"(lower[1]), "r"(b[0]), "r"(b[1]));
    }
};
// ANCHOR_END: tf32

template <class F>
__device__ __forceinline__ void multiply_tile(Sums<F>& sums, const float* a, const float* b) {
    multiply_pairs<Tf32>(sums, a, b);
}

#include "gemm/split_k.cuh"

#include "gemm/launch.cuh"
