//! `probe`: what the codes know about the labels, which no model was trained on.

use std::path::PathBuf;

use clap::Args;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::display;
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::data::{Dataset, Images, Split};
use crate::noise::{Address, PhiloxRng, Stream};
use crate::stats::{LogisticRegression, NearestNeighbours, Scaler, Settings};

/// Options of `probe`.
#[derive(Args, Clone, Debug)]
pub struct Probe {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: ImageChoice,
    /// Another model whose codes are probed beside
    #[arg(long, value_name = "RUN|FILE.safetensors")]
    against: Option<PathBuf>,
    /// Use so many labelled training images, as many of each class as can be, and repeat with others [default: all]
    #[arg(long, value_name = "N")]
    labels: Option<usize>,
    /// Repetitions with --labels
    #[arg(long, value_name = "N", default_value_t = 10)]
    draws: usize,
    /// Neighbours that vote
    #[arg(short, long, value_name = "K", default_value_t = 5)]
    k: usize,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
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
    knn: Accuracy,
    logistic: Accuracy,
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
    train: Vec<f32>,
    test: Vec<f32>,
}

impl Probe {
    /// Encodes the training and the test images and finds the latter's labels from the former's.
    ///
    /// # Errors
    /// A model cannot be read, or an option makes no sense.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let data = model.dataset(&self.images)?;
        let draws = self.draws(&data.train.labels, model.config.seed)?;
        let mut representations = vec![codes(&model, &data)?];
        if let Some(path) = &self.against {
            let other = self.source.place.open(path)?;
            representations.push(codes(&other, &other.dataset(&self.images)?)?);
        }
        representations.push(pixels(&data));
        let mut probed = Vec::new();
        for representation in &representations {
            probed.push(self.probe(representation, &data, &draws)?);
        }
        let report = Report {
            k: self.k,
            labels: draws[0].len(),
            draws: draws.len(),
            test_images: data.test.labels.len(),
            representations: probed,
        };
        self.source.place.answer(&report, &report.table());
        Ok(())
    }

    /// The training images whose labels are used, in each repetition.
    fn draws(&self, labels: &[u8], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
        if !(1..=labels.len()).contains(&self.k) {
            return Err(setting("--k", self.k, format!("is not between 1 and {}", labels.len())));
        }
        let Some(count) = self.labels else { return Ok(vec![(0..labels.len()).collect()]) };
        let least = self.k.max(10);
        if !(least..=labels.len()).contains(&count) {
            return Err(setting("--labels", count, format!("is not between {least} and {}", labels.len())));
        }
        if !(1..=1000).contains(&self.draws) {
            return Err(setting("--draws", self.draws, "is not between 1 and 1000"));
        }
        Ok((0..self.draws).map(|draw| balanced(labels, count, seed, draw as u64)).collect())
    }

    fn probe(&self, what: &Representation, data: &Dataset, draws: &[Vec<usize>]) -> Result<Probed, Error> {
        let (mut knn, mut logistic) = (Vec::new(), Vec::new());
        for (number, draw) in draws.iter().enumerate() {
            display::note(&format!("probing {} ({} of {})", what.name, number + 1, draws.len()));
            let rows = |i: &usize| what.train[i * what.columns..][..what.columns].iter().copied();
            let train: Vec<f32> = draw.iter().flat_map(rows).collect();
            let labels: Vec<u8> = draw.iter().map(|i| data.train.labels[*i]).collect();
            let neighbours = NearestNeighbours::new(&train, &labels, what.columns, self.k)?;
            knn.push(share_right(&neighbours.classify(&what.test)?, &data.test.labels));
            let scaler = Scaler::fit(&train, what.columns);
            let classes = usize::from(labels.iter().max().copied().unwrap_or(0)) + 1;
            let model =
                LogisticRegression::fit(&scaler.apply(&train), &labels, what.columns, classes, Settings::default())?;
            logistic.push(share_right(&model.classify(&scaler.apply(&what.test)), &data.test.labels));
        }
        let (knn, logistic) = (Accuracy::of(&knn), Accuracy::of(&logistic));
        Ok(Probed { name: what.name.clone(), columns: what.columns, knn, logistic })
    }
}

/// The codes of all images, for the VAE the posterior means.
fn codes(model: &TrainedModel, data: &Dataset) -> Result<Representation, Error> {
    let [train, test] = [&data.train, &data.test].map(|split| split.images.pixels());
    let (train, test) =
        model.with_codec(|codec| Ok((codec.encode_bytes(train)?.mean, codec.encode_bytes(test)?.mean)))?;
    let name = format!("codes of {}", model.path.display());
    Ok(Representation { name, columns: model.weights.dims.latent, train, test })
}

/// The images themselves.
fn pixels(data: &Dataset) -> Representation {
    let values = |images: &Images| images.pixels().iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let [train, test]: [Vec<f32>; 2] = [&data.train, &data.test].map(|Split { images, .. }| values(images));
    Representation { name: "raw pixels".to_owned(), columns: data.train.images.pixels_per_image(), train, test }
}

/// `count` images drawn without replacement, as many of each label as can be, in draw `draw`.
fn balanced(labels: &[u8], count: usize, seed: u64, draw: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    // Epochs count from 1 and few; the draws' steps lie beyond them.
    let address = Address { seed, stream: Stream::Shuffling, step: (1 << 40) + draw };
    order.shuffle(&mut PhiloxRng::new(address));
    let mut rank = [0usize; 256];
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    for item in order {
        let rank = &mut rank[usize::from(labels[item])];
        ranked.push((*rank, item));
        *rank += 1;
    }
    // First the first of each label, then the second of each, and so on.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(count).map(|(_, item)| item).collect()
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

impl Report {
    fn table(&self) -> String {
        let mut text = format!(
            "{} labelled training images, {} test images{}\n{:40} {:>18} {:>20}",
            self.labels,
            self.test_images,
            if self.draws > 1 { format!(", mean and deviation of {} draws", self.draws) } else { String::new() },
            "",
            format!("{} neighbours", self.k),
            "logistic regression"
        );
        for Probed { name, columns, knn, logistic } in &self.representations {
            let name = format!("{name} ({columns})");
            text += &format!("\n{name:40} {:>18} {:>20}", knn.text(), logistic.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_holds_as_many_of_each_label_as_can_be() {
        let labels: Vec<u8> = (0..1000).map(|i| if i < 3 { 9 } else { (i % 3) as u8 }).collect();
        let draw = balanced(&labels, 40, 1, 0);
        let count = |label| draw.iter().filter(|i| labels[**i] == label).count();
        assert_eq!(count(9), 3);
        assert!((0..3).all(|label| (12..=13).contains(&count(label))));
        let mut distinct = draw.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 40);
        assert_ne!(draw, balanced(&labels, 40, 1, 1));
        assert_eq!(draw, balanced(&labels, 40, 1, 0));
    }
}
