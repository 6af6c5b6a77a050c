//! The conversions of `cvt`.
//!
//! Every narrow result takes one rounding of the exact source, and every NaN becomes the canonical one of its format: all
//! ones below the sign. The clamping options work on the source, since rounding keeps order: apply [`relu32`],
//! [`satfinite32`] or [`sat32`](super::float::sat32) first, then convert.

mod format;
mod fp8;
mod integer;
#[cfg(test)]
mod tests;

pub use fp8::{e4m3_to_f16, e5m2_to_f16, f32_to_e4m3, f32_to_e5m2};
pub use integer::{f16_to_int, f32_to_int, f64_to_int, int_to_bf16, int_to_f16, int_to_f32, int_to_f64, int_to_int};

use super::Rounding;
use super::float::{CANONICAL_NAN32, canonical32, canonical64};
use format::Format;

/// The largest finite `f16`.
pub const MAX_F16: f32 = 65504.0;
/// The largest finite `bf16`.
pub const MAX_BF16: f32 = f32::from_bits(0x7f7f_0000);
/// The largest finite `tf32`.
pub const MAX_TF32: f32 = f32::from_bits(0x7f7f_e000);

/// The value of an `f16`.
#[inline(always)]
pub fn f16_to_f32(x: u16) -> f32 {
    // Put at the place of the wide format, the bits of a finite number stand for 2^-112 times its value, and this is so
    // for subnormals too.
    const RESCALE: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = u32::from(x & 0x7fff);
    let finite = (f32::from_bits(magnitude << 13) * RESCALE).to_bits();
    let special = if magnitude > 0x7c00 { CANONICAL_NAN32 } else { 0x7f80_0000 };
    let sign = if magnitude > 0x7c00 { 0 } else { u32::from(x & 0x8000) << 16 };
    f32::from_bits(sign | if magnitude < 0x7c00 { finite } else { special })
}

/// The value of a `bf16`.
#[inline(always)]
pub fn bf16_to_f32(x: u16) -> f32 {
    canonical32(f32::from_bits(u32::from(x) << 16))
}

/// The value of an `f16`.
#[inline(always)]
pub fn f16_to_f64(x: u16) -> f64 {
    f32_to_f64(f16_to_f32(x))
}

/// The value of a `bf16`.
#[inline(always)]
pub fn bf16_to_f64(x: u16) -> f64 {
    f32_to_f64(bf16_to_f32(x))
}

/// The value in the wider format.
#[inline(always)]
pub fn f32_to_f64(x: f32) -> f64 {
    canonical64(x.into())
}

/// Rounds to `f16`.
#[inline(always)]
pub fn f32_to_f16(x: f32, rounding: Rounding) -> u16 {
    f64_to_f16(x.into(), rounding)
}

/// Rounds to `bf16`.
#[inline(always)]
pub fn f32_to_bf16(x: f32, rounding: Rounding) -> u16 {
    f64_to_bf16(x.into(), rounding)
}

/// Rounds to the 10 stored significand bits of `tf32`; the 13 bits below are zero, but for NaN.
#[inline(always)]
pub fn f32_to_tf32(x: f32, rounding: Rounding) -> u32 {
    let bits = (Format::TF32.round_f64(x.into(), rounding) as u32) << 13;
    if x.is_nan() { CANONICAL_NAN32 } else { bits }
}

/// Rounds to `f32`.
#[inline(always)]
pub fn f64_to_f32(x: f64, rounding: Rounding) -> f32 {
    if rounding == Rounding::NearestEven {
        return canonical32(x as f32);
    }
    f32::from_bits(Format::F32.round_f64(x, rounding) as u32)
}

/// Rounds to `f16`.
#[inline(always)]
pub fn f64_to_f16(x: f64, rounding: Rounding) -> u16 {
    Format::F16.round_f64(x, rounding) as u16
}

/// Rounds to `bf16`.
#[inline(always)]
pub fn f64_to_bf16(x: f64, rounding: Rounding) -> u16 {
    Format::BF16.round_f64(x, rounding) as u16
}

/// Replaces negative numbers and negative zero by positive zero (`.relu`); NaN stays.
#[inline(always)]
pub fn relu32(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// Clamps to `-max..=max` (`.satfinite`), where `max` is the largest finite value of the target; NaN stays.
#[inline(always)]
pub fn satfinite32(x: f32, max: f32) -> f32 {
    if x.abs() > max { max.copysign(x) } else { x }
}
