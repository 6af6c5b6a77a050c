// features: many small kernels, each for one corner of the language. One block of at most 1024 threads unless said
// otherwise; `out` holds an element for each thread, and so does `in` where there is one.
// Exercises: see the comment before each kernel.

constexpr unsigned int FULL = 0xffffffffu;

__constant__ float coefficients[4] = {1.0f, -0.5f, 0.25f, -0.125f};
__constant__ int settable[8];
__device__ int counter = 7;
__device__ float table[64];

__device__ __forceinline__ unsigned int thread() { return blockIdx.x * blockDim.x + threadIdx.x; }

// __constant__ with an initial value and without (the host sets it), uniform and by a computed index.
extern "C" __global__ void read_constants(float* out) {
    unsigned int i = thread();
    float x = i * 0.5f;
    out[i] = fmaf(fmaf(fmaf(coefficients[3], x, coefficients[2]), x, coefficients[1]), x, coefficients[0]) +
             coefficients[i % 4] + settable[i % 8];
}

// __device__ variables: one read and modified, one filled.
extern "C" __global__ void write_globals(int* out) {
    unsigned int i = thread();
    out[i] = atomicAdd(&counter, 1);
    if (i < 64) table[i] = i * 2.0f;
}

__device__ __noinline__ float polynomial(float x, int terms) {
    float sum = 0.0f, power = 1.0f;
    for (int i = 0; i < terms; ++i) {
        sum += coefficients[i % 4] * power;
        power *= x;
    }
    return sum;
}

// A call of a device function that is not inlined.
extern "C" __global__ void call_function(const float* in, float* out, int terms) {
    unsigned int i = thread();
    out[i] = polynomial(in[i], terms + i % 3);
}

__device__ __noinline__ unsigned int fibonacci(unsigned int n) {
    if (n < 2) return n;
    unsigned int one = fibonacci(n - 1);
    return one + fibonacci(n - 2);
}

// Recursion of a depth that differs between lanes: out[i] is Fibonacci's number i % 12.
extern "C" __global__ void recurse(unsigned int* out) {
    unsigned int i = thread();
    out[i] = fibonacci(i % 12);
}

// A local array with an index known only at run time: sorts 16 numbers of each thread. in and out hold 16 a thread.
extern "C" __global__ void sort_locally(const int* in, int* out) {
    int values[16];
    unsigned int i = thread();
    for (int j = 0; j < 16; ++j) values[j] = in[i * 16 + j];
    for (int j = 1; j < 16; ++j) {
        int value = values[j], slot = j;
        while (slot > 0 && values[slot - 1] > value) {
            values[slot] = values[slot - 1];
            --slot;
        }
        values[slot] = value;
    }
    for (int j = 0; j < 16; ++j) out[i * 16 + j] = values[j];
}

// f64: fma, division, square root, rounding, conversions, and the library's exp, sin and pow.
extern "C" __global__ void double_math(const double* in, double* out) {
    unsigned int i = thread();
    double x = in[i];
    out[i] = fma(x, x, 1.0) / sqrt(fabs(x) + 1.0) + floor(x) - (double)(long long)x + (double)(float)x + exp(-x * x) +
             sin(x) + pow(fabs(x) + 0.5, 0.75);
}

// f32 of the library: sin, cos with its slow range reduction, log, tanh, rsqrt, rounding to integers.
extern "C" __global__ void float_math(const float* in, float* out) {
    unsigned int i = thread();
    float x = in[i];
    out[i] = sinf(x) + cosf(x) + logf(fabsf(x) + 1.0f) + tanhf(x) + rsqrtf(fabsf(x) + 1.0f) + rintf(x) + truncf(x) +
             ceilf(x) + __sinf(x) + __cosf(x) + __log2f(fabsf(x) + 1.0f) + copysignf(1.0f, x) + fmodf(x, 0.75f);
}

// The four rounding modes of f32 and f64. out32 holds four a thread, out64 too.
extern "C" __global__ void rounding_modes(const float* in, float* out32, double* out64) {
    unsigned int i = thread();
    float x = in[i], y = 1.1f;
    out32[i * 4 + 0] = __fadd_rn(__fmul_rn(x, y), y);
    out32[i * 4 + 1] = __fadd_rz(__fmul_rz(x, y), y);
    out32[i * 4 + 2] = __fmaf_ru(x, y, __fdiv_ru(x, 3.0f));
    out32[i * 4 + 3] = __fmaf_rd(x, y, __fsqrt_rd(fabsf(x)));
    double wide = x;
    out64[i * 4 + 0] = __dadd_rn(wide, 0.1);
    out64[i * 4 + 1] = __dmul_rz(wide, 0.1);
    out64[i * 4 + 2] = __fma_ru(wide, 0.1, 0.3);
    out64[i * 4 + 3] = __ddiv_rd(wide, 0.3);
}

