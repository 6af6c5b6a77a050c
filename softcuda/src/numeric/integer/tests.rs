//! Each operation against wider arithmetic, or against its definition bit by bit.

use super::*;
use crate::numeric::testing::Bits;
use proptest::prelude::*;

const LIMITS: [Limit; 2] = [Limit::Wrap, Limit::Clamp];

fn bit(x: u64, i: u32) -> u64 {
    if i < 64 { x >> i & 1 } else { 0 }
}

fn from_bits(width: u32, value: impl Fn(u32) -> u64) -> u64 {
    (0..width).fold(0, |x, i| x | value(i) << i)
}

/// The signed value of the low `width` bits.
fn signed(x: u64, width: u32) -> i128 {
    i128::from(x as i64) << (128 - width) >> (128 - width)
}

#[test]
fn products_sums_and_differences_agree_with_wider_arithmetic() {
    let mut bits = Bits::new(10);
    for _ in 0..20_000 {
        let [a, b, c] = [bits.integer(), bits.integer(), bits.integer()];
        let [wa, wb] = [i128::from(a), i128::from(b)];
        assert_eq!(u128::from(mul_hi_u64(a, b)), (u128::from(a) * u128::from(b)) >> 64);
        assert_eq!(i128::from(mul_hi_s64(a as i64, b as i64)), (signed(a, 64) * signed(b, 64)) >> 64);
        assert_eq!(i128::from(mul_hi_u32(a as u32, b as u32)), (i128::from(a as u32) * i128::from(b as u32)) >> 32);
        assert_eq!(i128::from(mul_hi_s32(a as i32, b as i32)), (signed(a, 32) * signed(b, 32)) >> 32);
        assert_eq!(i128::from(mul_hi_s16(a as i16, b as i16)), (signed(a, 16) * signed(b, 16)) >> 16);
        assert_eq!(sad_u64(a, b, c), ((wa - wb).abs() + i128::from(c)) as u64);
        assert_eq!(
            sad_s64(a as i64, b as i64, c as i64),
            ((signed(a, 64) - signed(b, 64)).abs() + i128::from(c)) as i64
        );
        assert_eq!(
            sad_u32(a as u32, b as u32, c as u32),
            (i128::from(a as u32).abs_diff(b as u32 as i128) + u128::from(c)) as u32
        );
        assert_eq!(
            sad_s16(a as i16, b as i16, c as i16),
            ((signed(a, 16) - signed(b, 16)).abs() + i128::from(c)) as i16
        );
        let (carry, borrow) = (c & 1 != 0, i128::from(c & 1));
        let sum = wa + wb + borrow;
        assert_eq!(add_carry64(a, b, carry), (sum as u64, sum >> 64 != 0));
        assert_eq!(sub_borrow64(a, b, carry), ((wa - wb - borrow) as u64, wa - wb - borrow < 0));
        let (na, nb) = (i128::from(a as u32), i128::from(b as u32));
        assert_eq!(add_carry32(a as u32, b as u32, carry), ((na + nb + borrow) as u32, (na + nb + borrow) >> 32 != 0));
        assert_eq!(sub_borrow32(a as u32, b as u32, carry), ((na - nb - borrow) as u32, na - nb - borrow < 0));
    }
}

#[test]
fn saturation_stops_at_the_ends_of_s32() {
    let clamp = |x: i128| x.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let mut bits = Bits::new(11);
    for _ in 0..10_000 {
        let [x, y, z] = [bits.integer(), bits.integer(), bits.integer()];
        let (a, b, c) = (x as i32, y as i32, z as i32);
        let [wa, wb, wc] = [a, b, c].map(i128::from);
        assert_eq!(add_sat_s32(a, b), clamp(wa + wb));
        assert_eq!(sub_sat_s32(a, b), clamp(wa - wb));
        assert_eq!(mad_hi_sat_s32(a, b, c), clamp(((wa * wb) >> 32) + wc));
        let product = signed(x, 24) * signed(y, 24);
        assert_eq!(mad24_hi_sat_s32(a, b, c), clamp((product >> 16) + wc));
    }
}

