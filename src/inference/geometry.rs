//! Ways through the latent space: between two codes, along one unit, over a plane of two.
//!
//! A code is a row of `latent` f32; what is returned is `[n, latent]`, ready to be decoded.

/// How to walk from one code to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Along the straight line.
    Linear,
    /// Along the great circle, see [`slerp`].
    Spherical,
}

impl Path {
    /// `steps` codes from `from` to `to`, both included and exact, at equal distances; `from` alone for one step.
    pub fn between(self, from: &[f32], to: &[f32], steps: usize) -> Vec<f32> {
        let at = match self {
            Self::Linear => lerp,
            Self::Spherical => slerp,
        };
        evenly(0.0, 1.0, steps).into_iter().flat_map(|t| at(from, to, t)).collect()
    }
}

/// The point at `t` from 0 to 1 on the straight line from `from` to `to`.
pub fn lerp(from: &[f32], to: &[f32], t: f64) -> Vec<f32> {
    let at = |(a, b): (&f32, &f32)| ((1.0 - t) * f64::from(*a) + t * f64::from(*b)) as f32;
    from.iter().zip(to).map(at).collect()
}

/// The point at `t` from 0 to 1 on the way from `from` to `to` that turns the direction at constant speed along a great circle
/// (Shoemake 1985) while the length goes linearly from that of `from` to that of `to`.
///
/// Draws from a normal distribution of many units lie near a sphere; the straight line between two of them leaves it for shorter codes
/// than the decoder has met (White 2016, section 2.1), this way does not. Where both point the same way or one is zero it is the straight line.
/// Where they point opposite ways every great circle is as short: it takes the one towards the axis that lies farthest from `from`, and in
/// one dimension, where there is none, the straight line.
pub fn slerp(from: &[f32], to: &[f32], t: f64) -> Vec<f32> {
    let ends = if t == 0.0 {
        Some(from)
    } else if t == 1.0 {
        Some(to)
    } else {
        None
    };
    if let Some(end) = ends {
        return end.to_vec();
    }
    let Some(turn) = Turn::new(from, to) else { return lerp(from, to, t) };
    let length = (1.0 - t) * turn.lengths.0 + t * turn.lengths.1;
    let (sin, cos) = (t * turn.angle).sin_cos();
    turn.start.iter().zip(&turn.side).map(|(u, v)| (length * (cos * u + sin * v)) as f32).collect()
}

/// A turn from one direction to another.
struct Turn {
    /// The unit vector at which it starts, and the one at a right angle towards which it turns.
    start: Vec<f64>,
    side: Vec<f64>,
    /// In radians, above 0 and up to pi.
    angle: f64,
    /// The lengths of both vectors.
    lengths: (f64, f64),
}

impl Turn {
    /// Sines below this are rounding: the vectors came as f32.
    const PARALLEL: f64 = 1e-6;

    /// None where there is no turn: a vector is zero, both point the same way, or there is but one dimension.
    fn new(from: &[f32], to: &[f32]) -> Option<Self> {
        let (start, first) = unit(from.iter().map(|x| f64::from(*x)).collect())?;
        let (end, second) = unit(to.iter().map(|x| f64::from(*x)).collect())?;
        let cos = dot(&start, &end);
        let side = off(&end, &start);
        let sin = dot(&side, &side).sqrt();
        let side = match (sin > Self::PARALLEL, cos < 0.0) {
            (true, _) => unit(side)?.0,
            (false, true) => farthest_axis(&start)?,
            (false, false) => return None,
        };
        Some(Self { start, side, angle: sin.atan2(cos), lengths: (first, second) })
    }
}

/// The unit vector at a right angle to `start`, a unit vector, that lies in the plane of the axis farthest from it. None in one dimension.
fn farthest_axis(start: &[f64]) -> Option<Vec<f64>> {
    let least = (0..start.len()).min_by(|a, b| start[*a].abs().total_cmp(&start[*b].abs()))?;
    let mut axis = vec![0.0; start.len()];
    axis[least] = 1.0;
    Some(unit(off(&axis, start))?.0)
}

/// `vector` without its part along `unit`.
fn off(vector: &[f64], unit: &[f64]) -> Vec<f64> {
    let along = dot(vector, unit);
    vector.iter().zip(unit).map(|(x, u)| x - along * u).collect()
}

