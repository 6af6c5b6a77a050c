//! Atomics: on device memory by the host's own, lane after lane.

use super::Fault;
use super::access::{Request, addresses};
use super::frame::LANES;
use super::warp::lanes;
use super::worker::{Spot, Worker, read_register};
use crate::check::global::Kind;
use crate::numeric::half::{self, Bf16, F16};
use crate::program::instruction::{Atomic, AtomicOp, Register};
use crate::ptx::ast::Type;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

impl Worker<'_> {
    /// Executes `atom` or `red`.
    pub fn atomic(&mut self, spot: &mut Spot<'_>, atomic: &Atomic, mask: u32) -> Result<(), Fault> {
        let addresses = addresses(spot, &atomic.address);
        let request =
            Request { kind: Kind::Atomic, bytes: atomic.ty.bytes(), mask, values: None, releases: atomic.releases };
        let pointers = self.locate(spot, atomic.space, &addresses, request)?;
        let a = read_register(spot.registers(), atomic.a);
        let b = read_register(spot.registers(), atomic.b);
        let mut old = [0; LANES];
        for lane in lanes(mask) {
            old[lane] = exchange(pointers[lane], atomic.ty, |m| updated(atomic.op, atomic.ty, m, a[lane], b[lane]));
        }
        let frame = spot.registers_mut();
        match atomic.destination {
            Some(Register::Word(slot)) => super::frame::write(frame, slot, old.map(|value| value as u32), mask),
            Some(Register::Double(slot)) => super::frame::write(frame, slot, old, mask),
            _ => {}
        }
        spot.warp.polled = true;
        self.acquire(spot, Kind::Atomic, atomic.space, mask, &addresses);
        Ok(())
    }
}

/// Replaces what lies at `pointer` by `update` of it, indivisibly; gives what lay there.
fn exchange(pointer: *mut u8, ty: Type, update: impl Fn(u64) -> u64) -> u64 {
    macro_rules! exchange {
        ($atomic:ty, $t:ty) => {{
            // SAFETY: `locate` gave a pointer to so many accessible bytes, aligned for the type, and device memory is
            // touched only through pointers.
            let cell = unsafe { <$atomic>::from_ptr(pointer.cast::<$t>()) };
            let update = |old: $t| Some(update(u64::from(old)) as $t);
            match cell.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update) {
                Ok(old) | Err(old) => u64::from(old),
            }
        }};
    }
    match ty.bytes() {
        2 => exchange!(AtomicU16, u16),
        4 => exchange!(AtomicU32, u32),
        _ => exchange!(AtomicU64, u64),
    }
}

/// What an operation makes of the old value.
fn updated(op: AtomicOp, ty: Type, m: u64, a: u64, b: u64) -> u64 {
    let (signed, wide) = (ty.signed(), ty.bits() == 64);
    let less = |x: u64, y: u64| match (signed, wide) {
        (true, true) => (x as i64) < (y as i64),
        (true, false) => (x as i32) < (y as i32),
        (false, _) => x < y,
    };
    match op {
        AtomicOp::Add => sum(ty, m, a),
        AtomicOp::Min => {
            if less(a, m) {
                a
            } else {
                m
            }
        }
        AtomicOp::Max => {
            if less(m, a) {
                a
            } else {
                m
            }
        }
        AtomicOp::And => m & a,
        AtomicOp::Or => m | a,
        AtomicOp::Xor => m ^ a,
        AtomicOp::Exchange => a,
        AtomicOp::CompareAndSwap => {
            if m == a & mask_of(ty) {
                b
            } else {
                m
            }
        }
        AtomicOp::Increment => {
            if m >= a {
                0
            } else {
                m + 1
            }
        }
        AtomicOp::Decrement => {
            if m == 0 || m > a {
                a
            } else {
                m - 1
            }
        }
    }
}

fn mask_of(ty: Type) -> u64 {
    if ty.bits() == 64 { u64::MAX } else { (1 << ty.bits()) - 1 }
}

fn sum(ty: Type, m: u64, a: u64) -> u64 {
    use crate::numeric::float::canonical32;
    match ty {
        Type::F(32) => u64::from(canonical32(f32::from_bits(m as u32) + f32::from_bits(a as u32)).to_bits()),
        Type::F(64) => (f64::from_bits(m) + f64::from_bits(a)).to_bits(),
        Type::F(16) => u64::from(half::add::<F16>(m as u16, a as u16)),
        Type::Bf16 => u64::from(half::add::<Bf16>(m as u16, a as u16)),
        Type::F16x2 => u64::from(half::pair2(m as u32, a as u32, half::add::<F16>)),
        Type::Bf16x2 => u64::from(half::pair2(m as u32, a as u32, half::add::<Bf16>)),
        _ => m.wrapping_add(a),
    }
}