#[test]
fn division_never_traps_and_gives_the_values_for_zero() {
    assert_eq!((div_u32(7, 0), rem_u32(7, 0)), (u32::MAX, 7));
    assert_eq!((div_s32(-7, 0), rem_s32(-7, 0)), (-1, -7));
    assert_eq!((div_u64(7, 0), rem_u64(7, 0)), (u64::MAX, 7));
    assert_eq!((div_s64(7, 0), rem_s64(7, 0)), (-1, 7));
    assert_eq!((div_u16(7, 0), rem_s16(-7, 0)), (u16::MAX, -7));
    assert_eq!((div_s32(i32::MIN, -1), rem_s32(i32::MIN, -1)), (i32::MIN, 0));
    assert_eq!((div_s64(i64::MIN, -1), rem_s64(i64::MIN, -1)), (i64::MIN, 0));
    assert_eq!((div_s16(i16::MIN, -1), rem_s16(i16::MIN, -1)), (i16::MIN, 0));
    assert_eq!((div_s32(-7, 2), rem_s32(-7, 2), rem_s32(7, -2)), (-3, -1, 1));
}

proptest! {
    #[test]
    fn quotient_times_divisor_plus_remainder_is_the_dividend(a: u64, b in 1..u64::MAX, shift in 0u32..63) {
        let b = (b >> shift).max(1);
        prop_assert_eq!(div_u64(a, b) * b + rem_u64(a, b), a);
        prop_assert!(rem_u64(a, b) < b);
        let (sa, sb) = (a as i64, b as i64);
        prop_assert_eq!(div_s64(sa, sb).wrapping_mul(sb).wrapping_add(rem_s64(sa, sb)), sa);
        let (na, nb) = (a as i32, (b as i32) | 1);
        prop_assert_eq!(div_s32(na, nb).wrapping_mul(nb).wrapping_add(rem_s32(na, nb)), na);
    }

    #[test]
    fn inserting_a_field_and_extracting_it_gives_it_back(a: u64, into: u64, position in 0u32..64, length in 0u32..64) {
        prop_assume!(position + length <= 64);
        let inserted = bfi_b64(a, into, position, length);
        prop_assert_eq!(bfe_u64(inserted, position, length), a & !shl64(!0, length));
    }
}

#[test]
fn products_of_24_bits_ignore_the_upper_byte() {
    let mut bits = Bits::new(12);
    for _ in 0..10_000 {
        let [x, y, z] = [bits.integer(), bits.integer(), bits.integer()];
        let (a, b, c) = (x as u32, y as u32, z as u32);
        let unsigned = i128::from(a % (1 << 24)) * i128::from(b % (1 << 24));
        assert_eq!(mul24_lo_u32(a, b), unsigned as u32);
        assert_eq!(mul24_hi_u32(a, b), (unsigned >> 16) as u32);
        assert_eq!(mad24_lo_u32(a, b, c), (unsigned as u32).wrapping_add(c));
        assert_eq!(mad24_hi_u32(a, b, c), ((unsigned >> 16) as u32).wrapping_add(c));
        let product = signed(x, 24) * signed(y, 24);
        assert_eq!(mul24_lo_s32(a as i32, b as i32), product as i32);
        assert_eq!(mul24_hi_s32(a as i32, b as i32), (product >> 16) as i32);
        assert_eq!(mad24_lo_s32(a as i32, b as i32, c as i32), (product as i32).wrapping_add(c as i32));
        assert_eq!(mad24_hi_s32(a as i32, b as i32, c as i32), ((product >> 16) as i32).wrapping_add(c as i32));
    }
}

#[test]
fn dot_products_extend_each_operand_by_its_own_sign() {
    let mut bits = Bits::new(13);
    let element = |x: u32, at: u32, width: u32, is_signed: bool| {
        let field = u64::from(x) >> at & ((1 << width) - 1);
        if is_signed { signed(field, width) } else { field.into() }
    };
    for _ in 0..10_000 {
        let (a, b, c) = (bits.integer() as u32, bits.u32(), bits.integer() as u32);
        for (sa, sb) in [(false, false), (false, true), (true, false), (true, true)] {
            let four: i128 = (0..4).map(|i| element(a, 8 * i, 8, sa) * element(b, 8 * i, 8, sb)).sum();
            assert_eq!(dp4a(a, sa, b, sb, c), (four + i128::from(c)) as u32);
            for (high, base) in [(false, 0), (true, 16)] {
                let two: i128 = (0..2).map(|i| element(a, 16 * i, 16, sa) * element(b, base + 8 * i, 8, sb)).sum();
                assert_eq!(dp2a(a, sa, b, sb, c, high), (two + i128::from(c)) as u32);
            }
        }
    }
}