/// `vector` at length 1, and its length. None for the zero vector.
fn unit(vector: Vec<f64>) -> Option<(Vec<f64>, f64)> {
    let length = dot(&vector, &vector).sqrt();
    (length > 0.0).then(|| (vector.iter().map(|x| x / length).collect(), length))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `count` numbers from `first` to `last`, both included and exact, at equal distances; `first` alone for one.
pub fn evenly(first: f64, last: f64, count: usize) -> Vec<f64> {
    let end = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|i| (first * (end - i as f64) + last * i as f64) / end).collect()
}

/// The standard normal quantiles of `count` equal parts of probability, each at its middle: (i + 1/2) / `count`. Ascending, symmetric.
///
/// Codes at them cover the prior evenly (Kingma and Welling 2014, appendix A).
pub fn normal_quantiles(count: usize) -> Vec<f64> {
    (0..count).map(|i| normal_quantile((i as f64 + 0.5) / count as f64)).collect()
}

/// Where the standard normal distribution function is `p`, 0 < `p` < 1, to 3e-7 of itself (Wichura 1988, algorithm AS 241, PPND7).
pub fn normal_quantile(p: f64) -> f64 {
    const MIDDLE: [&[f64]; 2] = [
        &[3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720],
        &[1.0, 17.895_169_469, 78.757_757_664, 67.187_563_600],
    ];
    const TAIL: [&[f64]; 2] = [
        &[1.423_437_277_7, 2.756_815_390_0, 1.306_728_481_6, 0.170_238_211_03],
        &[1.0, 0.737_001_642_50, 0.120_211_329_75],
    ];
    const FAR_TAIL: [&[f64]; 2] = [
        &[6.657_905_115_0, 3.081_226_386_0, 0.428_682_943_37, 0.017_337_203_997],
        &[1.0, 0.241_978_942_25, 0.012_258_202_635],
    ];
    let ratio = |[over, under]: [&[f64]; 2], x: f64| {
        let polynomial = |coefficients: &[f64]| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
        polynomial(over) / polynomial(under)
    };
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(MIDDLE, 0.180_625 - q * q);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let size = if r <= 5.0 { ratio(TAIL, r - 1.6) } else { ratio(FAR_TAIL, r - 5.0) };
    size.copysign(q)
}

/// Codes like `base` but with unit `unit` at each of `values` in turn, `[values, latent]`.
pub fn along(base: &[f32], unit: usize, values: &[f32]) -> Vec<f32> {
    let mut codes = base.repeat(values.len());
    for (code, value) in codes.chunks_exact_mut(base.len()).zip(values) {
        code[unit] = *value;
    }
    codes
}

