//! Errors against series summed here, over dense sweeps; special values as PTX tabulates them.

use super::*;
use crate::numeric::half::{Bf16, F16, bf16_to_f32, f16_to_f32};
use crate::numeric::testing::Bits;
use std::f64::consts::LN_2;

/// `e^x` by its series on a small argument, squared back up.
fn exp(x: f64) -> f64 {
    let halvings = 12;
    let small = x / f64::from(1 << halvings);
    let series = (1..12).rev().fold(1.0, |sum, i| 1.0 + sum * small / f64::from(i));
    (0..halvings).fold(series, |y, _| y * y)
}

/// `2^x` for any x in the range of f64.
fn exp2(x: f64) -> f64 {
    let whole = x.floor();
    // Two factors, so that the power of two of a subnormal result is a normal number each.
    exp((x - whole) * LN_2) * 2f64.powi(whole as i32 / 2) * 2f64.powi(whole as i32 - whole as i32 / 2)
}

/// The logarithm by Newton steps on [`exp2`].
fn log2(x: f64) -> f64 {
    let exponent = f64::from((x.to_bits() >> 52) as i32 - 1023);
    let ratio = x / exp2(exponent);
    let y = (0..40).fold(ratio - 1.0, |y, _| y + (ratio / exp2(y) - 1.0) / LN_2);
    exponent + y
}

/// The sine by its series.
fn sine(x: f64) -> f64 {
    (1..20).rev().fold(1.0, |sum, i| 1.0 - sum * x * x / f64::from(2 * i * (2 * i + 1))) * x
}

/// The cosine by its series.
fn cosine(x: f64) -> f64 {
    (1..20).rev().fold(1.0, |sum, i| 1.0 - sum * x * x / f64::from(2 * i * (2 * i - 1)))
}

/// The hyperbolic tangent; by its series where the quotient would cancel.
fn tanh(x: f64) -> f64 {
    if x.abs() < 1e-3 { x - x * x * x / 3.0 } else { 1.0 - 2.0 / (exp(2.0 * x.clamp(-20.0, 20.0)) + 1.0) }
}

/// Whether `got` lies within a relative error, or within half a subnormal step.
#[track_caller]
fn assert_near(got: f32, want: f64, relative: f64, x: f32) {
    let difference = (f64::from(got) - want).abs();
    assert!(difference <= relative * want.abs() + 2f64.powi(-150), "{x:e}: {got:e}, not {want:e}");
}

/// Evenly spaced numbers.
fn sweep(from: f32, to: f32) -> impl Iterator<Item = f32> {
    (0..=20_000).map(move |i| from + (to - from) * i as f32 / 20_000.0)
}

/// Positive numbers over all exponents, subnormals included.
fn positives() -> impl Iterator<Item = f32> {
    (1..0x7f80_0000u32).step_by(40_009).map(f32::from_bits)
}

const ROUNDED: f64 = 1.01 / (1u64 << 24) as f64;

#[test]
fn ex2_and_lg2_are_within_a_rounding_of_their_series() {
    for x in sweep(-149.5, 127.9) {
        assert_near(ex2_32(x), exp2(x.into()), ROUNDED, x);
    }
    for x in positives().chain(sweep(0.5, 2.0)) {
        // Near one the logarithm cancels in the series, not in the function.
        let want = log2(x.into());
        let difference = (f64::from(lg2_32(x)) - want).abs();
        assert!(difference <= ROUNDED * want.abs() + 1e-14, "{x:e}");
    }
}

#[test]
fn sin_cos_and_tanh_are_within_a_rounding_of_their_series() {
    for x in sweep(-6.3, 6.3) {
        assert!((f64::from(sin_32(x)) - sine(x.into())).abs() <= 2f64.powi(-24), "{x:e}");
        assert!((f64::from(cos_32(x)) - cosine(x.into())).abs() <= 2f64.powi(-24), "{x:e}");
        assert_near(tanh_32(x), tanh(x.into()), ROUNDED, x);
    }
    for x in [1e-30f32, -1e-10, f32::from_bits(1)] {
        assert_eq!((sin_32(x), tanh_32(x), cos_32(x)), (x, x, 1.0));
    }
}

#[test]
fn reciprocals_and_roots_are_within_a_rounding() {
    for x in positives() {
        let wide = f64::from(x);
        if 1.0 / wide < f32::MAX.into() {
            assert!((f64::from(rcp_32(x)) * wide - 1.0).abs() <= 2.0 * ROUNDED + 2f64.powi(-150) * wide, "{x:e}");
        }
        let root = f64::from(sqrt_32(x));
        assert!((root * root / wide - 1.0).abs() <= 2.0 * ROUNDED, "{x:e}");
        let inverse = f64::from(rsqrt_32(x));
        assert!((inverse * inverse * wide - 1.0).abs() <= 2.1 * ROUNDED, "{x:e}");
    }
}

