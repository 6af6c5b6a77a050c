/* A CUDA program without CUDA's headers: argv[1] names what it does; it exits with the number of the line that failed. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult, CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct context *CUcontext;
typedef struct stream *CUstream;
typedef struct event *CUevent;
typedef struct module *CUmodule;
typedef struct function *CUfunction;
typedef struct graph *CUgraph;
typedef struct exec *CUgraphExec;
typedef struct node *CUgraphNode;

typedef struct {
    size_t srcX, srcY;
    unsigned srcType;
    const void *srcHost;
    CUdeviceptr srcDevice;
    void *srcArray;
    size_t srcPitch, dstX, dstY;
    unsigned dstType;
    void *dstHost;
    CUdeviceptr dstDevice;
    void *dstArray;
    size_t dstPitch, width, height;
} Copy2D;

typedef struct {
    CUdeviceptr dst;
    size_t pitch;
    unsigned value, elementSize;
    size_t width, height;
} MemsetNode;

extern CUresult cuInit(unsigned), cuDriverGetVersion(int *), cuDeviceGet(CUdevice *, int), cuDeviceGetCount(int *),
    cuDeviceGetAttribute(int *, int, CUdevice), cuDeviceGetName(char *, int, CUdevice),
    cuDevicePrimaryCtxRetain(CUcontext *, CUdevice), cuDevicePrimaryCtxRelease_v2(CUdevice),
    cuDevicePrimaryCtxReset_v2(CUdevice), cuCtxSetCurrent(CUcontext), cuCtxGetCurrent(CUcontext *),
    cuCtxCreate_v2(CUcontext *, unsigned, CUdevice), cuCtxDestroy_v2(CUcontext), cuCtxSynchronize(void),
    cuMemAlloc_v2(CUdeviceptr *, size_t), cuMemFree_v2(CUdeviceptr), cuMemGetInfo_v2(size_t *, size_t *),
    cuMemAllocHost_v2(void **, size_t), cuMemFreeHost(void *), cuMemAllocManaged(CUdeviceptr *, size_t, unsigned),
    cuMemcpyHtoD_v2(CUdeviceptr, const void *, size_t), cuMemcpyDtoH_v2(void *, CUdeviceptr, size_t),
    cuMemcpy(CUdeviceptr, CUdeviceptr, size_t), cuMemcpyDtoHAsync_v2(void *, CUdeviceptr, size_t, CUstream),
    cuMemcpyHtoDAsync_v2(CUdeviceptr, const void *, size_t, CUstream), cuMemcpy2D_v2(const Copy2D *),
    cuMemAllocPitch_v2(CUdeviceptr *, size_t *, size_t, size_t, unsigned), cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t),
    cuMemsetD16_v2(CUdeviceptr, unsigned short, size_t), cuMemsetD32_v2(CUdeviceptr, unsigned, size_t),
    cuMemsetD32Async(CUdeviceptr, unsigned, size_t, CUstream),
    cuMemsetD2D32_v2(CUdeviceptr, size_t, unsigned, size_t, size_t), cuPointerGetAttribute(void *, int, CUdeviceptr),
    cuMemHostRegister_v2(void *, size_t, unsigned), cuMemHostUnregister(void *),
    cuModuleLoadDataEx(CUmodule *, const void *, unsigned, int *, void **), cuModuleLoad(CUmodule *, const char *),
    cuModuleGetFunction(CUfunction *, CUmodule, const char *), cuModuleUnload(CUmodule), cuStreamCreate(CUstream *, unsigned),
    cuStreamDestroy_v2(CUstream), cuStreamSynchronize(CUstream), cuStreamQuery(CUstream),
    cuStreamWaitEvent(CUstream, CUevent, unsigned), cuLaunchHostFunc(CUstream, void (*)(void *), void *),
    cuEventCreate(CUevent *, unsigned), cuEventRecord(CUevent, CUstream), cuEventQuery(CUevent),
    cuEventSynchronize(CUevent), cuEventElapsedTime(float *, CUevent, CUevent), cuEventDestroy_v2(CUevent),
    cuStreamBeginCapture_v2(CUstream, int), cuStreamEndCapture(CUstream, CUgraph *), cuStreamIsCapturing(CUstream, int *),
    cuGraphInstantiateWithFlags(CUgraphExec *, CUgraph, unsigned long long), cuGraphLaunch(CUgraphExec, CUstream),
    cuGraphGetNodes(CUgraph, CUgraphNode *, size_t *), cuGraphGetEdges(CUgraph, CUgraphNode *, CUgraphNode *, size_t *),
    cuGraphDestroy(CUgraph), cuGraphExecDestroy(CUgraphExec), cuGraphCreate(CUgraph *, unsigned),
    cuGraphAddMemsetNode(CUgraphNode *, CUgraph, const CUgraphNode *, size_t, const MemsetNode *, CUcontext),
    cuGraphExecMemsetNodeSetParams(CUgraphExec, CUgraphNode, const MemsetNode *, CUcontext),
    cuGetErrorName(CUresult, const char **), cuGetErrorString(CUresult, const char **),
    cuGetProcAddress_v2(const char *, void **, int, uint64_t, int *),
    cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **);

/* Fails with the line's number, which fits an exit status if it is taken apart: it is printed. */
#define IS(call, wanted)                                                                    \
    do {                                                                                    \
        long got = (long)(call);                                                            \
        if (got != (long)(wanted)) {                                                        \
            fprintf(stderr, "line %d: %s is %ld, not %ld\n", __LINE__, #call, got, (long)(wanted)); \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)
#define OK(call) IS(call, 0)

static CUcontext start(void) {
    CUcontext context;
    CUdevice device;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    return context;
}

static volatile int gate;
static void wait_for_gate(void *data) {
    (void)data;
    while (!__atomic_load_n(&gate, __ATOMIC_ACQUIRE)) {
    }
}
static void open_gate(void) { __atomic_store_n(&gate, 1, __ATOMIC_RELEASE); }
static void close_gate(void) { __atomic_store_n(&gate, 0, __ATOMIC_RELEASE); }

static void names(void) {
    void *bare = dlopen("libcuda.so", RTLD_NOW), *versioned = dlopen("libcuda.so.1", RTLD_NOW);
    IS(bare != NULL, 1);
    IS(versioned != NULL, 1);
    IS(dlsym(bare, "cuInit") == dlsym(versioned, "cuInit"), 1);
    IS(dlsym(bare, "cuInit") == (void *)cuInit, 1);
    void *function;
    int status;
    OK(cuGetProcAddress_v2("cuMemAlloc", &function, 13000, 0, &status));
    IS(function == (void *)cuMemAlloc_v2, 1);
    IS(cuGetProcAddress_v2("cuNoSuchThing", &function, 13000, 0, &status), 500);
    IS(function == NULL, 1);
    IS(status, 1);
    const char *text;
    OK(cuGetErrorName(700, &text));
    OK(strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"));
    IS(cuGetErrorString(12345, &text), 1);
    IS(text == NULL, 1);
}

static void order(void) {
    int count, version;
    CUdeviceptr address;
    CUcontext context;
    OK(cuDriverGetVersion(&version));
    IS(version, 13000);
    IS(cuDeviceGetCount(&count), 3);
    OK(cuInit(0));
    IS(cuMemAlloc_v2(&address, 16), 201);
    start();
    OK(cuCtxGetCurrent(&context));
    IS(context != NULL, 1);
    OK(cuDevicePrimaryCtxRelease_v2(0));
    IS(cuMemAlloc_v2(&address, 16), 709);
    IS(cuDevicePrimaryCtxRelease_v2(0), 201);
    OK(cuCtxCreate_v2(&context, 0, 0));
    OK(cuMemAlloc_v2(&address, 16));
    OK(cuCtxDestroy_v2(context));
    IS(cuCtxDestroy_v2(context), 201);
    IS(cuStreamSynchronize((CUstream)0x1234), 709);
}

static void copies(void) {
    start();
    unsigned host[64], back[64];
    CUdeviceptr a, b;
    for (int i = 0; i < 64; i++) host[i] = i * 7;
    OK(cuMemAlloc_v2(&a, sizeof host));
    OK(cuMemAlloc_v2(&b, sizeof host));
    OK(cuMemcpyHtoD_v2(a, host, sizeof host));
    OK(cuMemcpy(b, a, sizeof host));
    OK(cuMemcpyDtoH_v2(back, b, sizeof host));
    OK(memcmp(host, back, sizeof host));
    OK(cuMemsetD32_v2(b + 4, 0xabcd0123u, 2));
    OK(cuMemsetD16_v2(b + 12, 0x5678, 1));
    OK(cuMemsetD8_v2(b + 16, 0x9a, 3));
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)back, b, sizeof host));
    IS(back[0], 0);
    IS(back[2], 0xabcd0123u);
    IS(back[3], 0x5678);
    IS(back[4], 0x009a9a9au);
    IS(back[5], 35);
    IS(cuMemcpyHtoD_v2(a + 8, host, sizeof host), 1);
    IS(cuMemcpyDtoH_v2(back, a - 8, 16), 1);
    IS(cuMemsetD32_v2(b + 2, 0, 1), 1);
    IS(cuMemAlloc_v2(&a, 0), 1);
    IS(cuMemFree_v2(b + 4), 1);
    OK(cuMemFree_v2(0));
    OK(cuMemFree_v2(b));
    IS(cuMemFree_v2(b), 1);

    CUdeviceptr rows;
    size_t pitch;
    OK(cuMemAllocPitch_v2(&rows, &pitch, 12, 4, 4));
    IS(pitch >= 12 && pitch % 512 == 0, 1);
    OK(cuMemsetD2D32_v2(rows, pitch, 5, 3, 4));
    Copy2D copy = {.srcType = 2, .srcDevice = rows, .srcPitch = pitch, .srcX = 4, .srcY = 1, .dstType = 1, .dstHost = back,
                   .dstPitch = 16, .dstX = 4, .dstY = 1, .width = 8, .height = 3};
    memset(back, 0, sizeof back);
    OK(cuMemcpy2D_v2(&copy));
    for (int i = 0; i < 20; i++) IS(back[i], i >= 4 && i < 16 && (i % 4 == 1 || i % 4 == 2) ? 5 : 0);

    CUdeviceptr shared;
    int type = 0;
    OK(cuMemAllocManaged(&shared, 64, 1));
    *(unsigned *)(uintptr_t)shared = 77;
    OK(cuMemcpyDtoH_v2(back, shared, 4));
    IS(back[0], 77);
    OK(cuPointerGetAttribute(&type, 2, shared));
    IS(type, 2);
    OK(cuMemFree_v2(shared));
    OK(cuMemHostRegister_v2(host, sizeof host, 0));
    IS(cuMemHostRegister_v2(host + 4, 4, 0), 712);
    OK(cuPointerGetAttribute(&type, 2, (CUdeviceptr)(uintptr_t)host));
    IS(type, 1);
    OK(cuMemHostUnregister(host));
    IS(cuMemHostUnregister(host), 713);
    IS(cuPointerGetAttribute(&type, 2, (CUdeviceptr)(uintptr_t)host), 1);
}

/* What is queued is not done before the stream is: a missing synchronisation reads old bytes. */
static void asynchronous(void) {
    start();
    CUstream stream, other;
    CUdeviceptr a;
    int *pinned, pageable = 1, back;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamCreate(&other, 1));
    OK(cuMemAlloc_v2(&a, 4));
    OK(cuMemAllocHost_v2((void **)&pinned, 4));
    *pinned = -1;
    OK(cuMemsetD32_v2(a, 42, 1));
    OK(cuCtxSynchronize());

    close_gate();
    OK(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 4, stream));
    IS(*pinned, -1);
    IS(cuStreamQuery(stream), 600);
    OK(cuStreamQuery(other));
    open_gate();
    OK(cuStreamSynchronize(stream));
    IS(*pinned, 42);
    OK(cuStreamQuery(stream));

    close_gate();
    OK(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    OK(cuMemcpyHtoDAsync_v2(a, &pageable, 4, stream));
    pageable = 2;
    open_gate();
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyDtoH_v2(&back, a, 4));
    IS(back, 1);

    close_gate();
    *pinned = 3;
    OK(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    OK(cuMemcpyHtoDAsync_v2(a, pinned, 4, stream));
    *pinned = 4;
    open_gate();
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyDtoH_v2(&back, a, 4));
    IS(back, 4);

    CUevent before, after;
    float ms = -1;
    OK(cuEventCreate(&before, 0));
    OK(cuEventCreate(&after, 0));
    OK(cuEventQuery(after));
    IS(cuEventElapsedTime(&ms, before, after), 400);
    close_gate();
    OK(cuEventRecord(before, stream));
    OK(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    OK(cuMemsetD32Async(a, 9, 1, stream));
    OK(cuEventRecord(after, stream));
    OK(cuStreamWaitEvent(other, after, 0));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 4, other));
    IS(cuEventQuery(after), 600);
    IS(cuStreamQuery(other), 600);
    IS(cuEventElapsedTime(&ms, before, after), 600);
    open_gate();
    OK(cuStreamSynchronize(other));
    IS(*pinned, 9);
    OK(cuEventSynchronize(after));
    OK(cuEventElapsedTime(&ms, before, after));
    IS(ms >= 0, 1);
    OK(cuEventDestroy_v2(after));
    IS(cuEventDestroy_v2(after), 400);
    OK(cuStreamDestroy_v2(other));
    IS(cuStreamSynchronize(other), 400);

    /* A destroyed stream's work is still done, and the context waits for it. */
    close_gate();
    OK(cuLaunchHostFunc(stream, wait_for_gate, NULL));
    OK(cuMemsetD32Async(a, 11, 1, stream));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 4, stream));
    OK(cuStreamDestroy_v2(stream));
    IS(*pinned, 9);
    open_gate();
    OK(cuCtxSynchronize());
    IS(*pinned, 11);
}

