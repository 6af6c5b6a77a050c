// gather: the next images of an epoch's order as a batch of f32, bytes divided by 255.
//
// Shapes    pixels [images, size] u8, order [any] u32, batch [rows, size] f32
// Launch    grid ceil(rows size / 4 / 256), block 256
// Cost      5 bytes of global memory a pixel, 4 for each image's index
// Bound     memory; latency at a batch of 100
// Order     none: every pixel by itself
// Idea      the whole set lies on the device as bytes, a quarter of its size in f32, and no pixel crosses the bus again
// Checked   tests/operations, every byte value, odd sizes

struct Gather {
    const unsigned char* pixels;
    const unsigned int* order;
    const unsigned long long* position;  // of the batch's first image in the order
    float* batch;
    int rows, size;
};

__device__ __forceinline__ float unit(unsigned char byte) {
    return (float)byte / 255.0f;
}

extern "C" __global__ void gather(Gather p) {
    unsigned long long first = 4ull * (blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x);
    unsigned long long length = (unsigned long long)p.rows * p.size;
    if (first >= length) return;
    const unsigned int* order = p.order + *p.position;
    if (p.size % 4 == 0) {
        // The four are of one image.
        unsigned long long row = first / p.size, column = first % p.size;
        const unsigned char* image = p.pixels + (unsigned long long)order[row] * p.size;
        uchar4 bytes = *reinterpret_cast<const uchar4*>(image + column);
        *reinterpret_cast<float4*>(p.batch + first) =
            make_float4(unit(bytes.x), unit(bytes.y), unit(bytes.z), unit(bytes.w));
        return;
    }
    for (unsigned long long i = first; i < first + 4 && i < length; ++i) {
        p.batch[i] = unit(p.pixels[(unsigned long long)order[i / p.size] * p.size + i % p.size]);
    }
}