#[test]
fn shifts_beyond_the_width_leave_zero_or_the_sign() {
    let mut bits = Bits::new(14);
    for _ in 0..5_000 {
        let (a, n) = (bits.integer(), bits.integer() as u32);
        let left = |width: u32| from_bits(width, |i| if i >= n { bit(a, i - n) } else { 0 });
        let right = |width: u32| from_bits(width, |i| if i.saturating_add(n) < width { bit(a, i + n) } else { 0 });
        let arithmetic = |width: u32| from_bits(width, |i| bit(a, i.saturating_add(n).min(width - 1)));
        assert_eq!(u64::from(shl16(a as u16, n)), left(16));
        assert_eq!(u64::from(shl32(a as u32, n)), left(32));
        assert_eq!(shl64(a, n), left(64));
        assert_eq!(u64::from(shr_u16(a as u16, n)), right(16));
        assert_eq!(u64::from(shr_u32(a as u32, n)), right(32));
        assert_eq!(shr_u64(a, n), right(64));
        assert_eq!(u64::from(shr_s16(a as i16, n) as u16), arithmetic(16));
        assert_eq!(u64::from(shr_s32(a as i32, n) as u32), arithmetic(32));
        assert_eq!(shr_s64(a as i64, n) as u64, arithmetic(64));
    }
}

#[test]
fn funnel_shifts_take_bits_from_the_other_half() {
    let mut bits = Bits::new(15);
    for _ in 0..2_000 {
        let (low, high) = (bits.u32(), bits.u32());
        let pair = u64::from(high) << 32 | u64::from(low);
        for amount in [0, 1, 7, 31, 32, 33, 63, 64, u32::MAX] {
            for (limit, n) in LIMITS.into_iter().zip([amount % 32, amount.min(32)]) {
                let left = from_bits(32, |i| bit(pair, i + 32 - n));
                let right = from_bits(32, |i| bit(pair, i + n));
                assert_eq!(u64::from(shf_l(low, high, amount, limit)), left, "{amount} {limit:?}");
                assert_eq!(u64::from(shf_r(low, high, amount, limit)), right, "{amount} {limit:?}");
            }
        }
    }
}

/// A field as the definition has it, bit by bit.
fn extracted(a: u64, position: u32, length: u32, width: u32, is_signed: bool) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    let fill = if is_signed && length > 0 { bit(a, (position + length - 1).min(width - 1)) } else { 0 };
    from_bits(width, |i| if i < length && position + i < width { bit(a, position + i) } else { fill })
}

#[test]
fn fields_are_extracted_and_inserted_bit_by_bit() {
    let mut bits = Bits::new(16);
    for _ in 0..20_000 {
        let (a, b, p, n) = (bits.integer(), bits.u64(), bits.integer() as u32, bits.integer() as u32);
        assert_eq!(u64::from(bfe_u32(a as u32, p, n)), extracted(a, p, n, 32, false), "{a:x} {p} {n}");
        assert_eq!(u64::from(bfe_s32(a as i32, p, n) as u32), extracted(a, p, n, 32, true), "{a:x} {p} {n}");
        assert_eq!(bfe_u64(a, p, n), extracted(a, p, n, 64, false), "{a:x} {p} {n}");
        assert_eq!(bfe_s64(a as i64, p, n) as u64, extracted(a, p, n, 64, true), "{a:x} {p} {n}");
        let inside = |i: u32| i >= p & 0xff && i - (p & 0xff) < n & 0xff;
        let inserted = |width| from_bits(width, |i| if inside(i) { bit(a, i - (p & 0xff)) } else { bit(b, i) });
        assert_eq!(u64::from(bfi_b32(a as u32, b as u32, p, n)), inserted(32), "{a:x} {b:x} {p} {n}");
        assert_eq!(bfi_b64(a, b, p, n), inserted(64), "{a:x} {b:x} {p} {n}");
    }
}

#[test]
fn searches_and_counts_agree_with_a_scan_of_the_bits() {
    let mut bits = Bits::new(17);
    for _ in 0..10_000 {
        let a = bits.integer();
        let top = |width: u32, against: u64| (0..width).rev().find(|i| bit(a, *i) != against);
        let check = |width: u32, against: u64, position: u32, shift: u32| {
            let found = top(width, against);
            assert_eq!(position, found.unwrap_or(u32::MAX), "{a:x}");
            assert_eq!(shift, found.map_or(u32::MAX, |i| width - 1 - i), "{a:x}");
        };
        check(32, 0, bfind_u32(a as u32, false), bfind_u32(a as u32, true));
        check(64, 0, bfind_u64(a, false), bfind_u64(a, true));
        check(32, bit(a, 31), bfind_s32(a as i32, false), bfind_s32(a as i32, true));
        check(64, bit(a, 63), bfind_s64(a as i64, false), bfind_s64(a as i64, true));
        assert_eq!(clz32(a as u32), top(32, 0).map_or(32, |i| 31 - i));
        assert_eq!(clz64(a), top(64, 0).map_or(64, |i| 63 - i));
        assert_eq!(u64::from(popc32(a as u32)), (0..32).map(|i| bit(a, i)).sum::<u64>());
        assert_eq!(u64::from(popc64(a)), (0..64).map(|i| bit(a, i)).sum::<u64>());
        assert_eq!(u64::from(brev32(a as u32)), from_bits(32, |i| bit(a, 31 - i)));
        assert_eq!(brev64(a), from_bits(64, |i| bit(a, 63 - i)));
    }
}

