//! Narrowing against a software float, widening and integers against their definitions.

use super::*;
use crate::numeric::testing::{Bits, EDGES32, ROUNDINGS};
use rustc_apfloat::ieee::{BFloat, Double, Float8E4M3FN, Float8E5M2, Half, Single};
use rustc_apfloat::{Float, FloatConvert};

fn narrowed<T: Float>(x: f64, rounding: Rounding) -> u128
where
    Double: FloatConvert<T>,
{
    let wide = Double::from_bits(x.to_bits().into());
    let narrow: T = wide.convert_r(rounding.into(), &mut false).value;
    narrow.to_bits()
}

/// Any f64, or one near the range of a narrow format or near halfway between two of its values.
fn operand(bits: &mut Bits) -> f64 {
    let exponent = 1023 - 160 + u64::from(bits.u32() % 300);
    let any = bits.u64();
    match bits.u32() % 4 {
        0 => bits.f64(),
        1 => bits.f32().into(),
        2 => f64::from_bits(any & 1 << 63 | exponent << 52 | any >> 12),
        _ => f64::from_bits(any & 1 << 63 | exponent << 52 | (any & 0xfff) << 40 | any >> 20 & any >> 40 & 1),
    }
}

#[test]
fn narrowing_rounds_as_a_software_float_does_in_every_mode() {
    let mut bits = Bits::new(30);
    for _ in 0..100_000 {
        let x = operand(&mut bits);
        if x.is_nan() {
            continue;
        }
        for r in ROUNDINGS {
            assert_eq!(u128::from(f64_to_f16(x, r)), narrowed::<Half>(x, r), "{x:e} {r:?}");
            assert_eq!(u128::from(f64_to_bf16(x, r)), narrowed::<BFloat>(x, r), "{x:e} {r:?}");
            assert_eq!(u128::from(f64_to_f32(x, r).to_bits()), narrowed::<Single>(x, r), "{x:e} {r:?}");
            let single = x as f32;
            assert_eq!(u128::from(f32_to_f16(single, r)), narrowed::<Half>(single.into(), r), "{single:e} {r:?}");
            assert_eq!(u128::from(f32_to_bf16(single, r)), narrowed::<BFloat>(single.into(), r), "{single:e} {r:?}");
        }
    }
}

#[test]
fn every_nan_narrows_to_the_canonical_one() {
    for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)] {
        for r in ROUNDINGS {
            assert_eq!((f32_to_f16(nan, r), f32_to_bf16(nan, r)), (0x7fff, 0x7fff));
            assert_eq!((f32_to_tf32(nan, r), f64_to_f32(nan.into(), r).to_bits()), (0x7fff_ffff, 0x7fff_ffff));
        }
        assert_eq!((f32_to_e4m3(nan), f32_to_e5m2(nan)), (0x7f, 0x7f));
        assert_eq!(f32_to_f64(nan).to_bits(), 0x7ff8_0000_0000_0000);
    }
}

#[test]
fn tf32_keeps_ten_bits_and_rounds_ties_as_the_mode_says() {
    let mut bits = Bits::new(31);
    for _ in 0..50_000 {
        let x = bits.f32();
        if x.is_nan() {
            continue;
        }
        let (sign, magnitude) = (x.to_bits() & 1 << 31, x.to_bits() & !(1 << 31));
        let kept = if x.is_infinite() { magnitude } else { (magnitude + 0x1000) & !0x1fff };
        assert_eq!(f32_to_tf32(x, Rounding::NearestAway), sign | kept, "{x:e}");
        assert_eq!(f32_to_tf32(x, Rounding::Zero), x.to_bits() & !0x1fff, "{x:e}");
    }
    assert_eq!(f32_to_tf32(f32::from_bits(0x3f80_1000), Rounding::NearestEven), 0x3f80_0000);
    assert_eq!(f32_to_tf32(f32::from_bits(0x3f80_3000), Rounding::NearestEven), 0x3f80_4000);
}

