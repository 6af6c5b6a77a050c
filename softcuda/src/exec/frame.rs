//! The registers of one warp in one call of a function, and loops over its 32 lanes.

use crate::program::instruction::Operands;

/// Lanes of a warp.
pub const LANES: usize = 32;
/// The mask of a whole warp.
pub const FULL: u32 = u32::MAX;

/// One register of a warp: a value for each lane.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Lanes<T>(pub [T; LANES]);

/// Registers of one warp. Registers of up to 32 bits share a file (narrower values are kept zero-extended), those of 64
/// bits have their own, predicates are masks of lanes. Constants and special registers lie behind the registers proper.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Registers of up to 32 bits.
    pub words: Vec<Lanes<u32>>,
    /// Registers of 64 bits.
    pub doubles: Vec<Lanes<u64>>,
    /// Predicates; number 0 is the carry flag.
    pub predicates: Vec<u32>,
    /// Parameters of calls and of this function, for each lane after the other.
    pub parameters: Vec<u8>,
    /// Bytes of `parameters` for each lane.
    pub parameter_stride: usize,
    /// First byte of this call's local memory in each lane's stack.
    pub local_base: u32,
    /// Index of the function.
    pub function: usize,
    /// Where a `ret` goes: frame, instruction.
    pub caller: Option<(usize, u32)>,
    /// Lanes that have not yet returned.
    pub live: u32,
}

/// What a register file holds.
pub trait Bits: Copy + Default {
    /// The value of a register.
    fn read(frame: &Frame, slot: u16) -> [Self; LANES];
    /// The register itself.
    fn register(frame: &mut Frame, slot: u16) -> &mut [Self; LANES];
}

impl Bits for u32 {
    #[inline(always)]
    fn read(frame: &Frame, slot: u16) -> [u32; LANES] {
        frame.words[usize::from(slot)].0
    }
    #[inline(always)]
    fn register(frame: &mut Frame, slot: u16) -> &mut [u32; LANES] {
        &mut frame.words[usize::from(slot)].0
    }
}

impl Bits for u64 {
    #[inline(always)]
    fn read(frame: &Frame, slot: u16) -> [u64; LANES] {
        frame.doubles[usize::from(slot)].0
    }
    #[inline(always)]
    fn register(frame: &mut Frame, slot: u16) -> &mut [u64; LANES] {
        &mut frame.doubles[usize::from(slot)].0
    }
}

/// A type of PTX values, kept as bits of a register.
pub trait Value: Copy {
    /// The register file it lives in.
    type Bits: Bits;
    /// From a register; bits above the type are ignored.
    fn from_bits(bits: Self::Bits) -> Self;
    /// To a register, zero-extended.
    fn to_bits(self) -> Self::Bits;
}

macro_rules! value {
    ($type:ty, $bits:ty, $from:expr, $to:expr) => {
        impl Value for $type {
            type Bits = $bits;
            #[inline(always)]
            fn from_bits(bits: $bits) -> Self {
                $from(bits)
            }
            #[inline(always)]
            fn to_bits(self) -> $bits {
                $to(self)
            }
        }
    };
}

value!(u8, u32, |bits| bits as u8, u32::from);
value!(i8, u32, |bits| bits as i8, |value: i8| u32::from(value as u8));
value!(u16, u32, |bits| bits as u16, u32::from);
value!(i16, u32, |bits| bits as i16, |value: i16| u32::from(value as u16));
value!(u32, u32, |bits| bits, |value| value);
value!(i32, u32, |bits| bits as i32, |value| value as u32);
value!(f32, u32, f32::from_bits, f32::to_bits);
value!(u64, u64, |bits| bits, |value| value);
value!(i64, u64, |bits| bits as i64, |value| value as u64);
value!(f64, u64, f64::from_bits, f64::to_bits);

/// Writes the lanes of `mask`.
#[inline(always)]
pub fn write<B: Bits>(frame: &mut Frame, slot: u16, values: [B; LANES], mask: u32) {
    let register = B::register(frame, slot);
    if mask == FULL {
        *register = values;
        return;
    }
    for lane in 0..LANES {
        register[lane] = if mask >> lane & 1 != 0 { values[lane] } else { register[lane] };
    }
}

/// `d = f(a)`.
#[inline(always)]
pub fn map1<A: Value, D: Value>(frame: &mut Frame, o: &Operands, mask: u32, f: impl Fn(A) -> D) {
    let a = A::Bits::read(frame, o.a);
    let mut d = [D::Bits::default(); LANES];
    for lane in 0..LANES {
        d[lane] = f(A::from_bits(a[lane])).to_bits();
    }
    write(frame, o.d, d, mask);
}

/// `d = f(a, b)`.
#[inline(always)]
pub fn map2<A: Value, B: Value, D: Value>(frame: &mut Frame, o: &Operands, mask: u32, f: impl Fn(A, B) -> D) {
    let (a, b) = (A::Bits::read(frame, o.a), B::Bits::read(frame, o.b));
    let mut d = [D::Bits::default(); LANES];
    for lane in 0..LANES {
        d[lane] = f(A::from_bits(a[lane]), B::from_bits(b[lane])).to_bits();
    }
    write(frame, o.d, d, mask);
}

/// `d = f(a, b, c)`.
#[inline(always)]
pub fn map3<A: Value, B: Value, C: Value, D: Value>(
    frame: &mut Frame,
    o: &Operands,
    mask: u32,
    f: impl Fn(A, B, C) -> D,
) {
    let (a, b, c) = (A::Bits::read(frame, o.a), B::Bits::read(frame, o.b), C::Bits::read(frame, o.c));
    let mut d = [D::Bits::default(); LANES];
    for lane in 0..LANES {
        d[lane] = f(A::from_bits(a[lane]), B::from_bits(b[lane]), C::from_bits(c[lane])).to_bits();
    }
    write(frame, o.d, d, mask);
}

/// The lanes, as a mask, for which `f(a, b)` holds.
#[inline(always)]
pub fn test2<A: Value, B: Value>(frame: &Frame, o: &Operands, f: impl Fn(A, B) -> bool) -> u32 {
    let (a, b) = (A::Bits::read(frame, o.a), B::Bits::read(frame, o.b));
    let mut holds = 0;
    for lane in 0..LANES {
        holds |= u32::from(f(A::from_bits(a[lane]), B::from_bits(b[lane]))) << lane;
    }
    holds
}

/// Writes the lanes of `mask` of a predicate.
#[inline(always)]
pub fn write_predicate(frame: &mut Frame, slot: u16, values: u32, mask: u32) {
    let register = &mut frame.predicates[usize::from(slot)];
    *register = *register & !mask | values & mask;
}
