//! Comparisons, selections and the logic of predicates.

use super::{Handler, handler};
use crate::exec::frame::{Frame, map3, test2, write, write_predicate};
use crate::numeric::compare::{self, Comparison};
use crate::numeric::convert;
use crate::program::instruction::Operands;
use crate::ptx::ast::Type;

/// How the result of a comparison is joined with predicate c: in bits 0 and 1 of the immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Join {
    /// Not at all.
    None = 0,
    /// And.
    And = 1,
    /// Or.
    Or = 2,
    /// Exclusive or.
    Xor = 3,
}

/// Predicate c is negated first.
pub const NEGATE: u32 = 4;
/// Subnormal operands count as zero.
pub const FTZ: u32 = 8;
/// `set` writes 1.0, not all ones.
pub const FLOAT_RESULT: u32 = 16;
/// `set` writes 1.0 as a half, not all ones.
pub const HALF_RESULT: u32 = 32;

#[inline(always)]
fn joined(f: &Frame, o: &Operands, holds: u32) -> (u32, u32) {
    let c = f.predicates[usize::from(o.c)] ^ if o.imm & NEGATE != 0 { u32::MAX } else { 0 };
    match o.imm & 3 {
        0 => (holds, !holds),
        1 => (holds & c, !holds & c),
        2 => (holds | c, !holds | c),
        _ => (holds ^ c, !holds ^ c),
    }
}

/// Writes the outcome of `setp`: predicate d, and unless it is `u16::MAX` its complement e.
#[inline(always)]
fn finish_setp(f: &mut Frame, o: &Operands, mask: u32, holds: u32) {
    let (yes, no) = joined(f, o, holds);
    for (slot, value) in [(o.d, yes), (o.e, no)] {
        if slot != u16::MAX {
            write_predicate(f, slot, value, mask);
        }
    }
}

/// Writes the outcome of `set`: all ones, or 1.0, in d.
#[inline(always)]
fn finish_set(f: &mut Frame, o: &Operands, mask: u32, holds: u32) {
    let (yes, _) = joined(f, o, holds);
    let one = if o.imm & FLOAT_RESULT != 0 {
        1f32.to_bits()
    } else if o.imm & HALF_RESULT != 0 {
        0x3C00
    } else {
        u32::MAX
    };
    write(f, o.d, std::array::from_fn(|lane| if yes >> lane & 1 != 0 { one } else { 0 }), mask);
}

macro_rules! comparisons {
    ($comparison:expr, $finish:path, $compare:path, $t:ty; $($name:ident)*) => {
        match $comparison {
            $(Comparison::$name => handler!(|f, o, m| {
                let holds = test2::<$t, $t>(f, o, |a, b| $compare(Comparison::$name, a, b));
                $finish(f, o, m, holds)
            }),)*
            _ => return None,
        }
    };
}

macro_rules! by_type {
    ($comparison:expr, $ty:expr, $finish:path) => {
        match $ty {
            Type::U(16) | Type::B(16) => comparisons!($comparison, $finish, compare::integer, u16; Eq Ne Lt Le Gt Ge Lo Ls Hi Hs),
            Type::S(16) => comparisons!($comparison, $finish, compare::integer, i16; Eq Ne Lt Le Gt Ge),
            Type::U(32) | Type::B(32) => comparisons!($comparison, $finish, compare::integer, u32; Eq Ne Lt Le Gt Ge Lo Ls Hi Hs),
            Type::S(32) => comparisons!($comparison, $finish, compare::integer, i32; Eq Ne Lt Le Gt Ge),
            Type::U(64) | Type::B(64) => comparisons!($comparison, $finish, compare::integer, u64; Eq Ne Lt Le Gt Ge Lo Ls Hi Hs),
            Type::S(64) => comparisons!($comparison, $finish, compare::integer, i64; Eq Ne Lt Le Gt Ge),
            Type::F(32) => floats!($comparison, $finish, compare::float32, f32),
            Type::F(64) => floats!($comparison, $finish, compare::float64, f64),
            _ => return None,
        }
    };
}

macro_rules! floats {
    ($comparison:expr, $finish:path, $compare:path, $t:ty) => {
        comparisons!($comparison, $finish, $compare, $t; Eq Ne Lt Le Gt Ge Equ Neu Ltu Leu Gtu Geu Num Nan)
    };
}

/// `setp` of a scalar type.
pub fn setp(comparison: Comparison, ty: Type) -> Option<Handler> {
    Some(by_type!(comparison, ty, finish_setp))
}

/// `set` of a scalar type.
pub fn set(comparison: Comparison, ty: Type) -> Option<Handler> {
    Some(by_type!(comparison, ty, finish_set))
}

const COMPARISON_SHIFT: u32 = 8;
/// The operands are bf16.
pub const BF16: u32 = 1 << 16;

/// The immediate of a comparison that is chosen at run time: those of halves, and those that flush subnormals.
pub fn comparison_bits(comparison: Comparison) -> u32 {
    (comparison as u32) << COMPARISON_SHIFT
}

fn comparison_of(imm: u32) -> Comparison {
    const ALL: [Comparison; 18] = {
        use Comparison::*;
        [Eq, Ne, Lt, Le, Gt, Ge, Lo, Ls, Hi, Hs, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan]
    };
    ALL[(imm >> COMPARISON_SHIFT & 31) as usize % ALL.len()]
}

