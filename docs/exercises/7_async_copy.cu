// Exercise 7 (chapter 7, asynchronous copies): wait for what you read.
//
// `mirrored_sums` adds up tiles of 128 floats, each read backwards: sums[t] = sum over tiles of x[tile][127 - t]. While
// one tile is added, the next is on its way to the other half of shared memory by cp.async. As it stands, nobody waits
// for a copy.
//
// Goal: right, without a finding, and still with one copy in flight while a tile is added.
// Hint: cp.async.wait_group N waits until at most N of the groups that the thread has committed are under way, and only
// for the thread's own copies; the others' need a barrier after that.

constexpr int TILE = 128;

__device__ __forceinline__ void copy_async(float* to, const float* from) {
    unsigned int address = (unsigned int)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(address), "l"(from) : "memory");
}

extern "C" __global__ void mirrored_sums(const float* x, float* sums, int tiles) {
    __shared__ float halves[2][TILE];
    int t = threadIdx.x;
    copy_async(&halves[0][t], x + t);
    asm volatile("cp.async.commit_group;" ::: "memory");
    float sum = 0.0f;
    for (int tile = 0; tile < tiles; ++tile) {
        if (tile + 1 < tiles) copy_async(&halves[(tile + 1) % 2][t], x + (tile + 1) * TILE + t);
        asm volatile("cp.async.commit_group;" ::: "memory");
        __syncthreads();
        sum += halves[tile % 2][TILE - 1 - t];
        __syncthreads();
    }
    sums[t] = sum;
}
