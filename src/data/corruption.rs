//! Noise put on images, for models that learn to take it away.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::noise::{Address, fill_standard_normal};

/// Pixels that are handled at a time: whole blocks of four random words.
const CHUNK: usize = 1 << 14;

/// What is done to the pixels of an input whose target stays clean (denoising autoencoders: Vincent, Larochelle, Bengio and Manzagol
/// 2008).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Corruption {
    /// Adds normal noise of this standard deviation, full ink being 1; what leaves 0 to 1 is cut off.
    Gaussian(f64),
    /// Makes a pixel background with this probability.
    Mask(f64),
    /// Makes a pixel background or full ink with this probability, either as often.
    Salt(f64),
}

/// A corruption that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no corruption; take gaussian:DEVIATION, mask:PROBABILITY or salt:PROBABILITY, such as gaussian:0.3")]
pub struct UnknownCorruption(String);

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gaussian(deviation) => write!(f, "gaussian:{deviation}"),
            Self::Mask(probability) => write!(f, "mask:{probability}"),
            Self::Salt(probability) => write!(f, "salt:{probability}"),
        }
    }
}

impl FromStr for Corruption {
    type Err = UnknownCorruption;

    fn from_str(text: &str) -> Result<Self, UnknownCorruption> {
        let unknown = || UnknownCorruption(text.to_owned());
        let (name, number) = text.split_once(':').ok_or_else(unknown)?;
        let number: f64 = number.parse().map_err(|_| unknown())?;
        match name {
            "gaussian" if number >= 0.0 && number.is_finite() => Ok(Self::Gaussian(number)),
            "mask" if (0.0..=1.0).contains(&number) => Ok(Self::Mask(number)),
            "salt" if (0.0..=1.0).contains(&number) => Ok(Self::Salt(number)),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Corruption {
    type Error = UnknownCorruption;

    fn try_from(text: String) -> Result<Self, UnknownCorruption> {
        text.parse()
    }
}

impl From<Corruption> for String {
    fn from(corruption: Corruption) -> Self {
        corruption.to_string()
    }
}

impl Corruption {
    /// `pixels` with the noise at `address`, an element a pixel. Each pixel's depends on nothing but the address and its place.
    pub fn apply(&self, pixels: &[u8], address: Address) -> Vec<u8> {
        let mut out = pixels.to_vec();
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, part)| match self {
            Self::Gaussian(deviation) => add_normals(part, 255.0 * *deviation as f32, address, chunk * CHUNK),
            Self::Mask(probability) => for_drawn(part, *probability, address, chunk * CHUNK, |_| 0),
            Self::Salt(probability) => {
                for_drawn(part, *probability, address, chunk * CHUNK, |word| if word & 1 == 1 { 255 } else { 0 });
            }
        });
        out
    }
}

fn add_normals(pixels: &mut [u8], deviation: f32, address: Address, first: usize) {
    let mut noise = vec![0.0; pixels.len()];
    fill_standard_normal(address, first, &mut noise);
    for (pixel, noise) in pixels.iter_mut().zip(noise) {
        // A cast cuts off what lies beyond a byte.
        *pixel = deviation.mul_add(noise, f32::from(*pixel)).round() as u8;
    }
}

/// Replaces each pixel, with `probability`, by what `value` makes of a random word's lowest bits.
fn for_drawn(pixels: &mut [u8], probability: f64, address: Address, first: usize, value: impl Fn(u32) -> u8) {
    let threshold = (probability * 4_294_967_296.0) as u64;
    for (quad, pixels) in pixels.chunks_mut(4).enumerate() {
        let words = address.words((first / 4 + quad) as u32);
        for (pixel, word) in pixels.iter_mut().zip(words) {
            if u64::from(word) < threshold {
                *pixel = value(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Stream;

    const ADDRESS: Address = Address { seed: 3, stream: Stream::Corruption, step: 1 };
    const COUNT: usize = 200_000;

    fn share(pixels: &[u8], value: u8) -> f64 {
        pixels.iter().filter(|pixel| **pixel == value).count() as f64 / pixels.len() as f64
    }

    #[test]
    fn names_are_read_as_they_are_written_and_others_refused() {
        for corruption in [Corruption::Gaussian(0.3), Corruption::Mask(0.5), Corruption::Salt(0.125)] {
            assert_eq!(corruption.to_string().parse(), Ok(corruption));
        }
        for bad in [
            "",
            "gaussian",
            "gaussian:",
            "gaussian:-1",
            "gaussian:nan",
            "gaussian:inf",
            "mask:1.5",
            "salt:-0.1",
            "rain:1",
        ] {
            let message = bad.parse::<Corruption>().unwrap_err().to_string();
            assert!(message.contains(&format!("`{bad}`")) && message.ends_with("gaussian:0.3"), "{message}");
        }
    }

    #[test]
    fn gaussian_noise_has_its_deviation() {
        let noisy = Corruption::Gaussian(0.1).apply(&[128; COUNT], ADDRESS);
        let mean = noisy.iter().map(|pixel| f64::from(*pixel)).sum::<f64>() / COUNT as f64;
        let variance = noisy.iter().map(|pixel| (f64::from(*pixel) - mean).powi(2)).sum::<f64>() / COUNT as f64;
        assert!((mean - 128.0).abs() < 0.3 && (variance.sqrt() - 25.5).abs() < 0.3, "{mean} {}", variance.sqrt());
        // Half of the noise on the background is cut off.
        assert!((share(&Corruption::Gaussian(0.1).apply(&[0; COUNT], ADDRESS), 0) - 0.5).abs() < 0.02);
    }

    #[test]
    fn masks_and_salt_hit_the_share_of_pixels_that_was_asked_for() {
        let masked = Corruption::Mask(0.3).apply(&[200; COUNT], ADDRESS);
        assert!((share(&masked, 0) - 0.3).abs() < 0.01 && (share(&masked, 200) - 0.7).abs() < 0.01);
        let salted = Corruption::Salt(0.2).apply(&[200; COUNT], ADDRESS);
        assert!((share(&salted, 0) - 0.1).abs() < 0.01 && (share(&salted, 255) - 0.1).abs() < 0.01);
        assert_eq!(Corruption::Mask(0.0).apply(&[7; 99], ADDRESS), [7; 99]);
        assert_eq!(share(&Corruption::Mask(1.0).apply(&[7; 99], ADDRESS), 0), 1.0);
    }

    #[test]
    fn noise_depends_on_address_and_place_alone() {
        let apply = |pixels: &[u8], address| Corruption::Gaussian(0.2).apply(pixels, address);
        let whole = apply(&[100; COUNT], ADDRESS);
        assert_eq!(whole[..50_001], apply(&[100; 50_001], ADDRESS));
        assert_ne!(whole, apply(&[100; COUNT], Address { step: 2, ..ADDRESS }));
        assert_ne!(whole[..CHUNK], whole[CHUNK..2 * CHUNK]);
    }
}
