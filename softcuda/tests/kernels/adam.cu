// adam: one step of Adam with bias correction, four parameters a thread.
// Shapes: parameters, gradients, first and second moments are N f32 each, N a multiple of 4, aligned to 16 bytes.
// Launch: grid ceil(N/4/256), block 256. correction1 is 1 - beta1^step, correction2 is 1 - beta2^step.
// Exercises: float4 loads and stores, sqrt.rn, div.rn, several f32 arguments.

__device__ float adam_step(float parameter, float gradient, float& first, float& second, float rate, float beta1,
                           float beta2, float epsilon, float correction1, float correction2) {
    first = fmaf(beta1, first, (1.0f - beta1) * gradient);
    second = fmaf(beta2, second, (1.0f - beta2) * gradient * gradient);
    return parameter - rate * (first / correction1) / (sqrtf(second / correction2) + epsilon);
}

extern "C" __global__ void adam(float4* parameters, const float4* gradients, float4* firsts, float4* seconds, int n,
                                float rate, float beta1, float beta2, float epsilon, float correction1,
                                float correction2) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / 4) return;
    float4 p = parameters[i], g = gradients[i], m = firsts[i], v = seconds[i];
    p.x = adam_step(p.x, g.x, m.x, v.x, rate, beta1, beta2, epsilon, correction1, correction2);
    p.y = adam_step(p.y, g.y, m.y, v.y, rate, beta1, beta2, epsilon, correction1, correction2);
    p.z = adam_step(p.z, g.z, m.z, v.z, rate, beta1, beta2, epsilon, correction1, correction2);
    p.w = adam_step(p.w, g.w, m.w, v.w, rate, beta1, beta2, epsilon, correction1, correction2);
    parameters[i] = p;
    firsts[i] = m;
    seconds[i] = v;
}
