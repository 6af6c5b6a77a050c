// philox: random numbers by Philox4x32-10, the counter being the thread's number.
// Shapes: words is N uint4; uniforms is N float4 in (0, 1]. Any N.
// Launch: grid ceil(N/256), block 256.
// Exercises: mul.wide or mul.hi of u32, xor, 16-byte stores, cvt of u32 to f32.

__device__ uint4 philox_round(uint4 counter, uint2 key) {
    unsigned int high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
    unsigned int high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
    return make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
}

__device__ uint4 philox4x32_10(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        counter = philox_round(counter, key);
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    return counter;
}

extern "C" __global__ void philox_words(uint4* words, unsigned long long seed, unsigned long long offset, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long counter = offset + i;
    uint2 key = make_uint2((unsigned int)seed, (unsigned int)(seed >> 32));
    words[i] = philox4x32_10(make_uint4((unsigned int)counter, (unsigned int)(counter >> 32), 0, 0), key);
}

extern "C" __global__ void philox_uniform(float4* uniforms, unsigned long long seed, unsigned long long offset, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long counter = offset + i;
    uint2 key = make_uint2((unsigned int)seed, (unsigned int)(seed >> 32));
    uint4 word = philox4x32_10(make_uint4((unsigned int)counter, (unsigned int)(counter >> 32), 0, 0), key);
    // The upper 24 bits, plus one: every value is exact and none is zero.
    const float scale = 1.0f / 16777216.0f;
    uniforms[i] = make_float4(((word.x >> 8) + 1) * scale, ((word.y >> 8) + 1) * scale, ((word.z >> 8) + 1) * scale,
                              ((word.w >> 8) + 1) * scale);
}
