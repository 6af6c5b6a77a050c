//! Which addresses are allocated, which were freed, and what lies nearest to a stray one.

use super::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Alignment of every allocation, as the driver of real devices has it.
const ALIGNMENT: u64 = 512;
/// What one entry of a real device's page table covers.
const PAGE: u64 = 2 << 20;

/// One allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its first address.
    pub start: u64,
    /// Its bytes, as asked for.
    pub bytes: u64,
    /// What it is.
    pub kind: Kind,
    /// Its number in the order of allocation, from 1.
    pub number: u64,
    /// Whether it has been freed.
    pub freed: bool,
}

impl Allocation {
    /// The first address behind it.
    pub fn end(&self) -> u64 {
        self.start + self.bytes
    }
}

/// What is known of a stray address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// The allocation that holds it, or the nearest one.
    pub allocation: Allocation,
    /// Bytes from the allocation's start to the address; negative before it.
    pub offset: i64,
}

impl Nearest {
    /// Whether the allocation holds the address.
    pub fn inside(&self) -> bool {
        u64::try_from(self.offset).is_ok_and(|offset| offset < self.allocation.bytes)
    }
}

impl std::fmt::Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Allocation { start, bytes, number, freed, .. } = self.allocation;
        let state = if freed { "freed " } else { "" };
        match self.offset {
            before if before < 0 => write!(f, "{} bytes before", -before)?,
            offset if offset as u64 >= bytes => write!(f, "{} bytes behind the end of", offset as u64 - bytes)?,
            offset => write!(f, "at byte {offset} of")?,
        }
        write!(f, " {state}allocation {number} ({bytes} bytes at {start:#x})")
    }
}

/// More memory was asked for than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "out of device memory: {asked} bytes asked for, {free} of {total} free; free some, or set SOFTCUDA_MEMORY higher"
)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes free.
    pub free: u64,
    /// Bytes of the device.
    pub total: u64,
}

/// An address that cannot be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FreeError {
    /// It was freed before.
    #[error("{0:#x} has been freed already")]
    Freed(u64),
    /// No allocation begins there.
    #[error("no allocation begins at {0:#x}")]
    Unknown(u64),
}

/// The accessible address ranges at one moment, in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// The range that holds `bytes` bytes from `address`: first address, and the first one behind it.
    pub fn find(&self, address: u64, bytes: u64) -> Option<(u64, u64)> {
        let next = self.ranges.partition_point(|(start, _)| *start <= address);
        let (start, end) = *self.ranges.get(next.checked_sub(1)?)?;
        (address.checked_add(bytes)? <= end).then_some((start, end))
    }

    /// Whether all of `bytes` bytes from `address` are accessible.
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        self.find(address, bytes).is_some()
    }
}

/// The book of allocations.
#[derive(Debug)]
pub struct Allocations {
    base: u64,
    span: u64,
    capacity: u64,
    used: u64,
    exact: bool,
    cursor: u64,
    count: u64,
    live: BTreeMap<u64, Allocation>,
    freed: BTreeMap<u64, Allocation>,
    ranges: Option<Arc<Ranges>>,
}

impl Allocations {
    /// An empty book over `span` bytes of addresses from `base`, of which `capacity` may be in use at a time.
    pub fn new(base: u64, span: u64, capacity: u64, exact: bool) -> Allocations {
        let (live, freed) = (BTreeMap::new(), BTreeMap::new());
        Allocations { base, span, capacity, used: 0, exact, cursor: base, count: 0, live, freed, ranges: None }
    }

