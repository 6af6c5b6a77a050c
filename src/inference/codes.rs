//! Codes of images: a point each, and for the VAE the posterior around it.

use crate::nn::Kind;
use crate::noise::{Address, fill_standard_normal};

/// A unit counts as active where its posterior mean varies by more than this over the images (Burda, Grosse and
/// Salakhutdinov 2016, section 5.2).
const ACTIVE_VARIANCE: f64 = 0.01;

/// The codes of some images.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Units of a code.
    pub latent: usize,
    /// The code, for the VAE the posterior's mean, `[n, latent]`.
    pub mean: Vec<f32>,
    /// The posterior's log variance, `[n, latent]`; none for the AE.
    pub log_var: Option<Vec<f32>>,
}

impl Codes {
    /// No codes yet.
    pub fn none(kind: Kind, latent: usize) -> Self {
        Self { latent, mean: Vec::new(), log_var: (kind == Kind::Variational).then(Vec::new) }
    }

    /// Takes apart what a model encoded: `[n, latent]`, or `[n, 2 latent]` with the mean beside the log variance.
    pub fn of_model(kind: Kind, latent: usize, encoded: Vec<f32>) -> Self {
        if kind == Kind::Vanilla {
            return Self { latent, mean: encoded, log_var: None };
        }
        let mut codes = Self::none(kind, latent);
        let log_var = codes.log_var.get_or_insert_default();
        for row in encoded.chunks_exact(2 * latent) {
            codes.mean.extend_from_slice(&row[..latent]);
            log_var.extend_from_slice(&row[latent..]);
        }
        codes
    }

    /// Adds the codes of further images.
    pub fn append(&mut self, mut more: Self) {
        self.mean.append(&mut more.mean);
        if let (Some(own), Some(more)) = (&mut self.log_var, &mut more.log_var) {
            own.append(more);
        }
    }

    /// How many codes there are.
    pub fn len(&self) -> usize {
        self.mean.len() / self.latent
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// The code of image `i`, for the VAE the posterior's mean.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.mean[i * self.latent..][..self.latent]
    }

    /// The KL divergence of each image's posterior from the prior in each unit, in nats, `[n, latent]`: (m^2 + e^v - 1 - v) / 2.
    /// Nothing for the AE.
    pub fn kl(&self) -> Vec<f64> {
        let Some(log_var) = &self.log_var else { return Vec::new() };
        let pairs = self.mean.iter().zip(log_var).map(|(m, v)| (f64::from(*m), f64::from(*v)));
        pairs.map(|(m, v)| 0.5 * (m * m + v.exp_m1() - v)).collect()
    }

    /// The KL divergence of each image's posterior, in nats, summed over the units.
    pub fn kl_of_rows(&self) -> Vec<f64> {
        self.kl().chunks_exact(self.latent).map(|row| row.iter().sum()).collect()
    }

    /// The KL divergence of each unit, in nats, averaged over the images; nothing for the AE.
    pub fn kl_of_units(&self) -> Vec<f64> {
        column_means(&self.kl(), self.latent)
    }

    /// The mean of each unit's code over the images.
    pub fn mean_of_units(&self) -> Vec<f64> {
        let values: Vec<f64> = self.mean.iter().map(|m| f64::from(*m)).collect();
        column_means(&values, self.latent)
    }

    /// The variance of each unit's code over the images.
    pub fn variance_of_units(&self) -> Vec<f64> {
        let values: Vec<f64> = self.mean.iter().map(|m| f64::from(*m)).collect();
        let means = self.mean_of_units();
        let deviations: Vec<f64> = values
            .chunks_exact(self.latent)
            .flat_map(|row| row.iter().zip(&means).map(|(m, mean)| (m - mean).powi(2)))
            .collect();
        column_means(&deviations, self.latent)
    }

    /// Which units say something about the image.
    pub fn is_active(&self) -> Vec<bool> {
        self.variance_of_units().into_iter().map(|variance| variance > ACTIVE_VARIANCE).collect()
    }

    /// How many units say something about the image.
    pub fn active_units(&self) -> usize {
        self.is_active().into_iter().filter(|active| *active).count()
    }

    /// The units, the one that says most about the image first: by their KL divergence, for the AE by their variance.
    pub fn most_active(&self) -> Vec<usize> {
        let weight = if self.log_var.is_some() { self.kl_of_units() } else { self.variance_of_units() };
        let mut units: Vec<usize> = (0..weight.len()).collect();
        units.sort_by(|a, b| weight[*b].total_cmp(&weight[*a]));
        units
    }

    /// A draw from each image's posterior, z = m + e^(v/2) eps, `[n, latent]`, with the noise at `address`; for the AE the codes.
    pub fn draw(&self, address: Address) -> Vec<f32> {
        let Some(log_var) = &self.log_var else { return self.mean.clone() };
        let mut z = vec![0.0; self.mean.len()];
        fill_standard_normal(address, 0, &mut z);
        for ((z, m), v) in z.iter_mut().zip(&self.mean).zip(log_var) {
            *z = (0.5 * v).exp().mul_add(*z, *m);
        }
        z
    }
}

/// The mean of each column of `values` `[n, columns]`; NaN without rows.
fn column_means(values: &[f64], columns: usize) -> Vec<f64> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut sums = vec![0.0; columns];
    for row in values.chunks_exact(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let rows = (values.len() / columns) as f64;
    sums.iter().map(|sum| sum / rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images, two units: the first unit varies, the second is the prior's.
    fn codes() -> Codes {
        Codes::of_model(Kind::Variational, 2, vec![2.0, 0.0, -1.0, 0.0, -2.0, 0.0, 0.5, 0.0])
    }

    #[test]
    fn mean_and_log_variance_are_parted() {
        let codes = codes();
        assert_eq!((codes.len(), codes.row(1)), (2, &[-2.0, 0.0][..]));
        assert_eq!(codes.log_var.as_deref(), Some(&[-1.0, 0.0, 0.5, 0.0][..]));
    }

    #[test]
    fn kl_is_that_of_two_normal_distributions() {
        let want = |m: f64, v: f64| 0.5 * (m * m + v.exp() - 1.0 - v);
        let (a, b) = (want(2.0, -1.0), want(-2.0, 0.5));
        let codes = codes();
        for (got, want) in codes.kl_of_rows().into_iter().zip([a, b]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        let units = codes.kl_of_units();
        assert!((units[0] - 0.5 * (a + b)).abs() < 1e-12 && units[1] == 0.0, "{units:?}");
        assert_eq!((codes.active_units(), codes.most_active()), (1, vec![0, 1]));
        assert_eq!(codes.is_active(), [true, false]);
    }

    #[test]
    fn the_ae_has_codes_and_no_divergence() {
        let codes = Codes::of_model(Kind::Vanilla, 2, vec![1.0, 0.0, 1.0, 4.0]);
        assert_eq!((codes.kl_of_units(), codes.most_active()), (vec![], vec![1, 0]));
    }
}
