//! `eval`: what a trained model is worth on the test images.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::device::{OnBackend, with_backend};
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::backend::{Backend, Hyperparameters, Noise};
use crate::data::{Images, Preparation};
use crate::inference::{Codes, Measured, log_weights_of_image};
use crate::nn::{Autoencoder, Kind, VanillaAE, VariationalAE, Weights};
use crate::plot::grid::Grid;
use crate::stats::{importance_weighted_bound, log_mean_exp, psnr};
use crate::train::{self, Averages, Config, DeviceImages, evaluate};

/// A unit with less than this says nothing, in nats.
const SILENT: f64 = 0.01;
/// Units whose KL is listed for a person.
const LISTED: usize = 10;
/// The most draws an image.
const MOST_DRAWS: usize = 100_000;
/// Images side by side.
const PER_ROW: usize = 10;

/// Options of `eval`.
#[derive(Args, Clone, Debug)]
pub struct Eval {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// Decode the posterior's mean instead of a sample
    #[arg(long)]
    deterministic: bool,
    /// Also the importance-weighted bound with this many draws an image, on the images of --nll-images
    #[arg(long, value_name = "K")]
    iwae_k: Option<usize>,
    /// Also an estimate of the marginal likelihood, with this many draws an image
    #[arg(long, value_name = "DRAWS")]
    nll_samples: Option<usize>,
    /// Images of --nll-samples and --iwae-k, the first of the test set
    #[arg(long, value_name = "N", default_value_t = 1000)]
    nll_images: usize,
    /// Images in worst.png, those with the highest loss over their reconstructions; 0 for no picture
    #[arg(long, value_name = "N", default_value_t = 20)]
    worst: usize,
}

/// What is printed: averages per image, in nats.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    averages: Averages,
    /// The targets' own entropy: no model's BCE is lower.
    bce_floor: f64,
    #[serde(flatten)]
    deterministic: Deterministic,
    #[serde(flatten)]
    posterior: Option<Posterior>,
    iwae: Option<Bound>,
    nll: Option<Likelihood>,
    /// The numbers of the images with the highest loss, the highest first.
    worst: Vec<usize>,
    worst_picture: Option<PathBuf>,
}

/// What decoding the posterior's mean gives, for the AE the code.
#[derive(Serialize)]
struct Deterministic {
    deterministic_bce: f64,
    mse: f64,
    /// Of the mean squared error, in dB.
    psnr: f64,
}

/// What only a model with a posterior has.
#[derive(Serialize)]
struct Posterior {
    /// -(BCE + KL) with a draw an image.
    elbo: f64,
    /// -(BCE + KL) with the mean.
    deterministic_elbo: f64,
    /// KL in bits an image.
    rate_bits: f64,
    /// The same a pixel.
    rate_bits_per_pixel: f64,
    /// KL of each unit in nats.
    kl_of_units: Vec<f64>,
}

/// The importance-weighted bound.
#[derive(Serialize)]
struct Bound {
    k: usize,
    images: usize,
    nats: f64,
}

/// An estimate of -ln p(x).
#[derive(Serialize)]
struct Likelihood {
    samples: usize,
    images: usize,
    nats: f64,
    /// Over the images.
    standard_error: f64,
}

impl Eval {
    /// Measures and prints.
    ///
    /// # Errors
    /// The model or the data cannot be read, or do not fit each other.
    pub fn run(self) -> Result<(), Error> {
        let model = self.source.open()?;
        self.check(&model)?;
        let images = model.dataset(&self.images)?.test.images;
        let images = Prepared::of(&images, &model.config.preparation());
        let noise = if self.deterministic { Noise::Mean } else { Noise::Drawn };
        let task = Measurement { weights: &model.weights, images: &images, noise, config: &model.config };
        let averages = with_backend(&model.config, task)?;
        let report = self.report(&model, &images, averages)?;
        self.source.place.answer(&report, &report.text());
        Ok(())
    }

    fn check(&self, model: &TrainedModel) -> Result<(), Error> {
        let draws = [("--iwae-k", self.iwae_k), ("--nll-samples", self.nll_samples)];
        for (option, draws) in draws.into_iter().filter_map(|(option, draws)| Some((option, draws?))) {
            model.require_vae(&format!("{option} draws from a posterior"))?;
            if !(1..=MOST_DRAWS).contains(&draws) {
                return Err(setting(option, draws, format!("is not between 1 and {MOST_DRAWS}")));
            }
        }
        if self.nll_images == 0 {
            return Err(setting("--nll-images", 0, "is not at least 1"));
        }
        Ok(())
    }