    /// See [`super::Memory::allocate`].
    ///
    /// # Errors
    /// Beyond the capacity, or no gap is large enough.
    pub fn allocate(&mut self, bytes: u64, kind: Kind) -> Result<u64, OutOfMemory> {
        let error = OutOfMemory { asked: bytes, free: self.capacity - self.used, total: self.capacity };
        // Exact bounds want a gap behind each allocation, so that one byte too far never is another's first.
        let gap = if self.exact { ALIGNMENT } else { 0 };
        let padded = bytes.max(1).checked_next_multiple_of(ALIGNMENT).ok_or(error)?;
        if padded > self.capacity - self.used {
            return Err(error);
        }
        let start = self.place(padded + gap).ok_or(error)?;
        self.forget_freed(start, start + padded + gap);
        self.count += 1;
        self.used += padded;
        self.cursor = start + padded + gap;
        self.live.insert(start, Allocation { start, bytes, kind, number: self.count, freed: false });
        self.ranges = None;
        Ok(start)
    }

    /// A gap of `bytes` bytes: from the cursor on, so that freed addresses stay unused as long as possible.
    fn place(&self, bytes: u64) -> Option<u64> {
        let end = self.base + self.span;
        self.gap(self.cursor, end, bytes).or_else(|| self.gap(self.base, end, bytes))
    }

    fn gap(&self, from: u64, end: u64, bytes: u64) -> Option<u64> {
        let reserved = |a: &Allocation| {
            a.start + a.bytes.max(1).next_multiple_of(ALIGNMENT) + if self.exact { ALIGNMENT } else { 0 }
        };
        let before = self.live.range(..from).next_back().map_or(self.base, |(_, a)| reserved(a));
        let mut start = from.max(before);
        for allocation in self.live.range(from..end).map(|(_, a)| a) {
            if allocation.start - start.min(allocation.start) >= bytes {
                break;
            }
            start = start.max(reserved(allocation));
        }
        (start.checked_add(bytes)? <= end).then_some(start)
    }

    fn forget_freed(&mut self, start: u64, end: u64) {
        let stale: Vec<u64> =
            self.freed.range(..end).rev().take_while(|(_, a)| a.end() > start).map(|(s, _)| *s).collect();
        for address in stale {
            self.freed.remove(&address);
        }
    }

    /// See [`super::Memory::register_host`].
    pub fn register_host(&mut self, start: u64, bytes: u64) {
        self.count += 1;
        self.live.insert(start, Allocation { start, bytes, kind: Kind::Host, number: self.count, freed: false });
        self.ranges = None;
    }

    /// See [`super::Memory::free`].
    ///
    /// # Errors
    /// No live allocation begins there.
    pub fn free(&mut self, address: u64) -> Result<Allocation, FreeError> {
        let Some(mut allocation) = self.live.remove(&address) else {
            let known = self.freed.contains_key(&address);
            return Err(if known { FreeError::Freed(address) } else { FreeError::Unknown(address) });
        };
        if allocation.kind != Kind::Host {
            self.used -= allocation.bytes.max(1).next_multiple_of(ALIGNMENT);
        }
        allocation.freed = true;
        self.freed.insert(address, allocation);
        self.ranges = None;
        Ok(allocation)
    }

    /// See [`super::Memory::find`].
    pub fn find(&self, address: u64) -> Option<Allocation> {
        let (_, allocation) = self.live.range(..=address).next_back()?;
        (address < allocation.end().max(allocation.start + 1)).then_some(*allocation)
    }

    /// See [`super::Memory::nearest`].
    pub fn nearest(&self, address: u64) -> Option<Nearest> {
        let around = [&self.live, &self.freed].into_iter().flat_map(|book| {
            [book.range(..=address).next_back(), book.range(address..).next()].into_iter().flatten().map(|(_, a)| *a)
        });
        let distance =
            |a: &Allocation| if address < a.start { a.start - address } else { (address + 1).saturating_sub(a.end()) };
        // The program's own allocations tell more than a module's variables; among equals a live one tells more.
        let allocation = around.min_by_key(|a| (distance(a), a.freed))?;
        Some(Nearest { allocation, offset: address.wrapping_sub(allocation.start) as i64 })
    }

    /// See [`super::Memory::live`].
    pub fn live(&self) -> Vec<Allocation> {
        self.live.values().copied().collect()
    }

