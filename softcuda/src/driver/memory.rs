//! Allocation of device, pinned and managed memory, and what can be asked about an address.

use super::abi::{In, Out, api};
use super::capture;
use super::code::{Code, Outcome};
use super::context::{Context, current};
use super::operation::Operation;
use super::state::{Driver, Handle, HostMemory, lock};
use super::stream;
use super::transfer::is_device;
use crate::memory::Kind;
use std::alloc::Layout;
use std::sync::Arc;

const PITCH: u64 = 512;
const HOST_ALIGNMENT: usize = 4096;

/// Allocates device memory for a context; what is queued to be freed is waited for before memory counts as used up.
pub fn allocate(driver: &Driver, context: &Context, bytes: u64) -> Outcome<u64> {
    if bytes == 0 {
        return Err(Code::INVALID_VALUE);
    }
    let first = driver.machine.allocate(bytes, Kind::Device);
    let address = first.or_else(|_| {
        context.finish(driver);
        driver.machine.allocate(bytes, Kind::Device).map_err(|_| Code::OUT_OF_MEMORY)
    })?;
    lock(&context.allocations).insert(address);
    Ok(address)
}

fn allocate_now(target: Out<u64>, bytes: u64) -> Outcome {
    let (driver, context) = current()?;
    capture::forbid_unsafe(driver)?;
    if target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    target.set(allocate(driver, &context, bytes)?)
}

fn allocate_pitch(target: Out<u64>, pitch: Out<u64>, width: u64, height: u64, element: u32) -> Outcome {
    let padded = width.checked_next_multiple_of(PITCH).ok_or(Code::INVALID_VALUE)?;
    let bytes = padded.checked_mul(height).ok_or(Code::OUT_OF_MEMORY)?;
    if !matches!(element, 4 | 8 | 16) || pitch.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    allocate_now(target, bytes)?;
    pitch.set(padded)
}

/// Frees device memory of a context at once.
pub fn free_now(driver: &Driver, context: &Context, address: u64) -> Outcome {
    lock(&context.allocations).remove(&address);
    driver.machine.free(address).map(|_| ()).map_err(|_| Code::INVALID_VALUE)
}

fn free(address: u64) -> Outcome {
    let (driver, context) = current()?;
    capture::forbid_unsafe(driver)?;
    if address == 0 {
        return Ok(());
    }
    context.finish(driver);
    let managed = lock(&driver.host).get(&address).is_some_and(|memory| memory.managed);
    if managed {
        return release_host(driver, address);
    }
    let variable = driver.machine.memory.find(address).is_some_and(|found| found.kind != Kind::Device);
    if variable {
        return Err(Code::INVALID_VALUE);
    }
    free_now(driver, &context, address)?;
    context.check()
}

fn allocate_host(bytes: u64, flags: u32, managed: bool) -> Outcome<u64> {
    let (driver, context) = current()?;
    capture::forbid_unsafe(driver)?;
    let size = usize::try_from(bytes).ok().filter(|size| *size > 0).ok_or(Code::INVALID_VALUE)?;
    let layout = Layout::from_size_align(size, HOST_ALIGNMENT).map_err(|_| Code::OUT_OF_MEMORY)?;
    // SAFETY: the layout has a size above zero.
    let address = unsafe { std::alloc::alloc_zeroed(layout) } as u64;
    if address == 0 {
        return Err(Code::OUT_OF_MEMORY);
    }
    let memory = HostMemory { bytes, flags, layout: Some(layout), managed, context: context.handle };
    lock(&driver.host).insert(address, memory);
    driver.machine.memory.register_host(address, bytes);
    Ok(address)
}

/// Frees memory that [`allocate_host`] gave out.
pub fn release_host(driver: &Driver, address: u64) -> Outcome {
    let memory = lock(&driver.host).remove(&address).ok_or(Code::INVALID_VALUE)?;
    let _ = driver.machine.free(address);
    if let Some(layout) = memory.layout {
        // SAFETY: the address was allocated with this layout, and the entry that said so has just been taken out.
        unsafe { std::alloc::dealloc(address as usize as *mut u8, layout) };
    }
    Ok(())
}

fn pinned(target: Out<u64>, bytes: u64, flags: u32) -> Outcome {
    const KNOWN: u32 = 7;
    if target.is_null() || flags & !KNOWN != 0 {
        return Err(Code::INVALID_VALUE);
    }
    target.set(allocate_host(bytes, flags, false)?)
}

fn managed(target: Out<u64>, bytes: u64, flags: u32) -> Outcome {
    if target.is_null() || !matches!(flags, 1 | 2) {
        return Err(Code::INVALID_VALUE);
    }
    target.set(allocate_host(bytes, flags, true)?)
}

fn free_host(address: u64) -> Outcome {
    let (driver, context) = current()?;
    if address == 0 {
        return Ok(());
    }
    context.finish(driver);
    let ours = lock(&driver.host).get(&address).is_some_and(|memory| memory.layout.is_some() && !memory.managed);
    if ours { release_host(driver, address) } else { Err(Code::INVALID_VALUE) }
}

