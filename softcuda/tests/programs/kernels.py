"""Runs compiled kernels through cuda-bindings, against plain references: kernels.py FOLDER, which holds NAME.ptx."""

import array
import ctypes
import sys

from cuda.bindings import driver as cuda


def ok(answer):
    """The values that a call returns behind its result code, which must be success."""
    code, *values = answer
    if code != cuda.CUresult.CUDA_SUCCESS:
        sys.exit(f"{code}")
    return values[0] if len(values) == 1 else values


def upload(values):
    """A device buffer with the contents of an array."""
    address, length = values.buffer_info()
    buffer = ok(cuda.cuMemAlloc(length * values.itemsize))
    ok(cuda.cuMemcpyHtoD(buffer, address, length * values.itemsize))
    return buffer


def download(buffer, kind, count):
    """An array with the contents of a device buffer."""
    values = array.array(kind, [0] * count)
    ok(cuda.cuMemcpyDtoH(values.buffer_info()[0], buffer, count * values.itemsize))
    return values


def launch(name, kernel, grid, block, arguments, cooperative=False):
    """Launches a kernel; arguments are device buffers and integers of 32 bits."""
    with open(f"{sys.argv[1]}/{name}.ptx", "rb") as file:
        module = ok(cuda.cuModuleLoadData(file.read() + b"\0"))
    function = ok(cuda.cuModuleGetFunction(module, kernel.encode()))
    numbers = tuple(int(argument) for argument in arguments)
    kinds = tuple(ctypes.c_int if isinstance(argument, int) else ctypes.c_void_p for argument in arguments)
    if cooperative:
        held = [kind(number) for kind, number in zip(kinds, numbers)]
        pointers = (ctypes.c_void_p * len(held))(*[ctypes.addressof(one) for one in held])
        ok(cuda.cuLaunchCooperativeKernel(function, *grid, *block, 0, 0, ctypes.addressof(pointers)))
    else:
        ok(cuda.cuLaunchKernel(function, *grid, *block, 0, 0, (numbers, kinds), 0))
    ok(cuda.cuCtxSynchronize())


def integers(seed, count):
    """Small integers as f32: sums of their products are exact."""
    values = []
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        values.append(float((seed >> 24) % 9 - 4))
    return array.array("f", values)


def product(name, sizes, grid, block):
    """Holds a matrix product against three loops."""
    m, n, k = sizes
    a, b = integers(1, m * k), integers(2, k * n)
    result = upload(array.array("f", [0.0] * (m * n)))
    launch(name, name, grid, block, [upload(a), upload(b), result, m, n, k])
    columns = [b[j::n] for j in range(n)]
    rows = [a[i * k : (i + 1) * k] for i in range(m)]
    expected = [sum(x * y for x, y in zip(row, column)) for row in rows for column in columns]
    assert list(download(result, "f", m * n)) == expected, name


ok(cuda.cuInit(0))
device = ok(cuda.cuDeviceGet(0))
ok(cuda.cuCtxSetCurrent(ok(cuda.cuDevicePrimaryCtxRetain(device))))

product("sgemm_naive", (45, 33, 17), (3, 3, 1), (16, 16, 1))
product("sgemm_tiled", (45, 40, 33), (2, 2, 1), (32, 32, 1))
product("sgemm_blocked", (128, 128, 16), (1, 1, 1), (256, 1, 1))

values = integers(5, 3001)
total, counter = upload(array.array("f", [0.0])), upload(array.array("I", [0]))
partial = upload(array.array("f", [0.0] * 7))
launch("reduce", "reduce_last_block", (7, 1, 1), (128, 1, 1), [upload(values), partial, total, counter, len(values)])
assert download(total, "f", 1)[0] == sum(values)

count, phases = 300, 2
ring = upload(array.array("f", [float(3 * (index % 7)) for index in range(count)]))
scratch, arrivals = upload(array.array("f", [0.0] * count)), upload(array.array("I", [0]))
launch("grid_barrier", "grid_barrier", (5, 1, 1), (64, 1, 1), [ring, scratch, arrivals, count, phases], cooperative=True)
assert download(arrivals, "I", 1)[0] == 5 * phases
expected = [float(3 * (index % 7)) for index in range(count)]
for _ in range(phases):
    expected = [(expected[i - 1] + expected[i] + expected[(i + 1) % count]) / 3 for i in range(count)]
assert all(abs(x - y) <= 1e-5 for x, y in zip(download(ring, "f", count), expected))
print("done")
