// Exercise 12 (chapter 11, fusing): a layer in one pass.
//
// `layer` computes y = sigmoid(x W + bias), x [rows, inputs], W [inputs, outputs], a thread an element of y. As it
// stands, the product goes to memory, comes back for the bias, goes, comes back for the sigmoid, and goes again.
//
// Goal: each element of y is stored once and never read.
// Hint: where is the sum before it is stored?

extern "C" __global__ void layer(const float* x, const float* w, const float* bias, float* y, int rows, int inputs,
                                 int outputs) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= rows * outputs) return;
    int row = at / outputs, column = at % outputs;
    volatile float* out = y + at;  // volatile, so that the compiler does not mend it for you
    float sum = 0.0f;
    for (int k = 0; k < inputs; ++k) sum = fmaf(x[row * inputs + k], w[k * outputs + column], sum);
    *out = sum;
    *out = *out + bias[column];
    *out = 1.0f / (1.0f + expf(-*out));
}
