// control.cuh: what a training step keeps on the device between launches: counters, settings, sums, the first non-finite number.
//
// Shapes    one Control a backend; src/backend/cuda/control.rs has the same fields in the same order
// Order     sums are added by one thread, in the order of blocks; the place of a non-finite number is the least of all found
// Idea      nothing that a step needs comes from the host, so that a recorded step can be launched again as it is
// Checked   tests/operations, tests/kernels

#pragma once

// The tensors that losses are computed from, in the order in which they are looked at.
enum Tensor { MEAN = 0, LOG_VAR = 1, LOGITS = 2 };

constexpr unsigned long long NOWHERE = ~0ull;

struct Control {
    // Settings, written by the host between steps; the counters go on by themselves.
    unsigned long long steps[8];        // the number of the next step of each stream
    unsigned long long seed;
    double learning_rate;
    float beta;
    float step_size, root_scale;        // Adam's factors for the next step of training
    unsigned int blocks_done;           // of the launch that ends the step; 0 between launches
    float free_bits;                    // KL of a unit of an image that is not in the loss
    unsigned int padding;
    // Sums over the images since the host set them.
    double bce, kl, bound;
    unsigned long long images;
    // The first non-finite number.
    unsigned long long suspect;         // of this step: tensor << 56 | element, or NOWHERE
    unsigned long long sources[3];      // the address of each tensor's element 0
    unsigned long long found_step;      // of all steps: when,
    unsigned long long found_element;   // where in its tensor,
    float found_value;                  // what,
    unsigned int found;                 // and 1 + its tensor; 0: none. From there on parameters are not updated any more
};
static_assert(sizeof(Control) == 192, "src/backend/cuda/control.rs counts on this");

// Notes that `element` of `tensor`, whose element 0 is at `source`, is not finite. The least place wins, whoever comes first.
__device__ __forceinline__ void note_non_finite(Control* control, Tensor tensor, unsigned long long element,
                                                const float* source) {
    if (control->found) return;
    atomicExch(&control->sources[tensor], (unsigned long long)source);
    atomicMin(&control->suspect, (unsigned long long)tensor << 56 | element);
}
