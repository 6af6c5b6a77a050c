// gemm/10_bf16: C = A B and what training needs around it, on tensor cores with operands rounded to bf16.
//
// Shapes    A, B by LAYOUT (product.cuh), C [M, N] row-major f32; any M, N, K >= 1
// Launch    grid tiles * splits, of both products where there are two; block and tiles by macros (form.cuh); from sm_80
// Cost      2MNK FLOP; (MK*ceil(N/TILE_N) + KN*ceil(M/TILE_M) + MN*(1 + 2*splits where > 1)) * 4 bytes of global memory
// Bound     shared memory, which holds f32, where the grid fills the chip; latency as in 9_tf32 where not
// Order     each part sums k in ascending order by 16, the parts are added in ascending order: deterministic
// Idea      9_tf32 with half the bits: one instruction takes twice the k in the same registers
// Checked   tests/tensor_cores, M, N, K in {1, 2, 3, 7..9, 15..17, 31..33, 63..65, 127..130}

#ifndef KERNEL
#define KERNEL gemm_bf16
#endif
#ifndef STAGES
#define STAGES 3
#endif
#define TENSOR_CORES 1

#include "gemm/mma.cuh"

// Operands of 8 bits of exponent and 7 of fraction, rounded to the nearest, halves to even; two of them a register.
struct Bf16 {
    static constexpr int depth = 16;

    // ANCHOR: read
    template <class T, int count>
    static __device__ __forceinline__ void read(unsigned int (&fragment)[count][2], const float* from) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float pairs[count][2];
            read_pairs<T>(pairs, from + 8 * half * K_STEP<T>);
#pragma unroll
            for (int i = 0; i < count; ++i)
                asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(fragment[i][half]) : "f"(pairs[i][1]), "f"(pairs[i][0]));
        }
    }
    // ANCHOR_END: read

    // Sums of rows g (c0, c1) and g + 8 (c2, c3), from A's fragments of these rows and one of B.
    static __device__ __forceinline__ void multiply(float& c0, float& c1, float& c2, float& c3,
                                                    const unsigned int (&upper)[2], const unsigned int (&lower)[2],
                                                    const unsigned int (&b)[2]) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                     : "r"(upper[0]), "r"(lower[0]), "r"(upper[1]), "r"(lower[1]), "r"(b[0]), "r"(b[1]));
    }
};

template <class F>
__device__ __forceinline__ void multiply_tile(Sums<F>& sums, const float* a, const float* b) {
    multiply_pairs<Bf16>(sums, a, b);
}

#include "gemm/split_k.cuh"

#include "gemm/launch.cuh"
