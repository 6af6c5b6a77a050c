//! Arithmetic on the two formats of 16 bits, `f16` and `bf16`, held as their bits.
//!
//! Each result is the exact one rounded once to nearest even. The options of the instructions are functions to apply:
//! [`ftz`] on operands and result, [`saturate`] or [`relu`] on the result. Comparisons go through [`Half::to_f32`].

pub use super::convert::{bf16_to_f32, f16_to_f32};

use super::Rounding;
use super::convert::{f64_to_bf16, f64_to_f16};
use super::float::{max32, max32_nan, max32_nan_xorsign, max32_xorsign};
use super::float::{min32, min32_nan, min32_nan_xorsign, min32_xorsign};

const SIGN: u16 = 0x8000;

/// A format of 16 bits.
pub trait Half {
    /// The least magnitude of a normal number, as bits.
    const MIN_NORMAL: u16;
    /// One, as bits.
    const ONE: u16;

    /// The value of the bits.
    fn to_f32(bits: u16) -> f32;

    /// The nearest number, ties to even.
    fn round(x: f64) -> u16;
}

/// IEEE binary16.
#[derive(Clone, Copy, Debug)]
pub struct F16;

/// The upper half of an `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Bf16;

impl Half for F16 {
    const MIN_NORMAL: u16 = 0x0400;
    const ONE: u16 = 0x3c00;

    #[inline(always)]
    fn to_f32(bits: u16) -> f32 {
        f16_to_f32(bits)
    }

    #[inline(always)]
    fn round(x: f64) -> u16 {
        f64_to_f16(x, Rounding::NearestEven)
    }
}

impl Half for Bf16 {
    const MIN_NORMAL: u16 = 0x0080;
    const ONE: u16 = 0x3f80;

    #[inline(always)]
    fn to_f32(bits: u16) -> f32 {
        bf16_to_f32(bits)
    }

    #[inline(always)]
    fn round(x: f64) -> u16 {
        f64_to_bf16(x, Rounding::NearestEven)
    }
}

#[inline(always)]
fn wide<H: Half>(bits: u16) -> f64 {
    H::to_f32(bits).into()
}

/// `a + b` in 53 bits, the last of them set where the sum does not fit: rounding that once more to a narrow format gives
/// what the exact sum rounds to.
#[inline(always)]
fn sum_to_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let b_part = sum - a;
    let lost = (a - (sum - b_part)) + (b - b_part);
    let inexact = sum.is_finite() & (lost != 0.0);
    let overshot = inexact & ((lost < 0.0) != (sum < 0.0));
    f64::from_bits((sum.to_bits() - u64::from(overshot)) | u64::from(inexact))
}

/// `a + b`.
#[inline(always)]
pub fn add<H: Half>(a: u16, b: u16) -> u16 {
    H::round(sum_to_odd(wide::<H>(a), wide::<H>(b)))
}

/// `a - b`.
#[inline(always)]
pub fn sub<H: Half>(a: u16, b: u16) -> u16 {
    H::round(sum_to_odd(wide::<H>(a), -wide::<H>(b)))
}

/// `a * b`.
#[inline(always)]
pub fn mul<H: Half>(a: u16, b: u16) -> u16 {
    H::round(wide::<H>(a) * wide::<H>(b))
}

/// `a * b + c`, rounded once.
#[inline(always)]
pub fn fma<H: Half>(a: u16, b: u16, c: u16) -> u16 {
    H::round(sum_to_odd(wide::<H>(a) * wide::<H>(b), wide::<H>(c)))
}

/// `-x`; of a NaN too only the sign changes.
#[inline(always)]
pub fn neg(x: u16) -> u16 {
    x ^ SIGN
}

/// `|x|`; of a NaN too only the sign changes.
#[inline(always)]
pub fn abs(x: u16) -> u16 {
    x & !SIGN
}

/// Replaces a subnormal by the zero of its sign.
#[inline(always)]
pub fn ftz<H: Half>(x: u16) -> u16 {
    if x & !SIGN < H::MIN_NORMAL { x & SIGN } else { x }
}

/// Clamps to `[0, 1]`; NaN and negative zero become positive zero.
#[inline(always)]
pub fn saturate<H: Half>(x: u16) -> u16 {
    let value = H::to_f32(x);
    let floor = if value > 0.0 { x } else { 0 };
    if value > 1.0 { H::ONE } else { floor }
}

/// Replaces negative numbers and negative zero by positive zero, and any NaN by the canonical one.
#[inline(always)]
pub fn relu<H: Half>(x: u16) -> u16 {
    let value = H::to_f32(x);
    if value <= 0.0 { 0 } else { canonical::<H>(x) }
}

/// Replaces any NaN by the canonical one.
#[inline(always)]
pub fn canonical<H: Half>(x: u16) -> u16 {
    if H::to_f32(x).is_nan() { 0x7fff } else { x }
}

/// A selection among numbers, which gives one of its operands and so needs no rounding.
macro_rules! selections {
    ($($(#[$doc:meta])* $name:ident = $of:ident;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub fn $name<H: Half>(a: u16, b: u16) -> u16 {
                H::round($of(H::to_f32(a), H::to_f32(b)).into())
            }
        )*
    };
}

selections! {
    /// The lesser operand; a NaN yields to a number, and -0 is less than +0.
    min = min32;
    /// The greater operand; a NaN yields to a number, and +0 is greater than -0.
    max = max32;
    /// As [`min`], but NaN where either operand is.
    min_nan = min32_nan;
    /// As [`max`], but NaN where either operand is.
    max_nan = max32_nan;
    /// The lesser magnitude, negative where the signs differ.
    min_xorsign = min32_xorsign;
    /// The greater magnitude, negative where the signs differ.
    max_xorsign = max32_xorsign;
    /// As [`min_xorsign`], but NaN where either operand is.
    min_nan_xorsign = min32_nan_xorsign;
    /// As [`max_xorsign`], but NaN where either operand is.
    max_nan_xorsign = max32_nan_xorsign;
}

/// Applies a function to both halves of a packed pair.
#[inline(always)]
pub fn pair1(a: u32, function: impl Fn(u16) -> u16) -> u32 {
    u32::from(function((a >> 16) as u16)) << 16 | u32::from(function(a as u16))
}

/// Applies a function to the halves of two packed pairs.
#[inline(always)]
pub fn pair2(a: u32, b: u32, function: impl Fn(u16, u16) -> u16) -> u32 {
    u32::from(function((a >> 16) as u16, (b >> 16) as u16)) << 16 | u32::from(function(a as u16, b as u16))
}

/// Applies a function to the halves of three packed pairs.
#[inline(always)]
pub fn pair3(a: u32, b: u32, c: u32, function: impl Fn(u16, u16, u16) -> u16) -> u32 {
    let high = function((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16);
    u32::from(high) << 16 | u32::from(function(a as u16, b as u16, c as u16))
}

#[cfg(test)]
mod tests;
