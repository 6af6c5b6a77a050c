// gemm_cp_async: C = A B with the tiles brought by cp.async, three stages deep.
// Shapes: A is M x K, B is K x N, C is M x N, f32, row-major; M and N multiples of 64, K a multiple of 16 (at least 16);
//         A and B aligned to 16 bytes.
// Launch: grid (N/64, M/64), block 256.
// Exercises: cp.async.cg of 16 bytes, commit_group, wait_group; below sm_80 the same pipeline with plain copies.

constexpr int TILE = 64;
constexpr int SLICE = 16;
constexpr int STAGES = 3;

__device__ __forceinline__ void copy16(float* to_shared, const float* from_global) {
#if __CUDA_ARCH__ >= 800
    unsigned int address = (unsigned int)__cvta_generic_to_shared(to_shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from_global) : "memory");
#else
    *reinterpret_cast<float4*>(to_shared) = *reinterpret_cast<const float4*>(from_global);
#endif
}

__device__ __forceinline__ void commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most PENDING groups are still under way.
template <int PENDING>
__device__ __forceinline__ void wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

extern "C" __global__ void gemm_cp_async(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ __align__(16) float a_tile[STAGES][TILE][SLICE];
    __shared__ __align__(16) float b_tile[STAGES][SLICE][TILE];
    int t = threadIdx.x, tx = t % 16, ty = t / 16;
    const float* a_source = a + (blockIdx.y * TILE + t / 4) * k + t % 4 * 4;
    const float* b_source = b + t / 16 * n + blockIdx.x * TILE + t % 16 * 4;
    int slices = k / SLICE;

    auto fetch = [&](int s) {
        if (s < slices) {
            copy16(&a_tile[s % STAGES][t / 4][t % 4 * 4], a_source + s * SLICE);
            copy16(&b_tile[s % STAGES][t / 16][t % 16 * 4], b_source + s * SLICE * n);
        }
        // An empty group keeps the count of pending groups the same at the end as in the middle.
        commit();
    };
    for (int s = 0; s < STAGES - 1; ++s) fetch(s);

    float sum[4][4] = {};
    for (int s = 0; s < slices; ++s) {
        wait<STAGES - 2>();
        __syncthreads();
        fetch(s + STAGES - 1);
#pragma unroll
        for (int i = 0; i < SLICE; ++i)
#pragma unroll
            for (int y = 0; y < 4; ++y)
#pragma unroll
                for (int x = 0; x < 4; ++x)
                    sum[y][x] = fmaf(a_tile[s % STAGES][ty * 4 + y][i], b_tile[s % STAGES][i][tx * 4 + x], sum[y][x]);
    }
    wait<0>();
#pragma unroll
    for (int y = 0; y < 4; ++y)
#pragma unroll
        for (int x = 0; x < 4; ++x)
            c[(blockIdx.y * TILE + ty * 4 + y) * n + blockIdx.x * TILE + tx * 4 + x] = sum[y][x];
}
