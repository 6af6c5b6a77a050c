//! Loads and stores.

use super::Fault;
use super::access::{Pointers, Request, addresses};
use super::frame::{FULL, Frame, LANES, write};
use super::warp::lanes;
use super::worker::{Spot, Worker, read_register};
use crate::check::global::Kind;
use crate::program::instruction::{Register, Space, Transfer};
use std::sync::atomic::{Ordering, fence};

impl Worker<'_> {
    /// Executes a load.
    pub fn load(&mut self, spot: &mut Spot<'_>, t: &Transfer, mask: u32) -> Result<(), Fault> {
        let addresses = addresses(spot, &t.address);
        let kind = if t.strong { Kind::StrongRead } else { Kind::Read };
        let bytes = t.bytes * t.registers.len() as u32;
        let request = Request { kind, bytes, mask, values: None, releases: false };
        let pointers = self.locate(spot, t.space, &addresses, request)?;
        read_lanes(spot.registers_mut(), t, &pointers, mask);
        if t.strong {
            // What the value tells was done must be seen from here on.
            fence(Ordering::SeqCst);
            spot.warp.polled = true;
            self.acquire(spot, kind, t.space, mask, &addresses);
        }
        Ok(())
    }

    /// Executes a store.
    pub fn store(&mut self, spot: &mut Spot<'_>, t: &Transfer, mask: u32, releases: bool) -> Result<(), Fault> {
        let addresses = addresses(spot, &t.address);
        let kind = if t.strong { Kind::StrongWrite } else { Kind::Write };
        let bytes = t.bytes * t.registers.len() as u32;
        let values = (self.context.checks.race && t.space != Space::Global).then(|| values(spot.registers(), t));
        let request = Request { kind, bytes, mask, values: values.as_ref(), releases };
        let pointers = self.locate(spot, t.space, &addresses, request)?;
        if t.strong {
            fence(Ordering::SeqCst);
        }
        write_lanes(spot.registers(), t, &pointers, mask);
        if t.strong {
            fence(Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The values that lanes store, as bytes.
fn values(frame: &Frame, t: &Transfer) -> [u128; LANES] {
    let mut values = [0; LANES];
    for (index, register) in t.registers.iter().enumerate() {
        let bits = read_register(frame, *register);
        let keep = if t.bytes == 8 { u64::MAX } else { (1 << (8 * t.bytes)) - 1 };
        for lane in 0..LANES {
            values[lane] |= u128::from(bits[lane] & keep) << (8 * t.bytes as usize * index);
        }
    }
    values
}

/// Reads `N` elements of each lane of the mask.
#[inline(always)]
fn gather<T: Copy + Default, const N: usize>(pointers: &Pointers, mask: u32) -> [[T; LANES]; N] {
    let mut values = [[T::default(); LANES]; N];
    let mut read = |lane: usize| {
        // SAFETY: `locate` gave a pointer to that many accessible bytes, aligned for the whole vector. Kernels that race
        // race here as on a device: any bits may be read, and all bits are a valid T.
        let element: [T; N] = unsafe { pointers[lane].cast::<[T; N]>().read_unaligned() };
        for index in 0..N {
            values[index][lane] = element[index];
        }
    };
    if mask == FULL {
        (0..LANES).for_each(&mut read);
    } else {
        lanes(mask).for_each(&mut read);
    }
    values
}

/// Reads elements into the registers of a transfer.
fn read_lanes(frame: &mut Frame, t: &Transfer, pointers: &Pointers, mask: u32) {
    macro_rules! read {
        ($t:ty, $n:expr) => {{
            let values = gather::<$t, $n>(pointers, mask);
            for (register, values) in t.registers.iter().zip(&values) {
                match register {
                    Register::Word(slot) => write(frame, *slot, values.map(|value| value as u32), mask),
                    Register::Double(slot) => write(frame, *slot, values.map(|value| value as u64), mask),
                    Register::Sink => {}
                }
            }
        }};
    }
    match (t.bytes, t.signed, t.registers.len()) {
        (1, false, 1) => read!(u8, 1),
        (1, false, 2) => read!(u8, 2),
        (1, false, _) => read!(u8, 4),
        (1, true, 1) => read!(i8, 1),
        (1, true, 2) => read!(i8, 2),
        (1, true, _) => read!(i8, 4),
        (2, false, 1) => read!(u16, 1),
        (2, false, 2) => read!(u16, 2),
        (2, false, _) => read!(u16, 4),
        (2, true, 1) => read!(i16, 1),
        (2, true, 2) => read!(i16, 2),
        (2, true, _) => read!(i16, 4),
        (4, false, 1) => read!(u32, 1),
        (4, false, 2) => read!(u32, 2),
        (4, false, _) => read!(u32, 4),
        (4, true, 1) => read!(i32, 1),
        (4, true, 2) => read!(i32, 2),
        (4, true, _) => read!(i32, 4),
        (_, _, 1) => read!(u64, 1),
        (_, _, 2) => read!(u64, 2),
        (_, _, _) => read!(u64, 4),
    }
}

/// Writes the registers of a transfer, lane by lane: of two that write one place, the higher lane is last.
fn write_lanes(frame: &Frame, t: &Transfer, pointers: &Pointers, mask: u32) {
    let registers: Vec<[u64; LANES]> = t.registers.iter().map(|register| read_register(frame, *register)).collect();
    macro_rules! write {
        ($t:ty) => {
            for lane in lanes(mask) {
                for (index, values) in registers.iter().enumerate() {
                    // SAFETY: `locate` gave a pointer to so many accessible bytes, aligned for the element. Kernels that
                    // race race here as on a device.
                    unsafe { pointers[lane].cast::<$t>().add(index).write_unaligned(values[lane] as $t) };
                }
            }
        };
    }
    match t.bytes {
        1 => write!(u8),
        2 => write!(u16),
        4 => write!(u32),
        _ => write!(u64),
    }
}
