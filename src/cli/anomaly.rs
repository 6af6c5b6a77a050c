//! `anomaly`: images of a kind that was never trained on, found by what a model makes of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use serde::Serialize;

use super::display;
use super::error::Error;
use super::options::Training;
use super::trained::{Place, TrainedModel, setting};
use super::training;
use crate::data::Dataset;
use crate::files::write_atomically;
use crate::inference::{Score, anomaly_scores};
use crate::nn::Kind;
use crate::plot::curves::{Chart, Series, Style};
use crate::plot::grid::Grid;
use crate::stats::{Roc, average_precision};
use crate::train::{Outcome, Run};

/// The labels of the sets that there are.
const LABELS: std::ops::RangeInclusive<u8> = 0..=9;
/// Images in the picture of the most anomalous, and how many lie side by side.
const PICTURED: usize = 40;
const PER_ROW: usize = 10;

/// Options of `anomaly`.
#[derive(Args, Clone, Debug)]
pub struct Anomaly {
    /// A run, or a .safetensors file; without one, a VAE is trained as the options below say
    #[arg(value_name = "RUN|FILE.safetensors", conflicts_with_all = ["all_classes", "name", "resume"])]
    model: Option<PathBuf>,
    /// Train a model for each label, without its images, and score each: one table
    #[arg(long, conflicts_with = "holdout_class")]
    all_classes: bool,
    /// By what an image is called anomalous [default: elbo; bce for the AE]
    #[arg(long, value_enum)]
    score: Option<Score>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    training: Training,
}

/// How well one score finds one label.
#[derive(Clone, Debug, Serialize)]
struct Detection {
    score: Score,
    roc_auc: f64,
    average_precision: f64,
}

/// What is printed of one model.
#[derive(Clone, Debug, Serialize)]
struct Report {
    model: PathBuf,
    holdout_class: u8,
    test_images: usize,
    anomalous: usize,
    /// The score that was asked for first.
    detections: Vec<Detection>,
    roc_curve: PathBuf,
    /// The test images with the highest scores, the highest first.
    most_anomalous: Vec<usize>,
    picture: PathBuf,
}

/// What is printed of all classes.
#[derive(Serialize)]
struct Table {
    classes: Vec<Report>,
    mean_roc_auc: f64,
    mean_average_precision: f64,
}

impl Anomaly {
    /// Takes or trains what is asked for, and scores the test images.
    ///
    /// # Errors
    /// A model cannot be read or trained, or an option makes no sense.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Outcome, Error> {
        self.training.place.beside = self.json;
        match &self.model {
            Some(path) => {
                let report = self.score(path)?;
                self.print(&report, &report.text());
                Ok(Outcome::Finished)
            }
            None if self.all_classes => self.all_classes(stop),
            None => {
                let Some(label) = self.training.holdout_class() else {
                    let problem = "is missing: name a run, or train one with --holdout-class or --all-classes";
                    return Err(setting("RUN", "", problem));
                };
                let dir = self.parent()?;
                let outcome = self.train(&dir, label, stop)?;
                if outcome == Outcome::Finished {
                    let report = self.score(&class_dir(&dir, label))?;
                    self.print(&report, &report.text());
                }
                Ok(outcome)
            }
        }
    }

    /// The folder of the models that are trained.
    fn parent(&self) -> Result<PathBuf, Error> {
        let place = &self.training.place;
        match &place.resume {
            Some(dir) => Ok(dir.clone()),
            None => Ok(Run::new_dir(&place.out, place.name.as_deref(), "anomaly")?),
        }
    }

    /// Trains the model without `label` in its folder of `parent`, unless that is done.
    fn train(&self, parent: &Path, label: u8, stop: &AtomicBool) -> Result<Outcome, Error> {
        let outcome = training::held_out(&self.training, label, parent, &class_name(label), stop)?;
        if outcome == Outcome::Interrupted {
            let all = if self.all_classes { "--all-classes".to_owned() } else { format!("--holdout-class {label}") };
            display::note(&format!("go on with `latent anomaly {all} --resume {}`", parent.display()));
        }
        Ok(outcome)
    }

    fn all_classes(&self, stop: &AtomicBool) -> Result<Outcome, Error> {
        let parent = self.parent()?;
        let mut classes = Vec::new();
        for label in LABELS {
            if self.train(&parent, label, stop)? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
            classes.push(self.score(&class_dir(&parent, label))?);
        }
        let mean = |value: fn(&Detection) -> f64| {
            classes.iter().map(|report| value(&report.detections[0])).sum::<f64>() / classes.len() as f64
        };
        let (mean_roc_auc, mean_average_precision) = (mean(|d| d.roc_auc), mean(|d| d.average_precision));
        let table = Table { mean_roc_auc, mean_average_precision, classes };
        write_atomically(&parent.join("anomaly.md"), table.markdown().as_bytes())?;
        self.print(&table, &table.markdown());
        Ok(Outcome::Finished)
    }

    fn print(&self, report: &impl Serialize, text: &str) {
        self.place().answer(report, text.trim_end());
    }

    fn place(&self) -> Place {
        self.training.place_of_use(self.json)
    }

    /// Scores the test images with the model at `path`.
    fn score(&self, path: &Path) -> Result<Report, Error> {
        let model = self.place().open(path)?;
        let Some(label) = self.training.holdout_class().or(model.config.holdout_class) else {
            let problem = "and this model was trained on all labels; say which one to take for anomalous";
            return Err(setting("--holdout-class", "none", problem));
        };
        let data = model.dataset(&self.training.image_choice())?;
        let positive: Vec<bool> = data.test.labels.iter().map(|other| *other == label).collect();
        let mut scored = Vec::new();
        for score in self.scores(&model)? {
            let scores = scores_of(&model, score, &data, label)?;
            scored.push((score, Roc::new(&scores, &positive)?, average_precision(&scores, &positive)?, scores));
        }
        let detections = scored
            .iter()
            .map(|(score, roc, precision, _)| Detection {
                score: *score,
                roc_auc: roc.auc,
                average_precision: *precision,
            })
            .collect();
        let (_, roc, _, scores) = &scored[0];
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(PICTURED);
        Ok(Report {
            model: model.path.clone(),
            holdout_class: label,
            test_images: positive.len(),
            anomalous: positive.iter().filter(|positive| **positive).count(),
            detections,
            roc_curve: model.leave(None, "anomaly-roc.svg", curve(roc, label).svg()?.as_bytes())?,
            picture: model.leave(None, "anomaly.png", &picture(&data, &order)?)?,
            most_anomalous: order,
        })
    }

    /// The score that is asked for, then the others that the model has.
    fn scores(&self, model: &TrainedModel) -> Result<Vec<Score>, Error> {
        let all = match model.weights.kind {
            Kind::Variational => &[Score::Elbo, Score::Bce, Score::Distance][..],
            Kind::Vanilla => &[Score::Bce, Score::Distance],
        };
        let first = self.score.unwrap_or(all[0]);
        if !all.contains(&first) {
            return Err(
                model.refuse("is a vanilla autoencoder and has no ELBO; take --score bce or distance".to_owned())
            );
        }
        Ok(std::iter::once(first).chain(all.iter().copied().filter(|score| *score != first)).collect())
    }
}

