//! `compare`: several runs side by side, in a table and in a page that stands by itself.

mod page;
mod sets;
mod subject;
mod table;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::sets::{TestSet, TestSets};
use self::subject::{Figures, Subject};
use super::display::note;
use super::error::Error;
use super::runs::{folder, names, records};
use super::trained::{ImageChoice, Place};
use crate::files::{can_be_written, write_atomically};
use crate::nn::{Dims, Kind};
use crate::train::{Averages, Which};

/// Options of `compare`.
#[derive(Args, Clone, Debug)]
pub struct Compare {
    /// Folders of runs, or .safetensors files
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    choice: ImageChoice,
    /// The page to write [default: compare.html in the folder that holds the runs, else in the current one]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report<'a> {
    runs: Vec<Line<'a>>,
    /// The settings in which the runs differ.
    differing: Vec<String>,
    /// What cannot be compared, and why.
    notes: &'a [String],
    seed: u64,
    page: PathBuf,
}

/// A run.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    path: &'a PathBuf,
    model: Kind,
    dims: Dims,
    settings: serde_json::Map<String, serde_json::Value>,
    training: Option<Averages>,
    validation: Option<Averages>,
    test: Option<Figures>,
    /// The KL divergence of every unit, the largest first.
    kl_of_units: Vec<f64>,
}

/// Runs side by side.
struct Comparison {
    subjects: Vec<Subject>,
    sets: TestSets,
    /// The seed of the samples and of drawn digits.
    seed: u64,
    notes: Vec<String>,
}

impl Compare {
    /// Measures the models, prints the table and leaves the page.
    ///
    /// # Errors
    /// A run or the images cannot be read, or the page cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let page = self.out.clone().unwrap_or_else(|| folder(&self.runs).join("compare.html"));
        let mut comparison = self.open()?;
        can_be_written(&page)?;
        comparison.measure()?;
        write_atomically(&page, comparison.page()?.as_bytes())?;
        let text = format!("{}\nthe same with curves and pictures: {}", comparison.text(), page.display());
        self.place.answer(&comparison.report(page), &text);
        Ok(())
    }

    /// Reads the runs and the images.
    fn open(&self) -> Result<Comparison, Error> {
        let mut subjects = Vec::new();
        let mut sets = TestSets::default();
        let mut seed = self.place.seed;
        for (name, path) in names(&self.runs)?.into_iter().zip(&self.runs) {
            let mut model = self.place.open(path)?;
            // The same codes and the same drawn digits for all.
            model.config.seed = *seed.get_or_insert(model.config.seed);
            let settings = subject::settings(path, model.weights.kind)?;
            let (records, set) = (records(path)?, sets.of(&model, &self.choice)?);
            let (path, seen, samples) = (path.clone(), None, None);
            subjects.push(Subject { name, path, model, settings, records, set, seen, samples });
        }
        Ok(Comparison { subjects, sets, seed: seed.unwrap_or_default(), notes: Vec::new() })
    }
}

impl Comparison {
    fn measure(&mut self) -> Result<(), Error> {
        for subject in &mut self.subjects {
            let set = &self.sets.0[subject.set];
            note(&format!("{}: measuring on {} test images of {}", subject.name, set.split.images.len(), set.name));
            subject.measure(set)?;
        }
        self.notes = self.remarks();
        Ok(())
    }

    /// What cannot be compared, and why.
    fn remarks(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.subjects.iter().flat_map(|s| s.remarks(&self.sets.0[s.set])).collect();
        if !self.is_comparable() {
            let problem = "The runs are measured on the test images of different sets: ";
            notes.push(format!("{problem}figures of one set say nothing about another's."));
        }
        let drawn = self.subjects.iter().filter(|subject| subject.samples.is_some());
        let sizes: BTreeSet<usize> = drawn.map(|subject| subject.model.weights.dims.latent).collect();
        if sizes.len() > 1 {
            notes.push("The codes differ in size: samples in the same place share no code.".to_owned());
        }
        notes
    }

    /// The sets that models are measured on.
    fn measured_on(&self) -> BTreeSet<usize> {
        self.subjects.iter().filter(|subject| subject.seen.is_some()).map(|subject| subject.set).collect()
    }

    /// Whether all are measured on the same images.
    fn is_comparable(&self) -> bool {
        self.measured_on().len() <= 1
    }

    /// "On 10000 test images of mnist, ...".
    fn test_title(&self) -> String {
        let images = |set: &TestSet| format!("{} test images of {}", set.split.images.len(), set.name);
        let sets: Vec<String> = self.measured_on().into_iter().map(|set| images(&self.sets.0[set])).collect();
        let sets = if sets.is_empty() { "no images".to_owned() } else { sets.join(" and ") };
        format!("On {sets}, decoded from the code or the posterior's mean; nats an image")
    }

    fn text(&self) -> String {
        let names: Vec<String> = self.subjects.iter().map(|subject| subject.name.clone()).collect();
        let mut settings = table::settings(&self.subjects);
        settings.rows.retain(table::Row::differs);
        settings.title = "Settings that differ".to_owned();
        let test = table::test(&self.subjects, self.test_title(), self.is_comparable());
        let text = table::plain(&names, &[table::training(&self.subjects), test, settings]);
        self.notes.iter().fold(text, |text, note| format!("{text}\n{note}\n"))
    }

    fn report(&self, page: PathBuf) -> Report<'_> {
        let rows = table::settings(&self.subjects).rows.into_iter();
        let differing = rows.filter(table::Row::differs).map(|row| row.name).collect();
        let runs = self.subjects.iter().map(Line::of).collect();
        Report { runs, differing, notes: &self.notes, seed: self.seed, page }
    }
}

impl<'a> Line<'a> {
    fn of(subject: &'a Subject) -> Self {
        let last = |which| subject.last(which).map(|record| record.averages);
        let settings = subject.settings.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        Self {
            name: &subject.name,
            path: &subject.path,
            model: subject.model.weights.kind,
            dims: subject.model.weights.dims,
            settings,
            training: last(Which::Train),
            validation: last(Which::Validation),
            test: subject.seen.as_ref().map(|seen| seen.figures),
            kl_of_units: subject.seen.iter().flat_map(|seen| &seen.units).map(|unit| unit.kl).collect(),
        }
    }
}
