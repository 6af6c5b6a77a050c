// Exercise 6 (chapter 6, wide accesses): a x + y.
//
// `saxpy` computes y = factor x + y for arrays of any length; both begin at a multiple of 16 bytes. There is a thread
// for every four elements, which it takes one by one, `threads` apart: four loads of x, four of y, four stores.
//
// Goal: a warp asks for 16 bytes a lane wherever it can: at most a third of the requests that this file makes; still
// right for lengths that are no multiple of 4, without touching what lies behind the arrays.
// Hint: float4, and what is left over at the end by single floats.

extern "C" __global__ void saxpy(float factor, const float* x, float* y, int length) {
    int first = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (first + 4 <= length) {
        float4 a = *reinterpret_cast<const float4*>(x + first);
        float4 b = *reinterpret_cast<const float4*>(y + first);
        b.x = fmaf(factor, a.x, b.x), b.y = fmaf(factor, a.y, b.y);
        b.z = fmaf(factor, a.z, b.z), b.w = fmaf(factor, a.w, b.w);
        *reinterpret_cast<float4*>(y + first) = b;
    } else {
        for (int i = first; i < length; ++i) y[i] = fmaf(factor, x[i], y[i]);
    }
}
