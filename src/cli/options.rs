//! The options of the training commands, and how they combine: command line over file over the tutorial's defaults.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::trained::{self, ImageChoice};
use crate::backend::Precision;
use crate::data::{Binarize, Corruption, DatasetName};
use crate::nn::Kind;
use crate::train::{Config, Device, Error, Schedule};

/// Settings that may come from the command line or from a file, each of them or not.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[arg(skip)]
    model: Option<Kind>,
    /// Images: mnist, fashion-mnist, or digits (drawn by the program, no file needed) [default: mnist]
    #[arg(long, value_name = "NAME")]
    dataset: Option<DatasetName>,
    /// Folder that holds mnist/ and fashion-mnist/ [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training images, in all [default: 30]
    #[arg(long)]
    epochs: Option<u32>,
    /// Images a step [default: 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Adam's step size [default: 0.001]
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How the step size goes over the epochs [default: constant]
    #[arg(long, value_enum, value_name = "SCHEDULE")]
    lr_schedule: Option<Schedule>,
    /// Share of the step size that a schedule leaves in the last epoch [default: 0.01]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    lr_final: Option<f64>,
    /// Units of each hidden layer [default: 400]
    #[arg(long, value_name = "N")]
    hidden_dim: Option<usize>,
    /// Units of the code [default: 200]
    #[arg(long, value_name = "N")]
    latent_dim: Option<usize>,
    /// Weight of the KL divergence in the loss [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Let that weight rise over this many epochs; epoch e has e / EPOCHS of it [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<u32>,
    /// Give each latent unit of each image so many nats of KL for nothing, so that fewer units fall silent [default: 0]
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    free_bits: Option<f64>,
    /// Draw so many codes an image and weigh them, for a tighter bound on the likelihood, at so many times the cost [default: 1]
    #[arg(long, value_name = "K")]
    iwae_k: Option<usize>,
    /// Make pixels black or white: at the middle, or anew each epoch with their brightness as probability [default: none]
    #[arg(long, value_enum, value_name = "HOW")]
    binarize: Option<Binarize>,
    /// Put noise on the inputs, anew each epoch, and learn to take it away: gaussian:0.3, mask:0.5, salt:0.1
    #[arg(long, value_name = "NOISE")]
    corrupt: Option<Corruption>,
    /// Do not train on the images of this label
    #[arg(long, value_name = "LABEL")]
    holdout_class: Option<u8>,
    /// Hold out this share of the training images and validate on it, not on the test images [default: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    val_split: Option<f64>,
    /// Epochs between validations; the last epoch is always validated [default: 5]
    #[arg(long, value_name = "EPOCHS")]
    validate_every: Option<u32>,
    /// Epochs between checkpoints; the last epoch always leaves one [default: 5]
    #[arg(long, value_name = "EPOCHS")]
    checkpoint_every: Option<u32>,
    /// End after this many validations without a better loss; 0: never early [default: 0]
    #[arg(long, value_name = "N")]
    patience: Option<u32>,
    /// Leave event files for TensorBoard in the run's folder
    #[arg(long, num_args = 0, default_missing_value = "true")]
    tensorboard: Option<bool>,
    /// Seed of all random numbers [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Where to compute: auto takes the best device present [default: auto]
    #[arg(long, value_enum, value_name = "DEVICE")]
    device: Option<Device>,
    /// How the GPU multiplies; tf32 and bf16 use tensor cores (compute capability 8.0 or newer) [default: fp32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<Precision>,
    /// Threads of the CPU backend; results do not depend on it [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Where settings and runs lie, and what is shown.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Take settings from this file, such as config.toml of an earlier run
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub out: PathBuf,
    /// Name of the run's folder, which must be new [default: the command and a number]
    #[arg(long)]
    pub name: Option<String>,
    /// Continue this run in its folder; --epochs is the total
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "name"])]
    pub resume: Option<PathBuf>,
    /// Print what the run would keep in its device's memory, and do nothing else
    #[arg(long)]
    pub memory: bool,
    /// Plain lines also on a terminal
    #[arg(long)]
    pub no_progress: bool,
    /// Where a program reads standard output: the lines of training go beside it
    #[arg(skip)]
    pub beside: bool,
}

/// Options of `ae` and `vae`.
#[derive(Args, Clone, Debug)]
pub struct Training {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pub place: Place,
}

/// Options of `both`.
#[derive(Args, Clone, Debug)]
pub struct Both {
    #[command(flatten)]
    pub training: Training,
    /// Let the variational autoencoder begin with the decoder that the vanilla one trained, as the tutorial's main() does
    #[arg(long)]
    pub share_decoder: bool,
}

/// Settings that a resumed run may change: those that its results do not depend on, and how far it goes.
const CHANGEABLE: [&str; 8] =
    ["epochs", "validate_every", "checkpoint_every", "patience", "tensorboard", "data_dir", "device", "threads"];

impl Training {
    /// The same without the images of `label`.
    pub fn holding_out(&self, label: u8) -> Self {
        Self { settings: Settings { holdout_class: Some(label), ..self.settings.clone() }, place: self.place.clone() }
    }

    /// The label whose images are not trained on.
    pub fn holdout_class(&self) -> Option<u8> {
        self.settings.holdout_class
    }

