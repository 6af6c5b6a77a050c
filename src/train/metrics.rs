//! What is recorded of an epoch.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backend::{Hyperparameters, Sums};
use crate::nn::Kind;

/// A unit counts as active where its posterior mean varies by more than this over the images (Burda, Grosse and
/// Salakhutdinov 2016, section 5.2).
const ACTIVE_VARIANCE: f64 = 0.01;

/// Averages per image, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// BCE + beta KL, or the importance-weighted loss.
    pub loss: f64,
    /// Binary cross-entropy.
    pub bce: f64,
    /// KL divergence from the prior; 0 for the AE.
    pub kl: f64,
    /// Latent units that say something about the image; none for the AE.
    pub active_units: Option<usize>,
}

impl Averages {
    /// The averages of what a backend summed over images with `draws` codes each: more than one are weighed.
    pub fn of(sums: &Sums, kind: Kind, draws: usize, beta: f64) -> Self {
        let n = sums.images.max(1) as f64;
        let (bce, kl) = (sums.bce / n, sums.kl / n);
        let variance = |(mean, square): (&f64, &f64)| square / n - (mean / n).powi(2);
        let active =
            || sums.mean.iter().zip(&sums.mean_squared).filter(|pair| variance(*pair) > ACTIVE_VARIANCE).count();
        let loss = if draws > 1 { sums.bound / n } else { bce + beta * kl };
        Self { loss, bce, kl, active_units: (kind == Kind::Variational).then(active) }
    }
}

/// Which images a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The training images, each before the update that it took part in.
    Train,
    /// The images that are validated on.
    Validation,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "Training",
            Self::Validation => "Validation",
        })
    }
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The images.
    #[serde(rename = "split")]
    pub which: Which,
    /// The losses.
    #[serde(flatten)]
    pub averages: Averages,
    /// The weight of the KL divergence in this loss.
    pub beta: f64,
    /// Adam's step size in this epoch; 0 in records of versions that did not keep it.
    #[serde(rename = "lr", default)]
    pub learning_rate: f64,
    /// How fast it went.
    pub images_per_second: f64,
    /// How long it took.
    pub seconds: f64,
}

impl Record {
    /// The record of `images` images that took `seconds` in epoch `epoch`, as `hyperparameters` had it.
    pub fn new(
        epoch: u32,
        which: Which,
        averages: Averages,
        hyperparameters: Hyperparameters,
        images: usize,
        seconds: f64,
    ) -> Self {
        let Hyperparameters { beta, learning_rate, .. } = hyperparameters;
        let images_per_second = images as f64 / seconds.max(1e-9);
        Self { epoch, which, averages, beta, learning_rate, images_per_second, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_active_where_its_mean_varies() {
        // Two images; the first unit's mean is 1 in both, the second's is -1 and 1, the third's 0 and 0.19 (variance 0.009).
        let sums = Sums {
            images: 2,
            bce: 6.0,
            kl: 4.0,
            bound: 9.0,
            mean: vec![2.0, 0.0, 0.19],
            mean_squared: vec![2.0, 2.0, 0.0361],
        };
        let averages = Averages::of(&sums, Kind::Variational, 1, 0.5);
        assert_eq!(averages, Averages { loss: 4.0, bce: 3.0, kl: 2.0, active_units: Some(1) });
        assert_eq!(Averages::of(&sums, Kind::Variational, 2, 0.5), Averages { loss: 4.5, ..averages });
        assert_eq!(Averages::of(&sums, Kind::Vanilla, 1, 0.0).active_units, None);
    }
}
