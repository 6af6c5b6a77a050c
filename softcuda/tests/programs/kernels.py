"""Kernels in Python: launches through NVIDIA's cuda-bindings. The argument is a folder of PTX."""

import ctypes
import pathlib
import sys

from cuda.bindings import driver as cuda


def ok(answer):
    """The values that a call returns behind its result code, which must be success."""
    code, *values = answer
    if code != cuda.CUresult.CUDA_SUCCESS:
        sys.exit(f"{code}")
    return values[0] if len(values) == 1 else values


class Buffer:
    """Numbers on the host and on the device."""

    def __init__(self, values, kind=ctypes.c_float):
        self.values = (kind * len(values))(*values)
        self.size = ctypes.sizeof(self.values)
        self.address = ok(cuda.cuMemAlloc(self.size))
        ok(cuda.cuMemcpyHtoD(self.address, ctypes.addressof(self.values), self.size))

    def read(self):
        ok(cuda.cuMemcpyDtoH(ctypes.addressof(self.values), self.address, self.size))
        return list(self.values)

    def free(self):
        ok(cuda.cuMemFree(self.address))


def launch(file, kernel, grid, block, arguments, cooperative=False):
    """Launches a kernel with buffers and integers, and waits for it."""
    module = ok(cuda.cuModuleLoadData((folder / f"{file}.sm_80.ptx").read_bytes() + b"\0"))
    function = ok(cuda.cuModuleGetFunction(module, kernel.encode()))
    values = tuple(int(argument.address) if isinstance(argument, Buffer) else argument for argument in arguments)
    kinds = tuple(ctypes.c_void_p if isinstance(argument, Buffer) else ctypes.c_int for argument in arguments)
    if cooperative:
        cells = [kind(value) for kind, value in zip(kinds, values)]
        pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
        ok(cuda.cuLaunchCooperativeKernel(function, *grid, *block, 0, 0, ctypes.addressof(pointers)))
    else:
        ok(cuda.cuLaunchKernel(function, *grid, *block, 0, 0, (values, kinds), 0))
    ok(cuda.cuCtxSynchronize())
    ok(cuda.cuModuleUnload(module))


def check_product(kernel, n, tile, block):
    """Multiplies two n x n matrices of small integers, whose sums are exact."""
    a = [float(i * 7 % 11 - 5) for i in range(n * n)]
    b = [float(i * 5 % 13 - 6) for i in range(n * n)]
    buffers = [Buffer(a), Buffer(b), Buffer([0.0] * (n * n))]
    blocks = (n + tile - 1) // tile
    launch(kernel, kernel, (blocks, blocks, 1), block, [*buffers, n, n, n])
    columns = [b[column::n] for column in range(n)]
    rows = [a[row * n : row * n + n] for row in range(n)]
    expected = [sum(x * y for x, y in zip(row, column)) for row in rows for column in columns]
    assert buffers[2].read() == expected, kernel
    for buffer in buffers:
        buffer.free()


def check_reduce():
    """Sums by blocks, and by the block that ends last."""
    values = [float(i % 17 - 4) for i in range(5000)]
    numbers, partial, total = Buffer(values), Buffer([0.0] * 7), Buffer([0.0])
    counter = Buffer([0], ctypes.c_uint)
    launch("reduce", "reduce_partial", (7, 1, 1), (128, 1, 1), [numbers, partial, 5000])
    assert sum(partial.read()) == sum(values)
    launch("reduce", "reduce_last_block", (7, 1, 1), (128, 1, 1), [numbers, partial, total, counter, 5000])
    assert total.read() == [sum(values)] and counter.read() == [0]
    for buffer in (numbers, partial, total, counter):
        buffer.free()


def check_grid_barrier():
    """A mean of three over a ring of multiples of nine: two phases are exact."""
    values = [float(9 * (i * 5 % 23)) for i in range(300)]
    numbers, scratch, arrivals = Buffer(values), Buffer([0.0] * 300), Buffer([0], ctypes.c_uint)
    launch("grid_barrier", "grid_barrier", (5, 1, 1), (64, 1, 1), [numbers, scratch, arrivals, 300, 2], cooperative=True)
    for _ in range(2):
        values = [(values[i - 1] + values[i] + values[(i + 1) % 300]) / 3 for i in range(300)]
    assert numbers.read() == values and arrivals.read() == [10]
    for buffer in (numbers, scratch, arrivals):
        buffer.free()


folder = pathlib.Path(sys.argv[1])
ok(cuda.cuInit(0))
device = ok(cuda.cuDeviceGet(0))
context = ok(cuda.cuDevicePrimaryCtxRetain(device))
ok(cuda.cuCtxSetCurrent(context))
check_product("sgemm_naive", 50, 16, (16, 16, 1))
check_product("sgemm_tiled", 70, 32, (32, 32, 1))
check_product("sgemm_blocked", 128, 128, (256, 1, 1))
check_reduce()
check_grid_barrier()
ok(cuda.cuDevicePrimaryCtxRelease(device))
print("done")