#[test]
fn widening_then_narrowing_gives_the_same_bits_for_every_value() {
    for x in 0..=u16::MAX {
        let nan16 = x & 0x7fff > 0x7c00;
        assert_eq!(f32_to_f16(f16_to_f32(x), Rounding::Zero), if nan16 { 0x7fff } else { x });
        let nan_bf = x & 0x7fff > 0x7f80;
        assert_eq!(f32_to_bf16(bf16_to_f32(x), Rounding::Zero), if nan_bf { 0x7fff } else { x });
        if !nan16 {
            let value: Double = Half::from_bits(x.into()).convert(&mut false).value;
            assert_eq!(u128::from(f16_to_f64(x).to_bits()), value.to_bits(), "{x:04x}");
        }
        if !nan_bf {
            assert_eq!(bf16_to_f64(x), f64::from(f32::from_bits(u32::from(x) << 16)));
        }
    }
}

#[test]
fn fp8_rounds_to_nearest_and_clamps() {
    let mut bits = Bits::new(32);
    for _ in 0..50_000 {
        let x = operand(&mut bits) as f32;
        if x.is_nan() {
            continue;
        }
        let r = Rounding::NearestEven;
        assert_eq!(u128::from(f32_to_e4m3(x)), narrowed::<Float8E4M3FN>(x.clamp(-448.0, 448.0).into(), r), "{x:e}");
        assert_eq!(u128::from(f32_to_e5m2(x)), narrowed::<Float8E5M2>(x.clamp(-57344.0, 57344.0).into(), r), "{x:e}");
    }
    for x in 0..=u8::MAX {
        let nan = x & 0x7f == 0x7f;
        assert_eq!(f32_to_e4m3(f16_to_f32(e4m3_to_f16(x))), if nan { 0x7f } else { x });
        if x & 0x7f < 0x7c {
            assert_eq!(f32_to_e5m2(f16_to_f32(e5m2_to_f16(x))), x);
        }
    }
    assert_eq!((e5m2_to_f16(0xfc), e5m2_to_f16(0xfd), e4m3_to_f16(0xff)), (0xfc00, 0x7fff, 0x7fff));
}

#[test]
fn clamping_options_act_on_the_source() {
    let to_f16 = |x: f32| f32_to_f16(satfinite32(x, MAX_F16), Rounding::NearestEven);
    assert_eq!((to_f16(f32::INFINITY), to_f16(-1e9), to_f16(f32::NAN)), (0x7bff, 0xfbff, 0x7fff));
    assert_eq!(f32_to_bf16(MAX_BF16, Rounding::NearestEven), 0x7f7f);
    assert_eq!(f32_to_bf16(MAX_BF16.next_up(), Rounding::Up), 0x7f80);
    assert_eq!(f32_to_tf32(satfinite32(f32::MAX, MAX_TF32), Rounding::NearestAway), 0x7f7f_e000);
    assert_eq!(relu32(-0.0).to_bits(), 0);
    assert_eq!((relu32(-3.0), relu32(2.0)), (0.0, 2.0));
    assert!(relu32(f32::NAN).is_nan());
}

/// An integer of `bits` bits nearest below, above or toward zero of a finite number, in wide arithmetic.
fn integer_model(x: f64, rounding: Rounding, bits: u32, signed: bool) -> i128 {
    let down = x.floor().clamp(-1e30, 1e30) as i128;
    let half = x - x.floor();
    let up = half != 0.0;
    let rounded = match rounding {
        Rounding::Down => down,
        Rounding::Up => down + i128::from(up),
        Rounding::Zero => down + i128::from(up && x < 0.0),
        Rounding::NearestEven => down + i128::from(half > 0.5 || half == 0.5 && down % 2 != 0),
        Rounding::NearestAway => down + i128::from(half > 0.5 || half == 0.5 && x > 0.0),
    };
    let top = 1i128 << (bits - u32::from(signed));
    rounded.clamp(if signed { -top } else { 0 }, top - 1)
}

