"""A CUDA program in Python: NVIDIA's cuda-bindings resolve every function by name and version."""

import ctypes
import sys

from cuda.bindings import driver as cuda


def ok(answer):
    """The values that a call returns behind its result code, which must be success."""
    code, *values = answer
    if code != cuda.CUresult.CUDA_SUCCESS:
        sys.exit(f"{code}")
    return values[0] if len(values) == 1 else values


ok(cuda.cuInit(0))
assert ok(cuda.cuDriverGetVersion()) == 13000
device = ok(cuda.cuDeviceGet(0))
assert ok(cuda.cuDeviceGetName(64, device)).startswith(b"softcuda")
context = ok(cuda.cuDevicePrimaryCtxRetain(device))
ok(cuda.cuCtxSetCurrent(context))
stream = ok(cuda.cuStreamCreate(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))

values = (ctypes.c_int * 256)(*range(256))
back = (ctypes.c_int * 256)()
size = ctypes.sizeof(values)
first, second = ok(cuda.cuMemAlloc(size)), ok(cuda.cuMemAllocAsync(size, stream))
ok(cuda.cuMemcpyHtoD(first, ctypes.addressof(values), size))
ok(cuda.cuMemcpyDtoDAsync(second, first, size, stream))
ok(cuda.cuMemcpyDtoHAsync(ctypes.addressof(back), second, size, stream))
ok(cuda.cuStreamSynchronize(stream))
assert list(back) == list(values)

ok(cuda.cuStreamBeginCapture(stream, cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
ok(cuda.cuMemsetD32Async(second, 9, 256, stream))
graph = ok(cuda.cuStreamEndCapture(stream))
executable = ok(cuda.cuGraphInstantiate(graph, 0))
ok(cuda.cuGraphLaunch(executable, stream))
ok(cuda.cuStreamSynchronize(stream))
ok(cuda.cuMemcpyDtoH(ctypes.addressof(back), second, size))
assert list(back) == [9] * 256

(code, *_rest) = cuda.cuMemAlloc(1 << 50)
assert code == cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY, code
assert ok(cuda.cuGetErrorName(code)) == b"CUDA_ERROR_OUT_OF_MEMORY"
start, end = (ok(cuda.cuEventCreate(0)) for _ in range(2))
ok(cuda.cuEventRecord(start, stream))
ok(cuda.cuEventRecord(end, stream))
ok(cuda.cuEventSynchronize(end))
assert ok(cuda.cuEventElapsedTime(start, end)) >= 0
ok(cuda.cuMemFreeAsync(second, stream))
ok(cuda.cuStreamSynchronize(stream))
ok(cuda.cuMemFree(first))
ok(cuda.cuDevicePrimaryCtxRelease(device))
print("done")
