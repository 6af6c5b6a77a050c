//! Shifts, fields, searches and permutations of bits.

/// What an operand beyond its range does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// It counts modulo 32 (`.wrap`).
    Wrap,
    /// It counts as 32 (`.clamp`).
    Clamp,
}

impl Limit {
    /// The limit that a modifier names.
    pub fn parse(modifier: &str) -> Option<Self> {
        match modifier {
            "wrap" => Some(Self::Wrap),
            "clamp" => Some(Self::Clamp),
            _ => None,
        }
    }

    /// An amount from 0 to 32.
    #[inline(always)]
    fn apply(self, amount: u32) -> u32 {
        match self {
            Self::Wrap => amount & 31,
            Self::Clamp => amount.min(32),
        }
    }
}

macro_rules! shifts {
    ($unsigned:ident, $signed:ident; $shl:ident, $shr_u:ident, $shr_s:ident) => {
        /// Shifts left; zero beyond the width.
        #[inline(always)]
        pub fn $shl(a: $unsigned, amount: u32) -> $unsigned {
            if amount < $unsigned::BITS { a.wrapping_shl(amount) } else { 0 }
        }

        /// Shifts right; zero beyond the width.
        #[inline(always)]
        pub fn $shr_u(a: $unsigned, amount: u32) -> $unsigned {
            if amount < $unsigned::BITS { a.wrapping_shr(amount) } else { 0 }
        }

        /// Shifts right, filling with the sign; all sign beyond the width.
        #[inline(always)]
        pub fn $shr_s(a: $signed, amount: u32) -> $signed {
            a.wrapping_shr(amount.min($signed::BITS - 1))
        }
    };
}

shifts!(u16, i16; shl16, shr_u16, shr_s16);
shifts!(u32, i32; shl32, shr_u32, shr_s32);
shifts!(u64, i64; shl64, shr_u64, shr_s64);

/// The upper half of the pair `high:low` shifted left.
#[inline(always)]
pub fn shf_l(low: u32, high: u32, amount: u32, limit: Limit) -> u32 {
    let pair = u64::from(high) << 32 | u64::from(low);
    ((pair << limit.apply(amount)) >> 32) as u32
}

/// The lower half of the pair `high:low` shifted right.
#[inline(always)]
pub fn shf_r(low: u32, high: u32, amount: u32, limit: Limit) -> u32 {
    let pair = u64::from(high) << 32 | u64::from(low);
    (pair >> limit.apply(amount)) as u32
}

macro_rules! fields {
    ($unsigned:ident, $signed:ident, $shl:ident, $shr_u:ident, $shr_s:ident;
     $bfe_u:ident, $bfe_s:ident, $bfi:ident, $bfind_u:ident, $bfind_s:ident, $brev:ident, $clz:ident, $popc:ident) => {
        /// The field of `length` bits from `position` on, extended by zeros; both count modulo 256.
        #[inline(always)]
        pub fn $bfe_u(a: $unsigned, position: u32, length: u32) -> $unsigned {
            let ones = !$shl(!0, length & 0xff);
            $shr_u(a, position & 0xff) & ones
        }

        /// The field of `length` bits from `position` on, extended by its top bit, or by the sign of `a` where it
        /// reaches beyond the register; both count modulo 256.
        #[inline(always)]
        pub fn $bfe_s(a: $signed, position: u32, length: u32) -> $signed {
            let length = length & 0xff;
            let spare = $signed::BITS - length.min($signed::BITS);
            let field = $shr_s(a, position & 0xff);
            if length == 0 { 0 } else { field.wrapping_shl(spare).wrapping_shr(spare) }
        }

        /// `into` with the low `length` bits of `field` put at `position`; both count modulo 256.
        #[inline(always)]
        pub fn $bfi(field: $unsigned, into: $unsigned, position: u32, length: u32) -> $unsigned {
            let ones = !$shl(!0, length & 0xff);
            let mask = $shl(ones, position & 0xff);
            into & !mask | $shl(field, position & 0xff) & mask
        }

        /// The position of the highest one, or all ones where there is none; with `shift_amount`, the shift left that
        /// brings it to the top.
        #[inline(always)]
        pub fn $bfind_u(a: $unsigned, shift_amount: bool) -> u32 {
            let shift = a.leading_zeros();
            let position = if shift_amount { shift } else { ($unsigned::BITS - 1).wrapping_sub(shift) };
            if a == 0 { u32::MAX } else { position }
        }

        /// As for unsigned numbers, but of the highest bit that differs from the sign.
        #[inline(always)]
        pub fn $bfind_s(a: $signed, shift_amount: bool) -> u32 {
            $bfind_u((if a < 0 { !a } else { a }) as $unsigned, shift_amount)
        }

        /// The bits in reverse order.
        #[inline(always)]
        pub fn $brev(a: $unsigned) -> $unsigned {
            a.reverse_bits()
        }

        /// The number of zeros above the highest one.
        #[inline(always)]
        pub fn $clz(a: $unsigned) -> u32 {
            a.leading_zeros()
        }

        /// The number of ones.
        #[inline(always)]
        pub fn $popc(a: $unsigned) -> u32 {
            a.count_ones()
        }
    };
}

