// math.cuh: elementary functions in f32, step for step those of src/math.rs, so that both give the same bits.
//
// Shapes    one number in, one or two out
// Order     every step is one IEEE operation. Kernels are compiled with --fmad=false: a multiply-add is fused where fmaf says so
// Idea      the compiler's own expf and logf differ from one version to the next, and from the processor's
// Checked   tests/kernels, against src/math.rs, bit for bit

#pragma once

constexpr float LN_2_HIGH = 0.6933594f;
constexpr float LN_2_LOW = -2.1219444e-4f;
constexpr float LOG2_E = 1.44269504088896340736f;
constexpr float SQRT_2 = 1.41421356237309504880f;
constexpr float TAU = 6.28318530717958647692f;

// Adding and subtracting 1.5 * 2^23 rounds a number of magnitude below 2^22 to the nearest integer.
constexpr float ROUND = 12582912.0f;

// Whether x is neither infinite nor NaN.
__device__ __forceinline__ bool is_finite(float x) {
    return fabsf(x) <= 3.402823466e38f;
}

// 2^n for -126 <= n <= 127.
__device__ __forceinline__ float power_of_two(int n) {
    return __int_as_float((n + 127) << 23);
}

// e^x; 0 below -103.97, infinity above 88.72, NaN for NaN.
__device__ __forceinline__ float exp_f(float x) {
    // fminf and fmaxf would turn NaN into a number; these comparisons let it through.
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = fmaf(x, LOG2_E, ROUND);
    float n = shifted - ROUND;
    float r = fmaf(n, -LN_2_LOW, fmaf(n, -LN_2_HIGH, x));
    float p = 1.0f / 5040.0f;
    p = fmaf(r, p, 1.0f / 720.0f);
    p = fmaf(r, p, 1.0f / 120.0f);
    p = fmaf(r, p, 1.0f / 24.0f);
    p = fmaf(r, p, 1.0f / 6.0f);
    p = fmaf(r, p, 0.5f);
    p = fmaf(r, p, 1.0f);
    p = fmaf(r, p, 1.0f);
    // Two factors, because 2^n alone overflows at n = 128 and underflows below -126, where the result need not.
    int exponent = min(max(__float_as_int(shifted) - __float_as_int(ROUND), -150), 128);
    int half = exponent >> 1;
    return p * power_of_two(half) * power_of_two(exponent - half);
}

// e^x - 1 - x, without cancellation where x is small; NaN for NaN.
__device__ __forceinline__ float exp_m1_minus_x(float x) {
    float p = 1.0f / 362880.0f;
    p = fmaf(x, p, 1.0f / 40320.0f);
    p = fmaf(x, p, 1.0f / 5040.0f);
    p = fmaf(x, p, 1.0f / 720.0f);
    p = fmaf(x, p, 1.0f / 120.0f);
    p = fmaf(x, p, 1.0f / 24.0f);
    p = fmaf(x, p, 1.0f / 6.0f);
    p = fmaf(x, p, 0.5f);
    return fabsf(x) < 0.5f ? x * x * p : exp_f(x) - 1.0f - x;
}

// 2 artanh(s) for |s| <= 1/3, by its series up to s^17.
__device__ __forceinline__ float twice_artanh(float s) {
    float q = s * s;
    float p = 2.0f / 17.0f;
    p = fmaf(q, p, 2.0f / 15.0f);
    p = fmaf(q, p, 2.0f / 13.0f);
    p = fmaf(q, p, 2.0f / 11.0f);
    p = fmaf(q, p, 2.0f / 9.0f);
    p = fmaf(q, p, 2.0f / 7.0f);
    p = fmaf(q, p, 2.0f / 5.0f);
    p = fmaf(q, p, 2.0f / 3.0f);
    return fmaf(s, 2.0f, s * (q * p));
}

// ln(1 + t) for 0 <= t <= 1; NaN for NaN.
__device__ __forceinline__ float ln_1p(float t) {
    return twice_artanh(t / (2.0f + t));
}

// ln x for positive normal x.
__device__ __forceinline__ float ln(float x) {
    // x = m 2^e with m in [1/sqrt 2, sqrt 2).
    int bits = __float_as_int(x);
    int e = (bits - __float_as_int(SQRT_2 * 0.5f)) >> 23;
    float m = __int_as_float(bits - (e << 23));
    float ln_m = twice_artanh((m - 1.0f) / (m + 1.0f));
    return fmaf((float)e, LN_2_HIGH, fmaf((float)e, LN_2_LOW, ln_m));
}

// (sin, cos) of turns / 2^32 of a full turn. The quadrant and the rest are taken from the integer, exactly.
__device__ __forceinline__ void sin_cos_turns(unsigned int turns, float& sine, float& cosine) {
    unsigned int quadrant = (turns + (1u << 29)) >> 30;
    int rest = (int)(turns - (quadrant << 30));
    float a = (float)rest * (TAU / 4294967296.0f);
    float q = a * a;
    float s = fmaf(q, fmaf(q, fmaf(q, -1.0f / 5040.0f, 1.0f / 120.0f), -1.0f / 6.0f), 1.0f) * a;
    s = fmaf(q * q * q * q, a * (1.0f / 362880.0f), s);
    float c = fmaf(q, fmaf(q, fmaf(q, 1.0f / 40320.0f, -1.0f / 720.0f), 1.0f / 24.0f), -0.5f);
    c = fmaf(q, c, 1.0f);
    bool odd = quadrant & 1, negative = quadrant & 2;
    sine = odd ? c : s;
    cosine = odd ? -s : c;
    sine = negative ? -sine : sine;
    cosine = negative ? -cosine : cosine;
}

// The logistic function s = 1 / (1 + e^-a), and ln(1 + e^-|a|), which share one exponential.
__device__ __forceinline__ void sigmoid_softplus(float a, float& s, float& softplus) {
    float t = exp_f(-fabsf(a));
    s = 1.0f / (1.0f + t);
    s = a < 0.0f ? t * s : s;
    softplus = ln_1p(t);
}

__device__ __forceinline__ float sigmoid(float a) {
    float s, softplus;
    sigmoid_softplus(a, s, softplus);
    return s;
}

// LeakyReLU with slope 0.2 for negative arguments, and its derivative at a point of the same sign as `a`.
constexpr float NEGATIVE_SLOPE = 0.2f;

__device__ __forceinline__ float leaky_relu(float a) {
    return a > 0.0f ? a : NEGATIVE_SLOPE * a;
}

__device__ __forceinline__ float leaky_relu_derivative(float a) {
    return a > 0.0f ? 1.0f : NEGATIVE_SLOPE;
}

// Binary cross-entropy of the logit `a` against the target `t` from the logit, and its gradient sigmoid(a) - t.
//
// Infinity times 0 is NaN: an infinite logit, whose sigmoid is finite, spoils its gradient all the same and is found.
__device__ __forceinline__ float bce_with_gradient(float a, float t, float& gradient) {
    float s, softplus;
    sigmoid_softplus(a, s, softplus);
    gradient = fmaf(a, 0.0f, s - t);
    float positive = a < 0.0f ? 0.0f : a;
    return fmaf(a, -t, positive) + softplus;
}

// The KL divergence of N(m, e^v) from N(0, 1): (m^2 + (e^v - 1 - v)) / 2.
__device__ __forceinline__ float kl_divergence(float m, float v) {
    return 0.5f * fmaf(m, m, exp_m1_minus_x(v));
}
