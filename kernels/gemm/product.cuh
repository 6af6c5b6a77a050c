// gemm/product.cuh: what a kernel of this folder is told about a product of matrices, and the ways it can be laid out and end.
//
// Shapes    C [M, N] = sum over K; all matrices row-major, dense, f32
// Idea      one interface for every step of the staircase, so that each can stand in for the next
// Checked   tests/gemm, every layout and epilogue

#pragma once

#include "control.cuh"

// How the operands lie in memory.
enum Layout {
    NT = 0,  // A [M, K], B [N, K]: x W^T, the forward pass
    NN = 1,  // A [M, K], B [K, N]: dY W, the gradient at a layer's input
    TN = 2,  // A [K, M], B [K, N]: dY^T x, the gradient at a layer's weight
};

// What becomes of a sum `s` at row i, column j of C.
enum Epilogue {
    PLAIN = 0,            // C = s
    BIAS = 1,             // C = s + bias_j
    BIAS_LEAKY_RELU = 2,  // C = LeakyReLU(s + bias_j)
    BIAS_SIGMOID = 3,     // C = sigmoid(s + bias_j)
    BIAS_BCE = 4,         // a = s + bias_j; C = dBCE(a, other_ij)/da; the tile's loss goes to partial
    DERIVATIVE = 5,       // C = s LeakyReLU'(other_ij)
    BIAS_GRADIENT = 6,    // C = s; bias_gradient_i = sum over k of A's column i (layout TN)
};

struct Product {
    const float* a;
    const float* b;
    float* c;
    const float* bias;          // [N]
    const float* other;         // [M, N]: targets of BIAS_BCE, activations of DERIVATIVE
    float* bias_gradient;       // [M]
    double* partial;            // BIAS_BCE: one for each tile of C
    float* workspace;           // partial sums of split products
    unsigned int* tickets;      // one for each tile of a split product; 0 before and after a launch
    Control* control;           // BIAS_BCE: where a non-finite logit is noted
    int m, n, k;
    int splits;                 // blocks that share the sum over K of one tile
};
static_assert(sizeof(Product) == 96, "src/backend/cuda/gemm.rs counts on this");