fields!(u32, i32, shl32, shr_u32, shr_s32;
        bfe_u32, bfe_s32, bfi_b32, bfind_u32, bfind_s32, brev32, clz32, popc32);
fields!(u64, i64, shl64, shr_u64, shr_s64;
        bfe_u64, bfe_s64, bfi_b64, bfind_u64, bfind_s64, brev64, clz64, popc64);

/// How `prmt` reads its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermuteMode {
    /// A nibble per byte of the result; its top bit asks for the sign of the byte instead.
    Index,
    /// Four bytes forward from the selected one.
    Forward4,
    /// Four bytes backward from the selected one.
    Backward4,
    /// The selected byte everywhere.
    Replicate8,
    /// Bytes in order, none below the selected one.
    EdgeClampLeft,
    /// Bytes in order, none above the selected one.
    EdgeClampRight,
    /// The selected half twice.
    Replicate16,
}

impl PermuteMode {
    /// The mode that a modifier names.
    pub fn parse(modifier: &str) -> Option<Self> {
        match modifier {
            "f4e" => Some(Self::Forward4),
            "b4e" => Some(Self::Backward4),
            "rc8" => Some(Self::Replicate8),
            "ecl" => Some(Self::EdgeClampLeft),
            "ecr" => Some(Self::EdgeClampRight),
            "rc16" => Some(Self::Replicate16),
            _ => None,
        }
    }

    /// The selector nibble of byte `i` of the result.
    #[inline(always)]
    fn nibble(self, selector: u32, i: u32) -> u32 {
        let n = selector & 3;
        match self {
            Self::Index => selector >> (4 * i) & 15,
            Self::Forward4 => n + i,
            Self::Backward4 => n.wrapping_sub(i) & 7,
            Self::Replicate8 => n,
            Self::EdgeClampLeft => n.max(i),
            Self::EdgeClampRight => n.min(i),
            Self::Replicate16 => (n & 1) * 2 + (i & 1),
        }
    }
}

/// Four bytes picked out of the eight of the pair `b:a`.
#[inline(always)]
pub fn prmt(a: u32, b: u32, selector: u32, mode: PermuteMode) -> u32 {
    let pair = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |result, i| {
        let nibble = mode.nibble(selector, i);
        let byte = (pair >> (8 * (nibble & 7))) as u8;
        let picked = if nibble & 8 == 0 { byte } else { (byte as i8 >> 7) as u8 };
        result | u32::from(picked) << (8 * i)
    })
}

/// Any function of three bits, on each bit: bit `4a + 2b + c` of `table` is its value there.
#[inline(always)]
pub fn lop3(a: u32, b: u32, c: u32, table: u8) -> u32 {
    (0..8).fold(0, |result, row| {
        let literal = |x: u32, bit: u32| if row & bit != 0 { x } else { !x };
        let minterm = literal(a, 4) & literal(b, 2) & literal(c, 1);
        result | if table >> row & 1 != 0 { minterm } else { 0 }
    })
}

/// The low `width` bits, extended by zeros.
#[inline(always)]
pub fn szext_u32(a: u32, width: u32, limit: Limit) -> u32 {
    bfe_u32(a, 0, limit.apply(width))
}

/// The low `width` bits, extended by the highest of them.
#[inline(always)]
pub fn szext_s32(a: i32, width: u32, limit: Limit) -> i32 {
    bfe_s32(a, 0, limit.apply(width))
}

/// `width` ones from `position` on.
#[inline(always)]
pub fn bmsk(position: u32, width: u32, limit: Limit) -> u32 {
    let ones = !shl32(!0, limit.apply(width));
    shl32(ones, limit.apply(position))
}

/// The position of the `offset`-th one of `mask`, counted from `base` upward, or downward where `offset` is negative;
/// for zero, `base` itself where its bit is one. All ones where there is no such bit, or no bit `base`.
pub fn fns(mask: u32, base: u32, offset: i32) -> u32 {
    let is_one = |position: &u32| shr_u32(mask, *position) & 1 != 0;
    let ordinal = offset.unsigned_abs() as usize;
    if base > 31 {
        return u32::MAX;
    }
    let found = match offset {
        0 => Some(base).filter(is_one),
        1.. => (base..32).filter(is_one).nth(ordinal - 1),
        _ => (0..=base).rev().filter(is_one).nth(ordinal - 1),
    };
    found.unwrap_or(u32::MAX)
}