/* The legacy default stream and blocking streams wait for each other; others do not. */
static void default_stream(void) {
    start();
    CUstream blocking, free_stream;
    CUdeviceptr a;
    int *pinned;
    OK(cuStreamCreate(&blocking, 0));
    OK(cuStreamCreate(&free_stream, 1));
    OK(cuMemAlloc_v2(&a, 4));
    OK(cuMemAllocHost_v2((void **)&pinned, 4));
    OK(cuMemsetD32_v2(a, 1, 1));
    OK(cuCtxSynchronize());

    close_gate();
    OK(cuLaunchHostFunc(blocking, wait_for_gate, NULL));
    OK(cuMemsetD32Async(a, 2, 1, NULL));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 4, free_stream));
    OK(cuStreamSynchronize(free_stream));
    IS(*pinned, 1);
    IS(cuStreamQuery(NULL), 600);
    open_gate();
    OK(cuStreamSynchronize(NULL));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 4, free_stream));
    OK(cuStreamSynchronize(free_stream));
    IS(*pinned, 2);

    close_gate();
    OK(cuLaunchHostFunc(NULL, wait_for_gate, NULL));
    OK(cuMemsetD32Async(a, 3, 1, blocking));
    IS(cuStreamQuery(blocking), 600);
    OK(cuStreamQuery(free_stream));
    open_gate();
    OK(cuStreamSynchronize(blocking));
    OK(cuMemcpyDtoH_v2(pinned, a, 4));
    IS(*pinned, 3);
}