    /// Where a trained model is to be used.
    pub fn place_of_use(&self, json: bool) -> trained::Place {
        let Settings { seed, device, precision, threads, .. } = self.settings;
        trained::Place { seed, device, precision, threads, json }
    }

    /// On which images it is to be used.
    pub fn image_choice(&self) -> ImageChoice {
        ImageChoice { dataset: self.settings.dataset, data_dir: self.settings.data_dir.clone() }
    }

    /// The settings of a new run.
    ///
    /// # Errors
    /// The file cannot be read, or a setting makes no sense.
    pub fn resolve(&self, model: Kind) -> Result<Config, Error> {
        let defaults = Config::tutorial(model);
        let config = match &self.place.config {
            None => self.settings.over(defaults),
            Some(path) => {
                let file: Settings = read_toml(path)?;
                self.settings.over(file.over(defaults))
            }
        };
        config.check()?;
        Ok(config)
    }

    /// The settings of a new run of `model` beside the run in `dir`: its settings, with those that the command line gives.
    ///
    /// # Errors
    /// The run's settings cannot be read, or a setting makes no sense.
    pub fn resolve_beside(&self, model: Kind, dir: &Path) -> Result<Config, Error> {
        let config = self.settings.over(of_run(dir, model)?);
        config.check()?;
        Ok(config)
    }

    /// The settings of the run in `dir`, with those that the command line changes.
    ///
    /// # Errors
    /// The run's settings cannot be read, are another model's, or may not be changed.
    pub fn resolve_resumed(&self, model: Kind, dir: &Path) -> Result<Config, Error> {
        let path = dir.join("config.toml");
        let settings: Settings = read_toml(&path)?;
        let stored = settings.over(Config::tutorial(model));
        if let Some(found) = settings.model.filter(|found| *found != model) {
            let problem = format!("the run is of the model {found}, not {model}; resume it with `latent {found}`");
            return Err(Error::Resume { path, problem });
        }
        let config = self.settings.over(stored.clone());
        config.check()?;
        let table = |config: &Config| toml::Table::try_from(config);
        let (Ok(old), Ok(new)) = (table(&stored), table(&config)) else { return Ok(config) };
        let changed =
            new.iter().find(|(key, value)| !CHANGEABLE.contains(&key.as_str()) && old.get(*key) != Some(value));
        let scheduled = config.lr_schedule != Schedule::Constant && config.epochs != stored.epochs;
        match changed {
            None if scheduled => {
                let problem = format!(
                    "the learning rate was to fall over {} epochs, so their number cannot become {}; start a new run",
                    stored.epochs, config.epochs
                );
                Err(Error::Resume { path, problem })
            }
            None => Ok(config),
            Some((key, value)) => {
                let was = old.get(key).map_or_else(|| "unset".to_owned(), ToString::to_string);
                let problem =
                    format!("{key} is {was} in this run and cannot become {value}; leave it out, or start a new run");
                Err(Error::Resume { path, problem })
            }
        }
    }
}

impl Settings {
    /// These settings where they are given, `base` elsewhere.
    fn over(&self, base: Config) -> Config {
        let own = self.clone();
        Config {
            model: base.model,
            dataset: own.dataset.unwrap_or(base.dataset),
            data_dir: own.data_dir.unwrap_or(base.data_dir),
            epochs: own.epochs.unwrap_or(base.epochs),
            batch_size: own.batch_size.unwrap_or(base.batch_size),
            lr: own.lr.unwrap_or(base.lr),
            lr_schedule: own.lr_schedule.unwrap_or(base.lr_schedule),
            lr_final: own.lr_final.unwrap_or(base.lr_final),
            hidden_dim: own.hidden_dim.unwrap_or(base.hidden_dim),
            latent_dim: own.latent_dim.unwrap_or(base.latent_dim),
            beta: own.beta.unwrap_or(base.beta),
            kl_warmup: own.kl_warmup.unwrap_or(base.kl_warmup),
            free_bits: own.free_bits.unwrap_or(base.free_bits),
            iwae_k: own.iwae_k.unwrap_or(base.iwae_k),
            binarize: own.binarize.unwrap_or(base.binarize),
            corrupt: own.corrupt.or(base.corrupt),
            holdout_class: own.holdout_class.or(base.holdout_class),
            val_split: own.val_split.unwrap_or(base.val_split),
            validate_every: own.validate_every.unwrap_or(base.validate_every),
            checkpoint_every: own.checkpoint_every.unwrap_or(base.checkpoint_every),
            patience: own.patience.unwrap_or(base.patience),
            tensorboard: own.tensorboard.unwrap_or(base.tensorboard),
            seed: own.seed.unwrap_or(base.seed),
            device: own.device.unwrap_or(base.device),
            precision: own.precision.unwrap_or(base.precision),
            threads: own.threads.unwrap_or(base.threads),
        }
    }
}

/// The settings of the run in `dir`.
pub fn of_run(dir: &Path, model: Kind) -> Result<Config, Error> {
    let settings: Settings = read_toml(&dir.join("config.toml"))?;
    Ok(settings.over(Config::tutorial(model)))
}

fn read_toml(path: &Path) -> Result<Settings, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let fault = |error: toml::de::Error| Error::ConfigFile {
        path: path.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    };
    toml::from_str(&text).map_err(fault)
}
