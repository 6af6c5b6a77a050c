//! `plot latent`: where the test images lie in the latent space.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::error::Error;
use crate::cli::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::data::Split;
use crate::inference::Codes;
use crate::plot::scatter::Scatter;
use crate::stats::{Pca, tsne};

/// Neighbours that count for a point in a map by t-SNE, roughly; the usual number, and for few points a third of them.
const PERPLEXITY: f32 = 30.0;
/// The most and the fewest points of a map by t-SNE, which takes minutes for more, and how many there are unless told.
const MOST_MAPPED: usize = 10_000;
const FEWEST_MAPPED: usize = 10;
const MAPPED: usize = 2000;

/// Options of `plot latent`.
#[derive(Args, Clone, Debug)]
pub struct Latent {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// How codes come into a plane; those of two units are shown as they are unless t-SNE is asked for
    #[arg(long, value_enum, default_value = "pca")]
    method: Method,
    /// Images to show, the first of the test set [default: all; 2000 for tsne]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// The picture to write [default: latent-METHOD.svg in the run's folder]
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
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

/// What is printed.
#[derive(Serialize)]
struct Report {
    method: Method,
    count: usize,
    /// Shares of the codes' variance along both axes, for PCA.
    explained_share: Option<Vec<f64>>,
    picture: PathBuf,
}

impl Latent {
    /// Encodes the test images, draws and says where the picture is.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, the codes have one unit alone, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        if model.weights.dims.latent == 1 {
            return Err(model.refuse("has codes of one unit, which fill no plane; choose a model with more".to_owned()));
        }
        let Split { images, labels } = model.dataset(&self.images)?.test;
        let count = self.count_of(images.len())?;
        let pixels = &images.pixels()[..count * images.pixels_per_image()];
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(pixels)?))?;
        let (plane, explained_share) = self.plane(&codes)?;
        let (title, sentences) = (title(&model, &codes), sentences(self.method, &codes));
        let scatter = Scatter { title, sentences, labels: labels[..count].to_vec(), ..plane };
        let name = if self.method == Method::Pca { "latent-pca.svg" } else { "latent-tsne.svg" };
        let picture = model.leave(self.out.as_deref(), name, scatter.svg()?.as_bytes())?;
        let text = format!("the codes of {count} test images: {}", picture.display());
        let report = Report { method: self.method, count, explained_share, picture };
        self.source.place.answer(&report, &text);
        Ok(())
    }

    fn count_of(&self, available: usize) -> Result<usize, Error> {
        let (fewest, usual, most) = match self.method {
            Method::Pca => (2, available, available),
            Method::Tsne => (FEWEST_MAPPED, MAPPED.min(available), MOST_MAPPED.min(available)),
        };
        let count = self.count.unwrap_or(usual);
        if (fewest..=most).contains(&count) {
            return Ok(count);
        }
        Err(setting("--count", count, format!("is not between {fewest} and {most}")))
    }

    /// The codes in a plane, and the shares of their variance along both axes where they were projected.
    fn plane(&self, codes: &Codes) -> Result<(Scatter, Option<Vec<f64>>), Error> {
        let pairs = |plane: &[f32]| plane.chunks_exact(2).map(|point| (point[0], point[1])).collect();
        if self.method == Method::Tsne {
            let perplexity = PERPLEXITY.min(((codes.len() - 2) / 3) as f32);
            let points = pairs(&tsne(&codes.mean, codes.latent, perplexity)?);
            return Ok((Scatter { points, ..Scatter::default() }, None));
        }
        if codes.latent == 2 {
            let [x_label, y_label] = ["latent unit 0", "latent unit 1"].map(str::to_owned);
            return Ok((Scatter { points: pairs(&codes.mean), x_label, y_label, ..Scatter::default() }, None));
        }
        let pca = Pca::new(&codes.mean, codes.latent, 2)?;
        let label = |place: usize| {
            let share = 100.0 * pca.explained_share[place];
            format!("principal component {} ({share:.0} % of the variance)", place + 1)
        };
        let points = pairs(&pca.project(&codes.mean));
        let scatter = Scatter { points, x_label: label(0), y_label: label(1), ..Scatter::default() };
        Ok((scatter, Some(pca.explained_share)))
    }
}

/// "vae 784-400-400-200: posterior means of 10000 test images".
fn title(model: &TrainedModel, codes: &Codes) -> String {
    let what = if codes.log_var.is_some() { "posterior means" } else { "codes" };
    format!("{}: {what} of {} test images", model.name(), codes.len())
}

/// What to know about the picture.
fn sentences(method: Method, codes: &Codes) -> Vec<String> {
    let map = "t-SNE keeps neighbours together; distances between groups and their sizes mean little.";
    let map = (method == Method::Tsne).then(|| map.to_owned());
    let (active, latent) = (codes.active_units(), codes.latent);
    let collapsed = (codes.log_var.is_some() && active < latent)
        .then(|| format!("{active} of the {latent} latent units are active; the means of the others are all but 0."));
    map.into_iter().chain(collapsed).collect()
}