#[test]
fn floats_convert_to_clamped_integers() {
    let mut bits = Bits::new(33);
    for _ in 0..40_000 {
        let value = (bits.integer() as i64 as f64) / f64::from(1 << (bits.u32() % 5));
        let x = if bits.u32().is_multiple_of(3) { bits.f64() } else { value };
        let single = x as f32;
        for (width, signed) in [8, 16, 32, 64].into_iter().flat_map(|w| [(w, false), (w, true)]) {
            for r in ROUNDINGS {
                if !x.is_nan() {
                    let want = integer_model(x, r, width, signed) as u64;
                    assert_eq!(f64_to_int(x, r, width, signed), want, "{x:e} {r:?} {width} {signed}");
                    let want = integer_model(single.into(), r, width, signed) as u64;
                    assert_eq!(f32_to_int(single, r, width, signed), want, "{single:e} {r:?} {width} {signed}");
                }
            }
        }
    }
    assert_eq!(f16_to_int(0xc100, Rounding::NearestEven, 32, true) as i64, -2);
}

#[test]
fn nan_converts_to_the_integer_that_source_and_width_decide() {
    let r = Rounding::Zero;
    for signed in [false, true] {
        assert_eq!(f32_to_int(f32::NAN, r, 32, signed), 0);
        assert_eq!(f32_to_int(f32::NAN, r, 64, signed), 1 << 63);
        assert_eq!(f16_to_int(0x7fff, r, 16, signed), 0);
        assert_eq!(f64_to_int(f64::NAN, r, 64, signed), 1 << 63);
        assert_eq!(f64_to_int(f64::NAN, r, 32, signed) as u32, 1 << 31);
        assert_eq!(f64_to_int(f64::NAN, r, 8, signed) as u8, 1 << 7);
    }
    assert_eq!(f64_to_int(f64::NAN, r, 32, true) as i64, i64::from(i32::MIN));
}

#[test]
fn integers_convert_to_floats_in_every_mode() {
    let mut bits = Bits::new(34);
    for _ in 0..40_000 {
        let any = bits.integer();
        for value in [i128::from(any), i128::from(any as i64)] {
            for r in ROUNDINGS {
                let context = (value, r);
                let soft = |bits: u128, want: u128| assert_eq!(bits, want, "{context:?}");
                soft(int_to_f32(value, r).to_bits().into(), Single::from_i128_r(value, r.into()).value.to_bits());
                soft(int_to_f64(value, r).to_bits().into(), Double::from_i128_r(value, r.into()).value.to_bits());
                soft(int_to_f16(value, r).into(), Half::from_i128_r(value, r.into()).value.to_bits());
                soft(int_to_bf16(value, r).into(), BFloat::from_i128_r(value, r.into()).value.to_bits());
            }
        }
    }
}

#[test]
fn integers_wrap_or_clamp_and_extend_by_their_sign() {
    assert_eq!(int_to_int(-1, 8, false, false), 0xff);
    assert_eq!(int_to_int(-1, 8, false, true), 0);
    assert_eq!(int_to_int(200, 8, true, false) as i64, -56);
    assert_eq!(int_to_int(200, 8, true, true), 127);
    assert_eq!(int_to_int(-70_000, 16, true, true) as i64, -32_768);
    assert_eq!(int_to_int(u64::MAX.into(), 64, true, true), i64::MAX as u64);
    assert_eq!(int_to_int(u64::MAX.into(), 64, false, true), u64::MAX);
    assert_eq!(int_to_int(i64::MIN.into(), 32, true, false), 0);
}

#[test]
fn widening_keeps_every_edge_case() {
    for x in EDGES32.map(f32::from_bits).into_iter().filter(|x| !x.is_nan()) {
        assert_eq!(f32_to_f64(x).to_bits(), f64::from(x).to_bits());
    }
}
