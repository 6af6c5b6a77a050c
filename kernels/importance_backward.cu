// importance_backward: the importance-weighted loss's gradient at the posterior's mean and log variance.
//
// Shapes    posterior, dposterior [rows, 2 latent] f32, mean beside log variance; eps, z, dz [rows, latent] f32; weights [rows] f32
// Launch    grid ceil(rows latent / 256), block 256
// Cost      24 bytes of global memory and about 30 operations an element
// Bound     latency at a batch of 100; memory where it is large
// Order     none: every element by itself
// Idea      the log weight has log p(z) / q(z|x) = (eps^2 + log_var - z^2) / 2 in place of the KL divergence, so z carries all of it but
//           log_var's half: d = dz + beta w z, dmean = d, dlog_var = (d eps e^(log_var / 2) - beta w) / 2. dz has its weight already
// Checked   tests/operations, tests/gradients.rs

#include "control.cuh"
#include "math.cuh"

struct ImportanceBackward {
    const float* posterior;
    const float* eps;
    const float* z;
    const float* weights;
    const float* dz;
    float* dposterior;
    const Control* control;
    int rows, latent;
};

extern "C" __global__ void importance_backward(ImportanceBackward p) {
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    if (i >= (unsigned long long)p.rows * p.latent) return;
    unsigned long long mean_at = i / p.latent * 2 * p.latent + i % p.latent, log_var_at = mean_at + p.latent;
    float weight = p.control->beta * p.weights[i / p.latent];
    float d = fmaf(weight, p.z[i], p.dz[i]);
    p.dposterior[mean_at] = d;
    p.dposterior[log_var_at] = 0.5f * fmaf(d * p.eps[i], exp_f(0.5f * p.posterior[log_var_at]), -weight);
}
