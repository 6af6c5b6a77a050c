//! Integer arithmetic of PTX: wrapping, saturating, carrying, multiplying and dividing.

mod bits;
#[cfg(test)]
mod tests;

pub use bits::{
    Limit, PermuteMode, bfe_s32, bfe_s64, bfe_u32, bfe_u64, bfi_b32, bfi_b64, bfind_s32, bfind_s64, bfind_u32,
    bfind_u64, bmsk, brev32, brev64, clz32, clz64, fns, lop3, popc32, popc64, prmt, shf_l, shf_r, shl16, shl32, shl64,
    shr_s16, shr_s32, shr_s64, shr_u16, shr_u32, shr_u64, szext_s32, szext_u32,
};

/// Operations of one width, on its unsigned and signed type; `$wide` and `$swide` are twice as wide.
macro_rules! of_width {
    ($unsigned:ident, $signed:ident, $wide:ident, $swide:ident;
     $mul_hi_u:ident, $mul_hi_s:ident, $sad_u:ident, $sad_s:ident,
     $div_u:ident, $div_s:ident, $rem_u:ident, $rem_s:ident, $add_carry:ident, $sub_borrow:ident) => {
        #[doc = concat!("The upper half of the product of two `", stringify!($unsigned), "`.")]
        #[inline(always)]
        pub fn $mul_hi_u(a: $unsigned, b: $unsigned) -> $unsigned {
            ((a as $wide * b as $wide) >> $unsigned::BITS) as $unsigned
        }

        #[doc = concat!("The upper half of the product of two `", stringify!($signed), "`.")]
        #[inline(always)]
        pub fn $mul_hi_s(a: $signed, b: $signed) -> $signed {
            ((a as $swide * b as $swide) >> $signed::BITS) as $signed
        }

        #[doc = concat!("`c + |a - b|`, wrapping, on `", stringify!($unsigned), "`.")]
        #[inline(always)]
        pub fn $sad_u(a: $unsigned, b: $unsigned, c: $unsigned) -> $unsigned {
            c.wrapping_add(a.abs_diff(b))
        }

        #[doc = concat!("`c + |a - b|`, wrapping, on `", stringify!($signed), "`.")]
        #[inline(always)]
        pub fn $sad_s(a: $signed, b: $signed, c: $signed) -> $signed {
            c.wrapping_add_unsigned(a.abs_diff(b))
        }

        /// The quotient; all ones where `b` is zero.
        #[inline(always)]
        pub fn $div_u(a: $unsigned, b: $unsigned) -> $unsigned {
            a.checked_div(b).unwrap_or($unsigned::MAX)
        }

        /// The quotient, rounded toward zero and wrapping; -1 where `b` is zero.
        #[inline(always)]
        pub fn $div_s(a: $signed, b: $signed) -> $signed {
            if b == 0 { -1 } else { a.wrapping_div(b) }
        }

        /// The remainder; `a` where `b` is zero.
        #[inline(always)]
        pub fn $rem_u(a: $unsigned, b: $unsigned) -> $unsigned {
            a.checked_rem(b).unwrap_or(a)
        }

        /// The remainder, of the sign of `a`; `a` where `b` is zero.
        #[inline(always)]
        pub fn $rem_s(a: $signed, b: $signed) -> $signed {
            if b == 0 { a } else { a.wrapping_rem(b) }
        }

        /// `a + b + carry` and the carry out (`add.cc`, `addc.cc`, and `mad.cc` on a half product).
        #[inline(always)]
        pub fn $add_carry(a: $unsigned, b: $unsigned, carry: bool) -> ($unsigned, bool) {
            let (partial, first) = a.overflowing_add(b);
            let (sum, second) = partial.overflowing_add(carry.into());
            (sum, first | second)
        }

        /// `a - b - borrow` and the borrow out (`sub.cc`, `subc.cc`).
        #[inline(always)]
        pub fn $sub_borrow(a: $unsigned, b: $unsigned, borrow: bool) -> ($unsigned, bool) {
            let (partial, first) = a.overflowing_sub(b);
            let (difference, second) = partial.overflowing_sub(borrow.into());
            (difference, first | second)
        }
    };
}

of_width!(u16, i16, u32, i32; mul_hi_u16, mul_hi_s16, sad_u16, sad_s16, div_u16, div_s16, rem_u16, rem_s16,
          add_carry16, sub_borrow16);
of_width!(u32, i32, u64, i64; mul_hi_u32, mul_hi_s32, sad_u32, sad_s32, div_u32, div_s32, rem_u32, rem_s32,
          add_carry32, sub_borrow32);
