// Exercise 8 (chapter 8, splitting a sum): the norm of a long vector.
//
// `sum_parts` and then `add_parts` compute the sum of squares of x [length]. The grid of `sum_parts` has 64 blocks of
// one warp, but as it stands block 0 does everything and the others idle.
//
// Goal: block b sums its own stretch, elements b * ceil(length / 64) to below (b + 1) * ceil(length / 64), and leaves
// it in parts[b]; the same bits whenever it runs (so no atomics).
// Hint: only the bounds of the loop change. Why is the order in which `add_parts` adds never left to chance?

extern "C" __global__ void sum_parts(const float* x, double* parts, int length) {
    int first = blockIdx.x == 0 ? 0 : length, end = length;
    double sum = 0.0;
    for (int i = first + threadIdx.x; i < end; i += 32) sum += (double)x[i] * x[i];
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

extern "C" __global__ void add_parts(const double* parts, double* total, int count) {
    double sum = 0.0;
    for (int i = 0; i < count; ++i) sum += parts[i];
    *total = sum;
}
