//! `cvt`: common conversions of their own, the others by one function that reads its types from the immediate.

use super::float::{FTZ, rounding};
use super::half::RELU;
use super::{Handler, handler};
use crate::exec::frame::map1;
use crate::numeric::{convert as cv, float as fp};
use crate::ptx::ast::Type;

/// Results beyond the range are clamped to it: integers, and floats to [0, 1].
pub const SATURATE: u32 = 16;
/// Results beyond the finite range are clamped to it.
pub const SATFINITE: u32 = 32;
/// A float is rounded to an integral value.
pub const INTEGRAL: u32 = 64;
const FROM_SHIFT: u32 = 8;
const TO_SHIFT: u32 = 14;
/// The destination's register is wider than its type by these bits: 16, 32 or 64 in units of 16.
const REGISTER_SHIFT: u32 = 20;

const TYPES: [Type; 14] = [
    Type::U(8),
    Type::S(8),
    Type::U(16),
    Type::S(16),
    Type::U(32),
    Type::S(32),
    Type::U(64),
    Type::S(64),
    Type::F(16),
    Type::Bf16,
    Type::F(32),
    Type::F(64),
    Type::Tf32,
    Type::B(8),
];

/// The immediate of a conversion, `register` being the bits of the destination's register.
pub fn conversion_bits(to: Type, from: Type, register: u32, flags: u32) -> Option<u32> {
    let index = |ty: Type| TYPES.iter().position(|known| *known == ty).map(|index| index as u32);
    Some(flags | index(from)? << FROM_SHIFT | index(to)? << TO_SHIFT | (register / 16) << REGISTER_SHIFT)
}

fn type_at(imm: u32, shift: u32) -> Type {
    TYPES[(imm >> shift & 63) as usize % TYPES.len()]
}

/// A number on its way from one type to another.
enum Number {
    Integer(i128),
    Float(f64),
}

fn read(ty: Type, bits: u64, imm: u32) -> Number {
    let flush = |x: f32| if imm & FTZ != 0 { fp::ftz32(x) } else { x };
    match ty {
        Type::U(width) | Type::B(width) => {
            Number::Integer(i128::from(bits << (64 - u32::from(width)) >> (64 - u32::from(width))))
        }
        Type::S(width) => {
            Number::Integer(i128::from((bits << (64 - u32::from(width))) as i64 >> (64 - u32::from(width))))
        }
        Type::F(16) => Number::Float(cv::f16_to_f64(bits as u16)),
        Type::Bf16 => Number::Float(cv::bf16_to_f64(bits as u16)),
        Type::F(64) => Number::Float(f64::from_bits(bits)),
        _ => Number::Float(f64::from(flush(f32::from_bits(bits as u32)))),
    }
}

fn to_integer(number: &Number, from: Type, to: Type, imm: u32) -> u64 {
    let (bits, signed) = (to.bits(), to.signed());
    match *number {
        Number::Integer(value) => cv::int_to_int(value, bits, signed, imm & SATURATE != 0),
        Number::Float(value) if from == Type::F(64) => cv::f64_to_int(value, rounding(imm), bits, signed),
        Number::Float(value) => cv::f32_to_int(value as f32, rounding(imm), bits, signed),
    }
}

/// Options of a conversion to a float, before its rounding.
fn prepared(value: f64, to: Type, imm: u32) -> f64 {
    let value = if imm & INTEGRAL != 0 { fp::round_to_integral64(value, rounding(imm)) } else { value };
    let value = if imm & RELU != 0 && value <= 0.0 { 0.0 } else { value };
    let largest = match to {
        Type::F(16) => 65504.0,
        Type::Bf16 => f64::from(f32::from_bits(0x7F7F_0000)),
        Type::Tf32 => f64::from(f32::from_bits(0x7F7F_E000)),
        _ => f64::MAX,
    };
    if imm & SATFINITE != 0 && value.abs() > largest { largest.copysign(value) } else { value }
}

fn to_float(number: &Number, to: Type, imm: u32) -> u64 {
    let mode = rounding(imm);
    let value = match *number {
        Number::Integer(value) => {
            return match to {
                Type::F(16) => u64::from(cv::int_to_f16(value, mode)),
                Type::Bf16 => u64::from(cv::int_to_bf16(value, mode)),
                Type::F(64) => cv::int_to_f64(value, mode).to_bits(),
                _ => u64::from(cv::int_to_f32(value, mode).to_bits()),
            };
        }
        Number::Float(value) => prepared(value, to, imm),
    };
    let saturate = imm & SATURATE != 0;
    match to {
        Type::F(16) => {
            let half = cv::f64_to_f16(value, mode);
            u64::from(if saturate { crate::numeric::half::saturate::<crate::numeric::half::F16>(half) } else { half })
        }
        Type::Bf16 => u64::from(cv::f64_to_bf16(value, mode)),
        Type::Tf32 => u64::from(cv::f32_to_tf32(value as f32, mode)),
        Type::F(64) => (if saturate { fp::sat64(value) } else { value }).to_bits(),
        _ => {
            let single = cv::f64_to_f32(value, mode);
            let single = if imm & FTZ != 0 { fp::ftz32(single) } else { single };
            u64::from(fp::canonical32(if saturate { fp::sat32(single) } else { single }).to_bits())
        }
    }
}

