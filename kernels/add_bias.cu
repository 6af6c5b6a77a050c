// add_bias: c += bias, the same for every row.
//
// Shapes    bias [columns] f32, c [rows, columns] f32, row-major, in place; any rows, columns >= 1
// Launch    grid ceil(rows * columns / 256), block 256
// Cost      1 operation an element; 12 bytes of global memory, of which the bias's 4 come from a cache
// Bound     memory; latency at a batch of 100
// Order     none: every element by itself
// Idea      what an epilogue saves (gemm/epilogue.cuh): a product has its sums in registers when it adds the bias, where a kernel of
//           its own loads all of c and stores it once more
// Checked   tests/kernels

constexpr int BLOCK = 256;

extern "C" __global__ void __launch_bounds__(BLOCK) add_bias(const float* bias, float* c, int rows, int columns) {
    long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (i < (long long)rows * columns) c[i] += bias[i % columns];
}
