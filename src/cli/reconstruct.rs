//! `reconstruct`: test images, what the model makes of them, and how far that is from them.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::chosen::{Selection, TestImages};
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel};
use crate::inference::bce_of_rows;
use crate::math::sigmoid;
use crate::noise::{Address, Stream};
use crate::plot::sheet::{Row, Sheet};
use crate::stats::{mean_squared_error, psnr};

/// Images side by side.
const PER_ROW: usize = 10;

/// Options of `reconstruct`.
#[derive(Args, Clone, Debug)]
pub struct Reconstruct {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    #[command(flatten)]
    selection: Selection,
    /// Decode a draw from each image's posterior instead of its mean
    #[arg(long)]
    sampled: bool,
    /// The picture to write [default: reconstruct.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// An image and its reconstruction.
#[derive(Serialize)]
struct Line {
    image: usize,
    label: u8,
    #[serde(flatten)]
    distance: Distance,
}

/// How far a reconstruction is from its image.
#[derive(Serialize)]
struct Distance {
    /// In nats.
    bce: f64,
    mse: f64,
    /// In decibels; none where nothing differs.
    psnr: f64,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    images: Vec<Line>,
    /// The average BCE, the average MSE, and the PSNR that belongs to that.
    mean: Distance,
    sampled: bool,
    seed: u64,
    picture: PathBuf,
}

impl Line {
    /// Image `image`, and its BCE and MSE.
    fn new(set: &TestImages, image: usize, (bce, mse): (f64, f64)) -> Self {
        Self { image, label: set.label(image), distance: Distance::new(bce, mse) }
    }
}

impl Distance {
    /// For images of values from 0 to 1.
    fn new(bce: f64, mse: f64) -> Self {
        Self { bce, mse, psnr: psnr(mse) }
    }
}

impl Reconstruct {
    /// Encodes, decodes and leaves a picture.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, an image is none of theirs, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        if self.sampled {
            model.require_vae("it has no posterior to draw from; leave out --sampled")?;
        }
        let set = TestImages::of(&model, &self.choice)?;
        let chosen = self.selection.of(&set)?;
        model.check_room(chosen.len())?;
        let inputs = set.values(&chosen);
        let logits = self.logits(&model, &inputs)?;
        let outputs: Vec<f32> = logits.iter().map(|a| sigmoid(*a)).collect();
        let pixels = model.weights.dims.input;
        let bce = bce_of_rows(&logits, &inputs, pixels);
        let rows = outputs.chunks_exact(pixels).zip(inputs.chunks_exact(pixels));
        let distances = bce.into_iter().zip(rows.map(|(output, input)| mean_squared_error(output, input)));
        let lines: Vec<Line> =
            chosen.iter().zip(distances).map(|(i, distance)| Line::new(&set, *i, distance)).collect();
        let mean = |part: fn(&Distance) -> f64| {
            lines.iter().map(|line| part(&line.distance)).sum::<f64>() / lines.len() as f64
        };
        let mean = Distance::new(mean(|d| d.bce), mean(|d| d.mse));
        let png = self.sheet(&model, &set, &lines, &inputs, &outputs).png()?;
        let picture = model.leave(self.out.as_deref(), "reconstruct.png", &png)?;
        let text = format!(
            "{} test images of {}, reconstructed: BCE {:.2} nats, MSE {:.5}, PSNR {:.2} dB: {}",
            lines.len(),
            set.name,
            mean.bce,
            mean.mse,
            mean.psnr,
            picture.display()
        );
        let report = Report { images: lines, mean, sampled: self.sampled, seed: model.config.seed, picture };
        self.source.place.answer(&report, &text);
        Ok(())
    }

    fn logits(&self, model: &TrainedModel, images: &[f32]) -> Result<Vec<f32>, Error> {
        model.with_codec(|codec| {
            let codes = codec.encode(images)?;
            let address = Address { seed: model.config.seed, stream: Stream::Sampling, step: 0 };
            let z = if self.sampled { codes.draw(address) } else { codes.mean };
            Ok(codec.logits(&z)?)
        })
    }

    fn sheet<'a>(
        &self,
        model: &TrainedModel,
        set: &TestImages,
        lines: &[Line],
        inputs: &'a [f32],
        outputs: &'a [f32],
    ) -> Sheet<'a> {
        let pixels = model.weights.dims.input;
        let title = format!("Test images of {} and their reconstructions by {}", set.name, model.name());
        let mut sheet = Sheet::new(title, model.image_shape());
        if self.sampled {
            sheet.sentences.push("Each is decoded from a draw from its posterior, not from the mean.".to_owned());
        }
        let block = PER_ROW * pixels;
        for ((lines, inputs), outputs) in lines.chunks(PER_ROW).zip(inputs.chunks(block)).zip(outputs.chunks(block)) {
            sheet.rows.extend([
                Row::words("number", lines.iter().map(|line| line.image.to_string())),
                Row::images(&["image"], inputs, pixels),
                Row::images(&["output"], outputs, pixels),
                Row::words("BCE, nats", lines.iter().map(|line| format!("{:.1}", line.distance.bce))),
                Row::space(),
            ]);
        }
        sheet.rows.pop();
        sheet
    }
}
