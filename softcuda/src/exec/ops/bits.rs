//! Moves, shifts, bit fields and permutations.

use super::{Handler, handler};
use crate::exec::frame::{Bits, LANES, map1, map2, map3, write};
use crate::numeric::integer::{self as int, Limit, PermuteMode};
use crate::ptx::ast::Type;

/// `mov` between registers of the same file.
pub fn copy(wide: bool) -> Handler {
    if wide {
        handler!(|f, o, m| map1::<u64, u64>(f, o, m, |a| a))
    } else {
        handler!(|f, o, m| map1::<u32, u32>(f, o, m, |a| a))
    }
}

/// A register of 64 bits from one of 32, zero-extended.
pub fn widen() -> Handler {
    handler!(|f, o, m| map1::<u32, u64>(f, o, m, u64::from))
}

/// The lower 32 bits of a register of 64.
pub fn narrow() -> Handler {
    handler!(|f, o, m| map1::<u64, u32>(f, o, m, |a| a as u32))
}

/// `mov.b64 d, {a, b}`.
pub fn pack64() -> Handler {
    handler!(|f, o, m| map2::<u32, u32, u64>(f, o, m, |a, b| u64::from(b) << 32 | u64::from(a)))
}

/// `mov.b64 {d, e}, a`; a destination `u16::MAX` is not wanted.
pub fn unpack64() -> Handler {
    handler!(|f, o, m| {
        let a = u64::read(f, o.a);
        let (mut low, mut high) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            (low[lane], high[lane]) = (a[lane] as u32, (a[lane] >> 32) as u32);
        }
        for (slot, half) in [(o.d, low), (o.e, high)] {
            if slot != u16::MAX {
                write(f, slot, half, m);
            }
        }
    })
}

/// `d |= (a & mask of imm's upper half bits) << imm's lower half`: one step of packing narrow registers.
pub fn insert() -> Handler {
    handler!(|f, o, m| {
        let (shift, bits) = (o.imm & 0xFFFF, o.imm >> 16);
        map2::<u32, u32, u32>(f, o, m, |a, b| b | (a & ((1 << bits) - 1)) << shift)
    })
}

/// As [`insert`] into 64 bits.
pub fn insert64() -> Handler {
    handler!(|f, o, m| {
        let (shift, bits) = (o.imm & 0xFFFF, o.imm >> 16);
        map2::<u32, u64, u64>(f, o, m, |a, b| b | (u64::from(a) & ((1 << bits) - 1)) << shift)
    })
}

/// `d = a >> (imm's lower half), (imm's upper half) bits of it`: one step of unpacking.
pub fn extract() -> Handler {
    handler!(|f, o, m| {
        let (shift, bits) = (o.imm & 0xFFFF, o.imm >> 16);
        map1::<u32, u32>(f, o, m, |a| a >> shift & ((1 << bits) - 1))
    })
}

/// As [`extract`] from 64 bits.
pub fn extract64() -> Handler {
    handler!(|f, o, m| {
        let (shift, bits) = (o.imm & 0xFFFF, o.imm >> 16);
        map1::<u64, u32>(f, o, m, |a| (a >> shift) as u32 & ((1 << bits) - 1))
    })
}

/// `shl` and `shr`.
pub fn shift(opcode: &str, ty: Type) -> Option<Handler> {
    Some(match (opcode, ty) {
        ("shl", Type::B(16)) => handler!(|f, o, m| map2::<u16, u32, u16>(f, o, m, int::shl16)),
        ("shl", Type::B(32)) => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, int::shl32)),
        ("shl", Type::B(64)) => handler!(|f, o, m| map2::<u64, u32, u64>(f, o, m, int::shl64)),
        ("shr", Type::B(16) | Type::U(16)) => handler!(|f, o, m| map2::<u16, u32, u16>(f, o, m, int::shr_u16)),
        ("shr", Type::B(32) | Type::U(32)) => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, int::shr_u32)),
        ("shr", Type::B(64) | Type::U(64)) => handler!(|f, o, m| map2::<u64, u32, u64>(f, o, m, int::shr_u64)),
        ("shr", Type::S(16)) => handler!(|f, o, m| map2::<i16, u32, i16>(f, o, m, int::shr_s16)),
        ("shr", Type::S(32)) => handler!(|f, o, m| map2::<i32, u32, i32>(f, o, m, int::shr_s32)),
        ("shr", Type::S(64)) => handler!(|f, o, m| map2::<i64, u32, i64>(f, o, m, int::shr_s64)),
        _ => return None,
    })
}

/// `shf`.
pub fn funnel_shift(left: bool, limit: Limit) -> Handler {
    match (left, limit) {
        (true, Limit::Wrap) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::shf_l(a, b, c, Limit::Wrap)))
        }
        (true, Limit::Clamp) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::shf_l(a, b, c, Limit::Clamp)))
        }
        (false, Limit::Wrap) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::shf_r(a, b, c, Limit::Wrap)))
        }
        (false, Limit::Clamp) => {
            handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::shf_r(a, b, c, Limit::Clamp)))
        }
    }
}

