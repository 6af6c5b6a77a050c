// reparameterise: z = mean + e^(log_var / 2) eps with eps drawn on the spot, and the KL divergence from the prior.
//
// Shapes    posterior [rows, 2 latent] f32, mean beside log variance; eps, z [rows, latent] f32; partial [sampling blocks] f64;
//           sum, squares [latent] f64
// Launch    grid sampling blocks ceil(rows latent / 4 / 128), then ceil(latent / 128) blocks for the moments; block 128
// Cost      20 bytes of global memory and about 80 operations an element
// Bound     latency at a batch of 100 (20,000 elements); issue where it is large
// Order     a block's divergences are added in a fixed tree, blocks in ascending order by finish.cuh; moments by rows
// Idea      noise, sample and divergence need the same numbers: one pass reads them once. The moments of each unit, which tell
//           how many units are in use, are summed by blocks of their own beside it
// Checked   tests/operations

#include "block_sum.cuh"
#include "noise.cuh"
#include "quad.cuh"

enum Noise { DRAWN = 0, GIVEN = 1, NONE = 2 };

struct Reparameterise {
    const float* posterior;
    float* eps;
    float* z;
    double* partial;
    double* sum;
    double* squares;
    Control* control;
    int rows, latent, stream, noise;
    int sampling_blocks;
};

// Notes a mean whose square, or a log variance whose exponential, is not finite.
__device__ __forceinline__ void check(const Reparameterise& p, unsigned long long mean_at, float m, float v) {
    if (!is_finite(m * m)) note_non_finite(p.control, MEAN, mean_at, p.posterior);
    if (!is_finite(v) || !is_finite(exp_f(v))) note_non_finite(p.control, LOG_VAR, mean_at + p.latent, p.posterior);
}

// Element i of z; its divergence is added to `kl`.
__device__ __forceinline__ float sample(const Reparameterise& p, unsigned long long i, float eps, float& kl) {
    unsigned long long mean_at = i / p.latent * 2 * p.latent + i % p.latent;
    float m = p.posterior[mean_at], v = p.posterior[mean_at + p.latent];
    kl += kl_divergence(m, v);
    check(p, mean_at, m, v);
    return p.noise == NONE ? m : fmaf(exp_f(0.5f * v), eps, m);
}

__device__ __forceinline__ void sample_quad(const Reparameterise& p) {
    unsigned long long length = (unsigned long long)p.rows * p.latent;
    unsigned int block = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long first = 4ull * block;
    float kl = 0.0f;
    if (first < length) {
        float4 eps = make_float4(0.0f, 0.0f, 0.0f, 0.0f), z = eps;
        if (p.noise == DRAWN) {
            eps = standard_normal_block(p.control, p.stream, block);
            store_quad(p.eps, first, length, eps);
        } else if (p.noise == GIVEN) {
            eps = load_quad(p.eps, first, length);
        }
        z.x = sample(p, first, eps.x, kl);
        if (first + 1 < length) z.y = sample(p, first + 1, eps.y, kl);
        if (first + 2 < length) z.z = sample(p, first + 2, eps.z, kl);
        if (first + 3 < length) z.w = sample(p, first + 3, eps.w, kl);
        store_quad(p.z, first, length, z);
    }
    double sum = block_sum(kl);
    if (threadIdx.x == 0) p.partial[blockIdx.x] = sum;
}

__device__ __forceinline__ void add_moments(const Reparameterise& p) {
    int unit = (blockIdx.x - p.sampling_blocks) * blockDim.x + threadIdx.x;
    if (unit >= p.latent) return;
    double sum = p.sum[unit], squares = p.squares[unit];
    const float* mean = p.posterior + unit;
    for (int row = 0; row < p.rows; ++row, mean += 2 * p.latent) {
        double m = *mean;
        sum += m;
        squares += m * m;
    }
    p.sum[unit] = sum;
    p.squares[unit] = squares;
}

extern "C" __global__ void reparameterise(Reparameterise p) {
    if (blockIdx.x < p.sampling_blocks) {
        sample_quad(p);
    } else {
        add_moments(p);
    }
}