// 64-bit integers: quotient and remainder, signed and unsigned, products, shifts. b is never zero.
extern "C" __global__ void long_integers(const long long* a, const long long* b, long long* out) {
    unsigned int i = thread();
    long long x = a[i], y = b[i];
    unsigned long long u = x, v = y;
    out[i] = x / y + x % y + (long long)(u / v ^ u % v) + __mul64hi(x, y) + (long long)__umul64hi(u, v) + (x << (v & 63)) +
             (x >> 5) + min(x, y) - max(x, y);
}

// 32-bit division and remainder by a variable and by a constant. b is never zero.
extern "C" __global__ void integer_division(const int* a, const int* b, int* out) {
    unsigned int i = thread();
    int x = a[i], y = b[i];
    out[i] = x / y + x % y + x / 7 + x % 10 + (int)((unsigned int)x / 3u) + (int)((unsigned int)x % (unsigned int)y);
}

// printf with several kinds of arguments, from the first lane of each warp.
extern "C" __global__ void print(const float* in) {
    unsigned int i = thread();
    if (i % 32 == 0) printf("thread %u: %.3f, %lld, %s, %c%%\n", i, in[i], (long long)i << 33, "text", 'x');
}

// An assertion that fails where in[i] is negative.
extern "C" __global__ void assert_positive(const float* in, float* out) {
    unsigned int i = thread();
    if (in[i] < 0.0f) __assertfail("in[i] >= 0", "features.cu", __LINE__, "assert_positive", 1);
    out[i] = sqrtf(in[i]);
}

// A trap where in[i] is negative.
extern "C" __global__ void trap_negative(const int* in, int* out) {
    unsigned int i = thread();
    if (in[i] < 0) __trap();
    out[i] = in[i] + 1;
}

// A dense switch whose cases are too unlike for a table of constants.
extern "C" __global__ void jump_table(const int* in, int* out) {
    unsigned int i = thread();
    int x = in[i], y = out[i];
    switch (x & 15) {
        case 0: y = y * 3 + counter; break;
        case 1: y = atomicMax(&out[i], x); break;
        case 2: y = __popc(x) - 4; break;
        case 3: y = x / 5; break;
        case 4: y ^= x << 13; break;
        case 5: y = settable[x >> 4 & 7]; break;
        case 6: y = -x; break;
        case 7: y = __clz(x); break;
        case 8: y = x * x; break;
        case 9: y = x > 99 ? x - 99 : x + 99; break;
        case 10: y = (int)(x * 0.5f); break;
        case 11: y = ~x; break;
        case 12: y = atomicAdd(&out[i], 5); break;
        case 13: y = table[x >> 4 & 63] > 3.0f; break;
        case 14: y += 1000; break;
        default: y -= x;
    }
    out[i] = y;
}

// A branch by a table of targets in inline PTX, since the compiler makes chains of comparisons. in[i] is 0, 1 or 2.
extern "C" __global__ void indexed_branch(const unsigned int* in, unsigned int* out) {
    unsigned int i = thread();
    unsigned int x = i;
    asm volatile(
        "{\n\t"
        "targets: .branchtargets add_one, double, clear;\n\t"
        "brx.idx %1, targets;\n"
        "add_one: add.u32 %0, %0, 1;\n\tbra.uni end;\n"
        "double: shl.b32 %0, %0, 1;\n\tbra.uni end;\n"
        "clear: mov.u32 %0, 0;\n"
        "end:\n\t}"
        : "+r"(x)
        : "r"(in[i]));
    out[i] = x;
}

extern __shared__ __align__(16) unsigned char dynamic[];

// Dynamic shared memory in two parts: reverses the block. Needs 8 bytes a thread.
extern "C" __global__ void dynamic_shared(const float* in, float* out) {
    float* values = reinterpret_cast<float*>(dynamic);
    int* places = reinterpret_cast<int*>(values + blockDim.x);
    values[threadIdx.x] = in[thread()];
    places[threadIdx.x] = blockDim.x - 1 - threadIdx.x;
    __syncthreads();
    out[thread()] = values[places[threadIdx.x]];
}

