//! Arithmetic on `f32` and `f64` as PTX defines it.
//!
//! Every NaN that an operation returns is the canonical one. PTX promises that for `f32` only; for `f64` it promises no
//! payload, and one fixed choice keeps results the same on every host.

mod arithmetic;
mod minmax;
#[cfg(test)]
mod tests;

pub use arithmetic::{
    add32, add64, div32, div64, fma32, fma64, mul32, mul64, rcp32, rcp64, sqrt32, sqrt64, sub32, sub64,
};
pub use minmax::{
    max32, max32_nan, max32_nan_xorsign, max32_xorsign, max64, min32, min32_nan, min32_nan_xorsign, min32_xorsign,
    min64,
};

use super::Rounding;

/// The bits of the NaN that `f32` operations return.
pub const CANONICAL_NAN32: u32 = 0x7fff_ffff;
/// The bits of the NaN that `f64` operations return.
pub const CANONICAL_NAN64: u64 = 0x7ff8_0000_0000_0000;

const SIGN32: u32 = 1 << 31;
const SIGN64: u64 = 1 << 63;

/// Replaces a subnormal by the zero of its sign.
#[inline(always)]
pub fn ftz32(x: f32) -> f32 {
    let bits = x.to_bits();
    let tiny = bits & 0x7f80_0000 == 0;
    f32::from_bits(if tiny { bits & SIGN32 } else { bits })
}

/// Replaces any NaN by the canonical one.
///
/// On bits, for a compiler may take a choice between two NaNs as floats for no choice at all.
#[inline(always)]
pub fn canonical32(x: f32) -> f32 {
    let bits = x.to_bits();
    let is_nan = bits & !SIGN32 > 0x7f80_0000;
    f32::from_bits(if is_nan { CANONICAL_NAN32 } else { bits })
}

/// Replaces any NaN by the canonical one.
#[inline(always)]
pub fn canonical64(x: f64) -> f64 {
    let bits = x.to_bits();
    let is_nan = bits & !SIGN64 > 0x7ff0_0000_0000_0000;
    f64::from_bits(if is_nan { CANONICAL_NAN64 } else { bits })
}

/// Clamps to `[0, 1]`; NaN and negative zero become positive zero.
#[inline(always)]
pub fn sat32(x: f32) -> f32 {
    let floor = if x > 0.0 { x } else { 0.0 };
    if floor < 1.0 { floor } else { 1.0 }
}

/// Clamps to `[0, 1]`; NaN and negative zero become positive zero.
#[inline(always)]
pub fn sat64(x: f64) -> f64 {
    let floor = if x > 0.0 { x } else { 0.0 };
    if floor < 1.0 { floor } else { 1.0 }
}

/// The value of `magnitude` under the sign of `sign_of` (`copysign d, sign_of, magnitude`).
#[inline(always)]
pub fn copysign32(sign_of: f32, magnitude: f32) -> f32 {
    f32::from_bits(sign_of.to_bits() & SIGN32 | magnitude.to_bits() & !SIGN32)
}

/// The value of `magnitude` under the sign of `sign_of` (`copysign d, sign_of, magnitude`).
#[inline(always)]
pub fn copysign64(sign_of: f64, magnitude: f64) -> f64 {
    f64::from_bits(sign_of.to_bits() & SIGN64 | magnitude.to_bits() & !SIGN64)
}

/// Rounds to an integral value of the same format, keeping the sign of a zero.
#[inline(always)]
pub fn round_to_integral32(x: f32, rounding: Rounding) -> f32 {
    canonical32(match rounding {
        Rounding::NearestEven => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
        Rounding::NearestAway => x.round(),
    })
}

/// Rounds to an integral value of the same format, keeping the sign of a zero.
#[inline(always)]
pub fn round_to_integral64(x: f64, rounding: Rounding) -> f64 {
    canonical64(match rounding {
        Rounding::NearestEven => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
        Rounding::NearestAway => x.round(),
    })
}

/// The property that a `testp` instruction asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// Neither infinite nor NaN.
    Finite,
    /// Positive or negative infinity.
    Infinite,
    /// Not NaN.
    Number,
    /// NaN.
    NotANumber,
    /// Finite and not subnormal; zeros count as normal.
    Normal,
    /// Nonzero and below the smallest normal magnitude.
    Subnormal,
}

impl Property {
    /// The property that a modifier of `testp` names.
    pub fn parse(modifier: &str) -> Option<Self> {
        match modifier {
            "finite" => Some(Self::Finite),
            "infinite" => Some(Self::Infinite),
            "number" => Some(Self::Number),
            "notanumber" => Some(Self::NotANumber),
            "normal" => Some(Self::Normal),
            "subnormal" => Some(Self::Subnormal),
            _ => None,
        }
    }
}

/// Whether `x` has the property.
#[inline(always)]
pub fn testp32(property: Property, x: f32) -> bool {
    match property {
        Property::Finite => x.is_finite(),
        Property::Infinite => x.is_infinite(),
        Property::Number => !x.is_nan(),
        Property::NotANumber => x.is_nan(),
        Property::Normal => x.is_finite() && !x.is_subnormal(),
        Property::Subnormal => x.is_subnormal(),
    }
}

/// Whether `x` has the property.
#[inline(always)]
pub fn testp64(property: Property, x: f64) -> bool {
    match property {
        Property::Finite => x.is_finite(),
        Property::Infinite => x.is_infinite(),
        Property::Number => !x.is_nan(),
        Property::NotANumber => x.is_nan(),
        Property::Normal => x.is_finite() && !x.is_subnormal(),
        Property::Subnormal => x.is_subnormal(),
    }
}