fn class_name(label: u8) -> String {
    format!("class-{label}")
}

fn class_dir(parent: &Path, label: u8) -> PathBuf {
    parent.join(class_name(label))
}

/// The scores of the test images; typical are the training images of other labels.
fn scores_of(model: &TrainedModel, score: Score, data: &Dataset, label: u8) -> Result<Vec<f64>, Error> {
    model.with_codec(|codec| {
        let others = data.train.without_label(label);
        let typical = codec.encode_bytes(others.images.pixels())?;
        Ok(anomaly_scores(codec, score, data.test.images.pixels(), &typical)?)
    })
}

fn curve(roc: &Roc, label: u8) -> Chart {
    let diagonal = vec![(0.0, 0.0), (1.0, 1.0)];
    Chart {
        title: format!("label {label} among the test images, ROC-AUC {:.3}", roc.auc),
        x_label: "share of the others that score as high".to_owned(),
        y_label: format!("share of label {label} that scores as high"),
        series: vec![
            Series::new("", roc.points.clone(), Style::Line),
            Series::new("a score that says nothing", diagonal, Style::Dashed),
        ],
        ..Chart::default()
    }
}

fn picture(data: &Dataset, order: &[usize]) -> Result<Vec<u8>, Error> {
    let images = &data.test.images;
    let values: Vec<f32> = order.iter().flat_map(|i| images.image(*i)).map(|byte| f32::from(*byte) / 255.0).collect();
    Ok(Grid::new(images.rows(), images.columns(), PER_ROW).png(&values)?)
}

impl Report {
    fn text(&self) -> String {
        let mut lines = vec![format!(
            "label {}, not trained on, is {} of {} test images",
            self.holdout_class, self.anomalous, self.test_images
        )];
        for Detection { score, roc_auc, average_precision } in &self.detections {
            let name = format!("{score:?}").to_lowercase();
            lines.push(format!("{name:9} ROC-AUC {roc_auc:.4}   PR-AUC {average_precision:.4}"));
        }
        lines.push(format!("the curve: {}", self.roc_curve.display()));
        lines.push(format!("the most anomalous images: {}", self.picture.display()));
        lines.join("\n")
    }
}

impl Table {
    fn markdown(&self) -> String {
        let scores = self.classes.first().map_or(&[][..], |report| &report.detections);
        let name = |score: Score| format!("{score:?}").to_lowercase();
        let mut text = "| label held out |".to_owned();
        scores.iter().for_each(|detection| text += &format!(" ROC-AUC, {} |", name(detection.score)));
        scores.iter().take(1).for_each(|detection| text += &format!(" PR-AUC, {} |", name(detection.score)));
        text += &format!("\n|---|{}\n", "---|".repeat(scores.len() + 1));
        for report in &self.classes {
            text += &format!("| {} |", report.holdout_class);
            report.detections.iter().for_each(|detection| text += &format!(" {:.3} |", detection.roc_auc));
            text += &format!(" {:.3} |\n", report.detections[0].average_precision);
        }
        let blanks = " |".repeat(scores.len().saturating_sub(1));
        text + &format!("| mean | {:.3} |{blanks} {:.3} |\n", self.mean_roc_auc, self.mean_average_precision)
    }
}
