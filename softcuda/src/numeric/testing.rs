//! Operands for the tests: edge cases and reproducible random bits.

/// A splitmix generator: every test draws the same operands in every run.
pub struct Bits(u64);

impl Bits {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn u32(&mut self) -> u32 {
        (self.u64() >> 32) as u32
    }

    /// One of the edge cases, any bits, or a number near one, in equal parts.
    pub fn f32(&mut self) -> f32 {
        let bits = self.u32();
        match self.u32() % 3 {
            0 => f32::from_bits(EDGES32[bits as usize % EDGES32.len()]),
            1 => f32::from_bits(bits),
            _ => f32::from_bits(bits & 0x83ff_ffff | 0x3e00_0000),
        }
    }

    /// One of the edge cases, any bits, or a number near one, in equal parts.
    pub fn f64(&mut self) -> f64 {
        let bits = self.u64();
        match self.u32() % 3 {
            0 => f64::from_bits(EDGES64[bits as usize % EDGES64.len()]),
            1 => f64::from_bits(bits),
            _ => f64::from_bits(bits & 0x803f_ffff_ffff_ffff | 0x3fc0_0000_0000_0000),
        }
    }

    /// Zero, one, the extremes, a power of two or its neighbour, or any bits.
    pub fn integer(&mut self) -> u64 {
        let bits = self.u64();
        match self.u32() % 6 {
            0 => [0, 1, u64::MAX, i64::MIN as u64, i64::MAX as u64, u64::from(u32::MAX)][bits as usize % 6],
            1 => [1 << 31, (1 << 31) - 1, !0 << 31, !0 << 15, 0x7fff, 0x80][bits as usize % 6],
            2 => 1 << (bits % 64),
            3 => (1u64 << (bits % 64)).wrapping_sub(1),
            4 => bits % 70,
            _ => bits,
        }
    }
}

/// Both signs of zero, subnormals, the smallest and largest normals, infinity, one and its neighbours; quiet and
/// signalling NaN.
pub const EDGES32: [u32; 24] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x0040_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_1234,
    0x7f80_0001,
    0x3f80_0000,
    0xbf80_0000,
    0x3f7f_ffff,
    0x3f80_0001,
    0x4000_0000,
    0x3f00_0000,
    0xbfc0_0000,
    0x7e80_0000,
];

/// The edge cases of [`EDGES32`] in the wider format.
pub const EDGES64: [u64; 22] = [
    0,
    1 << 63,
    1,
    1 << 63 | 1,
    0x000f_ffff_ffff_ffff,
    0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x8010_0000_0000_0000,
    0x0008_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_1234,
    0x7ff0_0000_0000_0001,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3fef_ffff_ffff_ffff,
    0x3ff0_0000_0000_0001,
    0x4000_0000_0000_0000,
    0x3fe0_0000_0000_0000,
];

/// Every rounding mode.
pub const ROUNDINGS: [super::Rounding; 5] = [
    super::Rounding::NearestEven,
    super::Rounding::Zero,
    super::Rounding::Down,
    super::Rounding::Up,
    super::Rounding::NearestAway,
];
