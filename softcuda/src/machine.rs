//! The software device: settings, memory, what the checks know, and the counts. The driver's calls end here.

use crate::check::global::{GlobalShadow, Kind as AccessKind, Order, Race, RacingAccess};
use crate::check::{Check, Other, Report, Reporter, Sites};
use crate::chip::Chip;
use crate::counts::Counts;
use crate::memory::{Allocation, DEVICE_BASE, FreeError, Kind, Memory, OutOfMemory};
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
    /// What was written, and by whom, where that is checked.
    pub shadow: Option<GlobalShadow>,
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
        let shadowed = settings.checks.init || settings.checks.race;
        let shadow = if shadowed { Some(GlobalShadow::new(DEVICE_BASE, memory.span())?) } else { None };
        let (reporter, counts) = (Reporter::new(settings.report.clone()), Counts::new(settings.counts.clone()));
        Ok(Machine { memory, reporter, counts, sites: Sites::default(), shadow, settings })
    }

    /// The chip that it stands for.
    pub fn chip(&self) -> Chip {
        Chip::of(self.settings.compute_capability)
    }

    /// Allocates device memory, which nothing has written yet.
    ///
    /// # Errors
    /// Beyond the capacity.
    pub fn allocate(&self, bytes: u64, kind: Kind) -> Result<u64, OutOfMemory> {
        let address = self.memory.allocate(bytes, kind)?;
        if let Some(shadow) = &self.shadow {
            shadow.mark_unwritten(address, bytes);
        }
        Ok(address)
    }

    /// Frees what begins at `address`; one that is not allocated is reported if memory is checked.
    ///
    /// # Errors
    /// Nothing live begins there.
    pub fn free(&self, address: u64) -> Result<Allocation, FreeError> {
        let freed = self.memory.free(address);
        if let Err(error) = freed
            && self.settings.checks.memory
        {
            let check = if matches!(error, FreeError::Freed(_)) { Check::DoubleFree } else { Check::InvalidFree };
            let nearest = self.memory.nearest(address).map_or(String::new(), |near| format!("; it is {near}"));
            self.reporter.add(Report::of_host(check, "cuMemFree", address, format!("{error}{nearest}")));
            self.reporter.flush();
        }
        freed
    }

    /// Writes the initial value of a module's variable.
    pub fn initialise(&self, address: u64, bytes: &[u8]) {
        if let Ok(host) = self.host(address, bytes.len() as u64) {
            // SAFETY: `host` checked that so many bytes are accessible there.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host, bytes.len()) };
            self.written(address, bytes.len() as u64);
        }
    }

    /// Copies from the host to device memory on behalf of the driver's call `name`.
    ///
    /// # Errors
    /// Not all of the target is device memory.
    pub fn write(&self, order: &Order, name: &str, target: u64, source: &[u8]) -> Result<(), OutOfBounds> {
        let bytes = source.len() as u64;
        let host = self.reach(name, target, bytes)?;
        self.observe(order, name, target, bytes, AccessKind::Write);
        // SAFETY: `host` checked that so many bytes are accessible there; the source is the host's own memory.
        unsafe { std::ptr::copy(source.as_ptr(), host, source.len()) };
        self.written(target, bytes);
        Ok(())
    }

    /// Copies from device memory to the host.
    ///
    /// # Errors
    /// Not all of the source is device memory.
    pub fn read(&self, order: &Order, name: &str, source: u64, target: &mut [u8]) -> Result<(), OutOfBounds> {
        let bytes = target.len() as u64;
        let host = self.reach(name, source, bytes)?;
        self.observe(order, name, source, bytes, AccessKind::Read);
        // SAFETY: `host` checked that so many bytes are accessible there; the target is the host's own memory.
        unsafe { std::ptr::copy(host, target.as_mut_ptr(), target.len()) };
        Ok(())
    }

    /// Copies within device memory; the ranges may overlap.
    ///
    /// # Errors
    /// Not all of both is device memory.
    pub fn copy(&self, order: &Order, name: &str, target: u64, source: u64, bytes: u64) -> Result<(), OutOfBounds> {
        let (from, to) = (self.reach(name, source, bytes)?, self.reach(name, target, bytes)?);
        self.observe(order, name, source, bytes, AccessKind::Read);
        self.observe(order, name, target, bytes, AccessKind::Write);
        // SAFETY: `host` checked that so many bytes are accessible at both; `copy` allows overlap.
        unsafe { std::ptr::copy(from, to, bytes as usize) };
        if let Some(shadow) = &self.shadow
            && self.shadowed(source)
            && self.shadowed(target)
        {
            shadow.copy_written(target, source, bytes);
        } else {
            self.written(target, bytes);
        }
        Ok(())
    }

    /// Fills `count` elements with `pattern` (1, 2 or 4 bytes).
    ///
    /// # Errors
    /// Not all of the target is device memory.
    pub fn fill(&self, order: &Order, name: &str, target: u64, pattern: &[u8], count: u64) -> Result<(), OutOfBounds> {
        let bytes = count.checked_mul(pattern.len() as u64).ok_or(OutOfBounds { address: target, bytes: u64::MAX })?;
        let host = self.reach(name, target, bytes)?;
        self.observe(order, name, target, bytes, AccessKind::Write);
        for index in 0..count as usize {
            // SAFETY: `host` checked that all elements are accessible.
            unsafe { std::ptr::copy(pattern.as_ptr(), host.add(index * pattern.len()), pattern.len()) };
        }
        self.written(target, bytes);
        Ok(())
    }

    fn host(&self, address: u64, bytes: u64) -> Result<*mut u8, OutOfBounds> {
        self.memory.translate(address, bytes).ok_or(OutOfBounds { address, bytes })
    }

    /// As [`Machine::host`]; what cannot be reached is reported if memory is checked.
    fn reach(&self, call: &str, address: u64, bytes: u64) -> Result<*mut u8, OutOfBounds> {
        let reached = self.host(address, bytes);
        if let Err(error) = reached
            && self.settings.checks.memory
        {
            let nearest = self.memory.nearest(address);
            let freed = nearest.is_some_and(|near| near.allocation.freed && near.inside());
            let check = if freed { Check::UseAfterFree } else { Check::OutOfBounds };
            let near = nearest.map_or(String::new(), |near| format!("; the first is {near}"));
            self.reporter.add(Report::of_host(check, call, address, format!("{error}{near}")));
            self.reporter.flush();
        }
        reached
    }

    /// The report of a race in device memory.
    pub fn race_report(&self, race: &Race) -> Report {
        let Other { kernel, file, line, block, thread, instruction, kind } = other_of(&self.sites, &race.access);
        let other = other_of(&self.sites, &race.other);
        let nearest = self.memory.nearest(race.address).map_or(String::new(), |near| format!(", {near}"));
        let message = format!(
            "{kind} of device memory that {} also touches ({}), with nothing to order them{nearest}",
            other.kernel, other.kind
        );
        let (check, address, other) = (Check::GlobalRace, race.address, Some(other));
        Report { check, kernel, file, line, block, thread, instruction, address, message, other, count: 1 }
    }

    /// Whether an address is the device's own, which the shadow covers; host memory it does not.
    fn shadowed(&self, address: u64) -> bool {
        address.wrapping_sub(DEVICE_BASE) < self.memory.span()
    }

    fn written(&self, address: u64, bytes: u64) {
        if let Some(shadow) = self.shadow.as_ref().filter(|_| self.shadowed(address)) {
            shadow.mark_written(address, bytes);
        }
    }

    /// Tells the check of races about a copy or set of the driver.
    fn observe(&self, order: &Order, name: &str, address: u64, bytes: u64, kind: AccessKind) {
        let Some(shadow) = self.shadow.as_ref().filter(|_| self.settings.checks.race && self.shadowed(address)) else {
            return;
        };
        let mut races = Vec::new();
        shadow.range_access(order, name, address, bytes, kind == AccessKind::Write, &mut |race| races.push(race));
        if !races.is_empty() {
            races.iter().for_each(|race| self.reporter.add(self.race_report(race)));
            self.reporter.flush();
        }
    }
}

/// One side of a race, as a report has it.
pub fn other_of(sites: &Sites, access: &RacingAccess) -> Other {
    let source = sites.get(access.site);
    Other {
        kernel: access.operation.to_string(),
        file: source.as_ref().and_then(|source| source.file.as_deref().map(str::to_owned)),
        line: source.as_ref().map_or(0, |source| source.line),
        block: access.block,
        thread: access.thread,
        instruction: source.map_or_else(String::new, |source| source.instruction.to_string()),
        kind: access.kind.name().to_owned(),
    }
}
