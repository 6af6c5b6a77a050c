//! Elementary functions in f32, branch-free, so that loops over them vectorise.
//!
//! Every step is an IEEE operation (an explicit fused multiply-add among them), so the same input gives the same bits on any
//! processor, and a CUDA kernel that repeats the steps gives them too. The system's libm is a call per element (about eight
//! times slower inside a loop) and differs between systems.

use std::f32::consts::{LOG2_E, SQRT_2, TAU};

/// ln 2 to 15 bits, so that a product with an exponent is exact; [`LN_2_LOW`] is the rest.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Adding and subtracting 1.5 * 2^23 rounds an f32 of magnitude below 2^22 to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// 2^`n` for -126 <= `n` <= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// e^`x`, within 2 units in the last place; 0 below -103.97, infinity above 88.72, NaN for NaN.
///
/// Reduction to |r| <= ln 2 / 2 and a Taylor polynomial of degree 7 (its remainder there is 6e-9).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // `clamp` and `max` would turn NaN into a number on some paths; these comparisons let it through.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let p = 1.0 / 5040.0;
    let p = r.mul_add(p, 1.0 / 720.0);
    let p = r.mul_add(p, 1.0 / 120.0);
    let p = r.mul_add(p, 1.0 / 24.0);
    let p = r.mul_add(p, 1.0 / 6.0);
    let p = r.mul_add(p, 0.5);
    let p = r.mul_add(p, 1.0);
    let p = r.mul_add(p, 1.0);
    // Two factors, because 2^n alone overflows at n = 128 and underflows below -126, where the result need not.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32).clamp(-150, 128);
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n - half)
}

/// e^`x` - 1 - `x`, within 8 units in the last place also where x is small and the terms would cancel; NaN for NaN.
#[inline(always)]
pub fn exp_m1_minus_x(x: f32) -> f32 {
    // x^2 / 2! + x^3 / 3! + ..., whose remainder at |x| = 1/2 is 3e-9 of the sum.
    let p = 1.0 / 362_880.0;
    let p = x.mul_add(p, 1.0 / 40_320.0);
    let p = x.mul_add(p, 1.0 / 5040.0);
    let p = x.mul_add(p, 1.0 / 720.0);
    let p = x.mul_add(p, 1.0 / 120.0);
    let p = x.mul_add(p, 1.0 / 24.0);
    let p = x.mul_add(p, 1.0 / 6.0);
    let p = x.mul_add(p, 0.5);
    if x.abs() < 0.5 { x * x * p } else { exp(x) - 1.0 - x }
}

/// 2 artanh(`s`) for |`s`| <= 1/3, by its series up to s^17.
#[inline(always)]
fn twice_artanh(s: f32) -> f32 {
    let q = s * s;
    let p = 2.0 / 17.0;
    let p = q.mul_add(p, 2.0 / 15.0);
    let p = q.mul_add(p, 2.0 / 13.0);
    let p = q.mul_add(p, 2.0 / 11.0);
    let p = q.mul_add(p, 2.0 / 9.0);
    let p = q.mul_add(p, 2.0 / 7.0);
    let p = q.mul_add(p, 2.0 / 5.0);
    let p = q.mul_add(p, 2.0 / 3.0);
    s.mul_add(2.0, s * (q * p))
}

/// ln(1 + `t`) for 0 <= `t` <= 1, within 2 units in the last place, tiny `t` included; NaN for NaN.
///
/// ln(1 + t) = 2 artanh(t / (2 + t)): nothing cancels.
#[inline(always)]
pub fn ln_1p(t: f32) -> f32 {
    twice_artanh(t / (2.0 + t))
}

/// ln `x` for positive normal `x`, within 2 units in the last place away from 1 (absolute error below 1e-7 beside it).
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    // x = m 2^e with m in [1/sqrt 2, sqrt 2).
    let bits = x.to_bits() as i32;
    let e = (bits.wrapping_sub((SQRT_2 * 0.5).to_bits() as i32)) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(e << 23) as u32);
    let e = e as f32;
    let ln_m = twice_artanh((m - 1.0) / (m + 1.0));
    e.mul_add(LN_2_HIGH, e.mul_add(LN_2_LOW, ln_m))
}

/// (sin, cos) of `turns` / 2^32 of a full turn, each within 1e-7.
///
/// The quadrant and the rest are taken from the integer, so the reduction is exact.
#[inline(always)]
pub fn sin_cos_turns(turns: u32) -> (f32, f32) {
    let quadrant = turns.wrapping_add(1 << 29) >> 30;
    let rest = turns.wrapping_sub(quadrant << 30) as i32;
    let a = rest as f32 * (TAU / 4_294_967_296.0);
    let q = a * a;
    let s = q.mul_add(q.mul_add(q.mul_add(-1.0 / 5040.0, 1.0 / 120.0), -1.0 / 6.0), 1.0) * a;
    let s = (q * q * q * q).mul_add(a * (1.0 / 362_880.0), s);
    let c = q.mul_add(q.mul_add(q.mul_add(1.0 / 40_320.0, -1.0 / 720.0), 1.0 / 24.0), -0.5);
    let c = q.mul_add(c, 1.0);
    let (s, c) = if quadrant & 1 == 1 { (c, -s) } else { (s, c) };
    if quadrant & 2 == 2 { (-s, -c) } else { (s, c) }
}

