//! `traverse`: what each of the most active latent units changes in an image.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::chosen::TestImages;
use super::error::Error;
use super::space::Space;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::inference::geometry::{along, evenly};
use crate::plot::sheet::{Row, Sheet};

/// Rows, if the model has as many units, and the most of them.
const ROWS: usize = 12;
const MOST_ROWS: usize = 200;
/// The most images in a row.
const MOST_STEPS: usize = 50;

/// Options of `traverse`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A VAE leaves most of its latent units at the prior: of 200 about 20 say something about the image, the rest \
    change next to nothing. How much a unit says is its KL divergence from the prior in nats, averaged over the test images, and is \
    written beside its row. The AE has no prior: its units are ordered by their standard deviation over the test images, \
    which is also the unit of the range around their mean."
)]
pub struct Traverse {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    /// Units to show, the most active first [default: 12]
    #[arg(long, value_name = "N")]
    dims: Option<usize>,
    /// Show each unit from -R to R, in standard deviations
    #[arg(long, value_name = "R", default_value_t = 3.0, allow_negative_numbers = true)]
    range: f64,
    /// Images in a row
    #[arg(long, value_name = "N", default_value_t = 11)]
    steps: usize,
    /// Number of the test image whose other units are kept [default: they stay in the middle]
    #[arg(long, value_name = "I")]
    image: Option<usize>,
    /// The picture to write [default: traverse.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// A unit, and how much it says.
#[derive(Serialize)]
struct Unit {
    unit: usize,
    /// In nats; of the VAE.
    #[serde(skip_serializing_if = "Option::is_none")]
    kl: Option<f64>,
    /// Of the AE.
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation: Option<f64>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    units: Vec<Unit>,
    active_units: Option<usize>,
    latent: usize,
    range: f64,
    image: Option<usize>,
    picture: PathBuf,
}

impl Traverse {
    /// Decodes a row for each unit and leaves a picture.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, an option makes no sense, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let rows = self.rows(model.weights.dims.latent)?;
        let set = TestImages::of(&model, &self.choice)?;
        set.check("--image", self.image.as_slice())?;
        model.check_room(rows * self.steps)?;
        let values = evenly(-self.range, self.range, self.steps);
        let (space, images) = model.with_codec(|codec| {
            let space = Space::of_images(codec, &set, self.image)?;
            let row = |unit: &usize| along(&space.base, *unit, &space.axes.values(*unit, &values));
            let images = codec.decode(&space.order[..rows].iter().flat_map(row).collect::<Vec<_>>())?;
            Ok((space, images))
        })?;
        let units = &space.order[..rows];
        let png = self.sheet(&model, &space, units, &values, &images).png()?;
        let picture = model.leave(self.out.as_deref(), "traverse.png", &png)?;
        let text = format!("the {rows} most active of {} units: {}", space.base.len(), picture.display());
        self.source.place.answer(&self.report(&space, units, picture), &text);
        Ok(())
    }

    /// How many units are shown of `latent`.
    fn rows(&self, latent: usize) -> Result<usize, Error> {
        if !(self.range > 0.0 && self.range.is_finite()) {
            return Err(setting("--range", self.range, "is not a number above 0; 3 shows nearly all of the prior"));
        }
        if !(2..=MOST_STEPS).contains(&self.steps) {
            return Err(setting("--steps", self.steps, format!("is not between 2 and {MOST_STEPS}")));
        }
        let most = latent.min(MOST_ROWS);
        let rows = self.dims.unwrap_or(ROWS.min(most));
        if !(1..=most).contains(&rows) {
            let problem =
                format!("is not between 1 and {most}: the model has {latent} units, a picture up to {MOST_ROWS}");
            return Err(setting("--dims", rows, problem));
        }
        Ok(rows)
    }

    fn report(&self, space: &Space, units: &[usize], picture: PathBuf) -> Report {
        let unit = |unit: &usize| {
            let activity = Some(space.activity[*unit]);
            let (kl, deviation) = if space.is_vae() { (activity, None) } else { (None, activity) };
            Unit { unit: *unit, kl, deviation }
        };
        Report {
            units: units.iter().map(unit).collect(),
            active_units: space.active,
            latent: space.base.len(),
            range: self.range,
            image: self.image,
            picture,
        }
    }

    /// The values above, a row for each unit below.
    fn sheet<'a>(
        &self,
        model: &TrainedModel,
        space: &Space,
        units: &[usize],
        values: &[f64],
        images: &'a [f32],
    ) -> Sheet<'a> {
        let pixels = model.weights.dims.input;
        let title = format!("What the {} most active latent units of {} change", units.len(), model.name());
        let mut sheet = Sheet::new(title, model.image_shape());
        sheet.sentences.push(format!("In each row one unit changes, all others are {}.", space.around));
        sheet.sentences.extend(space.summary());
        let scale = if space.is_vae() { "value" } else { "mean + sd x" };
        sheet.rows.push(Row::words(scale, values.iter().map(|value| format!("{value:.1}"))));
        for (unit, images) in units.iter().zip(images.chunks(pixels * values.len())) {
            sheet.rows.push(Row::images(&[&format!("unit {unit}"), &space.weight(*unit)], images, pixels));
        }
        sheet
    }
}
