//! The device's memory: one arena of addresses, the allocations in it, and what lies behind them on the host.

mod allocations;
mod mapping;

pub use allocations::{Allocation, Allocations, FreeError, Nearest, OutOfMemory, Ranges};
pub use mapping::{Mapping, PAGE};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where device addresses begin. Nothing of the host lies there: a host that follows a device pointer faults, as it does
/// beside a real device.
pub const DEVICE_BASE: u64 = 0x2000_0000_0000;

/// What kind of memory an allocation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Device memory.
    Device,
    /// Variables of a module.
    Module,
    /// Host memory that kernels may use at its own address: pinned, mapped, registered or managed.
    Host,
}

/// All memory that kernels can reach.
#[derive(Debug)]
pub struct Memory {
    backing: Mapping,
    allocations: Mutex<Allocations>,
}

impl Memory {
    /// A device of `capacity` bytes. Addresses are not used again before the others are: `exact` keeps a gap between
    /// allocations and refuses accesses to it, otherwise whole pages are accessible, as on hardware.
    ///
    /// # Errors
    /// The operating system does not give the addresses.
    pub fn new(capacity: u64, exact: bool) -> std::io::Result<Memory> {
        let span = (capacity.saturating_mul(4)).clamp(64 << 30, 8 << 40);
        Ok(Memory {
            backing: Mapping::reserve(span)?,
            allocations: Mutex::new(Allocations::new(DEVICE_BASE, span, capacity, exact)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Allocations> {
        self.allocations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of address space, from [`DEVICE_BASE`].
    pub fn span(&self) -> u64 {
        self.backing.bytes()
    }

    /// Allocates device memory.
    ///
    /// # Errors
    /// [`OutOfMemory`] beyond the device's capacity.
    pub fn allocate(&self, bytes: u64, kind: Kind) -> Result<u64, OutOfMemory> {
        self.lock().allocate(bytes, kind)
    }

    /// Makes host memory known that kernels may use at its own address.
    pub fn register_host(&self, address: u64, bytes: u64) {
        self.lock().register_host(address, bytes);
    }

    /// Frees the allocation that begins at `address` and gives its pages back.
    ///
    /// # Errors
    /// No live allocation begins there.
    pub fn free(&self, address: u64) -> Result<Allocation, FreeError> {
        let freed = self.lock().free(address)?;
        if freed.kind != Kind::Host {
            self.backing.release(freed.start - DEVICE_BASE, freed.bytes);
        }
        Ok(freed)
    }

    /// The live allocation that holds `address`.
    pub fn find(&self, address: u64) -> Option<Allocation> {
        self.lock().find(address)
    }

    /// The allocation that holds `address`, live or freed, or the one nearest to it.
    pub fn nearest(&self, address: u64) -> Option<Nearest> {
        self.lock().nearest(address)
    }

    /// All live allocations.
    pub fn live(&self) -> Vec<Allocation> {
        self.lock().live()
    }

    /// Bytes still free, and bytes in all.
    pub fn info(&self) -> (u64, u64) {
        self.lock().info()
    }

    /// The accessible ranges as they are now.
    pub fn ranges(&self) -> Arc<Ranges> {
        self.lock().ranges()
    }

    /// The host's address of `bytes` bytes at a device address; none if they are not all accessible.
    pub fn translate(&self, address: u64, bytes: u64) -> Option<*mut u8> {
        if bytes > 0 && !self.ranges().contains(address, bytes) {
            return None;
        }
        Some(self.view().host(address))
    }

    /// The way from device addresses to host addresses.
    pub fn view(&self) -> View {
        View { device: self.backing.address(), span: self.backing.bytes() }
    }
}

/// Turns device addresses into host addresses.
#[derive(Clone, Copy, Debug)]
pub struct View {
    device: u64,
    span: u64,
}

impl View {
    /// The host's address of a device address; that of registered host memory is itself.
    #[inline(always)]
    pub fn host(self, address: u64) -> *mut u8 {
        let offset = address.wrapping_sub(DEVICE_BASE);
        let host = if offset < self.span { self.device.wrapping_add(offset) } else { address };
        host as usize as *mut u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bytes_are_read_back_and_neighbours_are_out_of_reach() {
        let memory = Memory::new(1 << 20, true).unwrap();
        let address = memory.allocate(100, Kind::Device).unwrap();
        let host = memory.translate(address, 100).unwrap();
        // SAFETY: `translate` gave 100 accessible bytes.
        unsafe { host.write_bytes(7, 100) };
        // SAFETY: the same bytes.
        assert_eq!(unsafe { *memory.translate(address + 99, 1).unwrap() }, 7);
        assert!(memory.translate(address, 101).is_none());
        assert!(memory.translate(address - 1, 1).is_none());
        memory.free(address).unwrap();
        assert!(memory.translate(address, 1).is_none());
    }
}
