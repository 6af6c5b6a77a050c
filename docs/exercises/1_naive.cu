// Exercise 1 (chapter 1, one thread an element): stay inside.
//
// `scale_rows` multiplies row i of a matrix by scale[i], a thread an element, 256 threads a block. The grid is whole
// blocks, so the last block has threads too many, and as it stands they touch memory that is not theirs.
//
// Goal: right for any number of rows and columns, without a finding.
// Hint: ask first whether there is anything to do for the thread.

extern "C" __global__ void scale_rows(const float* x, const float* scale, float* y, int rows, int columns) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    int row = at / columns;
    y[at] = scale[row] * x[at];
}
