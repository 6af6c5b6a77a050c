//! `plot`: what a run learnt, drawn.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use super::{display, options};
use crate::data::Split;
use crate::files::write_atomically;
use crate::inference::Codes;
use crate::nn::Kind;
use crate::plot::curves::{Chart, Scale, Series, Style, svg_side_by_side};
use crate::plot::scatter::Scatter;
use crate::stats::{Pca, tsne};
use crate::train::{Run, Which};

/// Neighbours that count for a point in a map by t-SNE, roughly; the usual number.
const PERPLEXITY: f32 = 30.0;
/// The most points of a map by t-SNE, which takes minutes for more.
const MOST_MAPPED: usize = 10_000;
/// Points of a map by t-SNE unless told.
const MAPPED: usize = 2000;

/// Options of `plot`.
#[derive(Args, Clone, Debug)]
pub struct Plot {
    #[command(subcommand)]
    what: What,
}

/// What is drawn.
#[derive(Subcommand, Clone, Debug)]
enum What {
    /// The codes of the test images in a plane, coloured by label
    Latent(Latent),
    /// How much each latent unit says about an image
    Kl(Kl),
    /// The losses of runs over their epochs
    Losses(Losses),
}

impl Plot {
    /// Draws.
    ///
    /// # Errors
    /// A run cannot be read, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        match &self.what {
            What::Latent(latent) => latent.run(),
            What::Kl(kl) => kl.run(),
            What::Losses(losses) => losses.run(),
        }
    }
}

/// How codes of many units come into a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Method {
    /// The two directions in which the codes vary most
    Pca,
    /// A map that keeps neighbours together (t-SNE)
    Tsne,
}

/// Options of `plot latent`.
#[derive(Args, Clone, Debug)]
struct Latent {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// How codes come into a plane
    #[arg(long, value_enum, default_value = "pca")]
    method: Method,
    /// Images to show, the first of the test set [default: all; 2000 for tsne]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// The picture to write [default: latent-METHOD.svg in the run's folder]
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

/// What is printed of `plot latent`.
#[derive(Serialize)]
struct LatentReport {
    method: Method,
    count: usize,
    /// Shares of the codes' variance along both axes.
    explained_share: Option<Vec<f64>>,
    picture: PathBuf,
}

impl Latent {
    fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let Split { images, labels } = model.dataset(&self.images)?.test;
        let count = self.count_of(images.len())?;
        let pixels = &images.pixels()[..count * images.pixels_per_image()];
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(pixels)?))?;
        let (plot, explained_share) = self.scatter(&model, &codes, &labels[..count])?;
        let name = if self.method == Method::Pca { "latent-pca.svg" } else { "latent-tsne.svg" };
        let picture = model.leave(self.out.as_deref(), name, plot.svg()?.as_bytes())?;
        let text = format!("the codes of {count} test images: {}", picture.display());
        let report = LatentReport { method: self.method, count, explained_share, picture };
        self.source.place.answer(&report, &text);
        Ok(())
    }

    fn count_of(&self, available: usize) -> Result<usize, Error> {
        let (usual, most) = match self.method {
            Method::Pca => (available, available),
            Method::Tsne => (MAPPED.min(available), MOST_MAPPED.min(available)),
        };
        let count = self.count.unwrap_or(usual);
        if (2..=most).contains(&count) {
            return Ok(count);
        }
        Err(setting("--count", count, format!("is not between 2 and {most}")))
    }

    fn scatter(
        &self,
        model: &TrainedModel,
        codes: &Codes,
        labels: &[u8],
    ) -> Result<(Scatter, Option<Vec<f64>>), Error> {
        let pairs = |plane: Vec<f32>| plane.chunks_exact(2).map(|point| (point[0], point[1])).collect();
        let dims = model.weights.dims;
        let what = if codes.log_var.is_some() { "posterior means" } else { "codes" };
        let title = format!("{} {dims}: {what} of {} test images", model.weights.kind, codes.len());
        let plot = Scatter { title, labels: labels.to_vec(), ..Scatter::default() };
        if self.method == Method::Tsne {
            let sentence = "t-SNE keeps neighbours together; distances between groups mean little.".to_owned();
            let points = pairs(tsne(&codes.mean, codes.latent, PERPLEXITY)?);
            return Ok((Scatter { points, sentences: vec![sentence], ..plot }, None));
        }
        if codes.latent == 1 {
            let points = codes.mean.iter().map(|x| (*x, 0.0)).collect();
            return Ok((Scatter { points, x_label: "the latent unit".to_owned(), ..plot }, None));
        }
        let pca = Pca::new(&codes.mean, codes.latent, 2)?;
        let label = |place: usize| {
            let share = 100.0 * pca.explained_share[place];
            format!("principal component {} ({share:.0} % of the variance)", place + 1)
        };
        let plot = Scatter { points: pairs(pca.project(&codes.mean)), x_label: label(0), y_label: label(1), ..plot };
        Ok((plot, Some(pca.explained_share)))
    }
}

