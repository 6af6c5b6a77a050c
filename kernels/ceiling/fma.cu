// ceiling/fma: chains of fused multiply-adds in registers, the most f32 operations that the device carries out.
//
// Shapes    out [grid * block] f32, the sum of each thread's chains
// Launch    any grid, block 256
// Cost      2 * 16 * turns FLOP a thread
// Bound     FP32 issue
// Order     each thread by itself
// Idea      16 chains that need nothing of each other hide the latency of one
// Checked   tests/lab; benches/gpu, which compares the sums: every value is 1 after any number of turns

constexpr int CHAINS = 16;

// Ends and begins at 1: 1 * 0.5 + 0.5. The factors are arguments, so that the compiler cannot know.
extern "C" __global__ void fma_chains(float* out, float factor, float addend, int turns) {
    float value[CHAINS];
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) value[i] = factor + addend;
#pragma unroll 4
    for (int turn = 0; turn < turns; ++turn) {
#pragma unroll
        for (int i = 0; i < CHAINS; ++i) value[i] = fmaf(value[i], factor, addend);
    }
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) sum += value[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