/// Any conversion that the immediate describes.
fn converted(bits: u64, imm: u32) -> u64 {
    let (from, to) = (type_at(imm, FROM_SHIFT), type_at(imm, TO_SHIFT));
    let number = read(from, bits, imm);
    match to {
        Type::U(_) | Type::S(_) | Type::B(_) => {
            // Sign-extended up to the register, zero above it.
            let register = (imm >> REGISTER_SHIFT) * 16;
            to_integer(&number, from, to, imm) << (64 - register) >> (64 - register)
        }
        _ => to_float(&number, to, imm),
    }
}

/// The handler of a conversion; `from_wide` and `to_wide` tell registers of 64 bits.
pub fn convert(to: Type, from: Type, from_wide: bool, to_wide: bool, imm: u32) -> Handler {
    let flags = imm & ((1 << FROM_SHIFT) - 1);
    if let Some(common) = common(to, from, from_wide, to_wide, flags, imm >> REGISTER_SHIFT) {
        return common;
    }
    macro_rules! general {
        ($from:ty, $to:ty) => {
            handler!(|f, o, m| {
                let imm = o.imm;
                #[allow(clippy::unnecessary_cast, reason = "the types are the macro's")]
                map1::<$from, $to>(f, o, m, |a| converted(a as u64, imm) as $to)
            })
        };
    }
    match (from_wide, to_wide) {
        (false, false) => general!(u32, u32),
        (false, true) => general!(u32, u64),
        (true, false) => general!(u64, u32),
        (true, true) => general!(u64, u64),
    }
}

/// The conversions that kernels are full of.
fn common(to: Type, from: Type, from_wide: bool, to_wide: bool, flags: u32, register: u32) -> Option<Handler> {
    const NEAREST: u32 = 0;
    const INTEGRAL_ZERO: u32 = INTEGRAL | 1;
    Some(match (to, from, from_wide, to_wide, flags, register) {
        (Type::U(64) | Type::S(64), Type::U(32), false, true, 0, 4) => {
            handler!(|f, o, m| map1::<u32, u64>(f, o, m, u64::from))
        }
        (Type::S(64) | Type::U(64), Type::S(32), false, true, 0, 4) => {
            handler!(|f, o, m| map1::<i32, i64>(f, o, m, i64::from))
        }
        (Type::U(32) | Type::S(32), Type::U(64) | Type::S(64), true, false, 0, 2) => {
            handler!(|f, o, m| map1::<u64, u32>(f, o, m, |a| a as u32))
        }
        (Type::U(32) | Type::S(32), Type::U(16), false, false, 0, 2) => {
            handler!(|f, o, m| map1::<u16, u32>(f, o, m, u32::from))
        }
        (Type::U(16) | Type::S(16), Type::U(32) | Type::S(32), false, false, 0, 1) => {
            handler!(|f, o, m| map1::<u32, u16>(f, o, m, |a| a as u16))
        }
        (Type::U(32) | Type::S(32), Type::U(8), false, false, 0, 2) => {
            handler!(|f, o, m| map1::<u8, u32>(f, o, m, u32::from))
        }
        (Type::F(32), Type::S(32), false, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<i32, f32>(f, o, m, |a| a as f32))
        }
        (Type::F(32), Type::U(32), false, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<u32, f32>(f, o, m, |a| a as f32))
        }
        (Type::F(32), Type::U(16), false, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<u16, f32>(f, o, m, f32::from))
        }
        (Type::S(32), Type::F(32), false, false, INTEGRAL_ZERO, 2) => {
            handler!(|f, o, m| map1::<f32, i32>(f, o, m, |a| a as i32))
        }
        (Type::U(32), Type::F(32), false, false, INTEGRAL_ZERO, 2) => {
            handler!(|f, o, m| map1::<f32, u32>(f, o, m, |a| a as u32))
        }
        (Type::F(64), Type::F(32), false, true, NEAREST, _) => {
            handler!(|f, o, m| map1::<f32, f64>(f, o, m, cv::f32_to_f64))
        }
        (Type::F(32), Type::F(64), true, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<f64, f32>(f, o, m, |a| fp::canonical32(a as f32)))
        }
        (Type::F(32), Type::F(16), false, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<u16, f32>(f, o, m, cv::f16_to_f32))
        }
        (Type::F(32), Type::Bf16, false, false, NEAREST, _) => {
            handler!(|f, o, m| map1::<u16, f32>(f, o, m, cv::bf16_to_f32))
        }
        _ => return None,
    })
}

/// `cvt.rn.satfinite.e4m3x2.f32` and `e5m2x2`: two f32 into a pair of bytes, a the upper one.
pub fn pack_fp8(e5m2: bool) -> Handler {
    macro_rules! pack {
        ($convert:path) => {
            handler!(|f, o, m| {
                let relu = o.imm & RELU != 0;
                crate::exec::frame::map2::<f32, f32, u16>(f, o, m, |a, b| {
                    let byte = |x| $convert(if relu { cv::relu32(x) } else { x });
                    u16::from(byte(a)) << 8 | u16::from(byte(b))
                })
            })
        };
    }
    if e5m2 { pack!(cv::f32_to_e5m2) } else { pack!(cv::f32_to_e4m3) }
}

/// `cvt.rn.f16x2.e4m3x2` and `e5m2x2`.
pub fn unpack_fp8(e5m2: bool) -> Handler {
    macro_rules! unpack {
        ($convert:path) => {
            handler!(|f, o, m| map1::<u16, u32>(f, o, m, |a| {
                u32::from($convert((a >> 8) as u8)) << 16 | u32::from($convert(a as u8))
            }))
        };
    }
    if e5m2 { unpack!(cv::e5m2_to_f16) } else { unpack!(cv::e4m3_to_f16) }
}