of_width!(u64, i64, u128, i128; mul_hi_u64, mul_hi_s64, sad_u64, sad_s64, div_u64, div_s64, rem_u64, rem_s64,
          add_carry64, sub_borrow64);

/// The full product of the low 24 bits of two numbers, as unsigned numbers.
#[inline(always)]
fn product24_u32(a: u32, b: u32) -> u64 {
    u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)
}

/// The full product of the low 24 bits of two numbers, as signed numbers.
#[inline(always)]
fn product24_s32(a: i32, b: i32) -> i64 {
    i64::from(a << 8 >> 8) * i64::from(b << 8 >> 8)
}

/// The low 32 of the 48 bits of an unsigned product of 24 bits each.
#[inline(always)]
pub fn mul24_lo_u32(a: u32, b: u32) -> u32 {
    product24_u32(a, b) as u32
}

/// The high 32 of the 48 bits of an unsigned product of 24 bits each.
#[inline(always)]
pub fn mul24_hi_u32(a: u32, b: u32) -> u32 {
    (product24_u32(a, b) >> 16) as u32
}

/// The low 32 of the 48 bits of a signed product of 24 bits each.
#[inline(always)]
pub fn mul24_lo_s32(a: i32, b: i32) -> i32 {
    product24_s32(a, b) as i32
}

/// The high 32 of the 48 bits of a signed product of 24 bits each.
#[inline(always)]
pub fn mul24_hi_s32(a: i32, b: i32) -> i32 {
    (product24_s32(a, b) >> 16) as i32
}

/// [`mul24_lo_u32`] plus `c`, wrapping.
#[inline(always)]
pub fn mad24_lo_u32(a: u32, b: u32, c: u32) -> u32 {
    mul24_lo_u32(a, b).wrapping_add(c)
}

/// [`mul24_hi_u32`] plus `c`, wrapping.
#[inline(always)]
pub fn mad24_hi_u32(a: u32, b: u32, c: u32) -> u32 {
    mul24_hi_u32(a, b).wrapping_add(c)
}

/// [`mul24_lo_s32`] plus `c`, wrapping.
#[inline(always)]
pub fn mad24_lo_s32(a: i32, b: i32, c: i32) -> i32 {
    mul24_lo_s32(a, b).wrapping_add(c)
}

/// [`mul24_hi_s32`] plus `c`, wrapping.
#[inline(always)]
pub fn mad24_hi_s32(a: i32, b: i32, c: i32) -> i32 {
    mul24_hi_s32(a, b).wrapping_add(c)
}

/// [`mul24_hi_s32`] plus `c`, saturating (`mad24.hi.sat.s32`).
#[inline(always)]
pub fn mad24_hi_sat_s32(a: i32, b: i32, c: i32) -> i32 {
    mul24_hi_s32(a, b).saturating_add(c)
}

/// `a + b`, saturating (`add.sat.s32`).
#[inline(always)]
pub fn add_sat_s32(a: i32, b: i32) -> i32 {
    a.saturating_add(b)
}

/// `a - b`, saturating (`sub.sat.s32`).
#[inline(always)]
pub fn sub_sat_s32(a: i32, b: i32) -> i32 {
    a.saturating_sub(b)
}

/// The upper half of `a * b` plus `c`, saturating (`mad.hi.sat.s32`).
#[inline(always)]
pub fn mad_hi_sat_s32(a: i32, b: i32, c: i32) -> i32 {
    mul_hi_s32(a, b).saturating_add(c)
}

/// The four bytes of a register, extended as told.
#[inline(always)]
fn bytes(x: u32, signed: bool) -> [i32; 4] {
    x.to_le_bytes().map(|byte| if signed { i32::from(byte as i8) } else { i32::from(byte) })
}

/// `c` plus the products of the four bytes of `a` and of `b`, each operand signed or not; wraps.
#[inline(always)]
pub fn dp4a(a: u32, a_signed: bool, b: u32, b_signed: bool, c: u32) -> u32 {
    let (a, b) = (bytes(a, a_signed), bytes(b, b_signed));
    (0..4).fold(c, |sum, i| sum.wrapping_add_signed(a[i] * b[i]))
}

/// `c` plus the products of the two halves of `a` and the two upper (`high`) or lower bytes of `b`; wraps.
#[inline(always)]
pub fn dp2a(a: u32, a_signed: bool, b: u32, b_signed: bool, c: u32, high: bool) -> u32 {
    let halves = [a as u16, (a >> 16) as u16].map(|half| if a_signed { i32::from(half as i16) } else { half.into() });
    let b = bytes(if high { b >> 16 } else { b }, b_signed);
    (0..2).fold(c, |sum, i| sum.wrapping_add_signed(halves[i] * b[i]))
}
