//! Every operation against a software float, over random bits and all edge cases.

use super::*;
use crate::numeric::testing::Bits;
use rustc_apfloat::Float;
use rustc_apfloat::ieee::{BFloat, Half as Soft};

const EDGES: [u16; 18] = [
    0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x007f, 0x0080, 0x3c00, 0xbc00, 0x3f80, 0x7bff, 0xfbff, 0x7c00, 0xfc00,
    0x7f80, 0xff80, 0x7fc0,
];

fn operand(bits: &mut Bits) -> u16 {
    let any = bits.u32();
    if any & 3 == 0 { EDGES[(any >> 8) as usize % EDGES.len()] } else { (any >> 8) as u16 }
}

/// The bits of a software result, its NaN made canonical.
fn canonical_bits<T: Float>(x: T) -> u16 {
    if x.is_nan() { 0x7fff } else { x.to_bits() as u16 }
}

fn check_arithmetic<H: Half, T: Float>(seed: u64) {
    let mut bits = Bits::new(seed);
    for _ in 0..200_000 {
        let [a, b, c] = [operand(&mut bits), operand(&mut bits), operand(&mut bits)];
        let [x, y, z] = [a, b, c].map(|x| T::from_bits(x.into()));
        assert_eq!(add::<H>(a, b), canonical_bits((x + y).value), "{a:04x} + {b:04x}");
        assert_eq!(sub::<H>(a, b), canonical_bits((x - y).value), "{a:04x} - {b:04x}");
        assert_eq!(mul::<H>(a, b), canonical_bits((x * y).value), "{a:04x} * {b:04x}");
        assert_eq!(fma::<H>(a, b, c), canonical_bits(x.mul_add(y, z).value), "{a:04x} * {b:04x} + {c:04x}");
    }
}

#[test]
fn f16_arithmetic_rounds_once() {
    check_arithmetic::<F16, Soft>(40);
}

#[test]
fn bf16_arithmetic_rounds_once() {
    check_arithmetic::<Bf16, BFloat>(41);
}

#[test]
fn an_fma_whose_addend_breaks_a_tie_is_not_rounded_twice() {
    // (1 + 2^-7) * 1.5 is halfway between two values; the addends are too small to change it in f64.
    let (a, b, tiny) = (0x3f81, 0x3fc0, 0x0001);
    assert_eq!(fma::<Bf16>(a, b, 0), 0x3fc2, "the tie goes to even");
    assert_eq!(fma::<Bf16>(a, b, tiny), 0x3fc2);
    assert_eq!(fma::<Bf16>(a, b, neg(tiny)), 0x3fc1);
    assert_eq!(fma::<Bf16>(neg(a), b, tiny), 0xbfc1);
}

fn check_selections<H: Half>() {
    let canonical = |x: f32| if x.is_nan() { 0x7fff } else { H::round(x.into()) };
    for a in EDGES {
        for b in EDGES {
            let (x, y) = (H::to_f32(a), H::to_f32(b));
            let number = |less: bool| match (x.is_nan(), y.is_nan()) {
                (true, _) => canonical(y),
                (_, true) => canonical(x),
                _ => {
                    if x.total_cmp(&y).is_lt() == less {
                        a
                    } else {
                        b
                    }
                }
            };
            let nan = x.is_nan() || y.is_nan();
            assert_eq!((min::<H>(a, b), max::<H>(a, b)), (number(true), number(false)), "{a:04x} {b:04x}");
            assert_eq!(min_nan::<H>(a, b), if nan { 0x7fff } else { number(true) });
            assert_eq!(max_nan::<H>(a, b), if nan { 0x7fff } else { number(false) });
            if !nan {
                let sign = (a ^ b) & 0x8000;
                let (low, high) = (abs(a).min(abs(b)), abs(a).max(abs(b)));
                assert_eq!((min_xorsign::<H>(a, b), max_xorsign::<H>(a, b)), (low | sign, high | sign));
                assert_eq!((min_nan_xorsign::<H>(a, b), max_nan_xorsign::<H>(a, b)), (low | sign, high | sign));
            }
        }
    }
}

#[test]
fn selections_order_zeros_and_treat_nan_as_asked() {
    check_selections::<F16>();
    check_selections::<Bf16>();
}

#[test]
fn options_flush_clamp_and_cut_off() {
    assert_eq!((ftz::<F16>(0x83ff), ftz::<F16>(0x0400)), (0x8000, 0x0400));
    assert_eq!((ftz::<Bf16>(0x007f), ftz::<Bf16>(0x8080)), (0, 0x8080));
    for (x, want) in [(0x7e00, 0), (0x8000, 0), (0xbc00, 0), (0x3800, 0x3800), (0x4000, 0x3c00), (0x7c00, 0x3c00)] {
        assert_eq!(saturate::<F16>(x), want, "{x:04x}");
    }
    for (x, want) in [(0xfe01, 0x7fff), (0x8000, 0), (0xbc00, 0), (0x4000, 0x4000)] {
        assert_eq!(relu::<F16>(x), want, "{x:04x}");
    }
    assert_eq!(saturate::<Bf16>(0x4000), 0x3f80);
    assert_eq!((neg(0x3c00), abs(0xbc00)), (0xbc00, 0x3c00));
}

#[test]
fn pairs_keep_their_halves_apart() {
    assert_eq!(pair1(0x8000_3c00, neg), 0x0000_bc00);
    assert_eq!(pair2(0x3c00_4000, 0x3c00_3c00, add::<F16>), 0x4000_4200);
    assert_eq!(pair3(0x3c00_4000, 0x4000_4000, 0x3c00_3c00, fma::<F16>), 0x4200_4500);
}
