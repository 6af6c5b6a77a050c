//! `probe`: what the codes know about the labels, which no model was trained on.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::display::progress;
use super::error::Error;
use super::runs::names;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::data::{Dataset, DatasetName, Images};
use crate::noise::{Address, Stream};
use crate::stats::{LogisticRegression, NearestNeighbours, Settings, balanced_draw};

/// The most repetitions.
const MOST_DRAWS: usize = 1000;
/// The fewest labelled images: one of each class.
const FEWEST_LABELS: usize = 10;

/// Options of `probe`.
#[derive(Args, Clone, Debug)]
pub struct Probe {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// Another model, whose codes of the same images are probed beside
    #[arg(long, value_name = "RUN|FILE.safetensors")]
    against: Option<PathBuf>,
    /// Use so few labelled training images, as many of each class as can be, and repeat with others [default: all]
    #[arg(long, value_name = "N")]
    labels: Option<usize>,
    /// Repetitions with --labels
    #[arg(long, value_name = "N", default_value_t = 10, requires = "labels")]
    draws: usize,
    /// Neighbours that vote
    #[arg(short, long, value_name = "K", default_value_t = 5)]
    k: usize,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    dataset: DatasetName,
    k: usize,
    /// Labelled training images.
    labels: usize,
    draws: usize,
    test_images: usize,
    representations: Vec<Probed>,
}

/// How well the labels of the test images are found from one representation of the images.
#[derive(Serialize)]
struct Probed {
    name: String,
    columns: usize,
    /// Latent units that depend on the image, for the VAE.
    active_units: Option<usize>,
    knn: Accuracy,
    logistic: Accuracy,
    /// Whether every regression reached its minimum before its steps ran out.
    logistic_converged: bool,
}

/// Share of the test images whose label was found.
#[derive(Serialize)]
struct Accuracy {
    mean: f64,
    /// Standard deviation over the draws, with n - 1 in the denominator; none for one.
    deviation: Option<f64>,
}

/// The images as rows of numbers.
struct Representation {
    name: String,
    columns: usize,
    active_units: Option<usize>,
    train: Vec<f32>,
    test: Vec<f32>,
}

impl Probe {
    /// Encodes the training and the test images and finds the latter's labels from the former's.
    ///
    /// # Errors
    /// A model or the images cannot be read or do not fit each other, or an option makes no sense.
    pub fn run(&self) -> Result<(), Error> {
        let paths: Vec<PathBuf> = [&self.source.model].into_iter().chain(&self.against).cloned().collect();
        let names = names(&paths)?;
        let models = paths.iter().map(|path| self.source.place.open(path)).collect::<Result<Vec<_>, _>>()?;
        let data = models[0].dataset(&self.images)?;
        let draws = self.draws(&data.train.labels, models[0].config.seed)?;
        let mut representations = Vec::new();
        for (name, model) in names.into_iter().zip(&models) {
            representations.push(codes(name, model, &data)?);
        }
        representations.push(pixels(&data));
        let bar = progress(2 * draws.len() * representations.len());
        let probe = |what: &Representation| self.probe(what, &data, &draws, &bar);
        let representations = representations.iter().map(probe).collect::<Result<Vec<_>, _>>()?;
        bar.finish_and_clear();
        let (labels, test_images) = (draws[0].len(), data.test.labels.len());
        let report = Report { dataset: data.name, k: self.k, labels, draws: draws.len(), test_images, representations };
        self.source.place.answer(&report, &report.text());
        Ok(())
    }

    /// The training images whose labels are used, in each repetition.
    fn draws(&self, labels: &[u8], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
        let available = labels.len();
        if !(1..=available).contains(&self.k) {
            return Err(setting("--k", self.k, format!("is not between 1 and the {available} training images")));
        }
        let Some(count) = self.labels else { return Ok(vec![(0..available).collect()]) };
        let fewest = self.k.max(FEWEST_LABELS);
        if !(fewest..=available).contains(&count) {
            return Err(setting("--labels", count, format!("is not between {fewest} and {available}")));
        }
        if !(1..=MOST_DRAWS).contains(&self.draws) {
            return Err(setting("--draws", self.draws, format!("is not between 1 and {MOST_DRAWS}")));
        }
        // Epochs count from 1 and few; the draws' steps lie beyond them.
        let address = |draw: usize| Address { seed, stream: Stream::Shuffling, step: (1 << 40) + draw as u64 };
        Ok((0..self.draws).map(|draw| balanced_draw(labels, count, address(draw))).collect())
    }

