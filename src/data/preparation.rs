//! What is done to images before a model sees them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Corruption;
use crate::noise::{Address, Stream};

/// Pixels that are handled at a time: whole blocks of four random words.
const CHUNK: usize = 1 << 14;

/// How grey pixels become black or white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Binarize {
    /// They stay grey.
    #[default]
    None,
    /// Full ink above the middle.
    Threshold,
    /// Full ink with the pixel's brightness as probability, drawn anew each epoch (Salakhutdinov and Murray 2008).
    Sample,
}

/// What is done to images: first their pixels become black and white, then the inputs are corrupted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// How grey pixels become black or white, in inputs and targets.
    pub binarize: Binarize,
    /// What is done to inputs, not to targets.
    pub corrupt: Option<Corruption>,
    /// Of all that is drawn.
    pub seed: u64,
}

impl Preparation {
    /// Whether an image comes out otherwise each time that it is drawn.
    pub fn is_drawn(&self) -> bool {
        self.binarize == Binarize::Sample || self.corrupt.is_some()
    }

    /// The targets that `pixels` become in draw `step`: an epoch, from 1, or 0 for images that stay the same.
    pub fn targets(&self, pixels: &[u8], step: u64) -> Vec<u8> {
        match self.binarize {
            Binarize::None => pixels.to_vec(),
            Binarize::Threshold => pixels.iter().map(|pixel| if *pixel > 127 { 255 } else { 0 }).collect(),
            Binarize::Sample => sampled(pixels, self.address(Stream::Binarisation, step)),
        }
    }

    /// The inputs that belong to `targets` in draw `step`.
    pub fn inputs(&self, targets: &[u8], step: u64) -> Vec<u8> {
        match self.corrupt {
            None => targets.to_vec(),
            Some(corruption) => corruption.apply(targets, self.address(Stream::Corruption, step)),
        }
    }

    fn address(&self, stream: Stream, step: u64) -> Address {
        Address { seed: self.seed, stream, step }
    }
}

/// Each pixel 255 with probability pixel / 255, else 0.
fn sampled(pixels: &[u8], address: Address) -> Vec<u8> {
    let mut out = pixels.to_vec();
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, part)| {
        for (quad, pixels) in part.chunks_mut(4).enumerate() {
            let words = address.words((chunk * CHUNK / 4 + quad) as u32);
            for (pixel, word) in pixels.iter_mut().zip(words) {
                // 0 to 254, each as often.
                let draw = (u64::from(word) * 255) >> 32;
                *pixel = if draw < u64::from(*pixel) { 255 } else { 0 };
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: Preparation = Preparation { binarize: Binarize::None, corrupt: None, seed: 1 };

    #[test]
    fn a_threshold_parts_at_the_middle() {
        let pixels = [0, 1, 127, 128, 254, 255];
        let preparation = Preparation { binarize: Binarize::Threshold, ..GREY };
        assert_eq!(preparation.targets(&pixels, 3), [0, 0, 0, 255, 255, 255]);
        assert_eq!(GREY.targets(&pixels, 3), pixels);
        assert!(!preparation.is_drawn() && !GREY.is_drawn());
    }

    #[test]
    fn sampled_pixels_are_on_as_often_as_they_are_bright() {
        let preparation = Preparation { binarize: Binarize::Sample, ..GREY };
        for brightness in [0u8, 51, 200, 255] {
            let drawn = preparation.targets(&vec![brightness; 100_000], 1);
            assert!(drawn.iter().all(|pixel| [0, 255].contains(pixel)));
            let share = drawn.iter().filter(|pixel| **pixel == 255).count() as f64 / drawn.len() as f64;
            assert!((share - f64::from(brightness) / 255.0).abs() < 0.005, "{brightness}: {share}");
        }
        let pixels = vec![100; 1000];
        assert_eq!(preparation.targets(&pixels, 4), preparation.targets(&pixels, 4));
        assert_ne!(preparation.targets(&pixels, 4), preparation.targets(&pixels, 5));
    }

    #[test]
    fn inputs_are_corrupted_and_targets_are_not() {
        let preparation = Preparation { corrupt: Some(Corruption::Mask(0.5)), ..GREY };
        let targets = preparation.targets(&[9; 100], 2);
        let inputs = preparation.inputs(&targets, 2);
        assert_eq!(targets, [9; 100]);
        assert!(inputs.contains(&0) && inputs.contains(&9));
        assert_ne!(inputs, preparation.inputs(&targets, 3));
        assert!(preparation.is_drawn());
    }
}
