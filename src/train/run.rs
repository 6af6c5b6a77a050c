//! The folder that a run leaves.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::{Config, Error, EventFile, Record, Which, write_model};
use crate::files::write_atomically;
use crate::nn::{Kind, Weights};
use crate::plot::curves::{Chart, Series, Style, svg_side_by_side};

/// What the figures of a run depend on beside its settings: `environment.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Environment {
    /// The program's version.
    pub version: &'static str,
    /// The commit it was built from, where that is known.
    pub commit: Option<&'static str>,
    /// The processor.
    pub cpu: String,
    /// What computed, as the backend describes itself.
    pub device: String,
    /// SHA-256 of the data.
    pub data_digest: String,
}

impl Environment {
    /// This program on this machine.
    pub fn here(device: &str, data_digest: &str) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("LATENT_COMMIT"),
            cpu: Self::processor(),
            device: device.to_owned(),
            data_digest: data_digest.to_owned(),
        }
    }

    /// The processor's name as Linux gives it, else its architecture.
    pub fn processor() -> String {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
    }
}

/// A run's folder, and the metrics recorded in it.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    records: Vec<Record>,
    events: Option<EventFile>,
}

impl Run {
    /// Makes the folder `out`/`name`, or, without a name, the first of `out`/`prefix`-1, -2, ... that is free.
    ///
    /// # Errors
    /// A folder of the given name exists, or none can be made, or the name is none of a folder.
    pub fn new_dir(out: &Path, name: Option<&str>, prefix: &str) -> Result<PathBuf, Error> {
        let one_part =
            |name: &str| matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        if let Some(name) = name.filter(|name| !one_part(name)) {
            let problem = "is not the name of one folder; choose where it lies with --out".to_owned();
            return Err(Error::Setting { setting: "--name", value: format!("\"{name}\""), problem });
        }
        let fault = |path: &Path, source| Error::CreateRun { path: path.to_owned(), source };
        fs::create_dir_all(out).map_err(|source| fault(out, source))?;
        let mut number = 1_u64;
        loop {
            let dir = name.map_or_else(|| out.join(format!("{prefix}-{number}")), |name| out.join(name));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(dir),
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(fault(&dir, error)),
                Err(_) if name.is_some() => return Err(Error::RunExists(dir)),
                Err(_) => number += 1,
            }
        }
    }

    /// Begins a run in a new folder.
    ///
    /// # Errors
    /// The folder of its checkpoints cannot be made.
    pub fn begin(dir: PathBuf) -> Result<Self, Error> {
        let checkpoints = dir.join("checkpoints");
        fs::create_dir(&checkpoints).map_err(|source| Error::CreateRun { path: checkpoints, source })?;
        Ok(Self { dir, records: Vec::new(), events: None })
    }

    /// Opens the folder of an earlier run, with its records up to epoch `epochs`: what came after the checkpoint is done again.
    ///
    /// # Errors
    /// `metrics.jsonl` cannot be read.
    pub fn open(dir: &Path, epochs: u32) -> Result<Self, Error> {
        let path = dir.join("metrics.jsonl");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            result => result.map_err(|source| Error::Read { path: path.clone(), source })?,
        };
        let mut records = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let record: Record = serde_json::from_str(line).map_err(|error| Error::ConfigFile {
                path: path.clone(),
                problem: format!("line {}: {error}; remove that line", number + 1),
            })?;
            if record.epoch <= epochs {
                records.push(record);
            }
        }
        Ok(Self { dir: dir.to_owned(), records, events: None })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The metrics recorded so far, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The latest checkpoint of the run in `dir`.
    pub fn last_checkpoint(dir: &Path) -> PathBuf {
        dir.join("checkpoints").join("last")
    }

    /// The checkpoint with the lowest validation loss.
    pub fn best_checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoints").join("best")
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self, config: &Config) -> Result<(), Error> {
        let path = self.dir.join("config.toml");
        let text = toml::to_string(config)
            .map_err(|error| Error::ConfigFile { path: path.clone(), problem: error.to_string() })?;
        Ok(write_atomically(&path, text.as_bytes())?)
    }

    /// Writes `environment.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_environment(&self, environment: &Environment) -> Result<(), Error> {
        Ok(write_atomically(&self.dir.join("environment.json"), &json(environment, true))?)
    }

    /// Leaves an event file for TensorBoard from now on, in `tensorboard/`, with what was recorded before.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn leave_events(&mut self) -> Result<(), Error> {
        self.events = Some(EventFile::begin(&self.dir.join("tensorboard"), &self.records)?);
        Ok(())
    }

    /// Adds a line to `metrics.jsonl`, and an event for TensorBoard where events are left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&mut self, record: Record) -> Result<(), Error> {
        if let Some(events) = &self.events {
            events.add(&record)?;
        }
        self.records.push(record);
        let mut text = Vec::new();
        for record in &self.records {
            text.extend(json(record, false));
        }
        Ok(write_atomically(&self.dir.join("metrics.jsonl"), &text)?)
    }

    /// Writes a picture of an epoch into a folder of its own kind, such as `samples/epoch_005.png`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_picture(&self, folder: &str, epoch: u32, png: &[u8]) -> Result<(), Error> {
        let path = self.dir.join(picture(folder, epoch));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| Error::CreateRun { path: folder.to_owned(), source })?;
        }
        Ok(write_atomically(&path, png)?)
    }

    /// Writes `model.safetensors`: the parameters under PyTorch's names.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_model(&self, weights: &Weights) -> Result<(), Error> {
        write_model(&self.dir.join("model.safetensors"), weights)
    }

    /// Draws `loss.svg`: the loss, and for the VAE its two parts, over the epochs.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_loss_chart(&self, config: &Config) -> Result<(), Error> {
        if self.records.is_empty() {
            return Ok(());
        }
        let chart = |title: &str, y_label: &str, series: Vec<Series>| Chart {
            title: title.to_owned(),
            x_label: "epoch".to_owned(),
            y_label: y_label.to_owned(),
            series,
            ..Chart::default()
        };
        let title = format!("{} on {}", config.model, config.dataset);
        let loss = |record: &Record| record.averages.loss;
        let mut charts = vec![chart(&title, "loss in nats an image", self.series("", loss))];
        if config.model == Kind::Variational {
            let mut parts = self.series("BCE, ", |record| record.averages.bce);
            parts.extend(self.series("KL, ", |record| record.averages.kl));
            let title = if config.draws() > 1 { "cross-entropy and divergence" } else { "its parts" };
            charts.push(chart(title, "nats an image", parts));
        }
        Ok(write_atomically(&self.dir.join("loss.svg"), svg_side_by_side(&charts)?.as_bytes())?)
    }

    fn series(&self, prefix: &str, value: impl Fn(&Record) -> f64) -> Vec<Series> {
        let points = |which| -> Vec<(f64, f64)> {
            let records = self.records.iter().filter(|record| record.which == which);
            records.map(|record| (f64::from(record.epoch), value(record))).collect()
        };
        let named = [(Which::Train, "training", Style::Line), (Which::Validation, "validation", Style::Dashed)];
        let series = named.map(|(which, name, style)| Series::new(format!("{prefix}{name}"), points(which), style));
        series.into_iter().filter(|series| !series.points.is_empty()).collect()
    }

    /// Writes the run's `README.md`: what was trained, how it went, and its pictures.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_readme(&self, config: &Config) -> Result<(), Error> {
        let name = self.dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let Config { model, dataset, hidden_dim, latent_dim, .. } = config;
        let mut text =
            format!("# {name}\n\nThe {model} on {dataset}, {hidden_dim} hidden units, {latent_dim} latent units. ");
        text.push_str("All settings are in `config.toml`, all metrics in `metrics.jsonl`. ");
        text.push_str("`model.safetensors` holds the parameters under PyTorch's names.\n\n");
        text.push_str("| epoch | images | loss | BCE | KL |\n|---|---|---|---|---|\n");
        for which in [Which::Train, Which::Validation] {
            if let Some(Record { epoch, averages, .. }) = self.last(which) {
                let row =
                    format!("| {epoch} | {which} | {:.2} | {:.2} | {:.2} |", averages.loss, averages.bce, averages.kl);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}", row.to_lowercase());
            }
        }
        if !self.records.is_empty() {
            text.push_str("\nAverages per image in nats.");
            if config.draws() > 1 {
                let draws = config.draws();
                let _ = write!(
                    text,
                    " The loss is the negative of the importance-weighted bound of {draws} codes an image."
                );
            }
            text.push_str("\n\n![loss over the epochs](loss.svg)\n");
        }
        if let Some(record) = self.last(Which::Validation) {
            let pictures = [("reconstructions", "Inputs, and under each its reconstruction"), ("samples", "Samples")];
            for (folder, caption) in pictures {
                let path = picture(folder, record.epoch);
                if self.dir.join(&path).exists() {
                    let _ = write!(text, "\n{caption} after epoch {}:\n\n![{folder}]({path})\n", record.epoch);
                }
            }
        }
        Ok(write_atomically(&self.dir.join("README.md"), text.as_bytes())?)
    }

    fn last(&self, which: Which) -> Option<&Record> {
        self.records.iter().rfind(|record| record.which == which)
    }
}

fn picture(folder: &str, epoch: u32) -> String {
    format!("{folder}/epoch_{epoch:03}.png")
}

/// One line of JSON, or several for a person to read.
fn json(value: &impl Serialize, pretty: bool) -> Vec<u8> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    let mut text = text.expect("records and environments are plain numbers and strings");
    text.push(b'\n');
    text
}
