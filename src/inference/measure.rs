//! What a model is worth on images.

use super::{Codec, bce_of_rows, log_weights};
use crate::backend::Error;
use crate::math::sigmoid;
use crate::noise::{Address, Stream, fill_standard_normal};
use crate::stats::mean_squared_error;

/// Images that are measured at a time.
const IMAGES: usize = 500;

/// What came of each image when the mean of its posterior was decoded, for the AE its code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Binary cross-entropy of the reconstruction, in nats.
    pub bce: Vec<f64>,
    /// KL divergence of the posterior from the prior, in nats; nothing for the AE.
    pub kl: Vec<f64>,
    /// Mean squared error of the reconstruction, full ink being 1.
    pub squared_error: Vec<f64>,
}

impl Measured {
    /// Encodes `inputs` `[n, pixels]`, decodes the means, and compares with `targets` `[n, pixels]`.
    ///
    /// # Errors
    /// The device failed.
    pub fn of(codec: &mut dyn Codec, inputs: &[u8], targets: &[u8]) -> Result<Self, Error> {
        let pixels = codec.dims().input;
        let mut measured = Self::default();
        for (inputs, targets) in inputs.chunks(IMAGES * pixels).zip(targets.chunks(IMAGES * pixels)) {
            let codes = codec.encode_bytes(inputs)?;
            let mut values = codec.logits(&codes.mean)?;
            let targets: Vec<f32> = targets.iter().map(|byte| f32::from(*byte) / 255.0).collect();
            measured.bce.extend(bce_of_rows(&values, &targets, pixels));
            measured.kl.extend(codes.kl_of_rows());
            values.iter_mut().for_each(|value| *value = sigmoid(*value));
            let rows = values.chunks_exact(pixels).zip(targets.chunks_exact(pixels));
            measured.squared_error.extend(rows.map(|(image, target)| mean_squared_error(image, target)));
        }
        Ok(measured)
    }

    /// The negative evidence lower bound of each image with the mean in place of draws: BCE + KL; BCE alone for the AE.
    pub fn loss(&self) -> Vec<f64> {
        if self.kl.is_empty() {
            return self.bce.clone();
        }
        self.bce.iter().zip(&self.kl).map(|(bce, kl)| bce + kl).collect()
    }
}

/// The log importance weights for `target` of `draws` codes drawn from the posterior of `input`, image number `number`; see
/// [`log_weights`].
///
/// The noise depends on the seed, the image's number and the draw alone.
///
/// # Errors
/// The device failed.
pub fn log_weights_of_image(
    codec: &mut dyn Codec,
    (input, target): (&[u8], &[u8]),
    (seed, number): (u64, u64),
    draws: usize,
) -> Result<Vec<f64>, Error> {
    let latent = codec.dims().latent;
    let codes = codec.encode_bytes(input)?;
    let log_var = codes.log_var.unwrap_or_default();
    let mut eps = vec![0.0; draws * latent];
    // Validation's steps are batches, counted from 0 and few; the images' lie beyond them.
    fill_standard_normal(Address { seed, stream: Stream::Validation, step: (1 << 40) + number }, 0, &mut eps);
    let deviation: Vec<f32> = log_var.iter().map(|v| (0.5 * v).exp()).collect();
    let row = |eps: &[f32]| -> Vec<f32> {
        eps.iter().zip(&deviation).zip(&codes.mean).map(|((e, s), m)| s.mul_add(*e, *m)).collect()
    };
    let z: Vec<f32> = eps.chunks_exact(latent).flat_map(row).collect();
    let values: Vec<f32> = target.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let bce = bce_of_rows(&codec.logits(&z)?, &values.repeat(draws), target.len());
    Ok(log_weights(&bce, &z, &eps, &log_var))
}
