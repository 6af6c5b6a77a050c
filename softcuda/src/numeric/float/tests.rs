//! Directed rounding against the exact value as an unevaluated sum; the rest against its definition.

use super::*;
use crate::numeric::testing::{Bits, EDGES32, EDGES64, ROUNDINGS};
use std::cmp::Ordering;

/// An exact value: `head` is it rounded to f64, `tail` has the sign of what the rounding lost.
#[derive(Clone, Copy, Debug)]
struct Exact {
    head: f64,
    tail: f64,
}

impl Exact {
    fn sum(a: f64, b: f64) -> Self {
        let head = a + b;
        let b_part = head - a;
        let tail = (a - (head - b_part)) + (b - b_part);
        Self { head, tail }
    }

    fn quotient(a: f64, b: f64) -> Self {
        let head = a / b;
        Self { head, tail: (-head).mul_add(b, a) * b.signum() }
    }

    fn root(x: f64) -> Self {
        let head = x.sqrt();
        Self { head, tail: (-head).mul_add(head, x) }
    }

    fn compare(self, other: f64) -> Ordering {
        self.head.total_cmp(&other).then(self.tail.partial_cmp(&0.0).unwrap())
    }

    /// The f32 values next below and above, equal where the exact value is one.
    fn bracket32(self) -> (f32, f32) {
        let near = self.head as f32;
        match self.compare(near.into()) {
            Ordering::Less => (near.next_down(), near),
            Ordering::Equal => (near, near),
            Ordering::Greater => (near, near.next_up()),
        }
    }

    fn round32(self, rounding: Rounding) -> f32 {
        let (low, high) = self.bracket32();
        let widen = |x: f32| if x.is_infinite() { 2f64.powi(128).copysign(x.into()) } else { x.into() };
        let to_middle = self.compare((widen(low) + widen(high)) / 2.0);
        let away = if self.head < 0.0 { low } else { high };
        match (rounding, to_middle) {
            (Rounding::Down, _) => low,
            (Rounding::Up, _) => high,
            (Rounding::Zero, _) => {
                if away == low {
                    high
                } else {
                    low
                }
            }
            (_, Ordering::Less) => low,
            (_, Ordering::Greater) => high,
            (Rounding::NearestAway, _) => away,
            _ => {
                if low.to_bits() & 1 == 0 {
                    low
                } else {
                    high
                }
            }
        }
    }

    /// The directed result in f64; the host's own rounding gave the head.
    fn round64(self, rounding: Rounding) -> f64 {
        let down = if self.tail < 0.0 { self.head.next_down() } else { self.head };
        let up = if self.tail > 0.0 { self.head.next_up() } else { self.head };
        match rounding {
            Rounding::Down => down,
            Rounding::Up => up,
            Rounding::Zero if self.head > 0.0 => down,
            Rounding::Zero => up,
            _ => self.head,
        }
    }
}

/// What a sum of `a` and `b` must round to, the sign of a zero included.
fn sum32(a: f64, b: f64, rounding: Rounding) -> f32 {
    let exact = Exact::sum(a, b);
    if !exact.head.is_finite() {
        return canonical32(exact.head as f32);
    }
    if exact.head == 0.0 {
        let opposite = a.is_sign_negative() != b.is_sign_negative();
        return if opposite && rounding == Rounding::Down { -0.0 } else { exact.head as f32 };
    }
    exact.round32(rounding)
}

fn exact32(exact: Exact, rounding: Rounding) -> f32 {
    if !exact.head.is_finite() || exact.head == 0.0 {
        return canonical32(exact.head as f32);
    }
    exact.round32(rounding)
}

#[track_caller]
fn assert_bits32(got: f32, want: f32, context: &dyn std::fmt::Debug) {
    assert_eq!(got.to_bits(), want.to_bits(), "{context:?}: {got:e} instead of {want:e}");
}

