//! Copies and fills, in one to three dimensions.

use super::abi::{In, api};
use super::capture;
use super::code::{Code, Outcome};
use super::operation::Operation;
use super::state::{Driver, Handle, lock};
use super::stream;
use crate::check::Order;
use crate::machine::OutOfBounds;
use crate::memory::{DEVICE_BASE, Kind};
use std::sync::Arc;

/// Where one side of a copy lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The first address.
    pub address: u64,
    /// Bytes from row to row.
    pub pitch: u64,
    /// Bytes from slice to slice.
    pub slice: u64,
    /// Whether the client says that the device's memory is meant.
    pub device: bool,
}

/// An address, with what the client says that it is.
#[derive(Clone, Copy)]
enum Named {
    Host(u64),
    Device(u64),
    Any(u64),
}

use Named::{Any, Device, Host};

/// A copy of `depth` slices of `height` rows of `width` bytes.
#[derive(Clone)]
pub struct Copy3 {
    /// The call that it comes from.
    pub name: &'static str,
    /// To where.
    pub target: Side,
    /// From where.
    pub source: Side,
    /// Bytes of a row.
    pub width: u64,
    /// Rows of a slice.
    pub height: u64,
    /// Slices.
    pub depth: u64,
    /// The source's bytes row by row, where they were taken when the call was made.
    staged: Option<Arc<Vec<u8>>>,
}

/// A fill of `height` rows of `width` elements.
#[derive(Clone)]
pub struct Fill {
    /// The call that it comes from.
    pub name: &'static str,
    /// The first address.
    pub address: u64,
    /// Bytes from row to row.
    pub pitch: u64,
    /// The element, of which the first `bytes` bytes count.
    pub value: u32,
    /// Bytes of an element: 1, 2 or 4.
    pub bytes: u32,
    /// Elements of a row.
    pub width: u64,
    /// Rows.
    pub height: u64,
}

/// What kind of memory an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Device,
    /// Pinned, registered or managed.
    Pinned,
    Pageable,
}

/// Whether an address is one of the device's own.
pub fn is_device(driver: &Driver, address: u64) -> bool {
    (DEVICE_BASE..DEVICE_BASE + driver.machine.memory.span()).contains(&address)
}

fn place(driver: &Driver, address: u64) -> Place {
    if is_device(driver, address) {
        Place::Device
    } else if driver.host_memory(address).is_some() {
        Place::Pinned
    } else {
        Place::Pageable
    }
}

/// Whether `bytes` bytes from `address` lie in one allocation.
fn is_allocated(driver: &Driver, address: u64, bytes: u64) -> bool {
    let end = address.checked_add(bytes);
    driver.machine.memory.find(address).is_some_and(|found| end.is_some_and(|end| end <= found.end()))
}

/// The host's bytes at an address.
fn host_bytes<'a>(address: u64, bytes: u64) -> &'a mut [u8] {
    // SAFETY: the client names this range of its own memory for a copy and leaves it alone until the copy is done.
    unsafe { std::slice::from_raw_parts_mut(address as usize as *mut u8, bytes as usize) }
}

impl Copy3 {
    /// A copy of one row.
    fn row(name: &'static str, target: Named, source: Named, bytes: u64) -> Copy3 {
        let side = |named| match named {
            Host(address) | Any(address) => Side { address, pitch: bytes, slice: bytes, device: false },
            Device(address) => Side { address, pitch: bytes, slice: bytes, device: true },
        };
        Copy3 { name, target: side(target), source: side(source), width: bytes, height: 1, depth: 1, staged: None }
    }

    fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0 || self.depth == 0
    }

    /// Bytes from the first to the last of a side; none if they are more than addresses go.
    fn extent(&self, side: &Side) -> Option<u64> {
        let slices = side.slice.checked_mul(self.depth - 1)?;
        side.pitch.checked_mul(self.height - 1)?.checked_add(slices)?.checked_add(self.width)
    }

    /// Checks that both sides can be what they are said to be. What is out of bounds is reported as such.
    fn check(&self, driver: &Driver) -> Outcome {
        for (side, writes) in [(&self.target, true), (&self.source, false)] {
            let rows = (self.height == 1 || side.pitch >= self.width) && (self.depth == 1 || side.slice >= side.pitch);
            let extent = self.extent(side).filter(|_| rows && side.address != 0).ok_or(Code::INVALID_VALUE)?;
            let device = side.device || place(driver, side.address) == Place::Device;
            if device && !is_allocated(driver, side.address, extent) {
                report_stray(driver, self.name, side.address, extent, writes);
                return Err(Code::INVALID_VALUE);
            }
        }
        Ok(())
    }

    /// The rows: addresses of target and source, and where the row begins among staged bytes.
    fn rows(&self) -> impl Iterator<Item = (u64, u64, usize)> + '_ {
        (0..self.depth).flat_map(move |z| {
            (0..self.height).map(move |y| {
                let at = |side: &Side| side.address + z * side.slice + y * side.pitch;
                (at(&self.target), at(&self.source), ((z * self.height + y) * self.width) as usize)
            })
        })
    }

    /// The same copy as few rows as can be.
    fn flattened(&self) -> Copy3 {
        let mut flat = self.clone();
        if flat.height == 1 || (flat.target.pitch == flat.width && flat.source.pitch == flat.width) {
            let whole = flat.width * flat.height;
            if flat.depth == 1 || (flat.target.slice == whole && flat.source.slice == whole) {
                (flat.width, flat.height, flat.depth) = (whole * flat.depth, 1, 1);
            }
        }
        flat
    }

    fn stage(&mut self) {
        let rows = self.rows().flat_map(|(_, source, _)| host_bytes(source, self.width).to_vec());
        self.staged = Some(Arc::new(rows.collect()));
    }

    /// Copies.
    pub fn run(&self, driver: &Driver, order: &Order) -> Outcome {
        if self.is_empty() {
            return Ok(());
        }
        let copy = if self.staged.is_some() { self.clone() } else { self.flattened() };
        for (target, source, offset) in copy.rows() {
            copy.run_row(driver, order, target, source, offset).map_err(|_| Code::ILLEGAL_ADDRESS)?;
        }
        Ok(())
    }

    fn run_row(
        &self,
        driver: &Driver,
        order: &Order,
        target: u64,
        source: u64,
        offset: usize,
    ) -> Result<(), OutOfBounds> {
        let (machine, width) = (&driver.machine, self.width);
        let staged = self.staged.as_ref().map(|bytes| &bytes[offset..offset + width as usize]);
        match (is_device(driver, target), staged) {
            (true, Some(bytes)) => machine.write(order, self.name, target, bytes),
            (false, Some(bytes)) => {
                host_bytes(target, width).copy_from_slice(bytes);
                Ok(())
            }
            (to_device, None) => match (to_device, is_device(driver, source)) {
                (true, true) => machine.copy(order, self.name, target, source, width),
                (true, false) => machine.write(order, self.name, target, host_bytes(source, width)),
                (false, true) => machine.read(order, self.name, source, host_bytes(target, width)),
                (false, false) => {
                    // SAFETY: both are ranges of the client's own memory that it named for this copy; they may overlap.
                    unsafe { std::ptr::copy(source as *const u8, target as *mut u8, width as usize) };
                    Ok(())
                }
            },
        }
    }
}

/// Lets the checks report an access that the driver refuses: it is made by the rules of the device, where it fails.
fn report_stray(driver: &Driver, name: &str, address: u64, bytes: u64, writes: bool) {
    if !driver.machine.settings.checks.memory || driver.machine.memory.translate(address, bytes).is_some() {
        return;
    }
    let order = Order { stream: 0, sequence: 0, after: Arc::default() };
    let _ = match writes {
        true => driver.machine.fill(&order, name, address, &[0], bytes),
        false => driver.machine.copy(&order, name, address, address, bytes),
    };
}

/// When the call returns, as the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    /// After the copy.
    Done,
    /// At once.
    Queued,
}

fn copy(mut copy: Copy3, stream: Handle, returns: Return) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    if returns == Return::Done {
        capture::forbid_unsafe(driver)?;
    }
    if copy.is_empty() {
        return Ok(());
    }
    copy.check(driver)?;
    let (target, source) = (place(driver, copy.target.address), place(driver, copy.source.address));
    let capturing = lock(&stream.capturing).is_some();
    // Pageable memory cannot be reached by the device: the driver takes the bytes at once, or waits with the caller.
    if returns == Return::Queued && source == Place::Pageable && !capturing {
        copy.stage();
    }
    context.submit(driver, &stream, Operation::Copy(copy))?;
    let waits = match returns {
        Return::Done => (target, source) != (Place::Device, Place::Device),
        Return::Queued => target == Place::Pageable,
    };
    if waits && !capturing {
        context.finish_stream(driver, &stream);
        return context.check();
    }
    Ok(())
}