/// `bfe`.
pub fn extract_field(ty: Type) -> Option<Handler> {
    Some(match ty {
        Type::U(32) => handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, int::bfe_u32)),
        Type::S(32) => handler!(|f, o, m| map3::<i32, u32, u32, i32>(f, o, m, int::bfe_s32)),
        Type::U(64) => handler!(|f, o, m| map3::<u64, u32, u32, u64>(f, o, m, int::bfe_u64)),
        Type::S(64) => handler!(|f, o, m| map3::<i64, u32, u32, i64>(f, o, m, int::bfe_s64)),
        _ => return None,
    })
}

/// `bfi`: the length is the fourth source, e.
pub fn insert_field(ty: Type) -> Option<Handler> {
    macro_rules! bfi {
        ($t:ty, $function:path) => {
            handler!(|f, o, m| {
                let (a, b, c, e) = (<$t>::read(f, o.a), <$t>::read(f, o.b), u32::read(f, o.c), u32::read(f, o.e));
                let mut d = [0; LANES];
                for lane in 0..LANES {
                    d[lane] = $function(a[lane], b[lane], c[lane], e[lane]);
                }
                write(f, o.d, d, m);
            })
        };
    }
    Some(match ty {
        Type::B(32) => bfi!(u32, int::bfi_b32),
        Type::B(64) => bfi!(u64, int::bfi_b64),
        _ => return None,
    })
}

/// `bfind`, and `bfind.shiftamt`.
pub fn find_leading(ty: Type, amount: bool) -> Option<Handler> {
    macro_rules! bfind {
        ($t:ty, $function:path) => {
            if amount {
                handler!(|f, o, m| map1::<$t, u32>(f, o, m, |a| $function(a, true)))
            } else {
                handler!(|f, o, m| map1::<$t, u32>(f, o, m, |a| $function(a, false)))
            }
        };
    }
    Some(match ty {
        Type::U(32) => bfind!(u32, int::bfind_u32),
        Type::S(32) => bfind!(i32, int::bfind_s32),
        Type::U(64) => bfind!(u64, int::bfind_u64),
        Type::S(64) => bfind!(i64, int::bfind_s64),
        _ => return None,
    })
}

/// `brev`, `clz` and `popc`.
pub fn count(opcode: &str, ty: Type) -> Option<Handler> {
    Some(match (opcode, ty) {
        ("brev", Type::B(32)) => handler!(|f, o, m| map1::<u32, u32>(f, o, m, int::brev32)),
        ("brev", Type::B(64)) => handler!(|f, o, m| map1::<u64, u64>(f, o, m, int::brev64)),
        ("clz", Type::B(32)) => handler!(|f, o, m| map1::<u32, u32>(f, o, m, int::clz32)),
        ("clz", Type::B(64)) => handler!(|f, o, m| map1::<u64, u32>(f, o, m, int::clz64)),
        ("popc", Type::B(32)) => handler!(|f, o, m| map1::<u32, u32>(f, o, m, int::popc32)),
        ("popc", Type::B(64)) => handler!(|f, o, m| map1::<u64, u32>(f, o, m, int::popc64)),
        _ => return None,
    })
}

/// `prmt`.
pub fn permute(mode: PermuteMode) -> Handler {
    macro_rules! prmt {
        ($($mode:ident)*) => {
            match mode {
                $(PermuteMode::$mode => {
                    handler!(|f, o, m| map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::prmt(a, b, c, PermuteMode::$mode)))
                })*
            }
        };
    }
    prmt!(Index Forward4 Backward4 Replicate8 EdgeClampLeft EdgeClampRight Replicate16)
}

/// `lop3`: the table is the immediate.
pub fn lop3() -> Handler {
    handler!(|f, o, m| {
        let table = o.imm as u8;
        map3::<u32, u32, u32, u32>(f, o, m, |a, b, c| int::lop3(a, b, c, table))
    })
}

/// `szext`.
pub fn sign_extend(ty: Type, limit: Limit) -> Option<Handler> {
    Some(match (ty, limit) {
        (Type::U(32), Limit::Wrap) => {
            handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, |a, b| int::szext_u32(a, b, Limit::Wrap)))
        }
        (Type::U(32), Limit::Clamp) => {
            handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, |a, b| int::szext_u32(a, b, Limit::Clamp)))
        }
        (Type::S(32), Limit::Wrap) => {
            handler!(|f, o, m| map2::<i32, u32, i32>(f, o, m, |a, b| int::szext_s32(a, b, Limit::Wrap)))
        }
        (Type::S(32), Limit::Clamp) => {
            handler!(|f, o, m| map2::<i32, u32, i32>(f, o, m, |a, b| int::szext_s32(a, b, Limit::Clamp)))
        }
        _ => return None,
    })
}

/// `bmsk`.
pub fn mask(limit: Limit) -> Handler {
    match limit {
        Limit::Wrap => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, |a, b| int::bmsk(a, b, Limit::Wrap))),
        Limit::Clamp => handler!(|f, o, m| map2::<u32, u32, u32>(f, o, m, |a, b| int::bmsk(a, b, Limit::Clamp))),
    }
}

/// `fns`.
pub fn find_nth_set() -> Handler {
    handler!(|f, o, m| map3::<u32, u32, i32, u32>(f, o, m, int::fns))
}