fn register(address: u64, bytes: u64, flags: u32) -> Outcome {
    const KNOWN: u32 = 15;
    let (driver, context) = current()?;
    capture::forbid_unsafe(driver)?;
    let end = address.checked_add(bytes).ok_or(Code::INVALID_VALUE)?;
    if address == 0 || bytes == 0 || flags & !KNOWN != 0 || is_device(driver, address) {
        return Err(Code::INVALID_VALUE);
    }
    let mut host = lock(&driver.host);
    if host.range(..end).next_back().is_some_and(|(start, memory)| start + memory.bytes > address) {
        return Err(Code::HOST_MEMORY_ALREADY_REGISTERED);
    }
    host.insert(address, HostMemory { bytes, flags, layout: None, managed: false, context: context.handle });
    driver.machine.memory.register_host(address, bytes);
    Ok(())
}

fn unregister(address: u64) -> Outcome {
    let (driver, context) = current()?;
    context.finish(driver);
    let registered = lock(&driver.host).get(&address).is_some_and(|memory| memory.layout.is_none());
    if registered { release_host(driver, address) } else { Err(Code::HOST_MEMORY_NOT_REGISTERED) }
}

fn host_device_pointer(target: Out<u64>, address: u64, flags: u32) -> Outcome {
    let (driver, _) = current()?;
    if flags != 0 {
        return Err(Code::INVALID_VALUE);
    }
    driver.host_memory(address).ok_or(Code::INVALID_VALUE)?;
    target.set(address)
}

fn host_flags(target: Out<u32>, address: u64) -> Outcome {
    const DEVICE_MAP: u32 = 2;
    let (driver, _) = current()?;
    let (_, memory) = driver.host_memory(address).ok_or(Code::INVALID_VALUE)?;
    target.set(memory.flags | DEVICE_MAP)
}

fn info(free: Out<usize>, total: Out<usize>) -> Outcome {
    let (driver, _) = current()?;
    let (left, all) = driver.machine.memory.info();
    free.set(left as usize)?;
    total.set(all as usize)
}

fn address_range(base: Out<u64>, bytes: Out<usize>, address: u64) -> Outcome {
    let (driver, _) = current()?;
    let found = driver.machine.memory.find(address).ok_or(Code::NOT_FOUND)?;
    base.offer(found.start);
    bytes.offer(found.bytes as usize);
    Ok(())
}

fn allocate_in_order(target: Out<u64>, bytes: u64, stream: Handle) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    if target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    let address = allocate(driver, &context, bytes)?;
    if let Err(code) = context.submit(driver, &stream, Operation::Allocate) {
        free_now(driver, &context, address)?;
        return Err(code);
    }
    target.set(address)
}

fn free_in_order(address: u64, stream: Handle) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    if !lock(&context.allocations).contains(&address) {
        // The checks tell a second free from a stray address.
        let _ = driver.machine.free(address);
        return Err(Code::INVALID_VALUE);
    }
    context.submit(driver, &stream, Operation::Free(address))
}

fn prefetch(address: u64, bytes: u64, stream: Handle) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    check_managed(driver, address, bytes)?;
    context.submit(driver, &stream, Operation::Empty)
}

fn check_managed(driver: &Driver, address: u64, bytes: u64) -> Outcome {
    let (start, memory) =
        driver.host_memory(address).filter(|(_, memory)| memory.managed).ok_or(Code::INVALID_VALUE)?;
    let end = address.checked_add(bytes);
    if end.is_some_and(|end| end <= start + memory.bytes) { Ok(()) } else { Err(Code::INVALID_VALUE) }
}

fn advise(address: u64, bytes: u64, advice: u32) -> Outcome {
    let (driver, _) = current()?;
    if !(1..=6).contains(&advice) {
        return Err(Code::INVALID_VALUE);
    }
    check_managed(driver, address, bytes)
}

/// One attribute of an address: its value as an integer, and how many bytes of it the client gets.
fn attribute(driver: &Driver, context: &Arc<Context>, kind: u32, address: u64) -> Outcome<(u64, usize)> {
    let found = driver.machine.memory.find(address).ok_or(Code::INVALID_VALUE)?;
    let host = driver.host_memory(address);
    let is_managed = host.is_some_and(|(_, memory)| memory.managed);
    let on_host = host.is_some() && !is_managed;
    Ok(match kind {
        1 => (context.handle, 8),
        2 => (if on_host { 1 } else { 2 }, 4),
        3 => (address, 8),
        4 if host.is_some() => (address, 8),
        6 | 10 | 15 | 21 => (0, 4),
        7 | 20 => (found.number, 8),
        8 => (is_managed.into(), 4),
        9 => (0, 4),
        11 | 19 => (found.start, 8),
        12 | 18 => (found.bytes, 8),
        13 => (1, 4),
        14 => (0, 8),
        16 => (3, 4),
        17 => (0, 8),
        _ => return Err(Code::INVALID_VALUE),
    })
}

fn write_attribute(target: u64, value: u64, bytes: usize) -> Outcome {
    if bytes == 4 { Out::at(target).set(value as u32) } else { Out::at(target).set(value) }
}

