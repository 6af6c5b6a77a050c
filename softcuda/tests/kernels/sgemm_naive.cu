// sgemm_naive: C = A B, one thread for each element of C, everything read from global memory.
// Shapes: A is M x K, B is K x N, C is M x N, f32, row-major; any M, N, K.
// Launch: grid (ceil(N/16), ceil(M/16)), block (16, 16).
// Exercises: a loop of fma, uniform and contiguous global loads, divergence at the edges.

extern "C" __global__ void sgemm_naive(const float* a, const float* b, float* c, int m, int n, int k) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || column >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum = fmaf(a[row * k + i], b[i * n + column], sum);
    c[row * n + column] = sum;
}