static void capture(void) {
    start();
    CUstream stream, other;
    CUdeviceptr a;
    CUevent fork, join, outside;
    CUgraph graph = NULL;
    CUgraphExec exec;
    int status, back[2];
    size_t count = 0;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamCreate(&other, 1));
    OK(cuEventCreate(&fork, 2));
    OK(cuEventCreate(&join, 2));
    OK(cuEventCreate(&outside, 2));
    OK(cuMemAlloc_v2(&a, 8));
    OK(cuMemsetD32_v2(a, 0, 2));
    OK(cuEventRecord(outside, other));
    OK(cuCtxSynchronize());

    /* A fork and a join: two memsets side by side, then a copy. */
    int *pinned;
    OK(cuMemAllocHost_v2((void **)&pinned, 8));
    OK(cuStreamBeginCapture_v2(stream, 0));
    IS(cuStreamBeginCapture_v2(stream, 0), 401);
    OK(cuStreamIsCapturing(stream, &status));
    IS(status, 1);
    OK(cuEventRecord(fork, stream));
    OK(cuStreamWaitEvent(other, fork, 0));
    OK(cuMemsetD32Async(a, 5, 1, stream));
    OK(cuMemsetD32Async(a + 4, 6, 1, other));
    OK(cuEventRecord(join, other));
    OK(cuStreamWaitEvent(stream, join, 0));
    OK(cuMemcpyDtoHAsync_v2(pinned, a, 8, stream));
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphGetNodes(graph, NULL, &count));
    IS(count, 3);
    OK(cuGraphGetEdges(graph, NULL, NULL, &count));
    IS(count, 2);
    OK(cuMemcpyDtoH_v2(back, a, 8));
    IS(back[0] | back[1], 0);
    OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cuGraphDestroy(graph));
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    IS(pinned[0], 5);
    IS(pinned[1], 6);
    OK(cuGraphExecDestroy(exec));

    /* What may not be done meanwhile, and what it leaves behind. */
    IS(cuStreamBeginCapture_v2(NULL, 0), 900);
    OK(cuStreamBeginCapture_v2(stream, 0));
    IS(cuMemAlloc_v2(&a, 8), 900);
    IS(cuMemsetD32Async(a, 1, 1, stream), 901);
    OK(cuStreamIsCapturing(stream, &status));
    IS(status, 2);
    IS(cuStreamEndCapture(stream, &graph), 901);
    IS(graph == NULL, 1);
    IS(cuStreamEndCapture(stream, &graph), 401);

    OK(cuStreamBeginCapture_v2(stream, 2));
    IS(cuStreamSynchronize(stream), 900);
    IS(cuStreamEndCapture(stream, &graph), 901);
    OK(cuStreamBeginCapture_v2(stream, 2));
    IS(cuCtxSynchronize(), 900);
    IS(cuStreamEndCapture(stream, &graph), 901);

    OK(cuStreamBeginCapture_v2(stream, 0));
    OK(cuEventRecord(fork, stream));
    IS(cuEventQuery(fork), 907);
    IS(cuStreamEndCapture(stream, &graph), 901);

    OK(cuStreamBeginCapture_v2(stream, 0));
    IS(cuStreamWaitEvent(stream, outside, 0), 905);
    IS(cuStreamEndCapture(stream, &graph), 901);

    OK(cuStreamBeginCapture_v2(stream, 0));
    OK(cuEventRecord(fork, stream));
    OK(cuStreamWaitEvent(other, fork, 0));
    IS(cuStreamEndCapture(other, &graph), 903);
    IS(cuStreamEndCapture(stream, &graph), 901);

    OK(cuStreamBeginCapture_v2(stream, 0));
    OK(cuEventRecord(fork, stream));
    OK(cuStreamWaitEvent(other, fork, 0));
    OK(cuMemsetD32Async(a, 1, 1, other));
    IS(cuStreamEndCapture(stream, &graph), 904);
    OK(cuStreamIsCapturing(other, &status));
    IS(status, 0);

    OK(cuStreamBeginCapture_v2(stream, 0));
    OK(cuStreamBeginCapture_v2(other, 0));
    OK(cuEventRecord(fork, stream));
    IS(cuStreamWaitEvent(other, fork, 0), 902);
    IS(cuStreamEndCapture(other, &graph), 901);
    IS(cuStreamEndCapture(stream, &graph), 901);

    CUstream blocking;
    OK(cuStreamCreate(&blocking, 0));
    OK(cuStreamBeginCapture_v2(blocking, 2));
    IS(cuMemsetD32Async(a, 1, 1, NULL), 906);
    IS(cuStreamEndCapture(blocking, &graph), 901);
    OK(cuMemsetD32Async(a, 1, 1, NULL));
    OK(cuCtxSynchronize());
}

