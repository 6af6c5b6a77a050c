//! Conversions from and to the formats of 8 bits.
//!
//! Going down rounds to nearest even and clamps to the largest finite number, as `.rn.satfinite` says, the only form that
//! PTX has. Pairs are the caller's to pack.

use super::super::Rounding;
use super::f32_to_f16;
use super::format::Format;

/// The largest finite number of each format, as bits; `e4m3` has one NaN above it and no infinity.
const MAX_E4M3: u64 = 0x7e;
const MAX_E5M2: u64 = 0x7b;
const NAN: u8 = 0x7f;

#[inline(always)]
fn narrowed(x: f32, format: Format, max: u64) -> u8 {
    let magnitude = format.unbounded_f64(x.into(), Rounding::NearestEven).min(max) as u8;
    let sign = u8::from(x.is_sign_negative()) << 7;
    if x.is_nan() { NAN } else { sign | magnitude }
}

/// Rounds to `e4m3`, clamped to ±448.
#[inline(always)]
pub fn f32_to_e4m3(x: f32) -> u8 {
    narrowed(x, Format::E4M3, MAX_E4M3)
}

/// Rounds to `e5m2`, clamped to ±57344.
#[inline(always)]
pub fn f32_to_e5m2(x: f32) -> u8 {
    narrowed(x, Format::E5M2, MAX_E5M2)
}

/// The value of an `e4m3`, which every `f16` can hold.
#[inline(always)]
pub fn e4m3_to_f16(x: u8) -> u16 {
    // As in the conversion up from f16: the bits at the place of the wide format stand for 2^-120 times the value.
    const RESCALE: f32 = f32::from_bits((127 + 120) << 23);
    let magnitude = f32::from_bits(u32::from(x & 0x7f) << 20) * RESCALE;
    let bits = u16::from(x & 0x80) << 8 | f32_to_f16(magnitude, Rounding::NearestEven);
    if x & 0x7f == NAN { 0x7fff } else { bits }
}

/// The value of an `e5m2`, which is the upper half of an `f16`.
#[inline(always)]
pub fn e5m2_to_f16(x: u8) -> u16 {
    if x & 0x7f > 0x7c { 0x7fff } else { u16::from(x) << 8 }
}
