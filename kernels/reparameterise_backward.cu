// reparameterise_backward: the gradient at the posterior's mean and log variance, from the gradient at the sample.
//
// Shapes    posterior, dposterior [rows, 2 latent] f32, mean beside log variance; eps, dz [rows, latent] f32
// Launch    grid ceil(rows latent / 256), block 256
// Cost      24 bytes of global memory and about 45 operations an element
// Bound     latency at a batch of 100; memory where it is large
// Order     none: every element by itself
// Idea      dmean = dz + beta mean; dlog_var = (dz eps e^(log_var / 2) + beta (e^log_var - 1)) / 2: KL's gradient is added where
//           the sample's passes through, so the divergence needs no backward pass of its own. Below free_bits beta is 0
// Checked   tests/operations, tests/gradients.rs

#include "control.cuh"
#include "math.cuh"

struct ReparameteriseBackward {
    const float* posterior;
    const float* eps;
    const float* dz;
    float* dposterior;
    const Control* control;
    int rows, latent;
};

extern "C" __global__ void reparameterise_backward(ReparameteriseBackward p) {
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    if (i >= (unsigned long long)p.rows * p.latent) return;
    unsigned long long mean_at = i / p.latent * 2 * p.latent + i % p.latent, log_var_at = mean_at + p.latent;
    float m = p.posterior[mean_at], v = p.posterior[log_var_at], eps = p.eps[i], dz = p.dz[i];
    float excess = exp_m1_minus_x(v);
    // What a unit has for nothing has no gradient.
    float beta = 0.5f * fmaf(m, m, excess) < p.control->free_bits ? 0.0f : p.control->beta;
    p.dposterior[mean_at] = fmaf(beta, m, dz);
    p.dposterior[log_var_at] = 0.5f * fmaf(dz * eps, exp_f(0.5f * v), beta * (excess + v));
}