static void graph(void) {
    start();
    CUdeviceptr a;
    CUgraph graph;
    CUgraphNode first, second;
    CUgraphExec exec;
    int back[2] = {0, 0};
    OK(cuMemAlloc_v2(&a, 8));
    OK(cuGraphCreate(&graph, 0));
    MemsetNode one = {a, 0, 1, 4, 2, 1}, two = {a + 4, 0, 2, 4, 1, 1};
    OK(cuGraphAddMemsetNode(&first, graph, NULL, 0, &one, NULL));
    OK(cuGraphAddMemsetNode(&second, graph, &first, 1, &two, NULL));
    IS(cuGraphAddMemsetNode(&second, graph, (CUgraphNode[]){(CUgraphNode)0x77}, 1, &two, NULL), 1);
    OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cuGraphLaunch(exec, NULL));
    OK(cuMemcpyDtoH_v2(back, a, 8));
    IS(back[0], 1);
    IS(back[1], 2);
    two.value = 3;
    OK(cuGraphExecMemsetNodeSetParams(exec, second, &two, NULL));
    OK(cuGraphLaunch(exec, NULL));
    OK(cuMemcpyDtoH_v2(back, a, 8));
    IS(back[1], 3);
}

static void images(const char *file) {
    start();
    CUmodule module;
    CUfunction function;
    char log[256] = "";
    int options[2] = {5, 6};
    void *values[2] = {log, (void *)(uintptr_t)sizeof log};
    IS(cuModuleLoadDataEx(&module, "\177ELF\2\1\1", 2, options, values), 209);
    IS(strstr(log, "PTX") != NULL, 1);
    IS(cuModuleLoadDataEx(&module, "", 2, options, values), 200);
    IS(cuModuleLoadDataEx(&module, ".version 8.0\n.target sm_80\n.address_size 64\n.entry k() { conjure; }", 2, options,
                          values), 218);
    IS(strstr(log, "conjure") != NULL && strstr(log, "4") != NULL, 1);
    IS(cuModuleLoad(&module, "/no/such/file.ptx"), 301);
    IS(cuModuleLoad(&module, file), 0);
    IS(cuModuleGetFunction(&function, module, "no_such_kernel"), 500);
    OK(cuModuleUnload(module));
    IS(cuModuleUnload(module), 400);
    IS(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), 400);
}

