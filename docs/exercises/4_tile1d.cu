// Exercise 4 (chapter 4, registers along one side): eight filters over one signal.
//
// `filters` computes y[f][i] = sum over t of w[f][t] x[i + t], for 8 filters of 8 taps; y is [8, length], x [length +
// 7]. A block has 128 outputs of each filter and what they need in shared memory. As it stands, each sum reads x and w
// anew: two loads from shared memory for each FMA.
//
// Goal: at most 1.25 loads from shared memory for each FMA.
// Hint: a thread's eight filters all want the same x. Which loop must be the outer one, and how many sums are alive
// then?

constexpr int FILTERS = 8, TAPS = 8, BLOCK = 128;

extern "C" __global__ void filters(const float* x, const float* w, float* y, int length) {
    __shared__ float signal[BLOCK + TAPS - 1], weights[FILTERS][TAPS];
    int first = blockIdx.x * BLOCK, i = first + threadIdx.x;
    for (int at = threadIdx.x; at < BLOCK + TAPS - 1; at += BLOCK)
        signal[at] = first + at < length + TAPS - 1 ? x[first + at] : 0.0f;
    if (threadIdx.x < FILTERS * TAPS) weights[threadIdx.x / TAPS][threadIdx.x % TAPS] = w[threadIdx.x];
    __syncthreads();
    if (i >= length) return;
#pragma unroll 1
    for (int f = 0; f < FILTERS; ++f) {
        float sum = 0.0f;
#pragma unroll 1
        for (int t = 0; t < TAPS; ++t) sum = fmaf(weights[f][t], signal[threadIdx.x + t], sum);
        y[(size_t)f * length + i] = sum;
    }
}
