// Exercise 10 (chapter 9, tensor cores): which half comes first?
//
// `multiply` computes C [16, 8] = A [16, 16] B [16, 8] by one warp with one mma.sync on bf16, two of them a register:
// the lower half holds the element with the smaller k. With g = lane / 4 and t = lane % 4, a register of A holds
// A[row][k] and A[row][k + 1] for row = g or g + 8 and k = 2t or 2t + 8; one of B holds B[k][g] and B[k + 1][g].
// As it stands, A and B do not agree on which half comes first.
//
// Goal: C is right.
// Hint: cvt.rn.bf16x2.f32 d, x, y puts x into the UPPER half.

__device__ __forceinline__ unsigned int pack(float lower, float upper) {
    unsigned int pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(lower), "f"(upper));
    return pair;
}

extern "C" __global__ void multiply(const float* a, const float* b, float* c) {
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    auto of_a = [&](int row, int k0) { return pack(a[row * 16 + 2 * t + k0], a[row * 16 + 2 * t + k0 + 1]); };
    auto of_b = [&](int k0) { return pack(b[(2 * t + k0 + 1) * 8 + g], b[(2 * t + k0) * 8 + g]); };
    float c0 = 0.0f, c1 = 0.0f, c2 = 0.0f, c3 = 0.0f;
    unsigned int a0 = of_a(g, 0), a1 = of_a(g + 8, 0), a2 = of_a(g, 8), a3 = of_a(g + 8, 8), b0 = of_b(0), b1 = of_b(8);
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    c[g * 8 + 2 * t] = c0, c[g * 8 + 2 * t + 1] = c1;
    c[(g + 8) * 8 + 2 * t] = c2, c[(g + 8) * 8 + 2 * t + 1] = c3;
}
