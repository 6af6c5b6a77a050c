//! Integer arithmetic.

use super::{Handler, handler};
use crate::exec::frame::{Bits, Frame, LANES, Value, map1, map2, map3, write, write_predicate};
use crate::numeric::integer as int;
use crate::program::instruction::Operands;
use crate::ptx::ast::Type;

macro_rules! by_type {
    ($ty:expr, $macro:ident) => {
        match $ty {
            Type::U(16) | Type::B(16) => $macro!(u16),
            Type::S(16) => $macro!(i16),
            Type::U(32) | Type::B(32) => $macro!(u32),
            Type::S(32) => $macro!(i32),
            Type::U(64) | Type::B(64) => $macro!(u64),
            Type::S(64) => $macro!(i64),
            _ => return None,
        }
    };
}

/// `add`, `sub`, `mul.lo`, `min`, `max`, `and`, `or`, `xor`: two operands of the result's type.
pub fn binary(opcode: &str, ty: Type) -> Option<Handler> {
    macro_rules! wrapping {
        ($t:ty) => {
            match opcode {
                "add" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a.wrapping_add(b))),
                "sub" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a.wrapping_sub(b))),
                "mul" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a.wrapping_mul(b))),
                "min" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a.min(b))),
                "max" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a.max(b))),
                "and" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a & b)),
                "or" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a | b)),
                "xor" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, |a, b| a ^ b)),
                _ => return None,
            }
        };
    }
    Some(by_type!(ty, wrapping))
}

/// `add.sat.s32` and `sub.sat.s32`.
pub fn saturating(opcode: &str) -> Option<Handler> {
    Some(match opcode {
        "add" => handler!(|f, o, m| map2::<i32, i32, i32>(f, o, m, |a, b| a.saturating_add(b))),
        "sub" => handler!(|f, o, m| map2::<i32, i32, i32>(f, o, m, |a, b| a.saturating_sub(b))),
        _ => return None,
    })
}

/// `add{c}{.cc}` and `sub{c}{.cc}`: bit 0 of the immediate takes the carry flag in, bit 1 sets it.
pub fn carrying(opcode: &str, ty: Type) -> Option<Handler> {
    macro_rules! chain {
        ($f:expr, $t:ty) => {
            handler!(|f, o, m| carry_chain::<$t>(f, o, m, $f))
        };
    }
    Some(match (opcode, ty.bits()) {
        ("add" | "addc", 32) => chain!(int::add_carry32, u32),
        ("add" | "addc", 64) => chain!(int::add_carry64, u64),
        ("sub" | "subc", 32) => chain!(int::sub_borrow32, u32),
        ("sub" | "subc", 64) => chain!(int::sub_borrow64, u64),
        _ => return None,
    })
}

/// Takes the carry flag into a sum; sets the flag.
pub const CARRY_IN: u32 = 1;
/// See [`CARRY_IN`].
pub const CARRY_OUT: u32 = 2;

#[inline(always)]
fn carry_chain<T: Value<Bits = T> + Bits>(
    f: &mut Frame,
    o: &Operands,
    mask: u32,
    step: impl Fn(T, T, bool) -> (T, bool),
) {
    let (a, b) = (T::read(f, o.a), T::read(f, o.b));
    let carry_in = if o.imm & CARRY_IN != 0 { f.predicates[0] } else { 0 };
    let (mut d, mut carry_out) = ([T::default(); LANES], 0);
    for lane in 0..LANES {
        let (value, carry) = step(a[lane], b[lane], carry_in >> lane & 1 != 0);
        d[lane] = value;
        carry_out |= u32::from(carry) << lane;
    }
    write(f, o.d, d, mask);
    if o.imm & CARRY_OUT != 0 {
        write_predicate(f, 0, carry_out, mask);
    }
}

/// `madc` and `mad.cc`: the product's half, then as [`carrying`].
pub fn mad_carrying(half: &str, ty: Type) -> Option<Handler> {
    macro_rules! chain {
        ($t:ty, $mul:expr, $add:path) => {
            handler!(|f, o, m| {
                let (a, b, c) = (<$t>::read(f, o.a), <$t>::read(f, o.b), <$t>::read(f, o.c));
                let carry_in = if o.imm & CARRY_IN != 0 { f.predicates[0] } else { 0 };
                let (mut d, mut carry_out) = ([0; LANES], 0);
                for lane in 0..LANES {
                    let (value, carry) = $add($mul(a[lane], b[lane]), c[lane], carry_in >> lane & 1 != 0);
                    d[lane] = value;
                    carry_out |= u32::from(carry) << lane;
                }
                write(f, o.d, d, m);
                if o.imm & CARRY_OUT != 0 {
                    write_predicate(f, 0, carry_out, m);
                }
            })
        };
    }
    Some(match (half, ty) {
        ("lo", Type::U(32) | Type::S(32)) => chain!(u32, u32::wrapping_mul, int::add_carry32),
        ("hi", Type::U(32)) => chain!(u32, int::mul_hi_u32, int::add_carry32),
        ("hi", Type::S(32)) => chain!(u32, |a, b| int::mul_hi_s32(a as i32, b as i32) as u32, int::add_carry32),
        ("lo", Type::U(64) | Type::S(64)) => chain!(u64, u64::wrapping_mul, int::add_carry64),
        ("hi", Type::U(64)) => chain!(u64, int::mul_hi_u64, int::add_carry64),
        ("hi", Type::S(64)) => chain!(u64, |a, b| int::mul_hi_s64(a as i64, b as i64) as u64, int::add_carry64),
        _ => return None,
    })
}

