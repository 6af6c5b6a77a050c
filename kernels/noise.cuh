// noise.cuh: standard normals that have an address instead of a state, step for step those of src/noise.
//
// Shapes    a block of four consecutive elements of an address (seed, stream, step) in, four f32 out
// Cost      ten rounds of Philox4x32 and two Box-Muller transforms: about 40 integer products and 120 f32 operations a block
// Order     none: every number follows from its address alone, so any grid, batch split or resumed run draws the same
// Idea      a generator with a state would tie the noise to the launch geometry and would have to be saved and restored
// Checked   tests/kernels, against src/noise bit for bit; tests/operations

#pragma once

#include "control.cuh"
#include "math.cuh"

// Philox4x32-10 (Salmon et al. 2011): four random words for a counter and a key.
__device__ __forceinline__ uint4 philox4x32_10(uint4 counter, unsigned int key_0, unsigned int key_1) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        unsigned int high_0 = __umulhi(0xD2511F53u, counter.x), low_0 = 0xD2511F53u * counter.x;
        unsigned int high_1 = __umulhi(0xCD9E8D57u, counter.z), low_1 = 0xCD9E8D57u * counter.z;
        counter = make_uint4(high_1 ^ counter.y ^ key_0, low_1, high_0 ^ counter.w ^ key_1, low_0);
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
    return counter;
}

// ANCHOR: box_muller
// Two independent standard normals from two random words (Box and Muller 1958).
__device__ __forceinline__ float2 box_muller(unsigned int u, unsigned int turns) {
    constexpr float UNIT = 1.0f / 4294967296.0f;
    float uniform = fmaf((float)u, UNIT, UNIT * 0.5f);
    float square = -2.0f * ln(uniform);
    float radius = sqrtf(square > 0.0f ? square : 0.0f);
    float sine, cosine;
    sin_cos_turns(turns, sine, cosine);
    return make_float2(radius * cosine, radius * sine);
}
// ANCHOR_END: box_muller

// ANCHOR: block
// The standard normals of elements 4 block to 4 block + 3 of the next step of `stream`.
__device__ __forceinline__ float4 standard_normal_block(const Control* control, int stream, unsigned int block) {
    unsigned long long step = control->steps[stream], seed = control->seed;
    uint4 counter = make_uint4(block, (unsigned int)step, (unsigned int)(step >> 32), (unsigned int)stream);
    uint4 words = philox4x32_10(counter, (unsigned int)seed, (unsigned int)(seed >> 32));
    float2 first = box_muller(words.x, words.y), second = box_muller(words.z, words.w);
    return make_float4(first.x, first.y, second.x, second.y);
}
// ANCHOR_END: block