/// As `cuMemcpy2D` describes a copy.
#[repr(C)]
#[derive(Clone, Copy)]
struct Side2 {
    x: u64,
    y: u64,
    kind: u32,
    host: u64,
    device: u64,
    array: u64,
    pitch: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Description2 {
    source: Side2,
    target: Side2,
    width: u64,
    height: u64,
}

/// As `cuMemcpy3D` describes one side of a copy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Side3 {
    x: u64,
    y: u64,
    z: u64,
    level: u64,
    kind: u32,
    host: u64,
    device: u64,
    array: u64,
    context: u64,
    pitch: u64,
    height: u64,
}

/// A copy as `cuMemcpy3D` describes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Description3 {
    source: Side3,
    target: Side3,
    width: u64,
    height: u64,
    depth: u64,
}

impl Side2 {
    fn widened(self, height: u64) -> Side3 {
        let Side2 { x, y, kind, host, device, array, pitch } = self;
        Side3 { x, y, kind, host, device, array, pitch, height: y + height, ..Side3::default() }
    }
}

impl Side3 {
    /// Where it begins. There are no arrays on this device.
    fn resolve(&self, description: &Description3) -> Outcome<Side> {
        const HOST: u32 = 1;
        const DEVICE: u32 = 2;
        const UNIFIED: u32 = 4;
        let base = match self.kind {
            HOST => self.host,
            DEVICE | UNIFIED => self.device,
            _ => return Err(Code::NOT_SUPPORTED),
        };
        let pitch = if self.pitch == 0 { description.width.saturating_add(self.x) } else { self.pitch };
        let rows = if self.height == 0 { description.height } else { self.height };
        let slice = pitch.checked_mul(rows).ok_or(Code::INVALID_VALUE)?;
        let offset = self.z.checked_mul(slice).and_then(|bytes| bytes.checked_add(self.y.checked_mul(pitch)?));
        let address = offset.and_then(|bytes| base.checked_add(bytes)?.checked_add(self.x));
        Ok(Side { address: address.ok_or(Code::INVALID_VALUE)?, pitch, slice, device: self.kind == DEVICE })
    }
}

impl Description3 {
    /// The copy that is described.
    pub fn resolve(&self, name: &'static str) -> Outcome<Copy3> {
        let (target, source) = (self.target.resolve(self)?, self.source.resolve(self)?);
        let (width, height, depth) = (self.width, self.height, self.depth);
        Ok(Copy3 { name, target, source, width, height, depth, staged: None })
    }

    /// The description of a copy.
    pub fn of(copy: &Copy3) -> Description3 {
        let side = |side: &Side| {
            let height = side.slice.checked_div(side.pitch).unwrap_or(0);
            Side3 { kind: 4, device: side.address, pitch: side.pitch, height, ..Side3::default() }
        };
        let (source, target) = (side(&copy.source), side(&copy.target));
        Description3 { source, target, width: copy.width, height: copy.height, depth: copy.depth }
    }
}

fn copy_2d(name: &'static str, description: In<Description2>, stream: Handle, returns: Return) -> Outcome {
    let Description2 { source, target, width, height } = description.get()?;
    let (source, target) = (source.widened(height), target.widened(height));
    copy(Description3 { source, target, width, height, depth: 1 }.resolve(name)?, stream, returns)
}

fn copy_3d(name: &'static str, description: In<Description3>, stream: Handle, returns: Return) -> Outcome {
    copy(description.get()?.resolve(name)?, stream, returns)
}

impl Fill {
    fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Checks that all elements can be filled.
    pub fn check(&self, driver: &Driver) -> Outcome {
        let row = self.width.checked_mul(u64::from(self.bytes));
        let extent = row.and_then(|row| self.pitch.checked_mul(self.height.saturating_sub(1))?.checked_add(row));
        let extent = extent.ok_or(Code::INVALID_VALUE)?;
        let fits = self.height <= 1 || row.is_some_and(|row| row <= self.pitch);
        if !matches!(self.bytes, 1 | 2 | 4) || !self.address.is_multiple_of(u64::from(self.bytes)) || !fits {
            return Err(Code::INVALID_VALUE);
        }
        if !self.is_empty() && !is_allocated(driver, self.address, extent) {
            report_stray(driver, self.name, self.address, extent, true);
            return Err(Code::INVALID_VALUE);
        }
        Ok(())
    }