/// Options of `plot kl`.
#[derive(Args, Clone, Debug)]
struct Kl {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// The picture to write [default: kl.svg in the run's folder]
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

/// What is printed of `plot kl`.
#[derive(Serialize)]
struct KlReport {
    /// Of each unit, in nats.
    kl: Vec<f64>,
    /// The units, the one that says most first.
    most_active: Vec<usize>,
    active_units: usize,
    picture: PathBuf,
}

impl Kl {
    fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        model.require_vae("its codes have no divergence from a prior")?;
        let data = model.dataset(&self.images)?;
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(data.test.images.pixels())?))?;
        let (kl, most_active) = (codes.kl_of_units(), codes.most_active());
        let sorted: Vec<(f64, f64)> =
            most_active.iter().enumerate().map(|(rank, unit)| ((rank + 1) as f64, kl[*unit].max(1e-6))).collect();
        let active_units = codes.active_units();
        let chart = Chart {
            title: format!("{} {}: {active_units} active units", model.weights.kind, model.weights.dims),
            x_label: "latent units, the one that says most first".to_owned(),
            y_label: "KL divergence, nats an image".to_owned(),
            y_scale: Scale::Log,
            series: vec![Series::new("", sorted, Style::Markers)],
            ..Chart::default()
        };
        let picture = model.leave(self.out.as_deref(), "kl.svg", chart.svg()?.as_bytes())?;
        let text = format!("KL of {} units, {active_units} of them active: {}", kl.len(), picture.display());
        self.source.place.answer(&KlReport { kl, most_active, active_units, picture }, &text);
        Ok(())
    }
}

/// Options of `plot losses`.
#[derive(Args, Clone, Debug)]
struct Losses {
    /// Folders of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The picture to write
    #[arg(long, value_name = "FILE.svg", default_value = "losses.svg")]
    out: PathBuf,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// What is printed of `plot losses`.
#[derive(Serialize)]
struct LossesReport<'a> {
    runs: &'a [PathBuf],
    picture: &'a Path,
}

impl Losses {
    fn run(&self) -> Result<(), Error> {
        let mut series = Vec::new();
        for dir in &self.runs {
            series.extend(losses_of(dir)?);
        }
        let chart = Chart {
            title: "loss over the epochs".to_owned(),
            x_label: "epoch".to_owned(),
            y_label: "loss in nats an image".to_owned(),
            series,
            ..Chart::default()
        };
        write_atomically(&self.out, svg_side_by_side(&[chart])?.as_bytes())?;
        if self.json {
            let report = LossesReport { runs: &self.runs, picture: &self.out };
            display::line(&serde_json::to_string(&report).expect("a report is plain texts"));
        } else {
            display::line(&format!("the losses of {} runs: {}", self.runs.len(), self.out.display()));
        }
        Ok(())
    }
}

/// The training and the validation loss of a run, named after its folder.
fn losses_of(dir: &Path) -> Result<Vec<Series>, Error> {
    options::of_run(dir, Kind::Variational)?;
    let run = Run::open(dir, u32::MAX)?;
    let name = dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned());
    let named = [(Which::Train, "training", Style::Line), (Which::Validation, "validation", Style::Dashed)];
    let series = named.map(|(which, split, style)| {
        let records = run.records().iter().filter(|record| record.which == which);
        let points = records.map(|record| (f64::from(record.epoch), record.averages.loss)).collect();
        Series::new(format!("{name}, {split}"), points, style)
    });
    Ok(series.into_iter().filter(|series| !series.points.is_empty()).collect())
}