#[test]
fn prmt_follows_its_table_in_every_mode() {
    // The source byte of each result byte, most significant first, for selectors 0 to 3.
    let table = [
        ("f4e", [0x3210, 0x4321, 0x5432, 0x6543]),
        ("b4e", [0x5670, 0x6701, 0x7012, 0x0123]),
        ("rc8", [0x0000, 0x1111, 0x2222, 0x3333]),
        ("ecl", [0x3210, 0x3211, 0x3222, 0x3333]),
        ("ecr", [0x0000, 0x1110, 0x2210, 0x3210]),
        ("rc16", [0x1010, 0x3232, 0x1010, 0x3232]),
    ];
    let mut bits = Bits::new(18);
    for _ in 0..200 {
        let (a, b) = (bits.u32(), bits.u32());
        for (name, rows) in table {
            let mode = PermuteMode::parse(name).unwrap();
            for (selector, row) in (0..).zip(rows) {
                let want = prmt(a, b, row, PermuteMode::Index);
                assert_eq!(prmt(a, b, selector, mode), want, "{name} {selector}");
                assert_eq!(prmt(a, b, selector | 0xffff_fffc, mode), want, "{name}: only two bits select");
            }
        }
    }
    assert_eq!(prmt(0x8372_6150, 0xf7e6_d5c4, 0x7410, PermuteMode::Index), 0xf7c4_6150);
    assert_eq!(prmt(0x8372_6150, 0xf7e6_d5c4, 0xb8fc, PermuteMode::Index), 0xff00_ffff, "signs");
}

#[test]
fn lop3_looks_every_bit_up_in_its_table() {
    let (a, b, c) = (0xf0, 0xcc, 0xaa);
    for table in 0..=255u8 {
        assert_eq!(lop3(a, b, c, table) & 0xff, u32::from(table));
    }
    let mut bits = Bits::new(19);
    for _ in 0..200 {
        let (a, b, c) = (bits.u32(), bits.u32(), bits.u32());
        assert_eq!(lop3(a, b, c, 0x96), a ^ b ^ c);
        assert_eq!(lop3(a, b, c, 0xca), a & b | !a & c);
    }
}

#[test]
fn szext_and_bmsk_follow_their_limits() {
    let mut bits = Bits::new(20);
    for _ in 0..10_000 {
        let (a, x, y) = (bits.u32(), bits.integer() as u32, bits.integer() as u32);
        for (limit, n, p) in [(Limit::Wrap, y % 32, x % 32), (Limit::Clamp, y.min(32), x.min(32))] {
            let sign = |i: u32| bit(a.into(), i.min(n.max(1) - 1));
            let signed = if n == 0 { 0 } else { from_bits(32, sign) };
            assert_eq!(u64::from(szext_s32(a as i32, y, limit) as u32), signed, "{a:x} {y} {limit:?}");
            let unsigned = from_bits(32, |i| if i < n { bit(a.into(), i) } else { 0 });
            assert_eq!(u64::from(szext_u32(a, y, limit)), unsigned, "{a:x} {y} {limit:?}");
            let mask = from_bits(32, |i| u64::from(i >= p && i - p < n));
            assert_eq!(u64::from(bmsk(x, y, limit)), mask, "{x} {y} {limit:?}");
        }
    }
}

#[test]
fn fns_walks_from_the_base_to_the_nth_one() {
    let model = |mask: u32, base: u32, offset: i32| {
        let (mut position, mut left) = (i64::from(base), offset.unsigned_abs().max(1));
        while (0..32).contains(&position) {
            left -= mask >> position & 1;
            if left == 0 {
                return position as u32;
            }
            if offset == 0 {
                break;
            }
            position += i64::from(offset.signum());
        }
        u32::MAX
    };
    let mut bits = Bits::new(21);
    for _ in 0..20_000 {
        let (mask, base) = (bits.u32() & bits.u32(), bits.u32() % 34);
        let offset = (bits.u32() % 40) as i32 - 20;
        assert_eq!(fns(mask, base, offset), model(mask, base, offset), "{mask:x} {base} {offset}");
    }
    assert_eq!(fns(u32::MAX, u32::MAX, i32::MIN), u32::MAX);
}