// Loads and stores of 8 and 16 bits, signed and unsigned. sums is one i32 a thread.
extern "C" __global__ void narrow_types(const signed char* bytes, const unsigned short* shorts, int* sums,
                                        unsigned char* bytes_out, short* shorts_out) {
    unsigned int i = thread();
    sums[i] = bytes[i] + shorts[i];
    bytes_out[i] = (unsigned char)(bytes[i] * 3);
    shorts_out[i] = (short)(shorts[i] - 5);
}

// Vectors of 8 and 16 bytes. pairs is float2, quads is int4, halves is double2.
extern "C" __global__ void vector_types(const float2* pairs, const int4* quads, const double2* doubles, float2* pairs_out,
                                        int4* quads_out, double2* doubles_out) {
    unsigned int i = thread();
    float2 pair = pairs[i];
    int4 quad = __ldg(&quads[i]);
    double2 two = doubles[i];
    pairs_out[i] = make_float2(pair.y, pair.x);
    quads_out[i] = make_int4(quad.w, quad.z, quad.y, quad.x);
    doubles_out[i] = make_double2(two.y + two.x, two.x);
}

__device__ __noinline__ float twice(float x) { return x * 2.0f; }
__device__ __noinline__ float square(float x) { return x * x; }
__device__ __noinline__ float negated(float x) { return -x; }

typedef float (*Function)(float);
__device__ Function functions[3] = {twice, square, negated};

// Calls through a pointer that differs between lanes.
extern "C" __global__ void call_pointers(const float* in, float* out) {
    unsigned int i = thread();
    out[i] = functions[i % 3](in[i]);
}

// f16x2 in inline PTX: each u32 holds two halves. out is the fused a b + c.
extern "C" __global__ void half_pairs(const unsigned int* a, const unsigned int* b, const unsigned int* c,
                                      unsigned int* out, float* low) {
    unsigned int i = thread();
    unsigned int sum, result;
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a[i]), "r"(b[i]));
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(sum), "r"(b[i]), "r"(c[i]));
    out[i] = result;
    float widened;
    asm("{\n\t.reg .f16 low, high;\n\tmov.b32 {low, high}, %1;\n\tcvt.f32.f16 %0, low;\n\t}" : "=f"(widened) : "r"(result));
    low[i] = widened;
}

// Bits: reversal, counts, permutation of bytes, funnel shifts, fields. out holds eight a thread.
extern "C" __global__ void bits(const unsigned int* in, unsigned int* out) {
    unsigned int i = thread();
    unsigned int x = in[i];
    out[i * 8 + 0] = __brev(x);
    out[i * 8 + 1] = __clz(x);
    out[i * 8 + 2] = __popc(x) + __popcll((unsigned long long)x << 7 | 5);
    out[i * 8 + 3] = __ffs(x);
    out[i * 8 + 4] = __byte_perm(x, ~x, i & 0x7777);
    out[i * 8 + 5] = __funnelshift_l(x, ~x, i);
    out[i * 8 + 6] = __funnelshift_rc(x, i, x & 63);
    out[i * 8 + 7] = (x >> 5 & 0x3ff) | (x & 0xffu) << 20;
}

// Warp-wide: vote, match, shuffles by index, and redux from sm_80 on. out holds eight a thread; block a multiple of 32.
extern "C" __global__ void warp_operations(const unsigned int* in, unsigned int* out) {
    unsigned int i = thread();
    unsigned int x = in[i];
    out[i * 8 + 0] = __ballot_sync(FULL, x & 1);
    out[i * 8 + 1] = __any_sync(FULL, x > 1000) + 2 * __all_sync(FULL, x > 3);
    out[i * 8 + 2] = __match_any_sync(FULL, x % 4);
    int same;
    out[i * 8 + 3] = __match_all_sync(FULL, x / 1024, &same) + same;
    out[i * 8 + 4] = __shfl_sync(FULL, x, x % 32);
    out[i * 8 + 5] = __shfl_sync(FULL, x, i + 1, 8);
#if __CUDA_ARCH__ >= 800
    out[i * 8 + 6] = __reduce_add_sync(FULL, x);
    out[i * 8 + 7] = __reduce_max_sync(FULL, x) ^ __reduce_or_sync(FULL, x);
#else
    unsigned int sum = x, largest = x, any = x;
    for (int mask = 16; mask > 0; mask /= 2) {
        sum += __shfl_xor_sync(FULL, sum, mask);
        largest = max(largest, __shfl_xor_sync(FULL, largest, mask));
        any |= __shfl_xor_sync(FULL, any, mask);
    }
    out[i * 8 + 6] = sum;
    out[i * 8 + 7] = largest ^ any;
#endif
}

