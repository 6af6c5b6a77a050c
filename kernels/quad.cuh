// quad.cuh: four neighbours of a flat array at a time, the last ones fewer.
//
// Shapes    an array of `length` f32 whose address is a multiple of 16 bytes; `first` is a multiple of 4
// Idea      one 16-byte access for four of 4 bytes, without asking that lengths be multiples of 4
// Checked   tests/operations, at odd lengths

#pragma once

// ANCHOR: load_quad
__device__ __forceinline__ float4 load_quad(const float* values, unsigned long long first, unsigned long long length) {
    if (first + 4 <= length) return *reinterpret_cast<const float4*>(values + first);
    float4 quad = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (first < length) quad.x = values[first];
    if (first + 1 < length) quad.y = values[first + 1];
    if (first + 2 < length) quad.z = values[first + 2];
    return quad;
}
// ANCHOR_END: load_quad

__device__ __forceinline__ void store_quad(float* values, unsigned long long first, unsigned long long length,
                                           float4 quad) {
    if (first + 4 <= length) {
        *reinterpret_cast<float4*>(values + first) = quad;
        return;
    }
    if (first < length) values[first] = quad.x;
    if (first + 1 < length) values[first + 1] = quad.y;
    if (first + 2 < length) values[first + 2] = quad.z;
}
