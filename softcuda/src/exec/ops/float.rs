//! Arithmetic of f32 and f64.

use super::{Handler, handler};
use crate::exec::frame::{map1, map2, map3, test2, write_predicate};
use crate::numeric::float::{self as fp, Property, canonical32, ftz32, sat32, sat64};
use crate::numeric::{Rounding, approx};

/// Bits 0 to 2 of the immediate: the rounding.
pub const ROUNDING: u32 = 7;
/// Subnormal operands and results become zeros.
pub const FTZ: u32 = 8;
/// The result is clamped to [0, 1].
pub const SAT: u32 = 16;
/// Minimum and maximum propagate NaN.
pub const NAN: u32 = 32;
/// `.xorsign.abs` of minimum and maximum.
pub const XORSIGN: u32 = 64;

/// The rounding that an immediate names.
#[inline(always)]
pub fn rounding(imm: u32) -> Rounding {
    match imm & ROUNDING {
        0 => Rounding::NearestEven,
        1 => Rounding::Zero,
        2 => Rounding::Down,
        3 => Rounding::Up,
        _ => Rounding::NearestAway,
    }
}

/// The bits that name a rounding.
pub fn rounding_bits(rounding: Rounding) -> u32 {
    match rounding {
        Rounding::NearestEven => 0,
        Rounding::Zero => 1,
        Rounding::Down => 2,
        Rounding::Up => 3,
        Rounding::NearestAway => 4,
    }
}

/// An operand of an instruction with flags `imm`.
#[inline(always)]
fn operand(imm: u32, x: f32) -> f32 {
    if imm & FTZ != 0 { ftz32(x) } else { x }
}

/// A result of an instruction with flags `imm`.
#[inline(always)]
fn result(imm: u32, x: f32) -> f32 {
    let x = if imm & SAT != 0 { sat32(x) } else { x };
    canonical32(if imm & FTZ != 0 { ftz32(x) } else { x })
}

macro_rules! arithmetic32 {
    ($imm:expr, $map:ident, $plain:expr, $general:path, $($x:ident),+; $($t:ty),+) => {
        match $imm {
            0 => handler!(|f, o, m| $map::<$($t),+>(f, o, m, |$($x),+| canonical32($plain))),
            FTZ => handler!(|f, o, m| $map::<$($t),+>(f, o, m, |$($x),+| {
                $(let $x = ftz32($x);)+
                canonical32(ftz32($plain))
            })),
            _ => handler!(|f, o, m| {
                let imm = o.imm;
                $map::<$($t),+>(f, o, m, |$($x),+| result(imm, $general($(operand(imm, $x)),+, rounding(imm))))
            }),
        }
    };
}

/// `add`, `sub`, `mul` of f32; with the flags of the immediate.
pub fn binary32(opcode: &str, imm: u32) -> Option<Handler> {
    Some(match opcode {
        "add" => arithmetic32!(imm, map2, a + b, fp::add32, a, b; f32, f32, f32),
        "sub" => arithmetic32!(imm, map2, a - b, fp::sub32, a, b; f32, f32, f32),
        "mul" => arithmetic32!(imm, map2, a * b, fp::mul32, a, b; f32, f32, f32),
        "div" => arithmetic32!(imm, map2, a / b, fp::div32, a, b; f32, f32, f32),
        _ => return None,
    })
}

/// `fma` of f32.
pub fn fma32(imm: u32) -> Handler {
    arithmetic32!(imm, map3, a.mul_add(b, c), fp::fma32, a, b, c; f32, f32, f32, f32)
}

/// `rcp.rn` and `sqrt.rn` and their other roundings.
pub fn unary32(opcode: &str, imm: u32) -> Option<Handler> {
    Some(match opcode {
        "rcp" => arithmetic32!(imm, map1, 1.0 / a, fp::rcp32, a; f32, f32),
        "sqrt" => arithmetic32!(imm, map1, a.sqrt(), fp::sqrt32, a; f32, f32),
        _ => return None,
    })
}

