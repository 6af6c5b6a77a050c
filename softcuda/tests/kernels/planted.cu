// planted: one bug for each check, and its repaired twin, which ends in _fixed. The line of a bug ends in "bug: NAME".
// Shapes: data holds as many elements as planted.rs says beside each launch.
// Launch: as in planted.rs.
// Exercises: every check of softcuda.

#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void bounds_global(int* data, int n) {
    if (INDEX <= n) data[INDEX] = 1;  // bug: bounds_global
}
extern "C" __global__ void bounds_global_fixed(int* data, int n) {
    if (INDEX < n) data[INDEX] = 1;
}

extern "C" __global__ void bounds_shared(int* data, int n) {
    __shared__ int tile[32];
    tile[threadIdx.x + n] = 1;  // bug: bounds_shared
    __syncthreads();
    data[threadIdx.x] = tile[threadIdx.x];
}
extern "C" __global__ void bounds_shared_fixed(int* data, int n) {
    __shared__ int tile[32];
    tile[(threadIdx.x + n) % 32] = 1;
    __syncthreads();
    data[threadIdx.x] = tile[threadIdx.x];
}

extern "C" __global__ void bounds_local(int* data, int n) {
    int row[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    row[n & 1] = 9;
    data[threadIdx.x] = row[threadIdx.x + n];  // bug: bounds_local
}
extern "C" __global__ void bounds_local_fixed(int* data, int n) {
    int row[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    row[n & 1] = 9;
    data[threadIdx.x] = row[(threadIdx.x + n) % 8];
}

__constant__ int table[4] = {1, 2, 3, 4};
extern "C" __global__ void bounds_const(int* data, int n) {
    data[threadIdx.x] = table[threadIdx.x + n];  // bug: bounds_const
}
extern "C" __global__ void bounds_const_fixed(int* data, int n) {
    data[threadIdx.x] = table[(threadIdx.x + n) % 4];
}

extern "C" __global__ void misaligned_global(char* data, int n) {
    *reinterpret_cast<int*>(data + n) = 1;  // bug: misaligned_global
}
extern "C" __global__ void misaligned_global_fixed(char* data, int n) {
    *reinterpret_cast<int*>(data + n / 4 * 4) = 1;
}

extern "C" __global__ void misaligned_shared(int* data, int n) {
    __shared__ int tile[8];
    *reinterpret_cast<int*>(reinterpret_cast<char*>(tile) + n) = 1;  // bug: misaligned_shared
    data[0] = tile[n / 4];
}
extern "C" __global__ void misaligned_shared_fixed(int* data, int n) {
    __shared__ int tile[8];
    *reinterpret_cast<int*>(reinterpret_cast<char*>(tile) + n / 4 * 4) = 1;
    data[0] = tile[n / 4];
}

extern "C" __global__ void misaligned_local(int* data, int n) {
    int row[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    data[0] = *reinterpret_cast<int*>(reinterpret_cast<char*>(row) + n);  // bug: misaligned_local
}
extern "C" __global__ void misaligned_local_fixed(int* data, int n) {
    int row[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    data[0] = *reinterpret_cast<int*>(reinterpret_cast<char*>(row) + n / 4 * 4);
}

extern "C" __global__ void freed(int* data, const int* gone) {
    data[0] = gone[0];  // bug: freed
}

extern "C" __global__ void unwritten_global(int* data, const int* source) {
    data[0] = source[1];  // bug: unwritten_global
}
extern "C" __global__ void unwritten_global_fixed(int* data, const int* source) {
    data[0] = source[0];
}

extern "C" __global__ void unwritten_shared(int* data, int n) {
    __shared__ int tile[32];
    if (threadIdx.x < n) tile[threadIdx.x] = 1;
    __syncthreads();
    data[threadIdx.x] = tile[threadIdx.x];  // bug: unwritten_shared
}
extern "C" __global__ void unwritten_shared_fixed(int* data, int n) {
    __shared__ int tile[32];
    tile[threadIdx.x] = n;
    __syncthreads();
    data[threadIdx.x] = tile[threadIdx.x];
}

extern "C" __global__ void unwritten_local(int* data, int n) {
    volatile int row[8];
    for (int i = 0; i < n; ++i) row[i] = i;
    data[0] = row[n];  // bug: unwritten_local
}
extern "C" __global__ void unwritten_local_fixed(int* data, int n) {
    volatile int row[8];
    for (int i = 0; i <= n; ++i) row[i] = i;
    data[0] = row[n];
}

extern "C" __global__ void read_after_write(int* data) {
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;  // other: read_after_write
    data[threadIdx.x] = tile[63 - threadIdx.x];  // bug: read_after_write
}
extern "C" __global__ void read_after_write_fixed(int* data) {
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    data[threadIdx.x] = tile[63 - threadIdx.x];
}

extern "C" __global__ void write_after_read(int* data) {
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    int other = tile[63 - threadIdx.x];  // other: write_after_read
    tile[threadIdx.x] = other + 1;  // bug: write_after_read
    data[threadIdx.x] = other;
}
extern "C" __global__ void write_after_read_fixed(int* data) {
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    int other = tile[63 - threadIdx.x];
    __syncthreads();
    tile[threadIdx.x] = other + 1;
    data[threadIdx.x] = other;
}

extern "C" __global__ void write_after_write(int* data) {
    __shared__ int last;
    if (threadIdx.x % 32 == 0) last = threadIdx.x;  // bug: write_after_write
    __syncthreads();
    data[threadIdx.x] = last;
}
extern "C" __global__ void write_after_write_fixed(int* data) {
    __shared__ int last;
    if (threadIdx.x == 32) last = threadIdx.x;
    __syncthreads();
    data[threadIdx.x] = last;
}

extern "C" __global__ void warp_race(int* data) {
    __shared__ int tile[32];
    tile[threadIdx.x] = threadIdx.x;  // other: warp_race
    data[threadIdx.x] = tile[31 - threadIdx.x];  // bug: warp_race
}
extern "C" __global__ void warp_race_fixed(int* data) {
    __shared__ int tile[32];
    tile[threadIdx.x] = threadIdx.x;
    __syncwarp();
    data[threadIdx.x] = tile[31 - threadIdx.x];
}

// C = A B of n x n for n a multiple of 16, through tiles; a barrier is missing where its flag is false.
__device__ __forceinline__ void tiled_product(const float* a, const float* b, float* c, int n, bool first, bool second) {
    __shared__ float left[16][16], right[16][16];
    int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        left[threadIdx.y][threadIdx.x] = a[row * n + k + threadIdx.x];
        right[threadIdx.y][threadIdx.x] = b[(k + threadIdx.y) * n + column];
        if (first) __syncthreads();
        for (int i = 0; i < 16; ++i) sum += left[threadIdx.y][i] * right[i][threadIdx.x];
        if (second) __syncthreads();
    }
    c[row * n + column] = sum;
}
extern "C" __global__ void tiled_without_first(const float* a, const float* b, float* c, int n) { tiled_product(a, b, c, n, false, true); }
extern "C" __global__ void tiled_without_second(const float* a, const float* b, float* c, int n) { tiled_product(a, b, c, n, true, false); }
extern "C" __global__ void tiled_fixed(const float* a, const float* b, float* c, int n) { tiled_product(a, b, c, n, true, true); }

extern "C" __global__ void block_race(int* data) {
    data[0] = blockIdx.x;  // bug: block_race
}
extern "C" __global__ void block_race_fixed(int* data) {
    data[blockIdx.x] = blockIdx.x;
}

extern "C" __global__ void block_race_read(int* data, int* sums) {
    data[blockIdx.x] = blockIdx.x;  // other: block_race_read
    sums[blockIdx.x] = data[blockIdx.x ^ 1];  // bug: block_race_read
}
extern "C" __global__ void block_race_read_fixed(int* data, int* sums) {
    data[blockIdx.x] = blockIdx.x;
    sums[blockIdx.x] = data[blockIdx.x];
}

// Sums the blocks' parts in the block that is done last; a fence must stand between a block's part and its count.
__device__ __forceinline__ void last_block_sums(int* parts, int* total, unsigned* done, bool fenced) {
    parts[blockIdx.x] = blockIdx.x;  // other: last_block
    if (fenced) __threadfence();
    if (atomicAdd(done, 1) == gridDim.x - 1) {
        int sum = 0;
        for (int i = 0; i < gridDim.x; ++i) sum += parts[i];  // bug: last_block
        *total = sum;
    }
}
extern "C" __global__ void last_block(int* parts, int* total, unsigned* done) { last_block_sums(parts, total, done, false); }
extern "C" __global__ void last_block_fixed(int* parts, int* total, unsigned* done) { last_block_sums(parts, total, done, true); }

extern "C" __global__ void stream_write(int* data) {
    data[threadIdx.x] = threadIdx.x;  // bug: stream_write
}

extern "C" __global__ void divergent_barrier(int* data) {
    if (threadIdx.x < 16) __syncthreads();  // bug: divergent_barrier
    data[threadIdx.x] = 1;
}
extern "C" __global__ void divergent_barrier_fixed(int* data) {
    __syncthreads();
    data[threadIdx.x] = 1;
}

extern "C" __global__ void early_exit(int* data, int n) {
    if (threadIdx.x >= n) return;
    __syncthreads();  // bug: early_exit
    data[threadIdx.x] = 1;
}
extern "C" __global__ void early_exit_fixed(int* data, int n) {
    __syncthreads();
    if (threadIdx.x >= n) return;
    data[threadIdx.x] = 1;
}

// Before sm_80 there are no asynchronous copies, and nothing to be caught.
__device__ __forceinline__ void copy_async(int* shared, const int* global) {
#if __CUDA_ARCH__ >= 800
    unsigned target = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(target), "l"(global) : "memory");
#else
    *shared = *global;
#endif
}
__device__ __forceinline__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
extern "C" __global__ void early_read(int* data, const int* source) {
    __shared__ int tile[32];
    tile[threadIdx.x] = 0;
    copy_async(&tile[threadIdx.x], &source[threadIdx.x]);
    data[threadIdx.x] = tile[threadIdx.x];  // bug: early_read
    wait_for_copies();
}
extern "C" __global__ void early_read_fixed(int* data, const int* source) {
    __shared__ int tile[32];
    tile[threadIdx.x] = 0;
    copy_async(&tile[threadIdx.x], &source[threadIdx.x]);
    wait_for_copies();
    data[threadIdx.x] = tile[threadIdx.x];
}

extern "C" __global__ void endless(volatile int* data) {
    while (data[0] == 0) {  // bug: endless
    }
}

extern "C" __global__ void trapped(int* data) {
    if (data[0] == 0) __trap();  // bug: trapped
}
