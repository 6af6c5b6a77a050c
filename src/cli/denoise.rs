//! `denoise`: corrupted test images, what the model makes of them, and what they should be.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::chosen::{Selection, TestImages};
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel};
use crate::data::Corruption;
use crate::inference::Measured;
use crate::plot::sheet::{Row, Sheet};
use crate::stats::{mean_squared_error, psnr};

/// Images side by side.
const PER_ROW: usize = 10;
/// What a run that was trained on clean images is tried with.
const USUAL: Corruption = Corruption::Gaussian(0.3);

/// Options of `denoise`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "PSNR is the peak signal-to-noise ratio, -10 log10 of the mean squared error for pixels from 0 to 1, before and \
    after the model; over many images that of the average error. A model learns to take noise away when it is trained with \
    `latent ae --corrupt gaussian:0.3`."
)]
pub struct Denoise {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    /// The noise: gaussian:DEVIATION, mask:PROBABILITY or salt:PROBABILITY [default: the run's, else gaussian:0.3]
    #[arg(long, value_name = "NOISE")]
    corrupt: Option<Corruption>,
    #[command(flatten)]
    selection: Selection,
    /// The picture to write [default: denoise.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// How near images are to the truth, in decibels; none where nothing differs.
#[derive(Clone, Copy, Serialize)]
struct Gain {
    psnr_before: f64,
    psnr_after: f64,
    gain: f64,
}

/// An image that is shown.
#[derive(Serialize)]
struct Line {
    image: usize,
    label: u8,
    #[serde(flatten)]
    gain: Gain,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    corrupt: String,
    /// What the run was trained with.
    trained_with: Option<String>,
    /// How many images there are.
    count: usize,
    /// Of the average squared errors over all of them.
    #[serde(flatten)]
    gain: Gain,
    images: Vec<Line>,
    seed: u64,
    picture: PathBuf,
}

/// Mean squared errors of all test images.
struct Errors {
    before: Vec<f64>,
    after: Vec<f64>,
}

impl Gain {
    /// From mean squared errors.
    fn new(before: f64, after: f64) -> Self {
        let (psnr_before, psnr_after) = (psnr(before), psnr(after));
        Self { psnr_before, psnr_after, gain: psnr_after - psnr_before }
    }
}

impl Errors {
    fn gain(&self) -> Gain {
        let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
        Gain::new(mean(&self.before), mean(&self.after))
    }

    fn line(&self, set: &TestImages, image: usize) -> Line {
        Line { image, label: set.label(image), gain: Gain::new(self.before[image], self.after[image]) }
    }
}

impl Denoise {
    /// Corrupts, encodes, decodes, measures and leaves a picture.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, an image is none of theirs, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let set = TestImages::of(&model, &self.choice)?;
        let chosen = self.selection.of(&set)?;
        model.check_room(chosen.len())?;
        let corruption = self.corrupt.or(model.config.corrupt).unwrap_or(USUAL);
        let corrupted = set.corrupted(corruption);
        let pixels = model.weights.dims.input;
        let inputs: Vec<f32> = chosen
            .iter()
            .flat_map(|i| &corrupted[i * pixels..][..pixels])
            .map(|byte| f32::from(*byte) / 255.0)
            .collect();
        let (after, outputs) = model.with_codec(|codec| {
            let after = Measured::of(codec, &corrupted, set.pixels())?.squared_error;
            let codes = codec.encode(&inputs)?;
            Ok((after, codec.decode(&codes.mean)?))
        })?;
        let errors = Errors { before: squared_errors(&corrupted, set.pixels(), pixels), after };
        let lines: Vec<Line> = chosen.iter().map(|i| errors.line(&set, *i)).collect();
        let images = [&inputs[..], &outputs, &set.values(&chosen)];
        let png = sheet(&model, &set, corruption, errors.gain(), &lines, images).png()?;
        let picture = model.leave(self.out.as_deref(), "denoise.png", &png)?;
        self.answer(&model, &set, corruption, errors.gain(), lines, picture);
        Ok(())
    }

    fn answer(
        &self,
        model: &TrainedModel,
        set: &TestImages,
        corruption: Corruption,
        gain: Gain,
        images: Vec<Line>,
        picture: PathBuf,
    ) {
        let text = format!(
            "{} test images of {} with {corruption}: PSNR {:.2} dB before, {:.2} dB after: {}",
            set.len(),
            set.name,
            gain.psnr_before,
            gain.psnr_after,
            picture.display()
        );
        let report = Report {
            corrupt: corruption.to_string(),
            trained_with: model.config.corrupt.map(|corruption| corruption.to_string()),
            count: set.len(),
            gain,
            images,
            seed: model.config.seed,
            picture,
        };
        self.source.place.answer(&report, &text);
    }
}

/// The mean squared error of each image, full ink being 1.
fn squared_errors(images: &[u8], targets: &[u8], pixels: usize) -> Vec<f64> {
    let values = |image: &[u8]| -> Vec<f32> { image.iter().map(|byte| f32::from(*byte) / 255.0).collect() };
    let rows = images.chunks_exact(pixels).zip(targets.chunks_exact(pixels));
    rows.map(|(image, target)| mean_squared_error(&values(image), &values(target))).collect()
}

/// In three rows: the corrupted images, what the model makes of them, the truth.
fn sheet<'a>(
    model: &TrainedModel,
    set: &TestImages,
    corruption: Corruption,
    gain: Gain,
    lines: &[Line],
    [inputs, outputs, targets]: [&'a [f32]; 3],
) -> Sheet<'a> {
    let pixels = model.weights.dims.input;
    let title =
        format!("Test images of {} with noise, {corruption}, and what {} makes of them", set.name, model.name());
    let mut sheet = Sheet::new(title, model.image_shape());
    let trained = match model.config.corrupt {
        Some(corruption) => format!("trained with {corruption}"),
        None => "trained on clean images".to_owned(),
    };
    let Gain { psnr_before, psnr_after, .. } = gain;
    sheet.sentences.push(format!(
        "The model was {trained}. Over all {} test images the PSNR goes from {psnr_before:.2} to {psnr_after:.2} dB.",
        set.len()
    ));
    let decibels = |label, lines: &[Line], of: fn(&Gain) -> f64| {
        Row::words(label, lines.iter().map(|line| format!("{:.1}", of(&line.gain))))
    };
    let block = PER_ROW * pixels;
    let blocks = inputs.chunks(block).zip(outputs.chunks(block)).zip(targets.chunks(block));
    for (lines, ((inputs, outputs), targets)) in lines.chunks(PER_ROW).zip(blocks) {
        sheet.rows.extend([
            Row::words("number", lines.iter().map(|line| line.image.to_string())),
            Row::images(&["input"], inputs, pixels),
            decibels("PSNR, dB", lines, |gain| gain.psnr_before),
            Row::images(&["output"], outputs, pixels),
            decibels("PSNR, dB", lines, |gain| gain.psnr_after),
            Row::images(&["truth"], targets, pixels),
            Row::space(),
        ]);
    }
    sheet.rows.pop();
    sheet
}
