// mma: chains of small matrix products in registers, the most that mma.sync carries out on the tensor cores.
//
// Shapes    out [grid * block] f32, the sum of each thread's accumulators
// Launch    any grid, block 256
// Cost      2 * 16 * 8 * DEPTH * 8 * turns FLOP a warp, DEPTH 8 for tf32 and 16 for bf16
// Bound     tensor cores
// Order     each warp by itself
// Idea      8 accumulators that need nothing of each other hide the latency of one
// Checked   benches/gpu, which compares the sums: every accumulator is 2 DEPTH turns where both factors are 1 and 2

#ifndef BF16
#define BF16 0
#endif

constexpr int CHAINS = 8;
// The bits of 1 and of 2: one tf32 a register, or two bf16.
constexpr unsigned int ONE = BF16 ? 0x3f803f80u : 0x3f800000u, TWO = BF16 ? 0x40004000u : 0x40000000u;

__device__ __forceinline__ void multiply_add(float (&c)[4], unsigned int a, unsigned int b) {
#if BF16
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a), "r"(b));
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a), "r"(b));
#endif
}

extern "C" __global__ void mma_chains(float* out, int turns) {
    float accumulator[CHAINS][4] = {};
    for (int turn = 0; turn < turns; ++turn) {
#pragma unroll
        for (int i = 0; i < CHAINS; ++i) multiply_add(accumulator[i], ONE, TWO);
    }
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sum += accumulator[i][j];
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
