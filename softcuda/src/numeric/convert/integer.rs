//! Conversions from and to integers.
//!
//! An integer result comes as 64 bits, extended by the sign of its own type, so that it suits a register of any width.

use super::super::Rounding;
use super::super::float::{round_to_integral32, round_to_integral64};
use super::f16_to_f32;
use super::format::Format;

/// Rounds to an integer of `bits` bits, clamped to its range. NaN gives zero in up to 32 bits, and only the top bit in 64.
#[inline(always)]
pub fn f32_to_int(x: f32, rounding: Rounding, bits: u32, signed: bool) -> u64 {
    let nan = if bits == 64 { 1 << 63 } else { 0 };
    let integral = round_to_integral32(x, rounding);
    if x.is_nan() { nan } else { clamped(integral.into(), bits, signed) }
}

/// Rounds to an integer of `bits` bits, clamped to its range. NaN gives only the top bit.
#[inline(always)]
pub fn f64_to_int(x: f64, rounding: Rounding, bits: u32, signed: bool) -> u64 {
    let nan = int_to_int(1 << (bits - 1), bits, signed, false);
    let integral = round_to_integral64(x, rounding);
    if x.is_nan() { nan } else { clamped(integral, bits, signed) }
}

/// Rounds to an integer of `bits` bits, clamped to its range. NaN gives zero in up to 32 bits, and only the top bit in 64.
#[inline(always)]
pub fn f16_to_int(x: u16, rounding: Rounding, bits: u32, signed: bool) -> u64 {
    f32_to_int(f16_to_f32(x), rounding, bits, signed)
}

/// An integral number as an integer, clamped to the range of `bits` bits.
#[inline(always)]
fn clamped(x: f64, bits: u32, signed: bool) -> u64 {
    let spare = 64 - bits;
    if signed {
        (x as i64).clamp(i64::MIN >> spare, i64::MAX >> spare) as u64
    } else {
        (x as u64).min(u64::MAX >> spare)
    }
}

/// Rounds an integer of at most 64 bits to `f32`.
#[inline(always)]
pub fn int_to_f32(value: i128, rounding: Rounding) -> f32 {
    match (rounding, i64::try_from(value)) {
        (Rounding::NearestEven, Ok(small)) => small as f32,
        _ => f32::from_bits(rounded(Format::F32, value, rounding) as u32),
    }
}

/// Rounds an integer of at most 64 bits to `f64`.
#[inline(always)]
pub fn int_to_f64(value: i128, rounding: Rounding) -> f64 {
    match (rounding, i64::try_from(value)) {
        (Rounding::NearestEven, Ok(small)) => small as f64,
        _ => f64::from_bits(rounded(Format::F64, value, rounding)),
    }
}

/// Rounds an integer of at most 64 bits to `f16`.
#[inline(always)]
pub fn int_to_f16(value: i128, rounding: Rounding) -> u16 {
    rounded(Format::F16, value, rounding) as u16
}

/// Rounds an integer of at most 64 bits to `bf16`.
#[inline(always)]
pub fn int_to_bf16(value: i128, rounding: Rounding) -> u16 {
    rounded(Format::BF16, value, rounding) as u16
}

#[inline(always)]
fn rounded(format: Format, value: i128, rounding: Rounding) -> u64 {
    let magnitude = u64::try_from(value.unsigned_abs()).unwrap_or(u64::MAX);
    format.round_integer(value < 0, magnitude, rounding)
}

/// An integer of at most 64 bits in `bits` bits: clamped to their range where `saturate` is set, else wrapped.
#[inline(always)]
pub fn int_to_int(value: i128, bits: u32, signed: bool, saturate: bool) -> u64 {
    let spare = 64 - bits;
    let (low, high) = if signed {
        (i128::from(i64::MIN >> spare), i128::from(i64::MAX >> spare))
    } else {
        (0, i128::from(u64::MAX >> spare))
    };
    let value = if saturate { value.clamp(low, high) } else { value } as u64;
    if signed { ((value << spare) as i64 >> spare) as u64 } else { value << spare >> spare }
}
