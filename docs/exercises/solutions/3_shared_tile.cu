// Exercise 3 (chapter 3, shared memory): transpose.
//
// `transpose` writes y [columns, rows] from x [rows, columns]. A block of 256 threads has a tile of 32 x 32: warp w
// takes rows w, w + 8, w + 16 and w + 24 of it. Loads run along rows of x, 4 sectors a request; stores run down columns
// of y, 32 sectors.
//
// Goal: no load or store of global memory touches more than 4 sectors a request, and no two lanes meet in a bank.
// Hint: bring the tile to shared memory by rows and take it out by columns. A column of float[32][32] lies in one bank;
// what if rows were one float longer?

constexpr int TILE = 32;

extern "C" __global__ void transpose(const float* x, float* y, int rows, int columns) {
    __shared__ float tile[TILE][TILE + 1];
    int tiles = (columns + TILE - 1) / TILE;
    int first_row = blockIdx.x / tiles * TILE, first_column = blockIdx.x % tiles * TILE;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int i = warp; i < TILE; i += 8) {
        int row = first_row + i, column = first_column + lane;
        if (row < rows && column < columns) tile[i][lane] = x[(size_t)row * columns + column];
    }
    __syncthreads();
    for (int i = warp; i < TILE; i += 8) {
        int row = first_row + lane, column = first_column + i;
        if (row < rows && column < columns) y[(size_t)column * rows + row] = tile[lane][i];
    }
}
