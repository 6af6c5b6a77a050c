//! Standard normals from random words.

use super::Address;
use crate::math;

/// Two independent standard normals from two random words (Box and Muller 1958).
///
/// The radius takes `u` from (0, 1] in steps of 2^-32, so the tails reach 6.7 standard deviations; the angle is exact to
/// 2^-32 of a turn.
#[inline(always)]
pub fn box_muller(u: u32, turns: u32) -> (f32, f32) {
    const UNIT: f32 = 1.0 / 4_294_967_296.0;
    let u = (u as f32).mul_add(UNIT, UNIT * 0.5);
    let radius = (-2.0 * math::ln(u)).max(0.0).sqrt();
    let (sin, cos) = math::sin_cos_turns(turns);
    (radius * cos, radius * sin)
}

/// The standard normals of the elements 4 `block` to 4 `block` + 3 of `address`.
#[inline(always)]
pub fn standard_normal_block(address: Address, block: u32) -> [f32; 4] {
    let [w0, w1, w2, w3] = address.words(block);
    let (n0, n1) = box_muller(w0, w1);
    let (n2, n3) = box_muller(w2, w3);
    [n0, n1, n2, n3]
}

/// Fills `out` with the standard normals of the elements `first`, `first` + 1, ... of `address`.
///
/// `first` is a multiple of 4. Inlined so that a caller compiled for wider vectors gets wider code.
#[inline(always)]
pub fn fill_standard_normal(address: Address, first: usize, out: &mut [f32]) {
    assert!(first.is_multiple_of(4), "element {first} does not begin a block of four");
    let first_block = (first / 4) as u32;
    let (blocks, rest) = out.as_chunks_mut::<4>();
    for (i, block) in blocks.iter_mut().enumerate() {
        *block = standard_normal_block(address, first_block.wrapping_add(i as u32));
    }
    let last = standard_normal_block(address, first_block.wrapping_add(blocks.len() as u32));
    rest.copy_from_slice(&last[..rest.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Stream;

    const ADDRESS: Address = Address { seed: 1, stream: Stream::Training, step: 5 };

    fn draw(n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        fill_standard_normal(ADDRESS, 0, &mut out);
        out.into_iter().map(f64::from).collect()
    }

    /// The standard normal distribution function, by Simpson's rule on its density.
    fn distribution_function(x: f64) -> f64 {
        let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
        let h = x / 200.0;
        let inner: f64 = (1..200).map(|i| density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        0.5 + h / 3.0 * (density(0.0) + inner + density(x))
    }

    #[test]
    fn moments_are_those_of_the_standard_normal() {
        let n = 1_000_000;
        let draws = draw(n);
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        // Five standard errors: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n).
        let error = 5.0 / (n as f64).sqrt();
        assert!(moment(1).abs() <= error);
        assert!((moment(2) - 1.0).abs() <= error * 2f64.sqrt());
        assert!(moment(3).abs() <= error * 15f64.sqrt());
        assert!((moment(4) - 3.0).abs() <= error * 96f64.sqrt());
    }

    #[test]
    fn kolmogorov_smirnov_accepts_the_draws_and_rejects_a_uniform() {
        let n = 100_000;
        let distance = |mut draws: Vec<f64>| {
            draws.sort_by(f64::total_cmp);
            let gap = |(i, x): (usize, &f64)| (distribution_function(*x) - (i as f64 + 0.5) / n as f64).abs();
            draws.iter().enumerate().map(gap).fold(0.0, f64::max)
        };
        // 1.95 / sqrt(n) is the critical value at 0.1 %.
        let critical = 1.95 / (n as f64).sqrt();
        let normal = distance(draw(n));
        assert!(normal <= critical, "{normal} > {critical}");
        let uniform = distance((0..n as u32).map(|b| f64::from(ADDRESS.words(b)[0]) / 4_294_967_296.0).collect());
        assert!(uniform > critical);
    }

    #[test]
    fn neighbours_and_pairs_are_uncorrelated() {
        let draws = draw(400_000);
        for lag in 1..=8 {
            let pairs = draws.iter().zip(&draws[lag..]);
            let correlation = pairs.map(|(a, b)| a * b).sum::<f64>() / draws.len() as f64;
            assert!(correlation.abs() <= 5.0 / (draws.len() as f64).sqrt(), "lag {lag}: {correlation}");
        }
    }

    #[test]
    fn any_part_equals_the_same_part_of_the_whole() {
        let mut whole = [0.0; 103];
        fill_standard_normal(ADDRESS, 0, &mut whole);
        let mut part = [0.0; 35];
        fill_standard_normal(ADDRESS, 64, &mut part);
        assert_eq!(whole[64..99], part);
    }

    #[test]
    fn extreme_words_give_finite_normals() {
        for u in [0, 1, u32::MAX] {
            for turns in [0, 1, 1 << 30, u32::MAX] {
                let (a, b) = box_muller(u, turns);
                assert!(a.is_finite() && b.is_finite(), "{u} {turns}");
            }
        }
    }
}