fn pointer_attribute(target: u64, kind: u32, address: u64) -> Outcome {
    let (driver, context) = current()?;
    let (value, bytes) = attribute(driver, &context, kind, address)?;
    write_attribute(target, value, bytes)
}

/// Unlike the question for one attribute, that for several answers zeros for an address that is not known.
fn pointer_attributes(count: u32, kinds: In<u32>, targets: In<u64>, address: u64) -> Outcome {
    let (driver, context) = current()?;
    let (kinds, targets) = (kinds.list(count as usize)?, targets.list(count as usize)?);
    for (kind, target) in kinds.into_iter().zip(targets) {
        let (value, bytes) = attribute(driver, &context, kind, address).unwrap_or(match kind {
            9 => (-2i32 as u32 as u64, 4),
            2 | 6 | 8 | 10 | 13 | 15 | 16 | 21 => (0, 4),
            _ => (0, 8),
        });
        write_attribute(target, value, bytes)?;
    }
    Ok(())
}

fn set_pointer_attribute(value: In<u32>, kind: u32, address: u64) -> Outcome {
    const SYNC_MEMOPS: u32 = 6;
    let (driver, _) = current()?;
    value.get()?;
    driver.machine.memory.find(address).ok_or(Code::INVALID_VALUE)?;
    if kind == SYNC_MEMOPS { Ok(()) } else { Err(Code::INVALID_VALUE) }
}

api! {
    cuMemGetInfo_v2: (free: Out<usize>, total: Out<usize>) => info(free, total);
    cuMemAlloc_v2: (address: Out<u64>, bytes: u64) => allocate_now(address, bytes);
    cuMemAllocPitch_v2: (address: Out<u64>, pitch: Out<u64>, width: u64, height: u64, element: u32) =>
        allocate_pitch(address, pitch, width, height, element);
    cuMemFree_v2: (address: u64) => free(address);
    cuMemGetAddressRange_v2: (base: Out<u64>, bytes: Out<usize>, address: u64) => address_range(base, bytes, address);
    cuMemAllocHost_v2: (address: Out<u64>, bytes: u64) => pinned(address, bytes, 0);
    cuMemHostAlloc: (address: Out<u64>, bytes: u64, flags: u32) => pinned(address, bytes, flags);
    cuMemFreeHost: (address: u64) => free_host(address);
    cuMemHostRegister_v2: (address: u64, bytes: u64, flags: u32) => register(address, bytes, flags);
    cuMemHostUnregister: (address: u64) => unregister(address);
    cuMemHostGetDevicePointer_v2: (target: Out<u64>, address: u64, flags: u32) => host_device_pointer(target, address, flags);
    cuMemHostGetFlags: (flags: Out<u32>, address: u64) => host_flags(flags, address);
    cuMemAllocManaged: (address: Out<u64>, bytes: u64, flags: u32) => managed(address, bytes, flags);
    cuMemAllocAsync / cuMemAllocAsync_ptsz: (address: Out<u64>, bytes: u64, stream: Handle) =>
        allocate_in_order(address, bytes, stream);
    cuMemFreeAsync / cuMemFreeAsync_ptsz: (address: u64, stream: Handle) => free_in_order(address, stream);
    cuMemAllocFromPoolAsync / cuMemAllocFromPoolAsync_ptsz: (address: Out<u64>, bytes: u64, pool: Handle, stream: Handle) =>
        super::pool::check(pool).and_then(|()| allocate_in_order(address, bytes, stream));
    cuMemPrefetchAsync / cuMemPrefetchAsync_ptsz: (address: u64, bytes: u64, _device: i32, stream: Handle) =>
        prefetch(address, bytes, stream);
    cuMemPrefetchAsync_v2 / cuMemPrefetchAsync_v2_ptsz: (address: u64, bytes: u64, _location: u64, _flags: u32, stream: Handle) =>
        prefetch(address, bytes, stream);
    cuMemAdvise: (address: u64, bytes: u64, advice: u32, _device: i32) => advise(address, bytes, advice);
    cuMemAdvise_v2: (address: u64, bytes: u64, advice: u32, _location: u64) => advise(address, bytes, advice);
    cuPointerGetAttribute: (target: u64, kind: u32, address: u64) => pointer_attribute(target, kind, address);
    cuPointerGetAttributes: (count: u32, kinds: In<u32>, targets: In<u64>, address: u64) =>
        pointer_attributes(count, kinds, targets, address);
    cuPointerSetAttribute: (value: In<u32>, kind: u32, address: u64) => set_pointer_attribute(value, kind, address);
    cuIpcGetMemHandle: (_handle: u64, _address: u64) => Err(Code::NOT_SUPPORTED);
    cuIpcCloseMemHandle: (_address: u64) => Err(Code::NOT_SUPPORTED);
    cuIpcOpenMemHandle_v2: (_address: u64) => Err(Code::NOT_SUPPORTED);
    cuIpcOpenEventHandle: (_event: u64) => Err(Code::NOT_SUPPORTED);
    cuIpcGetEventHandle: (_handle: u64, _event: Handle) => Err(Code::NOT_SUPPORTED);
}
