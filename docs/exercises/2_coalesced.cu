// Exercise 2 (chapter 2, coalescing): column sums.
//
// `column_sums` adds up each column of x [rows, columns]: the gradient at a layer's bias. A block is one warp and has
// 32 columns. As it stands, the warp's lanes go down one column after the other, each lane on a row of its own: a load
// touches 32 sectors for the 128 bytes that it wants, and the lanes' parts must be added at the end.
//
// Goal: no load or store touches more than 4 sectors a request.
// Hint: who needs the value beside the one that a lane has just read?

extern "C" __global__ void column_sums(const float* x, float* sums, int rows, int columns) {
    int lane = threadIdx.x;
    for (int column = 32 * blockIdx.x; column < min(32 * (int)blockIdx.x + 32, columns); ++column) {
        float sum = 0.0f;
        for (int row = lane; row < rows; row += 32) sum += x[(size_t)row * columns + column];
        for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
        if (lane == 0) sums[column] = sum;
    }
}