macro_rules! approximate {
    ($function:path, $($x:ident),+; $map:ident, $($t:ty),+) => {
        handler!(|f, o, m| {
            let imm = o.imm;
            $map::<$($t),+>(f, o, m, |$($x),+| result(imm, $function($(operand(imm, $x)),+)))
        })
    };
}

/// The approximations of f32.
pub fn approximate32(opcode: &str, full: bool) -> Option<Handler> {
    Some(match opcode {
        "ex2" => approximate!(approx::ex2_32, a; map1, f32, f32),
        "lg2" => approximate!(approx::lg2_32, a; map1, f32, f32),
        "sin" => approximate!(approx::sin_32, a; map1, f32, f32),
        "cos" => approximate!(approx::cos_32, a; map1, f32, f32),
        "tanh" => approximate!(approx::tanh_32, a; map1, f32, f32),
        "rcp" => approximate!(approx::rcp_32, a; map1, f32, f32),
        "sqrt" => approximate!(approx::sqrt_32, a; map1, f32, f32),
        "rsqrt" => approximate!(approx::rsqrt_32, a; map1, f32, f32),
        "div" if full => approximate!(approx::div_full_32, a, b; map2, f32, f32, f32),
        "div" => approximate!(approx::div_32, a, b; map2, f32, f32, f32),
        _ => return None,
    })
}

/// The approximations of f64.
pub fn approximate64(opcode: &str, flush: bool) -> Option<Handler> {
    Some(match (opcode, flush) {
        ("rcp", true) => handler!(|f, o, m| map1::<f64, f64>(f, o, m, approx::rcp_ftz_64)),
        ("rsqrt", true) => handler!(|f, o, m| map1::<f64, f64>(f, o, m, approx::rsqrt_ftz_64)),
        ("rsqrt", false) => handler!(|f, o, m| map1::<f64, f64>(f, o, m, approx::rsqrt_64)),
        _ => return None,
    })
}

macro_rules! minmax32 {
    ($imm:expr, $plain:path, $nan:path, $xorsign:path, $nan_xorsign:path; $($x:ident),+) => {
        match $imm & (NAN | XORSIGN) {
            0 => approximate!($plain, a, b; map2, f32, f32, f32),
            NAN => approximate!($nan, a, b; map2, f32, f32, f32),
            XORSIGN => approximate!($xorsign, a, b; map2, f32, f32, f32),
            _ => approximate!($nan_xorsign, a, b; map2, f32, f32, f32),
        }
    };
}

/// `min` and `max` of f32.
pub fn minmax32(opcode: &str, imm: u32) -> Handler {
    match opcode {
        "min" => minmax32!(imm, fp::min32, fp::min32_nan, fp::min32_xorsign, fp::min32_nan_xorsign; a, b),
        _ => minmax32!(imm, fp::max32, fp::max32_nan, fp::max32_xorsign, fp::max32_nan_xorsign; a, b),
    }
}

/// Three-operand `min` and `max` of f32.
pub fn minmax32_of_three(opcode: &str, imm: u32) -> Handler {
    macro_rules! of_three {
        ($function:path) => {
            handler!(|f, o, m| {
                let imm = o.imm;
                map3::<f32, f32, f32, f32>(f, o, m, |a, b, c| {
                    result(imm, $function($function(operand(imm, a), operand(imm, b)), operand(imm, c)))
                })
            })
        };
    }
    match (opcode, imm & NAN) {
        ("min", 0) => of_three!(fp::min32),
        ("min", _) => of_three!(fp::min32_nan),
        (_, 0) => of_three!(fp::max32),
        _ => of_three!(fp::max32_nan),
    }
}

