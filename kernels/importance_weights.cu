// importance_weights: how much each of an image's draws counts in the importance-weighted bound, and the loss's gradient at the logits.
//
// Shapes    logits, in place the gradient, and target [rows, pixels] f32; posterior [rows, 2 latent] f32, mean beside log variance;
//           eps, z [rows, latent] f32; weights [rows] f32; bce, bound [images] f64. An image has `draws` rows, one after another
// Launch    grid ceil(rows / draws), an image for each; block 256
// Cost      about 45 operations a pixel, 8 a unit; 20 bytes of global memory a pixel, 12 a unit
// Bound     latency at a batch of 100; issue where it is large
// Order     pixels and units of a row by a block in a fixed tree in f64, rows in ascending order: deterministic
// Idea      L = -log (w_1 + ... + w_K) / K has the gradient of a mean of the draws' own losses, weighed by w_k / (w_1 + ... + w_K): so the
//           rest of the backward pass is that of any batch. One pass makes gradients and log weights, one scales the former
// Checked   tests/operations, tests/gradients.rs

#include "block_sum.cuh"
#include "control.cuh"
#include "math.cuh"

struct ImportanceWeights {
    float* logits;
    const float* target;
    const float* posterior;
    const float* eps;
    const float* z;
    float* weights;
    double* bce;
    double* bound;
    Control* control;
    int rows, draws, latent, pixels;
};

// A thread's share of a row's cross-entropy; the row's logits become the gradient of that.
__device__ __forceinline__ double cross_entropy(const ImportanceWeights& p, int row) {
    size_t begin = (size_t)row * p.pixels;
    double loss = 0.0;
    for (int i = threadIdx.x; i < p.pixels; i += blockDim.x) {
        float gradient;
        loss += bce_with_gradient(p.logits[begin + i], p.target[begin + i], gradient);
        p.logits[begin + i] = gradient;
        if (!is_finite(gradient)) note_non_finite(p.control, LOGITS, begin + i, p.logits);
    }
    return loss;
}

// A thread's share of log p(z) / q(z|x) for the row's z: (eps^2 + log_var - z^2) / 2 a unit.
__device__ __forceinline__ double log_ratio(const ImportanceWeights& p, int row) {
    size_t begin = (size_t)row * p.latent;
    const float* log_var = p.posterior + 2 * begin + p.latent;
    double ratio = 0.0;
    for (int j = threadIdx.x; j < p.latent; j += blockDim.x) {
        double eps = p.eps[begin + j], z = p.z[begin + j];
        ratio += eps * eps + log_var[j] - z * z;
    }
    return 0.5 * ratio;
}

extern "C" __global__ void importance_weights(ImportanceWeights p) {
    __shared__ double highest;
    __shared__ float total;
    int first = blockIdx.x * p.draws, end = min(first + p.draws, p.rows);
    // Log weights are kept as what they have over the first one, so that f32 is enough for them.
    double loss = 0.0, of_first = 0.0;
    if (threadIdx.x == 0) highest = 0.0;
    for (int row = first; row < end; ++row) {
        double of_row = cross_entropy(p, row);
        loss += of_row;
        double log_weight = block_sum(p.control->beta * log_ratio(p, row) - of_row);
        if (threadIdx.x == 0) {
            if (row == first) of_first = log_weight;
            p.weights[row] = (float)(log_weight - of_first);
            highest = fmax(highest, log_weight - of_first);
        }
        // What block_sum keeps in shared memory is free again.
        __syncthreads();
    }
    double sum = 0.0;
    for (int row = first + threadIdx.x; row < end; row += blockDim.x) {
        p.weights[row] = exp_f(p.weights[row] - (float)highest);
        sum += p.weights[row];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        total = (float)sum;
        // Sums count rows, so that an image's loss counts as often as it has rows.
        p.bound[blockIdx.x] = -(of_first + highest + ln(total / (end - first))) * (end - first);
    }
    __syncthreads();
    loss = block_sum(loss);
    if (threadIdx.x == 0) p.bce[blockIdx.x] = loss;
    for (int row = first; row < end; ++row) {
        float weight = p.weights[row] / total;
        for (int i = threadIdx.x; i < p.pixels; i += blockDim.x) p.logits[(size_t)row * p.pixels + i] *= weight;
    }
    __syncthreads();
    for (int row = first + threadIdx.x; row < end; row += blockDim.x) p.weights[row] /= total;
}
