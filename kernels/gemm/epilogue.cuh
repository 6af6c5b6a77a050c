// gemm/epilogue.cuh: what becomes of the finished sums, as they leave the registers.
//
// Shapes    thread_m x thread_n sums a thread; bias [N], other [M, N], C [M, N]; nothing outside is touched
// Order     losses: a thread's elements row by row in f32, then block_sum's fixed tree in f64; bias gradient: k ascending
// Idea      a value is read, bent and stored once: no kernel of its own passes over C again
// Checked   tests/gemm, every epilogue; tests/operations

#pragma once

#include "block_sum.cuh"
#include "gemm/form.cuh"
#include "math.cuh"

// Neighbours in a row that a thread owns and may move in one piece.
template <class F>
constexpr int RUN = F::B::k_contiguous || VECTOR == 1 ? 1 : 4;

template <int run>
__device__ __forceinline__ void load_run(float (&values)[run], const float* from) {
    if constexpr (run == 4) {
        float4 four = *reinterpret_cast<const float4*>(from);
        values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else {
        values[0] = *from;
    }
}

template <int run>
__device__ __forceinline__ void store_run(float* to, const float (&values)[run]) {
    if constexpr (run == 4) {
        *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
    } else {
        *to = values[0];
    }
}

// The element of C that a sum becomes; `loss` gains the element's.
template <Epilogue epilogue>
__device__ __forceinline__ float finished(float sum, float bias, float other, float& loss) {
    if constexpr (epilogue == BIAS) return sum + bias;
    if constexpr (epilogue == BIAS_LEAKY_RELU) return leaky_relu(sum + bias);
    if constexpr (epilogue == BIAS_SIGMOID) return sigmoid(sum + bias);
    if constexpr (epilogue == DERIVATIVE) return sum * leaky_relu_derivative(other);
    if constexpr (epilogue == BIAS_BCE) {
        float gradient;
        loss += bce_with_gradient(sum + bias, other, gradient);
        return gradient;
    }
    return sum;
}

// Ends the tile's loss: the sum goes to partial, a loss that is not finite to the control.
template <class F>
__device__ __forceinline__ void finish_loss(const Product& p, const Place<F>& place, float loss) {
    if (!is_finite(loss)) {
        size_t element = (size_t)place.row_of(0) * p.n + place.column_of(0);
        note_non_finite(p.control, LOGITS, element, p.c);
    }
    double sum = block_sum(loss);
    if (threadIdx.x == 0) p.partial[place.tile] = sum;
}

// The sum over k of A's columns, from the blocks of C's first column of tiles alone.
template <class F>
__device__ __forceinline__ void bias_gradient(const Product& p, const Place<F>& place) {
    if (place.column != 0) return;
    for (int row = place.row + threadIdx.x; row < min(place.row + F::tile_m, p.m); row += F::threads) {
        float sum = 0.0f;
        const float* a = p.a + row;
#pragma unroll 4
        for (int k = 0; k < p.k; ++k) sum += a[(size_t)k * p.m];
        p.bias_gradient[row] = sum;
    }
}

// Turns a tile's sums into C and whatever else the epilogue leaves.
template <class F>
__device__ __forceinline__ void finish(const Product& p, const Place<F>& place,
                                       const float (&sums)[F::thread_m][F::thread_n]) {
    constexpr Epilogue epilogue = F::epilogue;
    constexpr bool has_bias = epilogue >= BIAS && epilogue <= BIAS_BCE;
    constexpr bool has_other = epilogue == BIAS_BCE || epilogue == DERIVATIVE;
    constexpr int run = RUN<F>;
    float loss = 0.0f;
#pragma unroll
    for (int j = 0; j < F::thread_n; j += run) {
        int column = place.column_of(j);
        if (column >= p.n) continue;
        float bias[run] = {};
        if constexpr (has_bias) load_run(bias, p.bias + column);
#pragma unroll
        for (int i = 0; i < F::thread_m; ++i) {
            int row = place.row_of(i);
            if (row >= p.m) continue;
            size_t at = (size_t)row * p.n + column;
            float other[run] = {}, value[run];
            if constexpr (has_other) load_run(other, p.other + at);
#pragma unroll
            for (int r = 0; r < run; ++r) {
                value[r] = finished<epilogue>(sums[i][j + r], bias[r], other[r], loss);
                if (epilogue == BIAS_BCE && !is_finite(value[r]))
                    note_non_finite(p.control, LOGITS, at + r, p.c);
            }
            store_run(p.c + at, value);
        }
    }
    if constexpr (epilogue == BIAS_BCE) finish_loss<F>(p, place, loss);
    if constexpr (epilogue == BIAS_GRADIENT) bias_gradient<F>(p, place);
}