    /// Fills.
    pub fn run(&self, driver: &Driver, order: &Order) -> Outcome {
        let pattern = &self.value.to_le_bytes()[..self.bytes as usize];
        for row in 0..self.height {
            let address = self.address + row * self.pitch;
            let filled = driver.machine.fill(order, self.name, address, pattern, self.width);
            filled.map_err(|_| Code::ILLEGAL_ADDRESS)?;
        }
        Ok(())
    }
}

fn fill(fill: Fill, stream: Handle, returns: Return) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    if returns == Return::Done {
        capture::forbid_unsafe(driver)?;
    }
    fill.check(driver)?;
    let host = driver.machine.memory.find(fill.address).is_some_and(|found| found.kind == Kind::Host);
    context.submit(driver, &stream, Operation::Fill(fill))?;
    if host && returns == Return::Done {
        context.finish_stream(driver, &stream);
    }
    Ok(())
}

fn fill_row(name: &'static str, address: u64, value: u32, bytes: u32, width: u64) -> Fill {
    Fill { name, address, pitch: 0, value, bytes, width, height: 1 }
}

fn fill_rows(name: &'static str, address: u64, pitch: u64, value: u32, bytes: u32, size: [u64; 2]) -> Fill {
    Fill { name, address, pitch, value, bytes, width: size[0], height: size[1] }
}

