//! A run in a comparison: what it was told, what it recorded, and what its model is worth.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::sets::TestSet;
use crate::cli::error::Error;
use crate::cli::options::of_run;
use crate::cli::plot::kl::{Unit, units};
use crate::cli::trained::TrainedModel;
use crate::data::Binarize;
use crate::inference::{Codec, Measured};
use crate::nn::Kind;
use crate::noise::{Address, Stream, fill_standard_normal};
use crate::stats::psnr;
use crate::train::{Config, Record, Which};

/// Images drawn from the prior of each model.
pub const SAMPLES: usize = 20;

/// What a model is worth on the test images, decoded from the code or the posterior's mean: averages per image.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Binary cross-entropy, in nats.
    pub bce: f64,
    /// KL divergence, in nats.
    pub kl: Option<f64>,
    /// -(BCE + KL), in nats.
    pub elbo: Option<f64>,
    /// Latent units whose mean depends on the image.
    pub active_units: Option<usize>,
    /// Mean squared error of a pixel.
    pub mse: f64,
    /// The PSNR that belongs to it, in decibels.
    pub psnr: f64,
}

/// What was seen of a model on the test images of its set.
pub struct Seen {
    /// What it is worth.
    pub figures: Figures,
    /// Its latent units; none for the AE.
    pub units: Vec<Unit>,
    /// Its reconstructions of the images that are shown, `[n, pixels]`.
    pub reconstructions: Vec<f32>,
}

/// A run to compare.
pub struct Subject {
    /// What tells it from the others.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its model.
    pub model: TrainedModel,
    /// Its settings as (key, value); none where there is but a model's file.
    pub settings: Vec<(String, String)>,
    /// What it recorded.
    pub records: Vec<Record>,
    /// Which of the sets it is measured on.
    pub set: usize,
    /// What was seen on it; none where its images are of another size than the model's.
    pub seen: Option<Seen>,
    /// Images drawn from the prior, `[SAMPLES, pixels]`; none for the AE.
    pub samples: Option<Vec<f32>>,
}

impl Subject {
    /// The last record of the images `which`.
    pub fn last(&self, which: Which) -> Option<&Record> {
        self.records.iter().rfind(|record| record.which == which)
    }

    /// What cannot be compared with others, and why.
    pub fn remarks(&self, set: &TestSet) -> Vec<String> {
        let (own, pixels) = (self.model.weights.dims.input, set.split.images.pixels_per_image());
        let Config { binarize, corrupt, .. } = self.model.config;
        let remarks = [
            (own != pixels).then(|| {
                format!(
                    "not measured, since it is a model of images of {own} pixels and those of {} have {pixels}",
                    set.name
                )
            }),
            (binarize != Binarize::None || corrupt.is_some())
                .then(|| "trained on binarised or corrupted images, measured on the images as they are".to_owned()),
            (self.model.config.draws() > 1).then(|| {
                "its curves show the importance-weighted loss, its figures the evidence lower bound".to_owned()
            }),
            self.records.is_empty().then(|| "no curves, since there is no metrics.jsonl beside the model".to_owned()),
        ];
        remarks.into_iter().flatten().map(|remark| format!("{}: {remark}.", self.name)).collect()
    }

    /// Measures the model on `set` and draws images from it, the same codes for all models of as many latent units.
    ///
    /// # Errors
    /// The device cannot be used.
    pub fn measure(&mut self, set: &TestSet) -> Result<(), Error> {
        let (kind, seed) = (self.model.weights.kind, self.model.config.seed);
        let fits = self.model.weights.dims.input == set.split.images.pixels_per_image();
        (self.seen, self.samples) = self.model.with_codec(|codec| {
            let seen = fits.then(|| measure(codec, set)).transpose()?;
            let samples = (kind == Kind::Variational).then(|| sample(codec, seed)).transpose()?;
            Ok((seen, samples))
        })?;
        Ok(())
    }
}

/// The settings of the run in `path` in the order of `config.toml`.
///
/// # Errors
/// They cannot be read.
pub fn settings(path: &Path, kind: Kind) -> Result<Vec<(String, String)>, Error> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let text = toml::to_string(&of_run(path, kind)?).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect())
}

fn measure(codec: &mut dyn Codec, set: &TestSet) -> Result<Seen, Error> {
    let images = set.split.images.pixels();
    let measured = Measured::of(codec, images, images)?;
    let codes = codec.encode_bytes(images)?;
    let (is_vae, mse) = (codes.log_var.is_some(), mean(&measured.squared_error));
    let figures = Figures {
        bce: mean(&measured.bce),
        kl: is_vae.then(|| mean(&measured.kl)),
        elbo: is_vae.then(|| -mean(&measured.loss())),
        active_units: is_vae.then(|| codes.active_units()),
        mse,
        psnr: psnr(mse),
    };
    let shown: Vec<f32> = set.shown.iter().flat_map(|i| codes.row(*i)).copied().collect();
    let units = if is_vae { units(&codes) } else { Vec::new() };
    Ok(Seen { figures, units, reconstructions: codec.decode(&shown)? })
}

fn sample(codec: &mut dyn Codec, seed: u64) -> Result<Vec<f32>, Error> {
    let mut codes = vec![0.0; SAMPLES * codec.dims().latent];
    fill_standard_normal(Address { seed, stream: Stream::Sampling, step: 0 }, 0, &mut codes);
    Ok(codec.decode(&codes)?)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