    fn report(&self, model: &TrainedModel, images: &Prepared, averages: Averages) -> Result<Report, Error> {
        let (measured, codes, weights) = model.with_codec(|codec| {
            let Prepared { inputs, targets } = images;
            let measured = Measured::of(codec, inputs.pixels(), targets.pixels())?;
            let codes = codec.encode_bytes(inputs.pixels())?;
            let count = self.nll_images.min(inputs.len());
            let draws = self.iwae_k.max(self.nll_samples).unwrap_or(0);
            let progress = progress(if draws > 0 { count } else { 0 });
            let mut weights = Vec::new();
            for i in 0..if draws > 0 { count } else { 0 } {
                let pair = (inputs.image(i), targets.image(i));
                weights.push(log_weights_of_image(codec, pair, (model.config.seed, i as u64), draws)?);
                progress.inc(1);
            }
            progress.finish_and_clear();
            Ok((measured, codes, weights))
        })?;
        let mse = mean(&measured.squared_error);
        let (worst, worst_picture) = self.worst(model, &images.inputs, &measured)?;
        Ok(Report {
            averages,
            bce_floor: images.targets.bce_floor(),
            deterministic: Deterministic { deterministic_bce: mean(&measured.bce), mse, psnr: psnr(mse) },
            posterior: posterior(&averages, &measured, &codes, model.weights.dims.input),
            iwae: self.iwae_k.map(|k| bound(&weights, k)),
            nll: self.nll_samples.map(|samples| likelihood(&weights, samples)),
            worst,
            worst_picture,
        })
    }

