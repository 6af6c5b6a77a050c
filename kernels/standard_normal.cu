// standard_normal: fills a matrix with standard normals at the step's address.
//
// Shapes    out [length] f32, flat
// Launch    grid ceil(length / 4 / 256), block 256
// Cost      4 bytes of global memory and about 40 operations a number
// Bound     issue: integer products and the polynomials of ln, sin and cos
// Order     none: every number follows from its address
// Idea      one call of Philox gives four words, so a thread makes four numbers and stores them at once
// Checked   tests/operations, against src/noise bit for bit

#include "noise.cuh"
#include "quad.cuh"

struct StandardNormal {
    float* out;
    const Control* control;
    unsigned long long length;
    int stream;
};

extern "C" __global__ void standard_normal(StandardNormal p) {
    unsigned int block = blockIdx.x * blockDim.x + threadIdx.x;
    if (4ull * block >= p.length) return;
    store_quad(p.out, 4ull * block, p.length, standard_normal_block(p.control, p.stream, block));
}
