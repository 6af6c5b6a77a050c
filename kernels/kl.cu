// kl: the KL divergence of N(mean, e^log_var) from N(0, 1), and its gradients.
//
// Shapes    posterior, dposterior [rows, 2 latent] f32, mean beside log variance; partial [blocks] f64
// Launch    grid ceil(rows latent / 256), block 256; then sum.cu over the partial divergences
// Cost      about 30 operations an element; 8 bytes of global memory, 16 for the gradients
// Bound     latency at a batch of 100; memory where it is large
// Order     a block in a fixed tree in f64, blocks as sum.cu adds them: deterministic
// Idea      (mean^2 + (e^log_var - 1 - log_var)) / 2 without cancellation near the prior, where a trained unit that is not in use
//           lies. In training the divergence is taken by reparameterise.cu, its gradients by reparameterise_backward.cu
// Checked   tests/kernels

#include "block_sum.cuh"
#include "math.cuh"

// The place of element i's mean in the posterior; its log variance lies `latent` further on.
__device__ __forceinline__ unsigned long long mean_place(unsigned long long i, int latent) {
    return i / latent * 2 * latent + i % latent;
}

extern "C" __global__ void kl_loss(const float* posterior, double* partial, int rows, int latent) {
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    float divergence = 0.0f;
    if (i < (unsigned long long)rows * latent) {
        const float* mean = posterior + mean_place(i, latent);
        divergence = kl_divergence(mean[0], mean[latent]);
    }
    double sum = block_sum(divergence);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void kl_gradient(const float* posterior, float* dposterior, float beta, int rows, int latent) {
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    if (i >= (unsigned long long)rows * latent) return;
    unsigned long long mean_at = mean_place(i, latent), log_var_at = mean_at + latent;
    float v = posterior[log_var_at];
    dposterior[mean_at] = beta * posterior[mean_at];
    dposterior[log_var_at] = 0.5f * beta * (exp_m1_minus_x(v) + v);
}
