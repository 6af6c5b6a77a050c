// finish.cuh: the end of a step: partial losses become sums, a non-finite number is kept, counters go on.
//
// Shapes    bce [bce_parts] f64, kl [kl_parts] f64, bound [bound_parts] f64: what the step's blocks left
// Launch    one block of 256 threads, after everything else of the step
// Order     parts are added by threads with a stride, then in a fixed tree: deterministic
// Idea      with its counters on the device a step needs nothing from the host, and one recording serves for all of them
// Checked   tests/operations

#pragma once

#include "block_sum.cuh"
#include "control.cuh"

struct Finish {
    Control* control;
    const double* bce;
    const double* kl;
    const double* bound;           // of importance-weighted losses
    unsigned long long* position;  // where the next batch begins in the images' order; null where none was gathered
    int bce_parts, kl_parts, bound_parts;
    int rows, stream;
    int advances;                  // 0 where more of the step follows: only the sums are taken
};
static_assert(sizeof(Finish) == 64, "src/backend/cuda/elementwise.rs counts on this");

constexpr int TRAINING = 0;
constexpr double BETA_1 = 0.9, BETA_2 = 0.999;

// base^exponent by squaring, as adam::corrections does it on the host.
__device__ __forceinline__ double power(double base, unsigned long long exponent) {
    double result = 1.0;
    for (; exponent > 0; exponent >>= 1, base *= base) {
        if (exponent & 1) result *= base;
    }
    return result;
}

// Keeps the first non-finite number of all steps.
__device__ __forceinline__ void keep_non_finite(Control* control, int stream) {
    unsigned long long suspect = control->suspect;
    if (suspect == NOWHERE) return;
    control->suspect = NOWHERE;
    const float* source = (const float*)control->sources[suspect >> 56];
    control->found = 1 + (unsigned int)(suspect >> 56);
    control->found_element = suspect & ((1ull << 56) - 1);
    control->found_value = source[control->found_element];
    control->found_step = control->steps[stream];
}

// ANCHOR: advance
__device__ __forceinline__ void advance(Control* control, int stream) {
    unsigned long long step = ++control->steps[stream];
    if (stream != TRAINING) return;
    control->step_size = (float)(control->learning_rate / (1.0 - power(BETA_1, step + 1)));
    control->root_scale = (float)(1.0 / sqrt(1.0 - power(BETA_2, step + 1)));
}
// ANCHOR_END: advance

// All threads of one block call this.
__device__ __forceinline__ void finish(const Finish& p) {
    double bce = sum_of(p.bce, p.bce_parts), kl = sum_of(p.kl, p.kl_parts);
    double bound = p.bound_parts > 0 ? sum_of(p.bound, p.bound_parts) : 0.0;
    if (threadIdx.x > 0) return;
    Control* control = p.control;
    control->bce += bce;
    control->kl += kl;
    control->bound += bound;
    if (p.position) {
        *p.position += p.rows;
        control->images += p.rows;
    }
    if (!p.advances) return;
    keep_non_finite(control, p.stream);
    advance(control, p.stream);
}
