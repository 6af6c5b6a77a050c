// gemm_bf16: C = A B on tensor cores, operands in bf16 (passed as u16), sums and C in f32.
// Shapes: A is M x K, B is K x N, C is M x N, row-major; M a multiple of 32, N of 32, K of 16; A and B aligned to 16 bytes.
// Launch: grid (N/32, M/32), block 128: each of the four warps owns 16 x 16 of C.
// Exercises: ldmatrix.x4, ldmatrix.x2.trans, mma.sync.m16n8k16 bf16 (sm_80 and newer); below sm_80 plain fma.

constexpr int TILE = 32;
constexpr int SLICE = 16;
constexpr int A_PADDED = SLICE + 8;
constexpr int B_PADDED = TILE + 8;

#if __CUDA_ARCH__ >= 800
__device__ __forceinline__ void load_left(unsigned int (&out)[4], const unsigned short* row) {
    unsigned int address = (unsigned int)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

__device__ __forceinline__ void load_right(unsigned int (&out)[2], const unsigned short* row) {
    unsigned int address = (unsigned int)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(out[0]), "=r"(out[1])
                 : "r"(address)
                 : "memory");
}

__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned int (&a)[4], const unsigned int (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
__device__ __forceinline__ float widen(unsigned short bits) { return __uint_as_float((unsigned int)bits << 16); }
#endif

extern "C" __global__ void gemm_bf16(const unsigned short* a, const unsigned short* b, float* c, int m, int n, int k) {
    __shared__ __align__(16) unsigned short a_tile[TILE][A_PADDED];
    __shared__ __align__(16) unsigned short b_tile[SLICE][B_PADDED];
    int t = threadIdx.x, lane = t % 32, warp = t / 32;
    int row = warp / 2 * 16, column = warp % 2 * 16;
    int group = lane / 4, member = lane % 4;
    float sum[2][4] = {};
    for (int start = 0; start < k; start += SLICE) {
        // 128 threads bring four u16 of each operand.
        *reinterpret_cast<uint2*>(&a_tile[t / 4][t % 4 * 4]) =
            *reinterpret_cast<const uint2*>(&a[(blockIdx.y * TILE + t / 4) * k + start + t % 4 * 4]);
        *reinterpret_cast<uint2*>(&b_tile[t / 8][t % 8 * 4]) =
            *reinterpret_cast<const uint2*>(&b[(start + t / 8) * n + blockIdx.x * TILE + t % 8 * 4]);
        __syncthreads();
#if __CUDA_ARCH__ >= 800
        unsigned int left[4];
        load_left(left, &a_tile[row + lane % 16][lane / 16 * 8]);
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            unsigned int right[2];
            load_right(right, &b_tile[lane % 16][column + j * 8]);
            multiply_add(sum[j], left, right);
        }
#else
        for (int i = 0; i < SLICE; ++i)
            for (int j = 0; j < 2; ++j)
                for (int e = 0; e < 4; ++e)
                    sum[j][e] = fmaf(widen(a_tile[row + group + e / 2 * 8][i]),
                                     widen(b_tile[i][column + j * 8 + member * 2 + e % 2]), sum[j][e]);
#endif
        __syncthreads();
    }
    for (int j = 0; j < 2; ++j)
        for (int e = 0; e < 4; ++e)
            c[(blockIdx.y * TILE + row + group + e / 2 * 8) * n + blockIdx.x * TILE + column + j * 8 + member * 2 +
              e % 2] = sum[j][e];
}
