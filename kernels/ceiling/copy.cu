// ceiling/copy: to = from, 16 bytes a thread and turn; the most that memory gives. Also what empties the L2 cache of everything else.
//
// Shapes    from, to [length] float4, flat
// Launch    any grid, block 256
// Cost      32 bytes of global memory an element
// Bound     memory
// Order     none: every element by itself
// Idea      as few instructions as can be for every byte
// Checked   tests/lab; benches/gpu, which reads the copy back

extern "C" __global__ void copy(const float4* from, float4* to, unsigned long long length) {
    unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < length; i += stride) {
        to[i] = from[i];
    }
}
