// sum: the sum of what blocks left, one f64 each: the second stage of the losses in bce/ and kl.cu.
//
// Shapes    partial [parts] f64, total [1] f64
// Launch    grid 1, block 256
// Cost      8 bytes of global memory and 1 operation a part
// Bound     latency
// Order     threads with a stride of 256, then in a fixed tree: deterministic
// Idea      the grid of the first stage follows from the length alone and one block adds its parts, so that no sum depends on
//           which block came first, as it would with atomics
// Checked   tests/kernels

#include "block_sum.cuh"

extern "C" __global__ void sum(const double* partial, double* total, int parts) {
    double all = sum_of(partial, parts);
    if (threadIdx.x == 0) *total = all;
}