fn half_to_f32(bits: u16, imm: u32) -> f32 {
    let value = if imm & BF16 != 0 { convert::bf16_to_f32(bits) } else { convert::f16_to_f32(bits) };
    // The smallest normal f16 is 2^-14.
    if imm & FTZ != 0 && imm & BF16 == 0 && value.abs() < 2f32.powi(-14) { 0.0 * value } else { value }
}

fn flushed_test(f: &Frame, o: &Operands) -> u32 {
    let comparison = comparison_of(o.imm);
    let flush = crate::numeric::float::ftz32;
    test2::<f32, f32>(f, o, |a, b| compare::float32(comparison, flush(a), flush(b)))
}

fn half_test(f: &Frame, o: &Operands) -> u32 {
    let comparison = comparison_of(o.imm);
    test2::<u16, u16>(f, o, |a, b| compare::float32(comparison, half_to_f32(a, o.imm), half_to_f32(b, o.imm)))
}

/// `setp.ftz.f32`.
pub fn setp_flushed() -> Handler {
    handler!(|f, o, m| {
        let holds = flushed_test(f, o);
        finish_setp(f, o, m, holds)
    })
}

/// `set.ftz.f32`.
pub fn set_flushed() -> Handler {
    handler!(|f, o, m| {
        let holds = flushed_test(f, o);
        finish_set(f, o, m, holds)
    })
}

/// `setp` of f16 or bf16.
pub fn setp_half() -> Handler {
    handler!(|f, o, m| {
        let holds = half_test(f, o);
        finish_setp(f, o, m, holds)
    })
}

/// `set` of f16 or bf16.
pub fn set_half() -> Handler {
    handler!(|f, o, m| {
        let holds = half_test(f, o);
        finish_set(f, o, m, holds)
    })
}

/// `setp` of pairs of halves: d for the lower one, e for the upper one.
pub fn setp_pair() -> Handler {
    handler!(|f, o, m| {
        let comparison = comparison_of(o.imm);
        for (slot, shift) in [(o.d, 0), (o.e, 16)] {
            let holds = test2::<u32, u32>(f, o, |a, b| {
                let (a, b) = ((a >> shift) as u16, (b >> shift) as u16);
                compare::float32(comparison, half_to_f32(a, o.imm), half_to_f32(b, o.imm))
            });
            if slot != u16::MAX {
                write_predicate(f, slot, joined(f, o, holds).0, m);
            }
        }
    })
}

/// `set` of pairs of halves: 1.0 or all ones in each half.
pub fn set_pair() -> Handler {
    handler!(|f, o, m| {
        let comparison = comparison_of(o.imm);
        let one: u32 = match o.imm & HALF_RESULT != 0 {
            true if o.imm & BF16 != 0 => 0x3F80,
            true => 0x3C00,
            false => 0xFFFF,
        };
        crate::exec::frame::map2::<u32, u32, u32>(f, o, m, |a, b| {
            let half = |shift: u32| {
                let (a, b) = ((a >> shift) as u16, (b >> shift) as u16);
                let holds = compare::float32(comparison, half_to_f32(a, o.imm), half_to_f32(b, o.imm));
                if holds { one << shift } else { 0 }
            };
            half(0) | half(16)
        })
    })
}

/// `selp`: predicate c chooses between a and b.
pub fn select(wide: bool) -> Handler {
    macro_rules! select {
        ($t:ty) => {
            handler!(|f, o, m| {
                let chosen = f.predicates[usize::from(o.c)] ^ if o.imm & NEGATE != 0 { u32::MAX } else { 0 };
                let a = <$t as crate::exec::frame::Bits>::read(f, o.a);
                let b = <$t as crate::exec::frame::Bits>::read(f, o.b);
                let mut d = b;
                for lane in 0..d.len() {
                    d[lane] = if chosen >> lane & 1 != 0 { a[lane] } else { b[lane] };
                }
                write(f, o.d, d, m);
            })
        };
    }
    if wide { select!(u64) } else { select!(u32) }
}

/// `slct`: a where c is not negative, else b.
pub fn select_by_sign(wide: bool, float: bool) -> Handler {
    macro_rules! select {
        ($t:ty) => {
            if float {
                handler!(|f, o, m| {
                    let flush = o.imm & FTZ != 0;
                    map3::<$t, $t, f32, $t>(f, o, m, |a, b, c| {
                        let c = if flush { crate::numeric::float::ftz32(c) } else { c };
                        if c >= 0.0 { a } else { b }
                    })
                })
            } else {
                handler!(|f, o, m| map3::<$t, $t, i32, $t>(f, o, m, |a, b, c| if c >= 0 { a } else { b }))
            }
        };
    }
    if wide { select!(u64) } else { select!(u32) }
}

/// `and`, `or`, `xor`, `not`, `mov` of predicates.
pub fn logic(opcode: &str) -> Option<Handler> {
    macro_rules! logic {
        ($op:expr) => {
            handler!(|f, o, m| {
                let (a, b) = (f.predicates[usize::from(o.a)], f.predicates[usize::from(o.b)]);
                let op: fn(u32, u32) -> u32 = $op;
                write_predicate(f, o.d, op(a, b), m);
            })
        };
    }
    Some(match opcode {
        "and" => logic!(|a, b| a & b),
        "or" => logic!(|a, b| a | b),
        "xor" => logic!(|a, b| a ^ b),
        "not" => logic!(|a, _| !a),
        "mov" => logic!(|a, _| a),
        _ => return None,
    })
}
