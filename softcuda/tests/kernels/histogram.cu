// histogram: counts of the 256 byte values, and of any number of bins.
// Shapes: histogram_shared: input is N bytes, bins is 256 u32; histogram_global: input is N u32, bins is B u32.
//         Bins are added to. Any N.
// Launch: grid any, block any.
// Exercises: red and atom on shared and global memory, byte loads, contended addresses.

extern "C" __global__ void histogram_shared(const unsigned char* input, unsigned int* bins, int n) {
    __shared__ unsigned int local[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&local[input[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (local[i] != 0) atomicAdd(&bins[i], local[i]);
}

extern "C" __global__ void histogram_global(const unsigned int* input, unsigned int* bins, int n, int count) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&bins[input[i] % count], 1u);
}
