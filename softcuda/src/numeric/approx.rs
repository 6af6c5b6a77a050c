//! The approximate operations, computed in f64 and rounded once: far inside the errors that PTX allows.
//!
//! Subnormals are honoured on both sides; the `.ftz` forms of `f32` flush them around these functions.

use super::float::{canonical32, canonical64};
use super::half::Half;

/// `2^x`.
#[inline(always)]
pub fn ex2_32(x: f32) -> f32 {
    canonical32(f64::from(x).exp2() as f32)
}

/// The logarithm to base 2; negative infinity for zeros, NaN below.
#[inline(always)]
pub fn lg2_32(x: f32) -> f32 {
    canonical32(f64::from(x).log2() as f32)
}

/// The sine; NaN for infinities.
#[inline(always)]
pub fn sin_32(x: f32) -> f32 {
    canonical32(f64::from(x).sin() as f32)
}

/// The cosine; NaN for infinities.
#[inline(always)]
pub fn cos_32(x: f32) -> f32 {
    canonical32(f64::from(x).cos() as f32)
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh_32(x: f32) -> f32 {
    canonical32(f64::from(x).tanh() as f32)
}

/// `1 / x`.
#[inline(always)]
pub fn rcp_32(x: f32) -> f32 {
    canonical32(1.0 / x)
}

/// The square root.
#[inline(always)]
pub fn sqrt_32(x: f32) -> f32 {
    canonical32(x.sqrt())
}

/// `1 / sqrt(x)`; infinity of its sign for a zero.
#[inline(always)]
pub fn rsqrt_32(x: f32) -> f32 {
    canonical32((1.0 / f64::from(x).sqrt()) as f32)
}

/// `a / b` by `div.approx`: a finite divisor above `2^126` gives zero, or NaN where `a` is infinite.
#[inline(always)]
pub fn div_32(a: f32, b: f32) -> f32 {
    const LARGE: f32 = f32::from_bits((127 + 126) << 23);
    // Hardware multiplies by the reciprocal, which is flushed to zero there.
    let beyond = (b.abs() > LARGE) & b.is_finite();
    canonical32(if beyond { a * 0f32.copysign(b) } else { a / b })
}

/// `a / b` by `div.full`, over the whole range.
#[inline(always)]
pub fn div_full_32(a: f32, b: f32) -> f32 {
    canonical32(a / b)
}

/// `1 / sqrt(x)`; infinity of its sign for a zero.
#[inline(always)]
pub fn rsqrt_64(x: f64) -> f64 {
    canonical64(1.0 / x.sqrt())
}

/// `1 / x` by `rcp.approx.ftz`: the lower words of operand and result count as zero, and subnormals too.
#[inline(always)]
pub fn rcp_ftz_64(x: f64) -> f64 {
    upper_word(1.0 / upper_operand(x))
}

/// `1 / sqrt(x)` by `rsqrt.approx.ftz`: the lower words of operand and result count as zero, and subnormals too.
#[inline(always)]
pub fn rsqrt_ftz_64(x: f64) -> f64 {
    upper_word(1.0 / upper_operand(x).sqrt())
}

/// Drops the lower word and flushes a subnormal.
#[inline(always)]
fn upper_operand(x: f64) -> f64 {
    if x.is_nan() { x } else { flushed(f64::from_bits(x.to_bits() >> 32 << 32)) }
}

/// Rounds to the upper word and flushes a subnormal.
#[inline(always)]
fn upper_word(x: f64) -> f64 {
    // Only a NaN wraps, and it is not used.
    let rounded = f64::from_bits(x.to_bits().wrapping_add(1 << 31) >> 32 << 32);
    canonical64(if x.is_nan() { x } else { flushed(rounded) })
}

#[inline(always)]
fn flushed(x: f64) -> f64 {
    if x.abs() < f64::MIN_POSITIVE { 0f64.copysign(x) } else { x }
}

/// `2^x` on 16 bits.
#[inline(always)]
pub fn ex2_16<H: Half>(x: u16) -> u16 {
    H::round(f64::from(H::to_f32(x)).exp2())
}

/// The hyperbolic tangent on 16 bits.
#[inline(always)]
pub fn tanh_16<H: Half>(x: u16) -> u16 {
    H::round(f64::from(H::to_f32(x)).tanh())
}

#[cfg(test)]
mod tests;
