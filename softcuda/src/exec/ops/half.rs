//! Arithmetic of f16 and bf16, single and in pairs.

use super::float::{FTZ, NAN, SAT, XORSIGN};
use super::{Handler, handler};
use crate::exec::frame::{map1, map2, map3};
use crate::numeric::half::{self as hf, Bf16, F16, Half};
use crate::numeric::{approx, convert};

/// Negative results become zero.
pub const RELU: u32 = 128;

/// An operand of an instruction with flags `imm`.
#[inline(always)]
fn operand<H: Half>(imm: u32, x: u16) -> u16 {
    if imm & FTZ != 0 { hf::ftz::<H>(x) } else { x }
}

/// A result of an instruction with flags `imm`.
#[inline(always)]
fn result<H: Half>(imm: u32, x: u16) -> u16 {
    let x = if imm & FTZ != 0 { hf::ftz::<H>(x) } else { x };
    let x = if imm & SAT != 0 { hf::saturate::<H>(x) } else { x };
    if imm & RELU != 0 { hf::relu::<H>(x) } else { x }
}

macro_rules! of_two {
    ($pair:expr, $h:ty, $function:expr) => {
        if $pair {
            handler!(|f, o, m| {
                let imm = o.imm;
                map2::<u32, u32, u32>(f, o, m, |a, b| {
                    hf::pair2(a, b, |a, b| result::<$h>(imm, $function(operand::<$h>(imm, a), operand::<$h>(imm, b))))
                })
            })
        } else {
            handler!(|f, o, m| {
                let imm = o.imm;
                map2::<u16, u16, u16>(f, o, m, |a, b| {
                    result::<$h>(imm, $function(operand::<$h>(imm, a), operand::<$h>(imm, b)))
                })
            })
        }
    };
}

macro_rules! minmax {
    ($imm:expr, $pair:expr, $h:ty, $plain:ident, $nan:ident, $xorsign:ident, $nan_xorsign:ident) => {
        match $imm & (NAN | XORSIGN) {
            0 => of_two!($pair, $h, hf::$plain::<$h>),
            NAN => of_two!($pair, $h, hf::$nan::<$h>),
            XORSIGN => of_two!($pair, $h, hf::$xorsign::<$h>),
            _ => of_two!($pair, $h, hf::$nan_xorsign::<$h>),
        }
    };
}

macro_rules! by_format {
    ($bf16:expr, $macro:ident) => {
        if $bf16 { $macro!(Bf16) } else { $macro!(F16) }
    };
}

/// `add`, `sub`, `mul`, `min` and `max`.
pub fn binary(opcode: &str, bf16: bool, pair: bool, imm: u32) -> Option<Handler> {
    macro_rules! binary {
        ($h:ty) => {
            match opcode {
                "add" => of_two!(pair, $h, hf::add::<$h>),
                "sub" => of_two!(pair, $h, hf::sub::<$h>),
                "mul" => of_two!(pair, $h, hf::mul::<$h>),
                "min" => minmax!(imm, pair, $h, min, min_nan, min_xorsign, min_nan_xorsign),
                "max" => minmax!(imm, pair, $h, max, max_nan, max_xorsign, max_nan_xorsign),
                _ => return None,
            }
        };
    }
    Some(by_format!(bf16, binary))
}

/// `fma`.
pub fn fma(bf16: bool, pair: bool) -> Handler {
    macro_rules! fma {
        ($h:ty) => {{
            #[inline(always)]
            fn one(imm: u32, a: u16, b: u16, c: u16) -> u16 {
                let flush = |x| operand::<$h>(imm, x);
                result::<$h>(imm, hf::fma::<$h>(flush(a), flush(b), flush(c)))
            }
            if pair {
                handler!(|f, o, m| {
                    let imm = o.imm;
                    map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| hf::pair3(a, b, c, |a, b, c| one(imm, a, b, c)))
                })
            } else {
                handler!(|f, o, m| {
                    let imm = o.imm;
                    map3::<u16, u16, u16, u16>(f, o, m, |a, b, c| one(imm, a, b, c))
                })
            }
        }};
    }
    by_format!(bf16, fma)
}

/// `neg`, `abs`, `ex2` and `tanh`.
pub fn unary(opcode: &str, bf16: bool, pair: bool) -> Option<Handler> {
    macro_rules! of_one {
        ($h:ty, $function:expr) => {
            if pair {
                handler!(|f, o, m| {
                    let imm = o.imm;
                    map1::<u32, u32>(f, o, m, |a| hf::pair1(a, |a| result::<$h>(imm, $function(operand::<$h>(imm, a)))))
                })
            } else {
                handler!(|f, o, m| {
                    let imm = o.imm;
                    map1::<u16, u16>(f, o, m, |a| result::<$h>(imm, $function(operand::<$h>(imm, a))))
                })
            }
        };
    }
    macro_rules! unary {
        ($h:ty) => {
            match opcode {
                "neg" => of_one!($h, hf::neg),
                "abs" => of_one!($h, hf::abs),
                "ex2" => of_one!($h, approx::ex2_16::<$h>),
                "tanh" => of_one!($h, approx::tanh_16::<$h>),
                _ => return None,
            }
        };
    }
    Some(by_format!(bf16, unary))
}

/// `cvt.f16x2.f32` and `cvt.bf16x2.f32`: two f32 into a pair of halves, a the upper one.
pub fn pack(bf16: bool) -> Handler {
    macro_rules! pack {
        ($convert:path) => {
            handler!(|f, o, m| {
                let imm = o.imm;
                map2::<f32, f32, u32>(f, o, m, |a, b| {
                    let half = |x: f32| {
                        $convert(if imm & RELU != 0 { convert::relu32(x) } else { x }, super::float::rounding(imm))
                    };
                    u32::from(half(a)) << 16 | u32::from(half(b))
                })
            })
        };
    }
    if bf16 { pack!(convert::f32_to_bf16) } else { pack!(convert::f32_to_f16) }
}