/// `mul.hi`.
pub fn mul_hi(ty: Type) -> Option<Handler> {
    Some(match ty {
        Type::U(16) => {
            handler!(|f, o, m| map2::<u16, u16, u16>(f, o, m, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16))
        }
        Type::S(16) => {
            handler!(|f, o, m| map2::<i16, i16, i16>(f, o, m, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16))
        }
        Type::U(32) => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, int::mul_hi_u32)),
        Type::S(32) => handler!(|f, o, m| map2::<i32, i32, i32>(f, o, m, int::mul_hi_s32)),
        Type::U(64) => handler!(|f, o, m| map2::<u64, u64, u64>(f, o, m, int::mul_hi_u64)),
        Type::S(64) => handler!(|f, o, m| map2::<i64, i64, i64>(f, o, m, int::mul_hi_s64)),
        _ => return None,
    })
}

/// `mul.wide`.
pub fn mul_wide(ty: Type) -> Option<Handler> {
    Some(match ty {
        Type::U(16) => handler!(|f, o, m| map2::<u16, u16, u32>(f, o, m, |a, b| u32::from(a) * u32::from(b))),
        Type::S(16) => handler!(|f, o, m| map2::<i16, i16, i32>(f, o, m, |a, b| i32::from(a) * i32::from(b))),
        Type::U(32) => handler!(|f, o, m| map2::<u32, u32, u64>(f, o, m, |a, b| u64::from(a) * u64::from(b))),
        Type::S(32) => handler!(|f, o, m| map2::<i32, i32, i64>(f, o, m, |a, b| i64::from(a) * i64::from(b))),
        _ => return None,
    })
}

/// `mad.lo`.
pub fn mad_lo(ty: Type) -> Option<Handler> {
    macro_rules! mad {
        ($t:ty) => {
            handler!(|f, o, m| map3::<$t, $t, $t, $t>(f, o, m, |a, b, c| a.wrapping_mul(b).wrapping_add(c)))
        };
    }
    Some(by_type!(ty, mad))
}

/// `mad.hi`, and `mad.hi.sat.s32`.
pub fn mad_hi(ty: Type, saturate: bool) -> Option<Handler> {
    Some(match (ty, saturate) {
        (Type::S(32), true) => handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, int::mad_hi_sat_s32)),
        (_, true) => return None,
        (Type::U(16), _) => handler!(|f, o, m| map3::<u16, u16, u16, u16>(f, o, m, |a, b, c| {
            (((u32::from(a) * u32::from(b)) >> 16) as u16).wrapping_add(c)
        })),
        (Type::S(16), _) => handler!(|f, o, m| map3::<i16, i16, i16, i16>(f, o, m, |a, b, c| {
            (((i32::from(a) * i32::from(b)) >> 16) as i16).wrapping_add(c)
        })),
        (Type::U(32), _) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::mul_hi_u32(a, b).wrapping_add(c)))
        }
        (Type::S(32), _) => {
            handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, |a, b, c| int::mul_hi_s32(a, b).wrapping_add(c)))
        }
        (Type::U(64), _) => {
            handler!(|f, o, m| map3::<u64, u64, u64, u64>(f, o, m, |a, b, c| int::mul_hi_u64(a, b).wrapping_add(c)))
        }
        (Type::S(64), _) => {
            handler!(|f, o, m| map3::<i64, i64, i64, i64>(f, o, m, |a, b, c| int::mul_hi_s64(a, b).wrapping_add(c)))
        }
        _ => return None,
    })
}

/// `mad.wide`.
pub fn mad_wide(ty: Type) -> Option<Handler> {
    Some(match ty {
        Type::U(16) => handler!(
            |f, o, m| map3::<u16, u16, u32, u32>(f, o, m, |a, b, c| (u32::from(a) * u32::from(b)).wrapping_add(c))
        ),
        Type::S(16) => handler!(
            |f, o, m| map3::<i16, i16, i32, i32>(f, o, m, |a, b, c| (i32::from(a) * i32::from(b)).wrapping_add(c))
        ),
        Type::U(32) => handler!(
            |f, o, m| map3::<u32, u32, u64, u64>(f, o, m, |a, b, c| (u64::from(a) * u64::from(b)).wrapping_add(c))
        ),
        Type::S(32) => handler!(
            |f, o, m| map3::<i32, i32, i64, i64>(f, o, m, |a, b, c| (i64::from(a) * i64::from(b)).wrapping_add(c))
        ),
        _ => return None,
    })
}