#[track_caller]
fn assert_bits64(got: f64, want: f64, context: &dyn std::fmt::Debug) {
    assert_eq!(got.to_bits(), want.to_bits(), "{context:?}: {got:e} instead of {want:e}");
}

#[test]
fn f32_operations_round_the_exact_value_in_every_mode() {
    let mut bits = Bits::new(1);
    for _ in 0..60_000 {
        let (a, b, c) = (bits.f32(), bits.f32(), bits.f32());
        let [x, y, z] = [a, b, c].map(f64::from);
        for r in ROUNDINGS {
            let context = (a, b, c, r);
            assert_bits32(add32(a, b, r), sum32(x, y, r), &context);
            assert_bits32(sub32(a, b, r), sum32(x, -y, r), &context);
            assert_bits32(mul32(a, b, r), exact32(Exact { head: x * y, tail: 0.0 }, r), &context);
            assert_bits32(fma32(a, b, c, r), sum32(x * y, z, r), &context);
            assert_bits32(div32(a, b, r), exact32(Exact::quotient(x, y), r), &context);
            assert_bits32(rcp32(a, r), exact32(Exact::quotient(1.0, x), r), &context);
            assert_bits32(sqrt32(a, r), exact32(Exact::root(x), r), &context);
        }
    }
}

#[test]
fn f64_operations_round_the_exact_value_in_every_directed_mode() {
    let mut bits = Bits::new(2);
    let ordinary = |x: f64| x.is_finite() && x.abs() > 1e-200 && x.abs() < 1e200;
    let mut checked = 0;
    while checked < 20_000 {
        let (a, b) = (bits.f64(), bits.f64());
        if ![a, b, a * b, a / b].into_iter().all(ordinary) {
            continue;
        }
        checked += 1;
        let product = Exact { head: a * b, tail: a.mul_add(b, -(a * b)) };
        for r in &ROUNDINGS[..4] {
            let (r, context) = (*r, (a, b, *r));
            if a + b != 0.0 {
                assert_bits64(add64(a, b, r), Exact::sum(a, b).round64(r), &context);
            }
            if a - b != 0.0 {
                assert_bits64(sub64(a, b, r), Exact::sum(a, -b).round64(r), &context);
            }
            assert_bits64(mul64(a, b, r), product.round64(r), &context);
            assert_bits64(fma64(a, b, 0.0, r), product.round64(r), &context);
            assert_bits64(div64(a, b, r), Exact::quotient(a, b).round64(r), &context);
            assert_bits64(rcp64(a, r), Exact::quotient(1.0, a).round64(r), &context);
            assert_bits64(sqrt64(a.abs(), r), Exact::root(a.abs()).round64(r), &context);
        }
    }
}

#[test]
fn a_tiny_addend_moves_a_directed_f64_fma_by_one_step() {
    let tiny = f64::from_bits(1);
    for (a, b) in [(3.0, 5.0), (-1.5, 7.0), (f64::MAX, 0.5)] {
        assert_eq!(fma64(a, b, tiny, Rounding::Up), (a * b).next_up());
        assert_eq!(fma64(a, b, -tiny, Rounding::Down), (a * b).next_down());
        assert_eq!(fma64(a, b, tiny, Rounding::NearestEven), a * b);
    }
}

#[test]
fn overflow_and_underflow_of_f64_stop_where_the_mode_says() {
    let tiny = f64::from_bits(1);
    assert_eq!(mul64(f64::MAX, 2.0, Rounding::Zero), f64::MAX);
    assert_eq!(mul64(f64::MAX, 2.0, Rounding::Down), f64::MAX);
    assert_eq!(mul64(f64::MAX, -2.0, Rounding::Down), f64::NEG_INFINITY);
    assert_eq!(add64(f64::MAX, f64::MAX, Rounding::Up), f64::INFINITY);
    assert_eq!(mul64(tiny, 0.25, Rounding::Up), tiny);
    assert_bits64(mul64(-tiny, 0.25, Rounding::Up), -0.0, &"toward +inf");
    assert_eq!(mul64(-tiny, 0.25, Rounding::Down), -tiny);
    assert_bits64(add64(1.0, -1.0, Rounding::Down), -0.0, &"cancellation downward");
    assert_eq!(rcp64(0.0, Rounding::Down), f64::INFINITY);
}

