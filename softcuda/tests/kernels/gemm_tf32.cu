// gemm_tf32: C = A B on tensor cores, operands rounded to tf32, sums in f32.
// Shapes: A is M x K, B is K x N, C is M x N, f32, row-major; M a multiple of 32, N of 32, K of 8.
// Launch: grid (N/32, M/32), block 128: each of the four warps owns 16 x 16 of C.
// Exercises: cvt.rna.tf32.f32 and mma.sync.m16n8k8 tf32 (sm_80 and newer); below sm_80 plain fma of the same operands
//            without the rounding.

constexpr int TILE = 32;
constexpr int SLICE = 8;

__device__ __forceinline__ unsigned int to_tf32(float value) {
#if __CUDA_ARCH__ >= 800
    unsigned int rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
    return rounded;
#else
    return __float_as_uint(value);
#endif
}

#if __CUDA_ARCH__ >= 800
__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned int (&a)[4], const unsigned int (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

extern "C" __global__ void gemm_tf32(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ unsigned int a_tile[TILE][SLICE + 4];
    __shared__ unsigned int b_tile[SLICE][TILE + 8];
    int t = threadIdx.x, lane = t % 32, warp = t / 32;
    int row = warp / 2 * 16, column = warp % 2 * 16;
    int group = lane / 4, member = lane % 4;
    float sum[2][4] = {};
    for (int start = 0; start < k; start += SLICE) {
        for (int i = t; i < TILE * SLICE; i += blockDim.x) {
            a_tile[i / SLICE][i % SLICE] = to_tf32(a[(blockIdx.y * TILE + i / SLICE) * k + start + i % SLICE]);
            b_tile[i / TILE][i % TILE] = to_tf32(b[(start + i / TILE) * n + blockIdx.x * TILE + i % TILE]);
        }
        __syncthreads();
#if __CUDA_ARCH__ >= 800
        unsigned int left[4] = {a_tile[row + group][member], a_tile[row + group + 8][member],
                                a_tile[row + group][member + 4], a_tile[row + group + 8][member + 4]};
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            unsigned int right[2] = {b_tile[member][column + j * 8 + group], b_tile[member + 4][column + j * 8 + group]};
            multiply_add(sum[j], left, right);
        }
#else
        for (int i = 0; i < SLICE; ++i)
            for (int j = 0; j < 2; ++j)
                for (int e = 0; e < 4; ++e)
                    sum[j][e] = fmaf(__uint_as_float(a_tile[row + group + e / 2 * 8][i]),
                                     __uint_as_float(b_tile[i][column + j * 8 + member * 2 + e % 2]), sum[j][e]);
#endif
        __syncthreads();
    }
    for (int j = 0; j < 2; ++j)
        for (int e = 0; e < 4; ++e)
            c[(blockIdx.y * TILE + row + group + e / 2 * 8) * n + blockIdx.x * TILE + column + j * 8 + member * 2 +
              e % 2] = sum[j][e];
}
