//! Estimates of a likelihood from log importance weights.

/// ln(mean e^x), without overflow.
pub fn log_mean_exp(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + (values.iter().map(|value| (value - most).exp()).sum::<f64>() / values.len() as f64).ln()
}

/// The importance-weighted bound with `k` draws, L_k = E[ln(1/k sum w)], estimated by the mean over the whole groups of `k` of
/// `log_weights` (Burda, Grosse and Salakhutdinov 2016).
///
/// L_1 is the evidence lower bound; in expectation L_k rises with k and never passes ln p(x), to which one group of all draws comes
/// closest. NaN where there are fewer than `k` draws.
pub fn importance_weighted_bound(log_weights: &[f64], k: usize) -> f64 {
    let groups = log_weights.chunks_exact(k);
    let count = groups.len() as f64;
    groups.map(log_mean_exp).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Address, Stream, fill_standard_normal};

    const DRAWS: usize = 1 << 18;

    /// p(z) = N(0, 1), p(x|z) = N(a z + b, s^2), so p(x) = N(b, a^2 + s^2); a proposal q that is not the posterior.
    struct LinearGaussian {
        log_weights: Vec<f64>,
        log_likelihood: f64,
        elbo: f64,
    }

    fn log_normal(x: f64, mean: f64, variance: f64) -> f64 {
        -0.5 * ((x - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln())
    }

    fn case() -> LinearGaussian {
        let (a, b, s, x) = (1.5, 0.3, 0.8, 2.0);
        let (m, v): (f64, f64) = (0.6, 0.5);
        let mut eps = vec![0.0; DRAWS];
        fill_standard_normal(Address { seed: 5, stream: Stream::Validation, step: 0 }, 0, &mut eps);
        let weight = |e: &f32| {
            let z = m + v.sqrt() * f64::from(*e);
            log_normal(x, a * z + b, s * s) + log_normal(z, 0.0, 1.0) - log_normal(z, m, v)
        };
        // E_q ln p(x|z) in closed form, less the divergence of q from the prior.
        let reconstruction = log_normal(x, a * m + b, s * s) - 0.5 * a * a * v / (s * s);
        let kl = 0.5 * (m * m + v - 1.0 - v.ln());
        LinearGaussian {
            log_weights: eps.iter().map(weight).collect(),
            log_likelihood: log_normal(x, b, a * a + s * s),
            elbo: reconstruction - kl,
        }
    }

    #[test]
    fn one_draw_is_the_evidence_lower_bound_and_many_the_likelihood() {
        let case = case();
        let bound = |k| importance_weighted_bound(&case.log_weights, k);
        assert!((bound(1) - case.elbo).abs() < 0.01, "{} is not {}", bound(1), case.elbo);
        let estimate = log_mean_exp(&case.log_weights);
        assert!((estimate - case.log_likelihood).abs() < 0.005, "{estimate} is not {}", case.log_likelihood);
        assert!(case.log_likelihood - case.elbo > 0.1, "the proposal must be wrong for the bounds to differ");
    }

    #[test]
    fn the_bound_rises_with_the_number_of_draws_and_stays_below_the_likelihood() {
        let case = case();
        let bounds: Vec<f64> = [1, 2, 8, 64].map(|k| importance_weighted_bound(&case.log_weights, k)).to_vec();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        assert!(bounds[3] < case.log_likelihood + 0.005, "{bounds:?} {}", case.log_likelihood);
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        assert_eq!(log_mean_exp(&[-5000.0, -5000.0]), -5000.0);
        assert!((log_mean_exp(&[900.0, f64::NEG_INFINITY]) - (900.0 - 2f64.ln())).abs() < 1e-12);
        assert_eq!(log_mean_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert!(importance_weighted_bound(&[0.0], 2).is_nan());
    }
}
