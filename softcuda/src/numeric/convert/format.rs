//! Rounding to a binary format given by its field widths.

use super::super::Rounding;

/// A format with a sign bit, a biased exponent and a significand without its leading one.
#[derive(Clone, Copy)]
pub(super) struct Format {
    exponent_bits: u32,
    significand_bits: u32,
}

impl Format {
    pub const F64: Self = Self::new(11, 52);
    pub const F32: Self = Self::new(8, 23);
    pub const TF32: Self = Self::new(8, 10);
    pub const F16: Self = Self::new(5, 10);
    pub const BF16: Self = Self::new(8, 7);
    pub const E4M3: Self = Self::new(4, 3);
    pub const E5M2: Self = Self::new(5, 2);

    const fn new(exponent_bits: u32, significand_bits: u32) -> Self {
        Self { exponent_bits, significand_bits }
    }

    /// The canonical NaN: all ones below the sign.
    const fn nan(self) -> u64 {
        (1 << (self.exponent_bits + self.significand_bits)) - 1
    }

    const fn infinity(self) -> u64 {
        self.nan() >> self.significand_bits << self.significand_bits
    }

    /// Rounds an f64; overflow goes where the mode says.
    #[inline(always)]
    pub fn round_f64(self, x: f64, rounding: Rounding) -> u64 {
        let negative = x.is_sign_negative();
        let magnitude = self.unbounded_f64(x, rounding);
        if x.is_nan() { self.nan() } else { self.bounded(negative, magnitude, x.is_infinite(), rounding) }
    }

    /// Rounds an integer.
    #[inline(always)]
    pub fn round_integer(self, negative: bool, magnitude: u64, rounding: Rounding) -> u64 {
        let rounded = self.unbounded(negative, magnitude, 0, rounding);
        self.bounded(negative, rounded, false, rounding)
    }

    /// The bits below the sign of a rounded f64, as if exponents had no upper end.
    #[inline(always)]
    pub fn unbounded_f64(self, x: f64, rounding: Rounding) -> u64 {
        let bits = x.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let biased = (bits >> 52 & 0x7ff) as i32;
        let leading = u64::from(biased != 0) << 52;
        self.unbounded(x.is_sign_negative(), fraction | leading, biased.max(1) - 1075, rounding)
    }

    /// The bits below the sign of `significand * 2^exponent`, rounded as if exponents had no upper end.
    #[inline(always)]
    fn unbounded(self, negative: bool, significand: u64, exponent: i32, rounding: Rounding) -> u64 {
        let bias = (1 << (self.exponent_bits - 1)) - 1;
        let zeros = significand.leading_zeros() & 63;
        let aligned = significand << zeros;
        // The exponent of the leading one, and how far below the smallest normal number it lies.
        let top = exponent + 63 - zeros as i32;
        let below = (1 - bias - top).max(0);
        let dropped = 63 - self.significand_bits as i32 + below;
        let kept = if dropped < 64 { aligned >> (dropped & 63) } else { 0 };
        // What is dropped, as a fraction of the last kept bit; far below it only its being nonzero counts.
        let fraction = if dropped <= 64 { aligned << ((64 - dropped) & 63) } else { u64::from(aligned != 0) };
        let half = 1 << 63;
        let up = match rounding {
            Rounding::NearestEven => fraction > half || fraction == half && kept & 1 != 0,
            Rounding::NearestAway => fraction >= half,
            Rounding::Zero => false,
            Rounding::Down => negative && fraction != 0,
            Rounding::Up => !negative && fraction != 0,
        };
        // The leading one of a normal number adds one to the exponent field, as does a carry out of the significand.
        let field = (top + bias - 1 + below) as u64;
        if significand == 0 { 0 } else { (field << self.significand_bits) + kept + u64::from(up) }
    }

    /// Replaces what lies beyond the largest finite number, and puts the sign.
    #[inline(always)]
    fn bounded(self, negative: bool, magnitude: u64, infinite: bool, rounding: Rounding) -> u64 {
        let to_infinity = match rounding {
            Rounding::NearestEven | Rounding::NearestAway => true,
            Rounding::Zero => infinite,
            Rounding::Down => negative | infinite,
            Rounding::Up => !negative | infinite,
        };
        let largest = self.infinity() - u64::from(!to_infinity);
        u64::from(negative) << (self.exponent_bits + self.significand_bits) | magnitude.min(largest)
    }
}