    /// The images with the highest loss, and a picture of them.
    fn worst(
        &self,
        model: &TrainedModel,
        images: &Images,
        measured: &Measured,
    ) -> Result<(Vec<usize>, Option<PathBuf>), Error> {
        let loss = measured.loss();
        let mut order: Vec<usize> = (0..loss.len()).collect();
        order.sort_by(|a, b| loss[*b].total_cmp(&loss[*a]));
        order.truncate(self.worst);
        if order.is_empty() {
            return Ok((order, None));
        }
        let pixels: Vec<u8> = order.iter().flat_map(|i| images.image(*i)).copied().collect();
        let reconstructions = model.with_codec(|codec| {
            let codes = codec.encode_bytes(&pixels)?;
            Ok(codec.decode(&codes.mean)?)
        })?;
        let inputs: Vec<f32> = pixels.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let png = Grid::new(images.rows(), images.columns(), PER_ROW).pairs_png(&inputs, &reconstructions)?;
        Ok((order, Some(model.leave(None, "worst.png", &png)?)))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn posterior(averages: &Averages, measured: &Measured, codes: &Codes, pixels: usize) -> Option<Posterior> {
    codes.log_var.as_ref()?;
    let rate_bits = averages.kl / std::f64::consts::LN_2;
    Some(Posterior {
        elbo: -(averages.bce + averages.kl),
        deterministic_elbo: -mean(&measured.loss()),
        rate_bits,
        rate_bits_per_pixel: rate_bits / pixels as f64,
        kl_of_units: codes.kl_of_units(),
    })
}

/// The bound with `k` draws, averaged over the images.
fn bound(weights: &[Vec<f64>], k: usize) -> Bound {
    let bounds: Vec<f64> = weights.iter().map(|weights| importance_weighted_bound(weights, k)).collect();
    Bound { k, images: weights.len(), nats: mean(&bounds) }
}

/// The estimate from the first `samples` draws, averaged over the images.
fn likelihood(weights: &[Vec<f64>], samples: usize) -> Likelihood {
    let each: Vec<f64> = weights.iter().map(|weights| -log_mean_exp(&weights[..samples])).collect();
    let (nats, n) = (mean(&each), each.len() as f64);
    let variance = each.iter().map(|x| (x - nats).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Likelihood { samples, images: each.len(), nats, standard_error: (variance / n).sqrt() }
}

/// A bar on a terminal, for what takes seconds.
fn progress(images: usize) -> ProgressBar {
    let template = "drawing from posteriors {bar:30} {pos}/{len} images  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(images as u64).with_style(style)
}

impl Report {
    fn text(&self) -> String {
        let Averages { loss, bce, kl, active_units } = self.averages;
        let Deterministic { deterministic_bce, mse, psnr } = self.deterministic;
        let mut lines = vec![
            format!("loss          {loss:10.4} nats an image"),
            format!("BCE           {bce:10.4}"),
            format!("KL            {kl:10.4}"),
        ];
        lines.extend(active_units.map(|units| format!("active units  {units:5}")));
        lines.push(format!("BCE floor     {:10.4} (the entropy of the images themselves)", self.bce_floor));
        lines.push(format!("decoding the mean: BCE {deterministic_bce:.4}, MSE {mse:.5}, PSNR {psnr:.2} dB"));
        if let Some(posterior) = &self.posterior {
            lines.extend(posterior.lines());
        }
        if let Some(Bound { k, images, nats }) = self.iwae {
            lines.push(format!("importance-weighted bound, {k} draws, {images} images: {nats:.4} nats"));
        }
        if let Some(Likelihood { samples, images, nats, standard_error }) = self.nll {
            lines.push(format!(
                "-ln p(x), {samples} draws, {images} images: {nats:.4} nats (standard error {standard_error:.4})"
            ));
        }
        if let Some(picture) = &self.worst_picture {
            lines.push(format!("the {} images with the highest loss: {}", self.worst.len(), picture.display()));
        }
        lines.join("\n")
    }
}

impl Posterior {
    fn lines(&self) -> Vec<String> {
        let mut units: Vec<(usize, f64)> = self.kl_of_units.iter().copied().enumerate().collect();
        units.sort_by(|a, b| b.1.total_cmp(&a.1));
        let silent = units.iter().filter(|(_, kl)| *kl < SILENT).count();
        let listed: Vec<String> = units.iter().take(LISTED).map(|(unit, kl)| format!("{unit}: {kl:.2}")).collect();
        vec![
            format!(
                "ELBO          {:10.4} with a draw an image, {:.4} with the mean",
                self.elbo, self.deterministic_elbo
            ),
            format!("rate          {:10.4} bits an image, {:.4} a pixel", self.rate_bits, self.rate_bits_per_pixel),
            format!("KL by unit: {}; {silent} of {} below {SILENT}", listed.join(", "), units.len()),
        ]
    }
}

/// Images as the run's settings have them: binarised, and the inputs corrupted.
struct Prepared {
    inputs: Images,
    targets: Images,
}

impl Prepared {
    fn of(images: &Images, preparation: &Preparation) -> Self {
        let targets = preparation.targets(images.pixels(), 0);
        let inputs = preparation.inputs(&targets, 0);
        let of = |pixels| Images::new(images.rows(), images.columns(), pixels);
        Self { inputs: of(inputs), targets: of(targets) }
    }
}

/// The averages of a model over images, as validation has them.
struct Measurement<'a> {
    weights: &'a Weights,
    images: &'a Prepared,
    noise: Noise,
    config: &'a Config,
}

impl OnBackend for Measurement<'_> {
    type Output = Averages;

    fn run<B: Backend>(self, backend: &mut B) -> Result<Averages, train::Error> {
        let Config { batch_size, seed, .. } = *self.config;
        let dims = self.weights.dims;
        match self.weights.kind {
            Kind::Vanilla => {
                let model = VanillaAE::new(backend, dims, batch_size, seed)?;
                self.measure(backend, model)
            }
            Kind::Variational => {
                let model = VariationalAE::new(backend, dims, batch_size, seed)?;
                self.measure(backend, model)
            }
        }
    }
}

impl Measurement<'_> {
    fn measure<B: Backend, M: Autoencoder<B>>(self, backend: &mut B, mut model: M) -> Result<Averages, train::Error> {
        let Self { weights, images, noise, config } = self;
        let Prepared { inputs, targets } = images;
        let mut images = DeviceImages::new(backend, inputs.pixels().to_vec(), weights.dims.input)?;
        if config.corrupt.is_some() {
            model.common_mut().add_targets(backend)?;
            backend.set_targets(&mut images.images, targets.pixels())?;
        }
        backend.write(&mut model.parameters_mut().values.storage, &weights.values)?;
        let Config { lr, beta, seed, .. } = *config;
        backend.set_hyperparameters(Hyperparameters { learning_rate: lr, beta, seed, free_bits: 0.0 });
        evaluate(backend, &mut model, &mut images, noise, beta)
    }
}