#[test]
fn quotients_are_within_two_units_where_the_divisor_is_in_range() {
    let mut bits = Bits::new(60);
    for _ in 0..50_000 {
        let (a, b) = (bits.f32(), bits.f32());
        let quotient = f64::from(a) / f64::from(b);
        if a.is_finite() && b.is_finite() && b != 0.0 && quotient.abs() < f32::MAX.into() {
            assert_near(div_full_32(a, b), quotient, ROUNDED, a);
            let want = if b.abs() > 2f32.powi(126) { 0.0 } else { quotient };
            assert_near(div_32(a, b), want, ROUNDED, a);
        }
    }
    assert_eq!(div_32(1.0, f32::MAX), 0.0);
    assert_eq!(div_32(1.0, -f32::INFINITY).to_bits(), (-0f32).to_bits());
    assert_eq!(div_32(f32::INFINITY, f32::MAX).to_bits(), 0x7fff_ffff);
    assert_eq!(div_full_32(f32::INFINITY, f32::MAX), f32::INFINITY);
}

#[test]
fn special_values_are_those_of_the_tables() {
    let inf = f32::INFINITY;
    let nan = f32::from_bits(0x7fff_ffff);
    let inputs = [-inf, -1.0, -0.0, 0.0, inf, f32::from_bits(0xffc0_0001)];
    type Row = (&'static str, fn(f32) -> f32, [f32; 6]);
    let table: [Row; 8] = [
        ("ex2", ex2_32, [0.0, 0.5, 1.0, 1.0, inf, nan]),
        ("lg2", lg2_32, [nan, nan, -inf, -inf, inf, nan]),
        ("sin", sin_32, [nan, sin_32(-1.0), -0.0, 0.0, nan, nan]),
        ("cos", cos_32, [nan, cos_32(1.0), 1.0, 1.0, nan, nan]),
        ("tanh", tanh_32, [-1.0, -tanh_32(1.0), -0.0, 0.0, 1.0, nan]),
        ("rcp", rcp_32, [-0.0, -1.0, -inf, inf, 0.0, nan]),
        ("sqrt", sqrt_32, [nan, nan, -0.0, 0.0, inf, nan]),
        ("rsqrt", rsqrt_32, [nan, nan, -inf, inf, 0.0, nan]),
    ];
    for (name, function, wants) in table {
        for (x, want) in inputs.into_iter().zip(wants) {
            assert_eq!(function(x).to_bits(), want.to_bits(), "{name}({x:e})");
        }
    }
}

#[test]
fn f64_forms_honour_or_drop_the_lower_word() {
    let mut bits = Bits::new(61);
    for _ in 0..20_000 {
        let x = f64::from_bits(bits.u64() & 0x7fff_ffff_ffff_ffff);
        if !(1e-300..1e300).contains(&x) {
            continue;
        }
        let (reciprocal, root) = (rcp_ftz_64(x), rsqrt_ftz_64(x));
        assert_eq!((reciprocal.to_bits() as u32, root.to_bits() as u32), (0, 0), "{x:e}");
        assert_eq!(rcp_ftz_64(f64::from_bits(x.to_bits() | 0xffff_ffff)), reciprocal, "{x:e}");
        assert!((reciprocal * x - 1.0).abs() <= 2f64.powi(-19), "{x:e}");
        assert!((root * root * x - 1.0).abs() <= 2f64.powi(-18), "{x:e}");
        let exact = rsqrt_64(x);
        assert!((exact * exact * x - 1.0).abs() <= 1e-15, "{x:e}");
    }
    let tiny = f64::from_bits(1 << 40);
    let inf = f64::INFINITY;
    assert_eq!((rcp_ftz_64(-tiny), rsqrt_ftz_64(-tiny), rsqrt_ftz_64(0.0)), (-inf, -inf, inf));
    assert_eq!(rcp_ftz_64(-inf).to_bits(), 1 << 63);
    assert_eq!(rcp_ftz_64(-f64::MAX).to_bits(), 1 << 63, "a subnormal result is flushed");
    assert_eq!(rsqrt_ftz_64(-1.0).to_bits(), 0x7ff8_0000_0000_0000);
    assert_eq!(rcp_ftz_64(f64::from_bits(!0)).to_bits(), 0x7ff8_0000_0000_0000);
    assert!(rsqrt_64(-tiny).is_nan());
}

#[test]
fn every_value_of_16_bits_is_within_half_a_unit() {
    for x in 0..=u16::MAX {
        check_16(f16_to_f32(x), f16_to_f32(ex2_16::<F16>(x)), f16_to_f32(tanh_16::<F16>(x)), 11, -25, 16.0);
        check_16(bf16_to_f32(x), bf16_to_f32(ex2_16::<Bf16>(x)), bf16_to_f32(tanh_16::<Bf16>(x)), 8, -134, 128.0);
    }
}

/// Checks both functions at `x` for a format of `precision` bits, half of the smallest step and the exponent of overflow.
fn check_16(x: f32, power: f32, tangent: f32, precision: i32, half_step: i32, overflow: f64) {
    if x.is_nan() {
        assert!(power.is_nan() && tangent.is_nan());
        return;
    }
    let near = |got: f32, want: f64| {
        let allowed = 2f64.powi(-precision) * want.abs() * (1.0 + 1e-9) + 2f64.powi(half_step);
        assert!((f64::from(got) - want).abs() <= allowed, "{x:e}: {got:e}, not {want:e}");
    };
    near(tangent, tanh(x.into()));
    if f64::from(x) >= overflow {
        assert_eq!(power, f32::INFINITY);
    } else {
        near(power, exp2(f64::from(x).max(-600.0)));
    }
}