    /// See [`super::Memory::info`].
    pub fn info(&self) -> (u64, u64) {
        (self.capacity - self.used, self.capacity)
    }

    /// See [`super::Memory::ranges`].
    pub fn ranges(&mut self) -> Arc<Ranges> {
        let (live, exact) = (&self.live, self.exact);
        self.ranges.get_or_insert_with(|| Arc::new(Ranges { ranges: accessible(live, exact) })).clone()
    }
}

fn accessible(live: &BTreeMap<u64, Allocation>, exact: bool) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for allocation in live.values() {
        let (mut start, mut end) = (allocation.start, allocation.end());
        if !exact && allocation.kind != Kind::Host {
            (start, end) = (start / PAGE * PAGE, end.max(start + 1).next_multiple_of(PAGE));
        }
        match ranges.last_mut() {
            Some((_, last)) if !exact && *last >= start => *last = end.max(*last),
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(exact: bool) -> Allocations {
        Allocations::new(1 << 40, 1 << 30, 1 << 20, exact)
    }

    #[test]
    fn capacity_is_a_limit_and_freeing_gives_it_back() {
        let mut book = book(true);
        let first = book.allocate(1 << 19, Kind::Device).unwrap();
        let error = book.allocate((1 << 19) + 1, Kind::Device).unwrap_err();
        assert_eq!((error.asked, error.free, error.total), ((1 << 19) + 1, 1 << 19, 1 << 20));
        book.free(first).unwrap();
        assert_eq!(book.info(), (1 << 20, 1 << 20));
        book.allocate(1 << 20, Kind::Device).unwrap();
        assert!(book.allocate(u64::MAX, Kind::Device).is_err());
    }

    #[test]
    fn freed_addresses_are_the_last_to_be_used_again() {
        let mut book = Allocations::new(1 << 40, 5120, 4096, true);
        let first = book.allocate(100, Kind::Device).unwrap();
        book.free(first).unwrap();
        assert_eq!(book.free(first), Err(FreeError::Freed(first)));
        let second = book.allocate(100, Kind::Device).unwrap();
        assert_ne!(first, second);
        let third = book.allocate(1000, Kind::Device).unwrap();
        let fourth = book.allocate(100, Kind::Device).unwrap();
        assert!(second < third && third < fourth);
        let again = book.allocate(100, Kind::Device).unwrap();
        assert_eq!(again, first, "the span is used up, so the cursor starts over");
        assert_eq!(book.free(first + 4), Err(FreeError::Unknown(first + 4)));
    }

    #[test]
    fn exact_ranges_end_with_the_allocation_and_others_with_the_page() {
        let (mut exact, mut pages) = (book(true), book(false));
        let (a, b) = (exact.allocate(10, Kind::Device).unwrap(), pages.allocate(10, Kind::Device).unwrap());
        assert!(exact.ranges().contains(a, 10) && !exact.ranges().contains(a, 11));
        assert!(pages.ranges().contains(b, PAGE) && !pages.ranges().contains(b, PAGE + 1));
        assert!(!exact.ranges().contains(u64::MAX, 8));
    }

    #[test]
    fn a_stray_address_is_described_by_what_is_nearest() {
        let mut book = book(true);
        let first = book.allocate(100, Kind::Device).unwrap();
        let second = book.allocate(100, Kind::Device).unwrap();
        assert_eq!(
            book.nearest(first + 104).unwrap().to_string(),
            format!("4 bytes behind the end of allocation 1 (100 bytes at {first:#x})")
        );
        assert_eq!(
            book.nearest(second - 4).unwrap().to_string(),
            format!("4 bytes before allocation 2 (100 bytes at {second:#x})")
        );
        book.free(second).unwrap();
        assert_eq!(
            book.nearest(second + 8).unwrap().to_string(),
            format!("at byte 8 of freed allocation 2 (100 bytes at {second:#x})")
        );
    }
}
