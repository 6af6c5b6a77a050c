//! Minimum and maximum, with every treatment of NaN and sign that PTX has.

use super::{CANONICAL_NAN32, SIGN32, canonical32, canonical64};

macro_rules! minmax {
    ($float:ident, $canonical:ident; $min:ident, $max:ident) => {
        /// The lesser operand; a NaN yields to a number, and -0 is less than +0.
        #[inline(always)]
        pub fn $min(a: $float, b: $float) -> $float {
            // Equal operands differ in nothing but the sign of a zero, which the union of the bits settles.
            let equal = $float::from_bits(a.to_bits() | b.to_bits());
            let ordered = if a < b {
                a
            } else if b < a {
                b
            } else {
                equal
            };
            let or_second = if a.is_nan() { b } else { ordered };
            $canonical(if b.is_nan() { a } else { or_second })
        }

        /// The greater operand; a NaN yields to a number, and +0 is greater than -0.
        #[inline(always)]
        pub fn $max(a: $float, b: $float) -> $float {
            let equal = $float::from_bits(a.to_bits() & b.to_bits());
            let ordered = if a > b {
                a
            } else if b > a {
                b
            } else {
                equal
            };
            let or_second = if a.is_nan() { b } else { ordered };
            $canonical(if b.is_nan() { a } else { or_second })
        }
    };
}

minmax!(f32, canonical32; min32, max32);
minmax!(f64, canonical64; min64, max64);

/// As [`min32`], but NaN where either operand is (`min.NaN`).
#[inline(always)]
pub fn min32_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() | b.is_nan() { f32::from_bits(CANONICAL_NAN32) } else { min32(a, b) }
}

/// As [`max32`], but NaN where either operand is (`max.NaN`).
#[inline(always)]
pub fn max32_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() | b.is_nan() { f32::from_bits(CANONICAL_NAN32) } else { max32(a, b) }
}

/// The lesser magnitude, negative where the signs differ (`min.xorsign.abs`).
#[inline(always)]
pub fn min32_xorsign(a: f32, b: f32) -> f32 {
    with_product_sign(min32(a.abs(), b.abs()), a, b)
}

/// The greater magnitude, negative where the signs differ (`max.xorsign.abs`).
#[inline(always)]
pub fn max32_xorsign(a: f32, b: f32) -> f32 {
    with_product_sign(max32(a.abs(), b.abs()), a, b)
}

/// As [`min32_xorsign`], but NaN where either operand is (`min.NaN.xorsign.abs`).
#[inline(always)]
pub fn min32_nan_xorsign(a: f32, b: f32) -> f32 {
    with_product_sign(min32_nan(a.abs(), b.abs()), a, b)
}

/// As [`max32_xorsign`], but NaN where either operand is (`max.NaN.xorsign.abs`).
#[inline(always)]
pub fn max32_nan_xorsign(a: f32, b: f32) -> f32 {
    with_product_sign(max32_nan(a.abs(), b.abs()), a, b)
}

/// Gives a nonnegative `magnitude` the sign of `a * b`; a NaN stays as it is.
#[inline(always)]
fn with_product_sign(magnitude: f32, a: f32, b: f32) -> f32 {
    let sign = if magnitude.is_nan() { 0 } else { (a.to_bits() ^ b.to_bits()) & SIGN32 };
    f32::from_bits(magnitude.to_bits() | sign)
}