#[test]
fn directed_f64_roots_of_tiny_numbers_enclose_them() {
    let mut bits = Bits::new(3);
    for _ in 0..5_000 {
        let x = f64::from_bits(bits.u64() >> (2 + bits.u32() % 50));
        if x == 0.0 || !x.is_finite() {
            continue;
        }
        let (down, up) = (sqrt64(x, Rounding::Down), sqrt64(x, Rounding::Up));
        assert!(down == up || down.next_up() == up, "{x:e}: {down:e} {up:e}");
        // An even power of two scales a root exactly.
        let scale = 2f64.powi(if x < 1.0 { 400 } else { -400 });
        assert_bits64(sqrt64(x * scale * scale, Rounding::Down), down * scale, &x);
        assert_bits64(sqrt64(x * scale * scale, Rounding::Up), up * scale, &x);
        assert_bits64(sqrt64(x, Rounding::Zero), down, &x);
    }
    assert!(sqrt64(2.0, Rounding::Down) < sqrt64(2.0, Rounding::Up));
}

#[test]
fn subnormal_results_flush_to_signed_zero() {
    for bits in EDGES32 {
        let x = f32::from_bits(bits);
        let want = if x.is_subnormal() { 0f32.copysign(x) } else { x };
        assert_eq!(ftz32(x).to_bits(), want.to_bits(), "{bits:08x}");
    }
}

#[test]
fn every_nan_becomes_the_canonical_one() {
    for bits in EDGES32 {
        let x = f32::from_bits(bits);
        assert_eq!(canonical32(x).to_bits(), if x.is_nan() { 0x7fff_ffff } else { bits });
    }
    for bits in EDGES64 {
        let x = f64::from_bits(bits);
        assert_eq!(canonical64(x).to_bits(), if x.is_nan() { 0x7ff8_0000_0000_0000 } else { bits });
    }
    assert_eq!(add32(f32::INFINITY, f32::NEG_INFINITY, Rounding::NearestEven).to_bits(), 0x7fff_ffff);
    assert_eq!(fma32(f32::INFINITY, 0.0, 1.0, Rounding::Up).to_bits(), 0x7fff_ffff);
    assert_eq!(sqrt64(-1.0, Rounding::Up).to_bits(), 0x7ff8_0000_0000_0000);
}

#[test]
fn saturation_clamps_to_the_unit_interval_and_takes_nan_to_zero() {
    let cases = [(f32::NAN, 0.0), (-0.0, 0.0), (-1.0, 0.0), (0.25, 0.25), (1.0, 1.0), (1.5, 1.0), (f32::INFINITY, 1.0)];
    for (x, want) in cases {
        assert_bits32(sat32(x), want, &x);
        assert_bits64(sat64(x.into()), want.into(), &x);
    }
    assert_eq!(sat32(f32::from_bits(1)).to_bits(), 1, "a subnormal is inside the interval");
}

/// The total order of numbers, -0 below +0.
fn ordered(a: f32, b: f32, greater: bool) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => f32::from_bits(0x7fff_ffff),
        (true, false) => b,
        (false, true) => a,
        _ if (a.total_cmp(&b) == Ordering::Greater) == greater => a,
        _ => b,
    }
}

#[test]
fn min_and_max_order_zeros_and_skip_nan() {
    for a in EDGES32.map(f32::from_bits) {
        for b in EDGES32.map(f32::from_bits) {
            let context = (a, b);
            assert_bits32(min32(a, b), ordered(a, b, false), &context);
            assert_bits32(max32(a, b), ordered(a, b, true), &context);
            let either_nan = a.is_nan() || b.is_nan();
            let nan = f32::from_bits(0x7fff_ffff);
            assert_bits32(min32_nan(a, b), if either_nan { nan } else { ordered(a, b, false) }, &context);
            assert_bits32(max32_nan(a, b), if either_nan { nan } else { ordered(a, b, true) }, &context);
            let wide = |x: f32| canonical64(x.into());
            assert_bits64(min64(a.into(), b.into()), wide(min32(a, b)), &context);
            assert_bits64(max64(a.into(), b.into()), wide(max32(a, b)), &context);
        }
    }
}

