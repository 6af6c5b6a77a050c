//! The warp-wide matrix multiply-accumulate `mma.sync` on register fragments.
//!
//! **Accumulation.** Every element of the result is `c` plus its products in ascending `k`, each product exact and each sum
//! rounded to f64, and one rounding to the format of the result at the end. Hardware sums in groups with fewer bits, so
//! its last bits differ. With `f64` operands each step is a fused multiply-add; with integers everything is exact, and
//! the sum wraps or, with `.satfinite`, clamps at the end.

mod fragment;
#[cfg(test)]
mod tests;
mod variant;

pub use variant::{Accumulator, Element, Shape, Variant};

use fragment::{Accumulators, load_a, load_accumulators, load_b, store_accumulators};

/// A register of every lane of a warp.
pub type Register = [u32; 32];

/// As many registers as the largest accumulator has.
pub const MAX_RESULT_REGISTERS: usize = 8;

/// `a * b + c` over the fragments of a warp, where `x[register][lane]`; a 64-bit register is two, the lower word first.
///
/// The slices hold at least as many registers as the variant says; of the result, so many as `c` has are meaningful.
pub fn mma(variant: &Variant, a: &[Register], b: &[Register], c: &[Register]) -> [Register; MAX_RESULT_REGISTERS] {
    let left = load_a(variant, a);
    let right = load_b(variant, b);
    let mut sums = load_accumulators(variant, c);
    let fused = variant.accumulator() == Accumulator::F64;
    for (row, sums) in left.iter().zip(&mut sums).take(variant.shape().m) {
        for (&factor, others) in row.iter().zip(&right).take(variant.shape().k) {
            if fused {
                fused_step(sums, factor, others);
            } else {
                step(sums, factor, others);
            }
        }
    }
    store_accumulators(variant, &sums)
}

/// Adds products that are exact in f64, so that fusing would change nothing.
#[inline(always)]
fn step(sums: &mut Accumulators, factor: f64, others: &[f64; 8]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += factor * other;
    }
}

#[inline(always)]
fn fused_step(sums: &mut Accumulators, factor: f64, others: &[f64; 8]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum = factor.mul_add(*other, *sum);
    }
}
