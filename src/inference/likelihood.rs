//! How probable images are under what was decoded.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::math;

/// The binary cross-entropy of each row in nats, from `logits` `[n, pixels]` against `targets` `[n, pixels]` from 0 to 1.
///
/// BCE(a, t) = max(a, 0) - a t + ln(1 + e^-|a|), as the loss has it (see `Backend::linear_bce`). Rows are summed in f64.
pub fn bce_of_rows(logits: &[f32], targets: &[f32], pixels: usize) -> Vec<f64> {
    logits
        .par_chunks_exact(pixels)
        .zip(targets.par_chunks_exact(pixels))
        .map(|(row, target)| bce(row, target))
        .collect()
}

/// The binary cross-entropy of one image.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
fn bce(logits: &[f32], targets: &[f32]) -> f64 {
    /// Partial sums, so that the loop vectorises and its order does not depend on the processor.
    const LANES: usize = 16;
    let term = |a: f32, t: f32| {
        // `max` would lose a NaN.
        let positive = if a < 0.0 { 0.0 } else { a };
        a.mul_add(-t, positive) + math::sigmoid_softplus(a).1
    };
    let ((a, a_tail), (t, t_tail)) = (logits.as_chunks::<LANES>(), targets.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, t) in a.iter().zip(t) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], t[lane]);
        }
    }
    let rest: f64 = a_tail.iter().zip(t_tail).map(|(a, t)| f64::from(term(*a, *t))).sum();
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest
}

/// The log importance weights ln p(x|z) + ln p(z) - ln q(z|x) of draws z = m + e^(v/2) eps from a posterior, in nats (Burda, Grosse
/// and Salakhutdinov 2016).
///
/// `z` and `eps` are `[n, latent]`, `log_var` `[latent]`, `bce` = -ln p(x|z) `[n]`. The constants of both normal densities
/// cancel: -bce + sum(eps^2 + v - z^2) / 2.
pub fn log_weights(bce: &[f64], z: &[f32], eps: &[f32], log_var: &[f32]) -> Vec<f64> {
    let latent = log_var.len();
    let rows = z.chunks_exact(latent).zip(eps.chunks_exact(latent));
    let density = |(z, eps): (&[f32], &[f32])| -> f64 {
        let units = z.iter().zip(eps).zip(log_var);
        units.map(|((z, e), v)| [*z, *e, *v].map(f64::from)).map(|[z, e, v]| 0.5 * (e * e + v - z * z)).sum()
    };
    rows.zip(bce).map(|(row, bce)| density(row) - bce).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bce_is_that_of_the_sigmoid() {
        let pixels = 37;
        let logits: Vec<f32> = (0..2 * pixels).map(|i| (i as f32 - 30.0) / 3.0).collect();
        let targets: Vec<f32> = (0..2 * pixels).map(|i| (i % 5) as f32 / 4.0).collect();
        let oracle = |a: f64, t: f64| a.max(0.0) - a * t + (-a.abs()).exp().ln_1p();
        for (row, got) in bce_of_rows(&logits, &targets, pixels).into_iter().enumerate() {
            let range = row * pixels..(row + 1) * pixels;
            let want: f64 = range.map(|i| oracle(f64::from(logits[i]), f64::from(targets[i]))).sum();
            assert!((got - want).abs() <= 1e-6 * want, "{got} {want}");
        }
        assert!(bce_of_rows(&[f32::NAN], &[0.5], 1)[0].is_nan());
    }

    #[test]
    fn log_weights_are_differences_of_log_densities() {
        let (log_var, mean) = ([0.3f32, -1.2], [0.5f32, -0.25]);
        let eps = [0.7f32, -1.1, 0.0, 2.0];
        let z: Vec<f32> = (0..4).map(|i| mean[i % 2] + (0.5 * log_var[i % 2]).exp() * eps[i]).collect();
        let log_normal = |x: f64, m: f64, v: f64| -0.5 * ((x - m).powi(2) / v.exp() + v + std::f64::consts::TAU.ln());
        let bce = [3.0, 5.0];
        for (row, got) in log_weights(&bce, &z, &eps, &log_var).into_iter().enumerate() {
            let unit = |j: usize| {
                let (z, m, v) = (f64::from(z[2 * row + j]), f64::from(mean[j]), f64::from(log_var[j]));
                log_normal(z, 0.0, 0.0) - log_normal(z, m, v)
            };
            let want = unit(0) + unit(1) - bce[row];
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
