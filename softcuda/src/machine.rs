//! The software device: settings, memory, what the checks know, and the counts. The driver's calls end here.

use crate::check::global::Order;
use crate::check::{Reporter, Sites};
use crate::counts::Counts;
use crate::memory::{Allocation, FreeError, Kind, Memory, OutOfMemory};
use crate::settings::Settings;

/// One device.
#[derive(Debug)]
pub struct Machine {
    /// How it was set up.
    pub settings: Settings,
    /// Its memory.
    pub memory: Memory,
    /// Where findings go.
    pub reporter: Reporter,
    /// What was executed and called.
    pub counts: Counts,
    /// Every instruction that was loaded.
    pub sites: Sites,
}

/// A copy or memset that reaches outside of all allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes at {address:#x} are not all device memory")]
pub struct OutOfBounds {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Machine {
    /// A device as `settings` describe it.
    ///
    /// # Errors
    /// The operating system does not give the addresses.
    pub fn new(settings: Settings) -> std::io::Result<Machine> {
        let memory = Memory::new(settings.memory, settings.checks.memory)?;
        Ok(Machine {
            memory,
            reporter: Reporter::new(settings.report.clone()),
            counts: Counts::new(settings.counts.clone()),
            sites: Sites::default(),
            settings,
        })
    }

    /// Allocates device memory.
    ///
    /// # Errors
    /// Beyond the capacity.
    pub fn allocate(&self, bytes: u64, kind: Kind) -> Result<u64, OutOfMemory> {
        self.memory.allocate(bytes, kind)
    }

    /// Frees what begins at `address`; a double free is reported if memory is checked.
    ///
    /// # Errors
    /// Nothing live begins there.
    pub fn free(&self, address: u64) -> Result<Allocation, FreeError> {
        self.memory.free(address)
    }

    /// Writes the initial value of a module's variable.
    pub fn initialise(&self, address: u64, bytes: &[u8]) {
        if let Ok(host) = self.host(address, bytes.len() as u64) {
            // SAFETY: `host` checked that so many bytes are accessible there.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host, bytes.len()) };
        }
    }

    /// Copies from the host to device memory on behalf of the driver's call `name`.
    ///
    /// # Errors
    /// Not all of the target is device memory.
    pub fn write(&self, order: &Order, name: &str, target: u64, source: &[u8]) -> Result<(), OutOfBounds> {
        let _ = (order, name);
        let host = self.host(target, source.len() as u64)?;
        // SAFETY: `host` checked that so many bytes are accessible there; the source is the host's own memory.
        unsafe { std::ptr::copy(source.as_ptr(), host, source.len()) };
        Ok(())
    }

    /// Copies from device memory to the host.
    ///
    /// # Errors
    /// Not all of the source is device memory.
    pub fn read(&self, order: &Order, name: &str, source: u64, target: &mut [u8]) -> Result<(), OutOfBounds> {
        let _ = (order, name);
        let host = self.host(source, target.len() as u64)?;
        // SAFETY: `host` checked that so many bytes are accessible there; the target is the host's own memory.
        unsafe { std::ptr::copy(host, target.as_mut_ptr(), target.len()) };
        Ok(())
    }

    /// Copies within device memory; the ranges may overlap.
    ///
    /// # Errors
    /// Not all of both is device memory.
    pub fn copy(&self, order: &Order, name: &str, target: u64, source: u64, bytes: u64) -> Result<(), OutOfBounds> {
        let _ = (order, name);
        let (from, to) = (self.host(source, bytes)?, self.host(target, bytes)?);
        // SAFETY: `host` checked that so many bytes are accessible at both; `copy` allows overlap.
        unsafe { std::ptr::copy(from, to, bytes as usize) };
        Ok(())
    }

    /// Fills `count` elements with `pattern` (1, 2 or 4 bytes).
    ///
    /// # Errors
    /// Not all of the target is device memory.
    pub fn fill(&self, order: &Order, name: &str, target: u64, pattern: &[u8], count: u64) -> Result<(), OutOfBounds> {
        let _ = (order, name);
        let bytes = count.checked_mul(pattern.len() as u64).ok_or(OutOfBounds { address: target, bytes: u64::MAX })?;
        let host = self.host(target, bytes)?;
        for index in 0..count as usize {
            // SAFETY: `host` checked that all elements are accessible.
            unsafe { std::ptr::copy(pattern.as_ptr(), host.add(index * pattern.len()), pattern.len()) };
        }
        Ok(())
    }

    fn host(&self, address: u64, bytes: u64) -> Result<*mut u8, OutOfBounds> {
        self.memory.translate(address, bytes).ok_or(OutOfBounds { address, bytes })
    }
}
