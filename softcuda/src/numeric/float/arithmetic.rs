//! Sums, products, quotients and roots in every rounding mode.
//!
//! Rounding to nearest even is the host's own; the other modes go through a software float, or for roots through the
//! exact residual of the nearest one.

use super::super::Rounding;
use super::{canonical32, canonical64};
use rustc_apfloat::ieee::{Double, Single};
use rustc_apfloat::{Float, Round};

impl From<Rounding> for Round {
    fn from(rounding: Rounding) -> Self {
        match rounding {
            Rounding::NearestEven => Self::NearestTiesToEven,
            Rounding::Zero => Self::TowardZero,
            Rounding::Down => Self::TowardNegative,
            Rounding::Up => Self::TowardPositive,
            Rounding::NearestAway => Self::NearestTiesToAway,
        }
    }
}

/// The five operations of one format, on `$float`.
macro_rules! arithmetic {
    ($float:ident, $canonical:ident, $residual:ident;
     $add:ident, $sub:ident, $mul:ident, $fma:ident, $div:ident, $rcp:ident, $sqrt:ident) => {
        #[doc = concat!("`a + b` on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $add(a: $float, b: $float, rounding: Rounding) -> $float {
            if rounding == Rounding::NearestEven {
                return $canonical(a + b);
            }
            soft::$float([a, b, 0.0], |[a, b, _]| a.add_r(b, rounding.into()).value)
        }

        #[doc = concat!("`a - b` on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $sub(a: $float, b: $float, rounding: Rounding) -> $float {
            $add(a, -b, rounding)
        }

        #[doc = concat!("`a * b` on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $mul(a: $float, b: $float, rounding: Rounding) -> $float {
            if rounding == Rounding::NearestEven {
                return $canonical(a * b);
            }
            soft::$float([a, b, 0.0], |[a, b, _]| a.mul_r(b, rounding.into()).value)
        }

        #[doc = concat!("`a * b + c` on `", stringify!($float), "`, rounded once.")]
        #[inline(always)]
        pub fn $fma(a: $float, b: $float, c: $float, rounding: Rounding) -> $float {
            if rounding == Rounding::NearestEven {
                return $canonical(a.mul_add(b, c));
            }
            soft::$float([a, b, c], |[a, b, c]| a.mul_add_r(b, c, rounding.into()).value)
        }

        #[doc = concat!("`a / b` on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $div(a: $float, b: $float, rounding: Rounding) -> $float {
            if rounding == Rounding::NearestEven {
                return $canonical(a / b);
            }
            soft::$float([a, b, 0.0], |[a, b, _]| a.div_r(b, rounding.into()).value)
        }

        #[doc = concat!("`1 / x` on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $rcp(x: $float, rounding: Rounding) -> $float {
            $div(1.0, x, rounding)
        }

        #[doc = concat!("The square root on `", stringify!($float), "`.")]
        #[inline(always)]
        pub fn $sqrt(x: $float, rounding: Rounding) -> $float {
            let nearest = $canonical(x.sqrt());
            match rounding {
                // A root never lies halfway between two values of its own format: both nearest modes agree.
                Rounding::NearestEven | Rounding::NearestAway => nearest,
                Rounding::Zero | Rounding::Down if $residual(x, nearest) < 0.0 => nearest.next_down(),
                Rounding::Up if $residual(x, nearest) > 0.0 => nearest.next_up(),
                _ => nearest,
            }
        }
    };
}

arithmetic!(f32, canonical32, root_residual32; add32, sub32, mul32, fma32, div32, rcp32, sqrt32);
arithmetic!(f64, canonical64, root_residual64; add64, sub64, mul64, fma64, div64, rcp64, sqrt64);

/// The software path of an operation, kept out of line so that the loops of the host path stay small.
mod soft {
    use super::*;

    #[inline(never)]
    pub fn f32(operands: [f32; 3], operation: impl FnOnce([Single; 3]) -> Single) -> f32 {
        let result = operation(operands.map(|x| Single::from_bits(x.to_bits().into())));
        canonical32(f32::from_bits(result.to_bits() as u32))
    }

    #[inline(never)]
    pub fn f64(operands: [f64; 3], operation: impl FnOnce([Double; 3]) -> Double) -> f64 {
        let result = operation(operands.map(|x| Double::from_bits(x.to_bits().into())));
        canonical64(f64::from_bits(result.to_bits() as u64))
    }
}

/// A number of the sign of `x - root²`; NaN where either is not finite.
fn root_residual32(x: f32, root: f32) -> f64 {
    // The square of 24 bits fits in the 53 of f64, and near numbers subtract exactly.
    f64::from(x) - f64::from(root) * f64::from(root)
}

/// A number of the sign of `x - root²`; NaN where either is not finite.
fn root_residual64(x: f64, root: f64) -> f64 {
    // The residual is 2^-53 of x or so: lift a tiny x so that it does not underflow.
    const TINY: f64 = f64::from_bits((1023 - 800) << 52);
    const LIFT: f64 = f64::from_bits((1023 + 600) << 52);
    const ROOT_OF_LIFT: f64 = f64::from_bits((1023 + 300) << 52);
    let (x, root) = if x < TINY { (x * LIFT, root * ROOT_OF_LIFT) } else { (x, root) };
    (-root).mul_add(root, x)
}