#[test]
fn xorsign_gives_magnitudes_the_sign_of_the_product() {
    for a in EDGES32.map(f32::from_bits) {
        for b in EDGES32.map(f32::from_bits) {
            let negative = a.is_sign_negative() != b.is_sign_negative();
            let signed = |m: f32| if m.is_nan() || !negative { m } else { -m };
            let (x, y) = (a.abs(), b.abs());
            assert_bits32(min32_xorsign(a, b), signed(ordered(x, y, false)), &(a, b));
            assert_bits32(max32_xorsign(a, b), signed(ordered(x, y, true)), &(a, b));
            assert_bits32(min32_nan_xorsign(a, b), signed(min32_nan(x, y)), &(a, b));
            assert_bits32(max32_nan_xorsign(a, b), signed(max32_nan(x, y)), &(a, b));
        }
    }
}

#[test]
fn copysign_takes_the_sign_of_its_first_operand() {
    assert_eq!(copysign32(-1.0, 3.0), -3.0);
    assert_eq!(copysign32(2.0, -3.0), 3.0);
    assert_eq!(copysign64(-0.0, f64::INFINITY), f64::NEG_INFINITY);
    assert_eq!(copysign64(1.0, -0.5), 0.5);
}

#[test]
fn testp_tells_the_six_properties_apart() {
    use Property::*;
    let all = [Finite, Infinite, Number, NotANumber, Normal, Subnormal];
    let held = |x: f32| all.into_iter().filter(|p| testp32(*p, x)).collect::<Vec<_>>();
    assert_eq!(held(0.0), [Finite, Number, Normal]);
    assert_eq!(held(-1.5), [Finite, Number, Normal]);
    assert_eq!(held(f32::from_bits(1)), [Finite, Number, Subnormal]);
    assert_eq!(held(f32::NEG_INFINITY), [Infinite, Number]);
    assert_eq!(held(f32::from_bits(0x7f80_0001)), [NotANumber]);
    let held = |x: f64| all.into_iter().filter(|p| testp64(*p, x)).collect::<Vec<_>>();
    assert_eq!(held(-0.0), [Finite, Number, Normal]);
    assert_eq!(held(-f64::from_bits(1)), [Finite, Number, Subnormal]);
    assert_eq!(held(f64::INFINITY), [Infinite, Number]);
    assert_eq!(held(f64::NAN), [NotANumber]);
    assert_eq!(Property::parse("notanumber"), Some(NotANumber));
    assert_eq!(Property::parse("nan"), None);
}

#[test]
fn integral_rounding_follows_the_mode_and_keeps_the_sign_of_zero() {
    //             even  zero  down   up   away
    let table = [
        (2.5f32, [2.0, 2.0, 2.0, 3.0, 3.0]),
        (-2.5, [-2.0, -2.0, -3.0, -2.0, -3.0]),
        (0.25, [0.0, 0.0, 0.0, 1.0, 0.0]),
        (-0.25, [-0.0, -0.0, -1.0, -0.0, -0.0]),
        (16777215.0, [16777215.0; 5]),
        (f32::NEG_INFINITY, [f32::NEG_INFINITY; 5]),
        (f32::NAN, [f32::from_bits(0x7fff_ffff); 5]),
    ];
    for (x, wants) in table {
        for (r, want) in ROUNDINGS.into_iter().zip(wants) {
            assert_bits32(round_to_integral32(x, r), want, &(x, r));
            assert_bits64(round_to_integral64(x.into(), r), canonical64(want.into()), &(x, r));
        }
    }
}