/// `mul24` and `mad24`; the latter takes c.
pub fn product24(opcode: &str, half: &str, ty: Type, saturate: bool) -> Option<Handler> {
    Some(match (opcode, half, ty, saturate) {
        ("mul24", "lo", Type::U(32), false) => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, int::mul24_lo_u32)),
        ("mul24", "hi", Type::U(32), false) => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, int::mul24_hi_u32)),
        ("mul24", "lo", Type::S(32), false) => handler!(|f, o, m| map2::<i32, i32, i32>(f, o, m, int::mul24_lo_s32)),
        ("mul24", "hi", Type::S(32), false) => handler!(|f, o, m| map2::<i32, i32, i32>(f, o, m, int::mul24_hi_s32)),
        ("mad24", "lo", Type::U(32), false) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, int::mad24_lo_u32))
        }
        ("mad24", "hi", Type::U(32), false) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, int::mad24_hi_u32))
        }
        ("mad24", "lo", Type::S(32), false) => {
            handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, int::mad24_lo_s32))
        }
        ("mad24", "hi", Type::S(32), false) => {
            handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, int::mad24_hi_s32))
        }
        ("mad24", "hi", Type::S(32), true) => {
            handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, int::mad24_hi_sat_s32))
        }
        _ => return None,
    })
}

/// `div` and `rem`.
pub fn quotient(opcode: &str, ty: Type) -> Option<Handler> {
    macro_rules! pair {
        ($t:ty, $div:path, $rem:path) => {
            match opcode {
                "div" => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, $div)),
                _ => handler!(|f, o, m| map2::<$t, $t, $t>(f, o, m, $rem)),
            }
        };
    }
    Some(match ty {
        Type::U(16) => pair!(u16, int::div_u16, int::rem_u16),
        Type::S(16) => pair!(i16, int::div_s16, int::rem_s16),
        Type::U(32) => pair!(u32, int::div_u32, int::rem_u32),
        Type::S(32) => pair!(i32, int::div_s32, int::rem_s32),
        Type::U(64) => pair!(u64, int::div_u64, int::rem_u64),
        Type::S(64) => pair!(i64, int::div_s64, int::rem_s64),
        _ => return None,
    })
}

/// `abs`, `neg`, `not` and `cnot`.
pub fn unary(opcode: &str, ty: Type) -> Option<Handler> {
    macro_rules! signed {
        ($t:ty) => {
            match opcode {
                "abs" => handler!(|f, o, m| map1::<$t, $t>(f, o, m, |a| a.wrapping_abs())),
                _ => handler!(|f, o, m| map1::<$t, $t>(f, o, m, |a| a.wrapping_neg())),
            }
        };
    }
    macro_rules! bitwise {
        ($t:ty) => {
            match opcode {
                "not" => handler!(|f, o, m| map1::<$t, $t>(f, o, m, |a| !a)),
                _ => handler!(|f, o, m| map1::<$t, $t>(f, o, m, |a| <$t>::from(a == 0))),
            }
        };
    }
    Some(match (opcode, ty) {
        ("abs" | "neg", Type::S(16)) => signed!(i16),
        ("abs" | "neg", Type::S(32)) => signed!(i32),
        ("abs" | "neg", Type::S(64)) => signed!(i64),
        ("not" | "cnot", Type::B(16)) => bitwise!(u16),
        ("not" | "cnot", Type::B(32)) => bitwise!(u32),
        ("not" | "cnot", Type::B(64)) => bitwise!(u64),
        _ => return None,
    })
}

/// `sad`.
pub fn sad(ty: Type) -> Option<Handler> {
    Some(match ty {
        Type::U(16) => handler!(|f, o, m| map3::<u16, u16, u16, u16>(f, o, m, int::sad_u16)),
        Type::S(16) => handler!(|f, o, m| map3::<i16, i16, i16, i16>(f, o, m, int::sad_s16)),
        Type::U(32) => handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, int::sad_u32)),
        Type::S(32) => handler!(|f, o, m| map3::<i32, i32, i32, i32>(f, o, m, int::sad_s32)),
        Type::U(64) => handler!(|f, o, m| map3::<u64, u64, u64, u64>(f, o, m, int::sad_u64)),
        Type::S(64) => handler!(|f, o, m| map3::<i64, i64, i64, i64>(f, o, m, int::sad_s64)),
        _ => return None,
    })
}

/// `dp4a` (bits 0 and 1 of the immediate: a, b are signed).
pub fn dp4a() -> Handler {
    handler!(|f, o, m| {
        let imm = o.imm;
        map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::dp4a(a, imm & 1 != 0, b, imm & 2 != 0, c))
    })
}

/// `dp2a` (as [`dp4a`]; bit 2: the upper half of b).
pub fn dp2a() -> Handler {
    handler!(|f, o, m| {
        let imm = o.imm;
        map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::dp2a(a, imm & 1 != 0, b, imm & 2 != 0, c, imm & 4 != 0))
    })
}