/* The image's version is newer than SOFTCUDA_PTX, and the log says what helps. */
static void newer(void) {
    start();
    CUmodule module;
    char log[256] = "";
    int options[2] = {5, 6};
    void *values[2] = {log, (void *)(uintptr_t)sizeof log};
    IS(cuModuleLoadDataEx(&module, ".version 8.0\n.target sm_80\n.address_size 64\n", 2, options, values), 222);
    IS(strstr(log, "SOFTCUDA_PTX") != NULL, 1);
    OK(cuModuleLoadDataEx(&module, ".version 7.8\n.target sm_80\n.address_size 64\n", 2, options, values));
}

static void out_of_memory(void) {
    start();
    CUdeviceptr a, b;
    size_t left, total;
    OK(cuMemGetInfo_v2(&left, &total));
    IS(total, 1 << 20);
    OK(cuMemAlloc_v2(&a, 1 << 19));
    IS(cuMemAlloc_v2(&b, (1 << 19) + 1), 2);
    OK(cuMemFree_v2(a));
    OK(cuMemAlloc_v2(&b, 1 << 20));
}

static void leak(void) {
    CUdeviceptr kept, freed;
    start();
    OK(cuMemAlloc_v2(&kept, 24));
    OK(cuMemAlloc_v2(&freed, 48));
    OK(cuMemFree_v2(freed));
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "names")) names();
    else if (!strcmp(what, "order")) order();
    else if (!strcmp(what, "copies")) copies();
    else if (!strcmp(what, "asynchronous")) asynchronous();
    else if (!strcmp(what, "default_stream")) default_stream();
    else if (!strcmp(what, "capture")) capture();
    else if (!strcmp(what, "graph")) graph();
    else if (!strcmp(what, "images")) images(argv[2]);
    else if (!strcmp(what, "newer")) newer();
    else if (!strcmp(what, "out_of_memory")) out_of_memory();
    else if (!strcmp(what, "leak")) leak();
    else if (!strcmp(what, "init")) return cuInit(0);
    else return 99;
    return 0;
}