api! {
    cuMemcpy / cuMemcpy_ptds: (target: u64, source: u64, bytes: u64) =>
        copy(Copy3::row("cuMemcpy", Any(target), Any(source), bytes), 0, Return::Done);
    cuMemcpyHtoD_v2 / cuMemcpyHtoD_v2_ptds: (target: u64, source: u64, bytes: u64) =>
        copy(Copy3::row("cuMemcpyHtoD", Device(target), Host(source), bytes), 0, Return::Done);
    cuMemcpyDtoH_v2 / cuMemcpyDtoH_v2_ptds: (target: u64, source: u64, bytes: u64) =>
        copy(Copy3::row("cuMemcpyDtoH", Host(target), Device(source), bytes), 0, Return::Done);
    cuMemcpyDtoD_v2 / cuMemcpyDtoD_v2_ptds: (target: u64, source: u64, bytes: u64) =>
        copy(Copy3::row("cuMemcpyDtoD", Device(target), Device(source), bytes), 0, Return::Done);
    cuMemcpyPeer / cuMemcpyPeer_ptds: (target: u64, _to: Handle, source: u64, _from: Handle, bytes: u64) =>
        copy(Copy3::row("cuMemcpyPeer", Device(target), Device(source), bytes), 0, Return::Done);
    cuMemcpyAsync / cuMemcpyAsync_ptsz: (target: u64, source: u64, bytes: u64, stream: Handle) =>
        copy(Copy3::row("cuMemcpyAsync", Any(target), Any(source), bytes), stream, Return::Queued);
    cuMemcpyHtoDAsync_v2 / cuMemcpyHtoDAsync_v2_ptsz: (target: u64, source: u64, bytes: u64, stream: Handle) =>
        copy(Copy3::row("cuMemcpyHtoDAsync", Device(target), Host(source), bytes), stream, Return::Queued);
    cuMemcpyDtoHAsync_v2 / cuMemcpyDtoHAsync_v2_ptsz: (target: u64, source: u64, bytes: u64, stream: Handle) =>
        copy(Copy3::row("cuMemcpyDtoHAsync", Host(target), Device(source), bytes), stream, Return::Queued);
    cuMemcpyDtoDAsync_v2 / cuMemcpyDtoDAsync_v2_ptsz: (target: u64, source: u64, bytes: u64, stream: Handle) =>
        copy(Copy3::row("cuMemcpyDtoDAsync", Device(target), Device(source), bytes), stream, Return::Queued);
    cuMemcpyPeerAsync / cuMemcpyPeerAsync_ptsz: (target: u64, _to: Handle, source: u64, _from: Handle, bytes: u64, stream: Handle) =>
        copy(Copy3::row("cuMemcpyPeerAsync", Device(target), Device(source), bytes), stream, Return::Queued);
    cuMemcpy2D_v2 / cuMemcpy2D_v2_ptds: (description: In<Description2>) => copy_2d("cuMemcpy2D", description, 0, Return::Done);
    cuMemcpy2DUnaligned_v2 / cuMemcpy2DUnaligned_v2_ptds: (description: In<Description2>) =>
        copy_2d("cuMemcpy2DUnaligned", description, 0, Return::Done);
    cuMemcpy2DAsync_v2 / cuMemcpy2DAsync_v2_ptsz: (description: In<Description2>, stream: Handle) =>
        copy_2d("cuMemcpy2DAsync", description, stream, Return::Queued);
    cuMemcpy3D_v2 / cuMemcpy3D_v2_ptds: (description: In<Description3>) => copy_3d("cuMemcpy3D", description, 0, Return::Done);
    cuMemcpy3DAsync_v2 / cuMemcpy3DAsync_v2_ptsz: (description: In<Description3>, stream: Handle) =>
        copy_3d("cuMemcpy3DAsync", description, stream, Return::Queued);
    cuMemcpy3DPeer / cuMemcpy3DPeer_ptds: (description: In<Description3>) =>
        copy_3d("cuMemcpy3DPeer", description, 0, Return::Done);
    cuMemcpy3DPeerAsync / cuMemcpy3DPeerAsync_ptsz: (description: In<Description3>, stream: Handle) =>
        copy_3d("cuMemcpy3DPeerAsync", description, stream, Return::Queued);
    cuMemsetD8_v2 / cuMemsetD8_v2_ptds: (address: u64, value: u8, count: u64) =>
        fill(fill_row("cuMemsetD8", address, value.into(), 1, count), 0, Return::Done);
    cuMemsetD16_v2 / cuMemsetD16_v2_ptds: (address: u64, value: u16, count: u64) =>
        fill(fill_row("cuMemsetD16", address, value.into(), 2, count), 0, Return::Done);
    cuMemsetD32_v2 / cuMemsetD32_v2_ptds: (address: u64, value: u32, count: u64) =>
        fill(fill_row("cuMemsetD32", address, value, 4, count), 0, Return::Done);
    cuMemsetD8Async / cuMemsetD8Async_ptsz: (address: u64, value: u8, count: u64, stream: Handle) =>
        fill(fill_row("cuMemsetD8Async", address, value.into(), 1, count), stream, Return::Queued);
    cuMemsetD16Async / cuMemsetD16Async_ptsz: (address: u64, value: u16, count: u64, stream: Handle) =>
        fill(fill_row("cuMemsetD16Async", address, value.into(), 2, count), stream, Return::Queued);
    cuMemsetD32Async / cuMemsetD32Async_ptsz: (address: u64, value: u32, count: u64, stream: Handle) =>
        fill(fill_row("cuMemsetD32Async", address, value, 4, count), stream, Return::Queued);
    cuMemsetD2D8_v2 / cuMemsetD2D8_v2_ptds: (address: u64, pitch: u64, value: u8, width: u64, height: u64) =>
        fill(fill_rows("cuMemsetD2D8", address, pitch, value.into(), 1, [width, height]), 0, Return::Done);
    cuMemsetD2D16_v2 / cuMemsetD2D16_v2_ptds: (address: u64, pitch: u64, value: u16, width: u64, height: u64) =>
        fill(fill_rows("cuMemsetD2D16", address, pitch, value.into(), 2, [width, height]), 0, Return::Done);
    cuMemsetD2D32_v2 / cuMemsetD2D32_v2_ptds: (address: u64, pitch: u64, value: u32, width: u64, height: u64) =>
        fill(fill_rows("cuMemsetD2D32", address, pitch, value, 4, [width, height]), 0, Return::Done);
    cuMemsetD2D8Async / cuMemsetD2D8Async_ptsz: (address: u64, pitch: u64, value: u8, width: u64, height: u64, stream: Handle) =>
        fill(fill_rows("cuMemsetD2D8Async", address, pitch, value.into(), 1, [width, height]), stream, Return::Queued);
    cuMemsetD2D16Async / cuMemsetD2D16Async_ptsz: (address: u64, pitch: u64, value: u16, width: u64, height: u64, stream: Handle) =>
        fill(fill_rows("cuMemsetD2D16Async", address, pitch, value.into(), 2, [width, height]), stream, Return::Queued);
    cuMemsetD2D32Async / cuMemsetD2D32Async_ptsz: (address: u64, pitch: u64, value: u32, width: u64, height: u64, stream: Handle) =>
        fill(fill_rows("cuMemsetD2D32Async", address, pitch, value, 4, [width, height]), stream, Return::Queued);
}
