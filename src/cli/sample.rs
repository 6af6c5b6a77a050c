//! `sample`: images decoded from codes that are drawn from the prior.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::error::Error;
use super::trained::{Source, check_decoded, setting};
use crate::noise::{Address, Stream, fill_standard_normal};
use crate::plot::grid::Grid;

/// The most images at a time: a picture of 100 x 100.
const MOST: usize = 10_000;
/// Up to here a pixel of an image is shown as four.
const MAGNIFIED: usize = 1000;

/// Options of `sample`.
#[derive(Args, Clone, Debug)]
pub struct Sample {
    #[command(flatten)]
    source: Source,
    /// Images to draw
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    count: usize,
    /// Standard deviation of the codes: below 1 more typical images, above 1 stranger ones
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f32,
    /// The picture to write [default: sample.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    count: usize,
    temperature: f32,
    seed: u64,
    picture: PathBuf,
}

impl Sample {
    /// Draws, decodes and leaves a picture.
    ///
    /// # Errors
    /// The model cannot be read or has no prior, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let Self { source, count, temperature, out } = self;
        if !(1..=MOST).contains(count) {
            return Err(setting("--count", count, format!("is not between 1 and {MOST}")));
        }
        if !(*temperature >= 0.0 && temperature.is_finite()) {
            return Err(setting("--temperature", temperature, "is not a number from 0 up; 1 is the prior"));
        }
        let model = source.open()?;
        model.require_vae("its codes have no distribution to draw from")?;
        let codes = draw(*count, model.weights.dims.latent, *temperature, model.config.seed);
        let images = model.with_codec(|codec| Ok(codec.decode(&codes)?))?;
        check_decoded(&images, "--temperature", temperature)?;
        let picture = model.leave(out.as_deref(), "sample.png", &picture(&images, model.image_shape(), *count)?)?;
        let text = format!("{count} images drawn from the prior: {}", picture.display());
        let report = Report { count: *count, temperature: *temperature, seed: model.config.seed, picture };
        source.place.answer(&report, &text);
        Ok(())
    }
}

/// Codes from N(0, temperature^2), `[count, latent]`.
fn draw(count: usize, latent: usize, temperature: f32, seed: u64) -> Vec<f32> {
    let mut codes = vec![0.0; count * latent];
    fill_standard_normal(Address { seed, stream: Stream::Sampling, step: 0 }, 0, &mut codes);
    codes.iter_mut().for_each(|z| *z *= temperature);
    codes
}

/// The images in a square.
fn picture(images: &[f32], (rows, columns): (usize, usize), count: usize) -> Result<Vec<u8>, Error> {
    let per_row = count.isqrt() + usize::from(count.isqrt().pow(2) < count);
    let magnification = if count <= MAGNIFIED { 2 } else { 1 };
    Ok(Grid { magnification, ..Grid::new(rows, columns, per_row) }.png(images)?)
}
