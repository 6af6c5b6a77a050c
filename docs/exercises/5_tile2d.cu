// Exercise 5 (chapter 5, registers along both sides): squared distances.
//
// `distances` computes d[i][j] = sum over k of (a[i][k] - b[j][k])^2 between points of 8 dimensions; a is [n, 8], b [m,
// 8], d [n, m]. A block of 64 threads has 32 x 32 distances, a thread 4 x 4 of them: rows y, y + 8, y + 16, y + 24,
// columns likewise. As it stands, each distance reads both points anew: two loads from shared memory for each FMA.
//
// Goal: at most 0.5 loads from shared memory for each FMA.
// Hint: for one k, how many different values do the thread's 16 distances need?

constexpr int DIMENSIONS = 8, TILE = 32, SIDE = 8, EACH = TILE / SIDE;

extern "C" __global__ void distances(const float* a, const float* b, float* d, int n, int m) {
    __shared__ float of_a[DIMENSIONS][TILE], of_b[DIMENSIONS][TILE];
    int tiles = (m + TILE - 1) / TILE;
    int first_row = blockIdx.x / tiles * TILE, first_column = blockIdx.x % tiles * TILE;
    for (int at = threadIdx.x; at < TILE * DIMENSIONS; at += SIDE * SIDE) {
        int point = at / DIMENSIONS, k = at % DIMENSIONS;
        of_a[k][point] = first_row + point < n ? a[(first_row + point) * DIMENSIONS + k] : 0.0f;
        of_b[k][point] = first_column + point < m ? b[(first_column + point) * DIMENSIONS + k] : 0.0f;
    }
    __syncthreads();
    int y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
#pragma unroll 1
    for (int i = y; i < TILE; i += SIDE)
#pragma unroll 1
        for (int j = x; j < TILE; j += SIDE) {
            float sum = 0.0f;
#pragma unroll 1
            for (int k = 0; k < DIMENSIONS; ++k) {
                float difference = of_a[k][i] - of_b[k][j];
                sum = fmaf(difference, difference, sum);
            }
            if (first_row + i < n && first_column + j < m) d[(size_t)(first_row + i) * m + first_column + j] = sum;
        }
}
