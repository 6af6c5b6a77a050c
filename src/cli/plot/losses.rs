//! `plot losses`: how the losses of several runs fell.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::error::Error;
use crate::cli::runs::{History, folder, names, records};
use crate::cli::trained::{answer, setting};
use crate::files::write_atomically;
use crate::plot::curves::{Chart, Colour, Scale, Series, Style};
use crate::train::{Record, Which};

/// Options of `plot losses`.
#[derive(Args, Clone, Debug)]
pub struct Losses {
    /// Folders of runs, finished or not
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// What to show over the epochs
    #[arg(long, value_enum, default_value_t = Quantity::Loss)]
    quantity: Quantity,
    /// The picture to write [default: losses.svg in the folder that holds the runs]
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// What a run records of every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// What was minimised: BCE + beta KL, unless the settings say otherwise
    Loss,
    /// The binary cross-entropy alone
    Bce,
    /// The KL divergence alone, of variational models
    Kl,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    runs: Vec<String>,
    quantity: Quantity,
    picture: PathBuf,
}

impl Losses {
    /// Draws the curves and says where they are.
    ///
    /// # Errors
    /// A run cannot be read or recorded nothing, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let histories = self.histories()?;
        let chart = self.quantity.chart(&histories);
        let picture = match &self.out {
            Some(path) => path.clone(),
            None => folder(&self.runs).join(self.quantity.file()),
        };
        write_atomically(&picture, chart.svg()?.as_bytes())?;
        let text = format!("{} of {} runs: {}", self.quantity.name(), histories.len(), picture.display());
        let runs = histories.into_iter().map(|history| history.name).collect();
        answer(self.json, &Report { runs, quantity: self.quantity, picture }, &text);
        Ok(())
    }

    fn histories(&self) -> Result<Vec<History>, Error> {
        let names = names(&self.runs)?;
        let mut histories = Vec::with_capacity(names.len());
        for (name, path) in names.into_iter().zip(&self.runs) {
            let history = History { name, records: records(path)? };
            if history.records.is_empty() {
                return Err(setting("RUN", path.display(), "holds no metrics.jsonl: it is not the folder of a run"));
            }
            histories.push(history);
        }
        if histories.iter().all(|history| self.quantity.points(history, Which::Train).is_empty()) {
            let problem = "is nothing that vanilla autoencoders have; choose loss or bce";
            return Err(setting("--quantity", self.quantity.name(), problem));
        }
        Ok(histories)
    }
}

impl Quantity {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Bce => "BCE",
            Self::Kl => "KL",
        }
    }

    /// Its name at the head of a chart.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Bce | Self::Kl => self.name(),
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Loss => "losses.svg",
            Self::Bce => "losses-bce.svg",
            Self::Kl => "losses-kl.svg",
        }
    }

    /// Its value in `record`; a vanilla model has no KL divergence.
    pub fn of(self, Record { averages, .. }: &Record) -> Option<f64> {
        match self {
            Self::Loss => Some(averages.loss),
            Self::Bce => Some(averages.bce),
            Self::Kl => averages.active_units.map(|_| averages.kl),
        }
    }

    /// (epoch, value) for the images `which`.
    fn points(self, history: &History, which: Which) -> Vec<(f64, f64)> {
        let records = history.records.iter().filter(|record| record.which == which);
        records.filter_map(|record| Some((f64::from(record.epoch), self.of(record)?))).collect()
    }

    /// Its curves: a colour a run, training as a line and validation dashed.
    pub fn chart(self, histories: &[History]) -> Chart {
        let mut series = Vec::new();
        for (history, colour) in histories.iter().zip(Colour::ORDER) {
            let (training, validation) = (self.points(history, Which::Train), self.points(history, Which::Validation));
            if !training.is_empty() {
                series.push(Series::new(history.name.clone(), training, Style::Line).coloured(colour));
                series.push(Series::new("", validation, Style::Dashed).coloured(colour));
            }
        }
        Chart {
            title: format!("{}: training, and validation dashed", self.title()),
            x_label: "epoch".to_owned(),
            y_label: "nats an image".to_owned(),
            series,
            // The first epochs are far above the others, and models differ by as much.
            y_scale: Scale::Log,
            y_range: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Kind;
    use crate::train::Averages;

    fn history(name: &str, kind: Kind) -> History {
        let averages =
            |bce| Averages { loss: bce + 2.0, bce, kl: 1.0, active_units: (kind == Kind::Variational).then_some(3) };
        let record = |epoch, which, bce| {
            let (averages, learning_rate) = (averages(bce), 1e-3);
            Record { epoch, which, averages, beta: 2.0, learning_rate, images_per_second: 1.0, seconds: 1.0 }
        };
        let records =
            vec![record(1, Which::Train, 9.0), record(2, Which::Train, 7.0), record(2, Which::Validation, 8.0)];
        History { name: name.to_owned(), records }
    }

    #[test]
    fn a_run_has_one_colour_a_line_in_training_and_dashes_in_validation() {
        let chart = Quantity::Loss.chart(&[history("ae", Kind::Vanilla), history("vae", Kind::Variational)]);
        let of = |i: usize| &chart.series[i];
        assert_eq!((of(0).label.as_str(), of(1).label.as_str(), of(2).label.as_str()), ("ae", "", "vae"));
        assert_eq!((&of(0).points, of(0).style), (&vec![(1.0, 11.0), (2.0, 9.0)], Style::Line));
        assert_eq!((&of(1).points, of(1).style), (&vec![(2.0, 10.0)], Style::Dashed));
        assert!(of(0).colour == of(1).colour && of(2).colour == of(3).colour && of(0).colour != of(2).colour);
        assert_eq!(Quantity::Bce.chart(&[history("ae", Kind::Vanilla)]).series[0].points, [(1.0, 9.0), (2.0, 7.0)]);
    }

    #[test]
    fn only_variational_models_have_a_divergence_and_keep_their_colour() {
        let histories = [history("ae", Kind::Vanilla), history("vae", Kind::Variational)];
        let chart = Quantity::Kl.chart(&histories);
        assert_eq!((chart.series.len(), &chart.series[0].points), (2, &vec![(1.0, 1.0), (2.0, 1.0)]));
        assert_eq!(chart.series[0].colour, Quantity::Loss.chart(&histories).series[2].colour);
    }
}