/// `abs`, `neg` and `copysign` of f32: the latter takes the sign from a and the rest from b.
pub fn sign32(opcode: &str, imm: u32) -> Option<Handler> {
    Some(match (opcode, imm & FTZ) {
        ("abs", 0) => handler!(|f, o, m| map1::<u32, u32>(f, o, m, |a| a & 0x7FFF_FFFF)),
        ("neg", 0) => handler!(|f, o, m| map1::<u32, u32>(f, o, m, |a| a ^ 0x8000_0000)),
        ("abs", _) => handler!(|f, o, m| map1::<f32, f32>(f, o, m, |a| ftz32(a).abs())),
        ("neg", _) => handler!(|f, o, m| map1::<f32, f32>(f, o, m, |a| -ftz32(a))),
        ("copysign", _) => handler!(|f, o, m| map2::<f32, f32, f32>(f, o, m, fp::copysign32)),
        _ => return None,
    })
}

macro_rules! arithmetic64 {
    ($imm:expr, $map:ident, $plain:expr, $general:path, $($x:ident),+; $($t:ty),+) => {
        if $imm & (ROUNDING | SAT) == 0 {
            handler!(|f, o, m| $map::<$($t),+>(f, o, m, |$($x),+| $plain))
        } else {
            handler!(|f, o, m| {
                let imm = o.imm;
                $map::<$($t),+>(f, o, m, |$($x),+| {
                    let value = $general($($x),+, rounding(imm));
                    if imm & SAT != 0 { sat64(value) } else { value }
                })
            })
        }
    };
}

/// `add`, `sub`, `mul`, `div`, `min`, `max` and `copysign` of f64.
pub fn binary64(opcode: &str, imm: u32) -> Option<Handler> {
    Some(match opcode {
        "add" => arithmetic64!(imm, map2, a + b, fp::add64, a, b; f64, f64, f64),
        "sub" => arithmetic64!(imm, map2, a - b, fp::sub64, a, b; f64, f64, f64),
        "mul" => arithmetic64!(imm, map2, a * b, fp::mul64, a, b; f64, f64, f64),
        "div" => arithmetic64!(imm, map2, a / b, fp::div64, a, b; f64, f64, f64),
        "min" => handler!(|f, o, m| map2::<f64, f64, f64>(f, o, m, fp::min64)),
        "max" => handler!(|f, o, m| map2::<f64, f64, f64>(f, o, m, fp::max64)),
        "copysign" => handler!(|f, o, m| map2::<f64, f64, f64>(f, o, m, fp::copysign64)),
        _ => return None,
    })
}

/// `fma` of f64.
pub fn fma64(imm: u32) -> Handler {
    arithmetic64!(imm, map3, a.mul_add(b, c), fp::fma64, a, b, c; f64, f64, f64, f64)
}

/// `rcp`, `sqrt`, `abs` and `neg` of f64.
pub fn unary64(opcode: &str, imm: u32) -> Option<Handler> {
    Some(match opcode {
        "rcp" => arithmetic64!(imm, map1, 1.0 / a, fp::rcp64, a; f64, f64),
        "sqrt" => arithmetic64!(imm, map1, a.sqrt(), fp::sqrt64, a; f64, f64),
        "abs" => handler!(|f, o, m| map1::<u64, u64>(f, o, m, |a| a & !(1 << 63))),
        "neg" => handler!(|f, o, m| map1::<u64, u64>(f, o, m, |a| a ^ 1 << 63)),
        _ => return None,
    })
}

/// `testp`: predicate d; the immediate names the property.
pub fn test_property(property: Property, wide: bool) -> Handler {
    macro_rules! testp {
        ($($name:ident)*) => {
            match (property, wide) {
                $((Property::$name, false) => handler!(|f, o, m| {
                    let holds = test2::<f32, f32>(f, o, |a, _| fp::testp32(Property::$name, a));
                    write_predicate(f, o.d, holds, m);
                }),
                (Property::$name, true) => handler!(|f, o, m| {
                    let holds = test2::<f64, f64>(f, o, |a, _| fp::testp64(Property::$name, a));
                    write_predicate(f, o.d, holds, m);
                }),)*
            }
        };
    }
    testp!(Finite Infinite Number NotANumber Normal Subnormal)
}