    fn probe(
        &self,
        what: &Representation,
        data: &Dataset,
        draws: &[Vec<usize>],
        bar: &ProgressBar,
    ) -> Result<Probed, Error> {
        let (mut knn, mut logistic, mut converged) = (Vec::new(), Vec::new(), true);
        for draw in draws {
            let (points, labels) = (what.rows(draw), draw.iter().map(|i| data.train.labels[*i]).collect::<Vec<u8>>());
            bar.set_message(format!("{} neighbours in {}", self.k, what.name));
            let neighbours = NearestNeighbours::new(&points, &labels, what.columns, self.k)?;
            knn.push(share_right(&neighbours.classify(&what.test)?, &data.test.labels));
            bar.inc(1);
            bar.set_message(format!("logistic regression on {}", what.name));
            let classes = labels.iter().max().map_or(0, |last| usize::from(*last) + 1);
            let model = LogisticRegression::fit(&points, &labels, what.columns, classes, Settings::default())?;
            logistic.push(share_right(&model.classify(&what.test), &data.test.labels));
            converged &= model.converged;
            bar.inc(1);
        }
        Ok(Probed {
            name: what.name.clone(),
            columns: what.columns,
            active_units: what.active_units,
            knn: Accuracy::of(&knn),
            logistic: Accuracy::of(&logistic),
            logistic_converged: converged,
        })
    }
}

impl Representation {
    /// The training images `draw` `[n, columns]`.
    fn rows(&self, draw: &[usize]) -> Cow<'_, [f32]> {
        if draw.len() * self.columns == self.train.len() {
            return Cow::Borrowed(&self.train);
        }
        let row = |i: &usize| self.train[i * self.columns..][..self.columns].iter().copied();
        Cow::Owned(draw.iter().flat_map(row).collect())
    }
}

/// The codes of all images, for the VAE the posterior means.
fn codes(name: String, model: &TrainedModel, data: &Dataset) -> Result<Representation, Error> {
    let (own, pixels) = (model.weights.dims.input, data.test.images.pixels_per_image());
    if own != pixels {
        return Err(model.refuse(format!("is a model of images of {own} pixels; those of {} have {pixels}", data.name)));
    }
    let [train, test] = [&data.train, &data.test].map(|split| split.images.pixels());
    let (train, test) = model.with_codec(|codec| Ok((codec.encode_bytes(train)?, codec.encode_bytes(test)?)))?;
    let active_units = test.log_var.is_some().then(|| test.active_units());
    Ok(Representation { name, columns: test.latent, active_units, train: train.mean, test: test.mean })
}

/// The images themselves.
fn pixels(data: &Dataset) -> Representation {
    let values = |images: &Images| images.pixels().iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let [train, test] = [&data.train, &data.test].map(|split| values(&split.images));
    let columns = data.train.images.pixels_per_image();
    Representation { name: "raw pixels".to_owned(), columns, active_units: None, train, test }
}

fn share_right(found: &[u8], labels: &[u8]) -> f64 {
    let right = found.iter().zip(labels).filter(|(found, label)| found == label).count();
    right as f64 / labels.len() as f64
}

impl Accuracy {
    fn of(shares: &[f64]) -> Self {
        let n = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / n;
        let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
        Self { mean, deviation: (shares.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) }
    }

    fn text(&self) -> String {
        let deviation = self.deviation.map_or_else(String::new, |deviation| format!(" ± {:.2}", 100.0 * deviation));
        format!("{:.2}{deviation} %", 100.0 * self.mean)
    }
}

impl Probed {
    /// "vae: 200 units, 18 active".
    fn title(&self) -> String {
        let active = self.active_units.map_or_else(String::new, |units| format!(", {units} active"));
        format!("{}: {}{active}", self.name, self.columns)
    }
}

impl Report {
    fn text(&self) -> String {
        let Self { dataset, k, labels, draws, test_images, representations } = self;
        let repeated = if *draws > 1 { format!("; mean and deviation of {draws} draws") } else { String::new() };
        let neighbours = format!("{k} neighbours");
        let titles: Vec<String> = representations.iter().map(Probed::title).collect();
        let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
        let mut text = format!("{labels} labelled training images, {test_images} test images of {dataset}{repeated}\n");
        text += &format!("{:width$}  {neighbours:>16}  {:>19}", "", "logistic regression");
        for (title, probed) in titles.iter().zip(representations) {
            text += &format!("\n{title:width$}  {:>16}  {:>19}", probed.knn.text(), probed.logistic.text());
        }
        if representations.iter().any(|probed| !probed.logistic_converged) {
            text += &format!("\nlogistic regression was stopped after {} steps", Settings::default().iterations);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_a_mean_with_the_deviation_of_a_sample() {
        let shares = [share_right(&[1, 2, 3, 4], &[1, 2, 3, 0]), share_right(&[1, 2], &[1, 2]), 0.5];
        let Accuracy { mean, deviation } = Accuracy::of(&shares);
        assert_eq!((mean, deviation), (0.75, Some(0.25)));
        assert_eq!(Accuracy::of(&[0.5]).deviation, None);
    }
}