/// The logistic function 1 / (1 + e^-`a`), exact in both tails; NaN for NaN.
#[inline(always)]
pub fn sigmoid(a: f32) -> f32 {
    sigmoid_softplus(a).0
}

/// (sigmoid(`a`), ln(1 + e^-|`a`|)): the two parts of the loss from the logits, which share one exponential.
#[inline(always)]
pub fn sigmoid_softplus(a: f32) -> (f32, f32) {
    let t = exp(-a.abs());
    let s = 1.0 / (1.0 + t);
    (if a < 0.0 { t * s } else { s }, ln_1p(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of `f` against `oracle` over `inputs`, in units in the last place of the oracle's value.
    fn worst_ulp(inputs: impl Iterator<Item = f32>, f: fn(f32) -> f32, oracle: fn(f64) -> f64) -> f64 {
        let error = |x: f32| {
            let want = oracle(f64::from(x));
            let ulp = f64::from((want as f32).abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) * 0.5;
            (f64::from(f(x)) - want).abs() / ulp
        };
        inputs.map(error).fold(0.0, |worst: f64, e| if e <= worst { worst } else { e })
    }

    fn grid(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=200_000).map(move |i| from + (to - from) * (i as f32 / 200_000.0))
    }

    #[test]
    fn exp_is_within_three_half_ulp_of_f64() {
        let worst = worst_ulp(grid(-87.0, 88.7), exp, f64::exp);
        assert!(worst <= 4.0, "worst error {worst} half-ulp");
    }

    #[test]
    fn exp_m1_minus_x_keeps_its_precision_near_zero() {
        // The difference of f64's own expm1 loses digits for tiny x; there the first terms of the series are exact enough.
        let oracle = |x: f64| if x.abs() < 1e-3 { x * x * (0.5 + x / 6.0 + x * x / 24.0) } else { x.exp_m1() - x };
        let tiny = (1..60).flat_map(|n| [2f32.powi(-n), -2f32.powi(-n)]);
        let worst = worst_ulp(grid(-20.0, 20.0).chain(tiny), exp_m1_minus_x, oracle);
        assert!(worst <= 16.0, "worst error {worst} half-ulp");
        assert_eq!(exp_m1_minus_x(0.0), 0.0);
        assert_eq!(exp_m1_minus_x(90.0), f32::INFINITY);
        assert!(exp_m1_minus_x(f32::NAN).is_nan());
    }

    #[test]
    fn exp_has_the_right_limits() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        let denormal = f64::from(exp(-100.0));
        assert!((denormal - (-100f64).exp()).abs() <= 1.5e-45, "{denormal}");
    }

    #[test]
    fn ln_1p_is_within_two_ulp_of_f64_also_for_tiny_arguments() {
        let tiny = (1..120).map(|n| 2f32.powi(-n));
        let worst = worst_ulp(grid(0.0, 1.0).chain(tiny), ln_1p, f64::ln_1p);
        assert!(worst <= 4.0, "worst error {worst} half-ulp");
    }

    #[test]
    fn ln_is_close_to_f64_over_the_range_of_the_uniforms() {
        for x in grid(2f32.powi(-33), 1.0).chain((1..=33).map(|n| 2f32.powi(-n))) {
            let error = (f64::from(ln(x)) - f64::from(x).ln()).abs();
            let bound = 1e-7 + 1.2e-7 * f64::from(x).ln().abs();
            assert!(error <= bound, "ln({x}) is off by {error}");
        }
    }

    #[test]
    fn sin_and_cos_are_within_1e_7_over_the_turn() {
        for turns in (0..=u32::MAX).step_by(10_007).chain([u32::MAX, 1 << 29, (1 << 29) - 1]) {
            let (s, c) = sin_cos_turns(turns);
            let a = f64::from(turns) / 4_294_967_296.0 * std::f64::consts::TAU;
            let error = (f64::from(s) - a.sin()).abs().max((f64::from(c) - a.cos()).abs());
            assert!(error <= 1.5e-7, "{turns}: {error}");
        }
    }

    #[test]
    fn sigmoid_keeps_its_tails_and_its_nan() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(200.0), 1.0);
        assert_eq!(sigmoid(-200.0), 0.0);
        assert!(sigmoid(-100.0) > 0.0);
        assert!(sigmoid(f32::NAN).is_nan());
        assert!(sigmoid_softplus(f32::NAN).1.is_nan());
        let worst = worst_ulp(grid(-80.0, 80.0), sigmoid, |a| 1.0 / (1.0 + (-a).exp()));
        assert!(worst <= 6.0, "worst error {worst} half-ulp");
    }
}