/// Codes like `base` but with the first of `units` at each of `across` and the second at each of `down`, `[down, across, latent]`.
pub fn plane(base: &[f32], units: [usize; 2], across: &[f32], down: &[f32]) -> Vec<f32> {
    let rows = along(base, units[1], down);
    rows.chunks_exact(base.len()).flat_map(|row| along(row, units[0], across)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(vector: &[f32]) -> f64 {
        vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
    }

    /// Shoemake's formula in f64, for vectors of any length as the docs have it.
    fn oracle(a: &[f32], b: &[f32], t: f64) -> Vec<f64> {
        let (na, nb) = (norm(a), norm(b));
        let cos: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / (na * nb);
        let omega = cos.acos();
        let weight = |t: f64| (t * omega).sin() / omega.sin();
        let length = (1.0 - t) * na + t * nb;
        let at =
            |(a, b): (&f32, &f32)| length * (weight(1.0 - t) * f64::from(*a) / na + weight(t) * f64::from(*b) / nb);
        a.iter().zip(b).map(at).collect()
    }

    fn assert_close(got: &[f32], want: &[f64], bound: f64) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() <= bound, "{got} {want}");
        }
    }

    #[test]
    fn slerp_is_shoemakes_formula_and_its_ends_are_exact() {
        let (a, b) = ([0.3f32, -1.7, 2.2, 0.01], [1.1f32, 0.4, -0.9, 0.5]);
        for t in [0.1, 0.25, 0.5, 0.9] {
            assert_close(&slerp(&a, &b, t), &oracle(&a, &b, t), 1e-6);
        }
        assert_eq!((slerp(&a, &b, 0.0), slerp(&a, &b, 1.0)), (a.to_vec(), b.to_vec()));
    }

    #[test]
    fn slerp_keeps_a_common_norm_where_the_straight_line_does_not() {
        let (a, b) = ([3.0f32, 0.0, 4.0], [-4.0f32, 0.0, 3.0]);
        for t in [0.2, 0.5, 0.7] {
            assert!((norm(&slerp(&a, &b, t)) - 5.0).abs() < 1e-6);
            assert!(norm(&lerp(&a, &b, t)) < 4.2);
        }
    }

    #[test]
    fn slerp_of_parallel_and_zero_vectors_is_the_straight_line() {
        let a = [0.1f32, 0.7, -0.3];
        for b in [[0.2f32, 1.4, -0.6], [0.0; 3], a] {
            for (from, to) in [(&a, &b), (&b, &a)] {
                assert_close(&slerp(from, to, 0.3), &lerp(from, to, 0.3).map_f64(), 1e-7);
            }
        }
        assert_eq!(slerp(&[0.0; 3], &[0.0; 3], 0.5), [0.0; 3]);
    }

    #[test]
    fn slerp_of_opposite_vectors_turns_half_round() {
        let (a, b) = ([3.0f32, 4.0, 0.0], [-6.0f32, -8.0, 0.0]);
        let middle = slerp(&a, &b, 0.5);
        assert_close(&middle, &[0.0, 0.0, 7.5], 1e-6);
        let quarter = slerp(&a, &b, 0.25);
        assert!((norm(&quarter) - 6.25).abs() < 1e-6 && quarter[0] > 0.0 && quarter[2] > 0.0, "{quarter:?}");
        assert_eq!(slerp(&[1.0], &[-3.0], 0.5), [-1.0]);
    }

    trait MapF64 {
        fn map_f64(&self) -> Vec<f64>;
    }

    impl MapF64 for Vec<f32> {
        fn map_f64(&self) -> Vec<f64> {
            self.iter().map(|x| f64::from(*x)).collect()
        }
    }

    #[test]
    fn a_path_has_its_steps_and_its_exact_ends() {
        let (a, b) = ([0.1f32, 0.2], [0.7f32, -0.3]);
        for path in [Path::Linear, Path::Spherical] {
            let codes = path.between(&a, &b, 5);
            assert_eq!((codes.len(), &codes[..2], &codes[8..]), (10, &a[..], &b[..]));
            assert_eq!(path.between(&a, &b, 1), a);
        }
        assert_close(&Path::Linear.between(&a, &b, 3)[2..4], &[0.4, -0.05], 1e-7);
        assert_eq!(evenly(-3.0, 3.0, 5), [-3.0, -1.5, 0.0, 1.5, 3.0]);
    }

    /// The standard normal density.
    fn density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
    }

    /// The standard normal distribution function, by Simpson's rule on its density.
    fn distribution_function(x: f64) -> f64 {
        let h = x / 1000.0;
        let inner: f64 = (1..1000).map(|i| density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        0.5 + h / 3.0 * (density(0.0) + inner + density(x))
    }

    #[test]
    fn normal_quantiles_invert_the_distribution_function() {
        for p in [1e-9, 1e-4, 0.01, 0.074, 0.076, 0.3, 0.5, 0.6, 0.924, 0.926, 0.999] {
            let x = normal_quantile(p);
            let off = (distribution_function(x) - p) / density(x);
            assert!(off.abs() <= 3e-7 * x.abs() + 1e-13 / density(x), "{p}: {x} is off by {off}");
        }
        // From tables: the far tail is beyond Simpson's rule.
        assert!((normal_quantile(1e-12) + 7.034_483_8).abs() < 1e-6);
        let four = normal_quantiles(4);
        assert!(four.windows(2).all(|pair| pair[0] < pair[1]) && four[0] == -four[3] && four[1] == -four[2]);
        assert!((four[3] - 1.150_349_4).abs() < 1e-6 && normal_quantiles(1) == [0.0]);
    }

    #[test]
    fn a_plane_runs_across_its_first_unit_and_down_its_second() {
        let codes = plane(&[9.0, 9.0, 9.0], [2, 0], &[1.0, 2.0], &[-1.0, -2.0]);
        assert_eq!(codes, [-1.0, 9.0, 1.0, -1.0, 9.0, 2.0, -2.0, 9.0, 1.0, -2.0, 9.0, 2.0]);
        assert_eq!(along(&[5.0, 6.0], 1, &[0.5, 1.5]), [5.0, 0.5, 5.0, 1.5]);
    }
}
