// gemm/epilogue.cuh: what becomes of the finished sums, as they leave the registers.
//
// Shapes    thread_m x thread_n sums a thread; bias [N], other [M, N], C [M, N]; nothing outside is touched
// Order     losses: a thread's elements row by row in f32, then block_sum's fixed tree in f64
// Idea      a value is read, bent and stored once: no kernel of its own passes over C again
// Checked   tests/gemm, every epilogue; tests/operations

#pragma once

#include "block_sum.cuh"
#include "gemm/form.cuh"
#include "math.cuh"

// Neighbours in a row that a thread owns and may move in one piece.
template <class F>
constexpr int RUN = VECTOR == 1 ? 1 : F::column_run;

template <int run>
__device__ __forceinline__ void load_run(float (&values)[run], const float* from) {
    if constexpr (run == 4) {
        float4 four = *reinterpret_cast<const float4*>(from);
        values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else if constexpr (run == 2) {
        float2 two = *reinterpret_cast<const float2*>(from);
        values[0] = two.x, values[1] = two.y;
    } else {
        values[0] = *from;
    }
}

template <int run>
__device__ __forceinline__ void store_run(float* to, const float (&values)[run]) {
    if constexpr (run == 4) {
        *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
    } else if constexpr (run == 2) {
        *reinterpret_cast<float2*>(to) = make_float2(values[0], values[1]);
    } else {
        *to = values[0];
    }
}

// ANCHOR: finished
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
// ANCHOR_END: finished

// Finds out which of the thread's elements of C spoiled its loss: its first one where none did, but their sum.
template <class F>
__device__ __forceinline__ void note_spoiled(const Product& p, const Place<F>& place) {
    bool found = false;
#pragma unroll 1
    for (int n = 0; n < F::thread_m * F::thread_n; ++n) {
        int row = place.row_of(n / F::thread_n), column = place.column_of(n % F::thread_n);
        size_t at = (size_t)row * p.n + column;
        if (row >= p.m || column >= p.n || is_finite(p.c[at])) continue;
        note_non_finite(p.control, LOGITS, at, p.c);
        found = true;
    }
    if (!found) note_non_finite(p.control, LOGITS, (size_t)place.row_of(0) * p.n + place.column_of(0), p.c);
}

// Ends the tile's loss. A logit that is not finite makes its loss so, and the sum.
template <class F>
__device__ __forceinline__ void finish_loss(const Product& p, const Place<F>& place, float loss) {
    if (!is_finite(loss)) note_spoiled<F>(p, place);
    double sum = block_sum(loss);
    if (threadIdx.x == 0) p.partial[place.tile] = sum;
}

// Turns a tile's sums into C and whatever else the epilogue leaves.
template <class F>
__device__ __forceinline__ void finish(const Product& p, const Place<F>& place, const Sums<F>& sums) {
    constexpr Epilogue epilogue = F::epilogue;
    constexpr bool has_bias = epilogue >= BIAS && epilogue <= BIAS_BCE;
    constexpr bool has_other = epilogue == BIAS_BCE || epilogue == DERIVATIVE;
    constexpr int run = RUN<F>;
    constexpr int runs = F::thread_n / run;
    float bias[runs][run] = {}, loss = 0.0f;
    if constexpr (has_bias) {
#pragma unroll
        for (int j = 0; j < runs; ++j)
            if (place.column_of(j * run) < p.n) load_run(bias[j], p.bias + place.column_of(j * run));
    }
#pragma unroll
    for (int i = 0; i < F::thread_m; ++i) {
        if (place.row_of(i) >= p.m) continue;
        // One address a row: the columns are a fixed way from the first.
        size_t start = (size_t)place.row_of(i) * p.n + place.column_of(0);
        float* c = p.c + start;
        const float* others = p.other + start;
#pragma unroll
        for (int j = 0; j < runs; ++j) {
            if (place.column_of(j * run) >= p.n) continue;
            int across = place.column_of(j * run) - place.column_of(0);
            float other[run] = {}, value[run];
            if constexpr (has_other) load_run(other, others + across);
#pragma unroll
            for (int r = 0; r < run; ++r)
                value[r] = finished<epilogue>(sums.of_c[i][j * run + r], bias[j][r], other[r], loss);
            store_run(c + across, value);
        }
    }
    if constexpr (epilogue == BIAS_BCE) finish_loss<F>(p, place, loss);
    if (place.sums_column() && place.row + threadIdx.x < p.m) p.bias_gradient[place.row + threadIdx.x] = sums.of_column;
}