// Divergence within a warp: the lanes that remain agree by an active mask; loops of differing length.
extern "C" __global__ void diverge(unsigned int* out) {
    unsigned int i = thread();
    unsigned int steps = 0, x = i + 1;
    while (x != 1) {
        x = x % 2 == 0 ? x / 2 : 3 * x + 1;
        ++steps;
    }
    if (i % 3 == 0) steps += __popc(__activemask()) * 1000;
    __syncwarp();
    out[i] = steps;
}

// Atomics on global memory: cells holds eight u32, wide two u64, real one f32 and accurate one f64.
extern "C" __global__ void atomics(unsigned int* cells, unsigned long long* wide, float* real, double* accurate) {
    unsigned int i = thread();
    atomicAdd(&cells[0], i);
    atomicMin(&cells[1], i);
    atomicMax(&cells[2], i);
    atomicAnd(&cells[3], ~(1u << i % 32));
    atomicOr(&cells[4], 1u << i % 32);
    atomicXor(&cells[5], i);
    atomicInc(&cells[6], 9);
    atomicDec(&cells[7], 9);
    atomicAdd(&wide[0], (unsigned long long)i << 20);
    atomicMax(&wide[1], (unsigned long long)i << 34);
    atomicAdd(real, 0.5f);
    atomicAdd(accurate, 0.25);
}

// A lock taken by compare-and-swap, one thread at a time. lock is zero before and after.
extern "C" __global__ void spin_lock(int* lock, int* value) {
    bool done = false;
    while (!done) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            *(volatile int*)value = *(volatile int*)value + 1;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}

// A named barrier: the first warp produces and arrives, the second waits. Block 64; in and out hold 32 f32.
extern "C" __global__ void named_barriers(const float* in, float* out) {
    __shared__ float exchange[32];
    unsigned int lane = threadIdx.x % 32;
    if (threadIdx.x < 32) {
        exchange[lane] = in[lane] * 2.0f;
        asm volatile("bar.arrive 1, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 1, 64;" ::: "memory");
        out[lane] = exchange[31 - lane];
    }
}

// Barriers that also count and vote. out holds three a thread.
extern "C" __global__ void barrier_reductions(const int* in, int* out) {
    unsigned int i = thread();
    out[i * 3 + 0] = __syncthreads_count(in[i] > 0);
    out[i * 3 + 1] = __syncthreads_and(in[i] > -5);
    out[i * 3 + 2] = __syncthreads_or(in[i] > 5);
}

// Sums of 128 bits by a chain of carries. a, b and out hold two u64 a thread, the lower first.
extern "C" __global__ void carry_chain(const unsigned long long* a, const unsigned long long* b, unsigned long long* out) {
    unsigned int i = thread();
    unsigned long long low, high;
    asm("add.cc.u64 %0, %2, %4;\n\taddc.u64 %1, %3, %5;"
        : "=l"(low), "=l"(high)
        : "l"(a[i * 2]), "l"(a[i * 2 + 1]), "l"(b[i * 2]), "l"(b[i * 2 + 1]));
    out[i * 2] = low;
    out[i * 2 + 1] = high;
}

struct Settings {
    float scale;
    short shift;
    double bias;
    int weights[3];
};

// A structure as an argument, its array by a computed index.
extern "C" __global__ void structure_argument(Settings settings, float* out) {
    unsigned int i = thread();
    out[i] = settings.scale * i + settings.shift + (float)settings.bias + settings.weights[i % 3];
}

// The special registers, a clock that only moves forward, and a pause. out holds sixteen u32 a thread.
extern "C" __global__ void special_registers(unsigned int* out) {
    unsigned int i = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    i = i * blockDim.x * blockDim.y * blockDim.z;
    i += (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned int lane, before;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(before));
    long long start = clock64();
    __nanosleep(20);
    long long end = clock64();
    unsigned int values[16] = {threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y,
                               blockIdx.z,  blockDim.x,  blockDim.y,  blockDim.z, gridDim.x,
                               gridDim.y,   gridDim.z,   lane,        before,     (unsigned int)(end >= start),
                               (unsigned int)warpSize};
    for (int j = 0; j < 16; ++j) out[i * 16 + j] = values[j];
}
