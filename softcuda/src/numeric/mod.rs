//! The scalar arithmetic of PTX, as pure functions of bits and numbers.
//!
//! IEEE operations are exact to the last bit in every rounding mode. Approximate ones come from a wider format and one
//! rounding, so they lie well inside the errors that PTX allows, and differ from hardware in the last bits.
//!
//! Flushing of subnormals is the caller's: apply [`float::ftz32`] to the operands and to the result of a `.ftz`
//! instruction.

pub mod approx;
pub mod compare;
pub mod convert;
pub mod float;
pub mod half;
pub mod integer;
pub mod mma;

#[cfg(test)]
mod testing;

/// How an inexact result is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the nearest value, ties to the even one (`.rn`, `.rni`).
    NearestEven,
    /// Toward zero (`.rz`, `.rzi`).
    Zero,
    /// Toward negative infinity (`.rm`, `.rmi`).
    Down,
    /// Toward positive infinity (`.rp`, `.rpi`).
    Up,
    /// To the nearest value, ties away from zero (`.rna`).
    NearestAway,
}

impl Rounding {
    /// The rounding that a modifier names, with or without the `i` of the integer roundings.
    pub fn parse(modifier: &str) -> Option<Self> {
        match modifier {
            "rn" | "rni" => Some(Self::NearestEven),
            "rz" | "rzi" => Some(Self::Zero),
            "rm" | "rmi" => Some(Self::Down),
            "rp" | "rpi" => Some(Self::Up),
            "rna" => Some(Self::NearestAway),
            _ => None,
        }
    }
}
