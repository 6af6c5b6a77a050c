// Exercise 9 (chapter 9, tensor cores): whose element is it?
//
// `multiply` computes C [16, 8] = A [16, 8] B [8, 8] by one warp with one mma.sync. Each lane hands over four elements
// of A and two of B. With g = lane / 4 and t = lane % 4 the hardware takes them to be
//     a0 = A[g][t]   a1 = A[g + 8][t]   a2 = A[g][t + 4]   a3 = A[g + 8][t + 4]   b0 = B[t][g]   b1 = B[t + 4][g]
// As it stands, two of them are handed over in each other's place.
//
// Goal: C is right.
// Hint: put a single 1 into A, on paper. Which lane holds it, in which register, and which does this file give it to?

__device__ __forceinline__ unsigned int tf32(float x) {
    unsigned int bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

extern "C" __global__ void multiply(const float* a, const float* b, float* c) {
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned int a0 = tf32(a[g * 8 + t]), a1 = tf32(a[(g + 8) * 8 + t]);
    unsigned int a2 = tf32(a[g * 8 + t + 4]), a3 = tf32(a[(g + 8) * 8 + t + 4]);
    unsigned int b0 = tf32(b[t * 8 + g]), b1 = tf32(b[(t + 4) * 8 + g]);
    float c0 = 0.0f, c1 = 0.0f, c2 = 0.0f, c3 = 0.0f;
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    c[g * 8 + 2 * t] = c0, c[g * 8 + 2 * t + 1] = c1;
    c[(g + 8) * 8 + 2 * t] = c2, c[(g + 8) * 8 + 2 * t + 1] = c3;
}
