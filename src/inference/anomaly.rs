//! Scores that are high for images unlike those that a model was trained on.

use serde::Serialize;

use super::{Codec, Codes, Measured};
use crate::backend::Error;

/// By what an image is called anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    /// The negative evidence lower bound with the posterior's mean: BCE + KL
    Elbo,
    /// How badly the image is reconstructed: BCE
    Bce,
    /// How many standard deviations the code lies from those of training images
    Distance,
}

/// The score of each of `images` `[n, pixels]`; `typical` are the codes of training images.
///
/// # Errors
/// The device failed.
pub fn anomaly_scores(codec: &mut dyn Codec, score: Score, images: &[u8], typical: &Codes) -> Result<Vec<f64>, Error> {
    match score {
        Score::Elbo => Ok(Measured::of(codec, images, images)?.loss()),
        Score::Bce => Ok(Measured::of(codec, images, images)?.bce),
        Score::Distance => Ok(distances(&codec.encode_bytes(images)?, typical)),
    }
}

/// The distance of each code from the mean of `typical`, each unit in units of its standard deviation there (Mahalanobis with a diagonal
/// covariance). Units that do not vary there are left out.
fn distances(codes: &Codes, typical: &Codes) -> Vec<f64> {
    let (means, variances) = (typical.mean_of_units(), typical.variance_of_units());
    let square = |((x, mean), variance): ((&f32, &f64), &f64)| {
        if *variance > 0.0 { (f64::from(*x) - mean).powi(2) / variance } else { 0.0 }
    };
    let rows = codes.mean.chunks_exact(codes.latent);
    rows.map(|row| row.iter().zip(&means).zip(&variances).map(square).sum::<f64>().sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Kind;

    #[test]
    fn distances_count_deviations_of_typical_codes() {
        let typical = Codes::of_model(Kind::Vanilla, 3, vec![1.0, 10.0, 5.0, 3.0, -10.0, 5.0]);
        let codes = Codes::of_model(Kind::Vanilla, 3, vec![2.0, 0.0, 99.0, 5.0, 40.0, 5.0]);
        assert_eq!(distances(&codes, &typical), [0.0, 5.0]);
    }
}
