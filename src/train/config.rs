//! A run's settings, resolved and checked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Schedule};
use crate::backend::Precision;
use crate::data::{Binarize, Corruption, DatasetName, Preparation};
use crate::nn::weights::layout_of;
use crate::nn::{Dims, Kind};

/// The most units that a layer may have: far beyond any use here, and small enough that sizes cannot overflow.
const MOST_UNITS: usize = 65_536;
/// The most codes of an image.
const MOST_DRAWS: usize = 10_000;
/// The most threads.
const MOST_THREADS: usize = 1024;

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The best device present.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// The CUDA backend on a driver in software, for machines without a GPU: slow, for tests and for learning.
    Emulated,
}

/// All settings of one run, in the order of `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The model.
    pub model: Kind,
    /// The set of images.
    pub dataset: DatasetName,
    /// The folder that holds `mnist/` and `fashion-mnist/`.
    pub data_dir: PathBuf,
    /// Passes over the training images, in all.
    pub epochs: u32,
    /// Images a step.
    pub batch_size: usize,
    /// Adam's step size, in the first epoch.
    pub lr: f64,
    /// How it goes over the epochs.
    pub lr_schedule: Schedule,
    /// Its share that is left in the last epoch.
    pub lr_final: f64,
    /// Units of each hidden layer.
    pub hidden_dim: usize,
    /// Units of the code.
    pub latent_dim: usize,
    /// Weight of the KL divergence.
    pub beta: f64,
    /// Epochs over which that weight rises from 0, linearly.
    pub kl_warmup: u32,
    /// KL divergence in nats that each latent unit of each image has for nothing.
    pub free_bits: f64,
    /// Codes an image whose weights the loss has, instead of one and the KL divergence.
    pub iwae_k: usize,
    /// How grey pixels become black or white.
    pub binarize: Binarize,
    /// What is done to inputs whose targets stay clean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Corruption>,
    /// The label whose images are not trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout_class: Option<u8>,
    /// The share of the training images that is held out and validated on; 0: the test images are validated on.
    pub val_split: f64,
    /// Epochs between validations.
    pub validate_every: u32,
    /// Epochs between checkpoints.
    pub checkpoint_every: u32,
    /// Validations without a new best loss after which the run ends; 0: it never ends early.
    pub patience: u32,
    /// Whether event files for TensorBoard are left.
    pub tensorboard: bool,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
    /// How the GPU multiplies.
    pub precision: Precision,
    /// Threads of the CPU backend.
    pub threads: usize,
}

impl Config {
    /// The tutorial's settings.
    pub fn tutorial(model: Kind) -> Self {
        Self {
            model,
            dataset: DatasetName::Mnist,
            data_dir: PathBuf::from("data"),
            epochs: 30,
            batch_size: 100,
            lr: 1e-3,
            lr_schedule: Schedule::Constant,
            lr_final: 0.01,
            hidden_dim: 400,
            latent_dim: 200,
            beta: 1.0,
            kl_warmup: 0,
            free_bits: 0.0,
            iwae_k: 1,
            binarize: Binarize::None,
            corrupt: None,
            holdout_class: None,
            val_split: 0.0,
            validate_every: 5,
            checkpoint_every: 5,
            patience: 0,
            tensorboard: false,
            seed: 1,
            device: Device::Auto,
            precision: Precision::Fp32,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// The sizes of the model for images of `pixels` pixels.
    pub fn dims(&self, pixels: usize) -> Dims {
        Dims { input: pixels, hidden: self.hidden_dim, latent: self.latent_dim }
    }

    /// The weight of the KL divergence in epoch `epoch`, from 1.
    pub fn beta_in(&self, epoch: u32) -> f64 {
        let warm = f64::from(epoch) / f64::from(self.kl_warmup.max(1));
        self.beta * warm.min(1.0)
    }

    /// Adam's step size in epoch `epoch`, from 1.
    pub fn lr_in(&self, epoch: u32) -> f64 {
        self.lr * self.lr_schedule.share(epoch, self.epochs, self.lr_final)
    }

    /// Codes an image in training: the AE has no more than one.
    pub fn draws(&self) -> usize {
        match self.model {
            Kind::Vanilla => 1,
            Kind::Variational => self.iwae_k,
        }
    }

    /// Rows of a whole batch: each of its images has one for each code.
    pub fn batch_rows(&self) -> usize {
        self.batch_size * self.draws()
    }

    /// What is done to the images.
    pub fn preparation(&self) -> Preparation {
        Preparation { binarize: self.binarize, corrupt: self.corrupt, seed: self.seed }
    }

    /// Checks everything that can be checked without the data.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting that makes no sense.
    pub fn check(&self) -> Result<(), Error> {
        let within = |setting, value: usize, most: usize| {
            let problem = || format!("is not between 1 and {most}");
            if (1..=most).contains(&value) { Ok(()) } else { Err(fault(setting, value, problem())) }
        };
        within("--epochs", self.epochs as usize, u32::MAX as usize)?;
        within("--batch-size", self.batch_size, u32::MAX as usize)?;
        within("--hidden-dim", self.hidden_dim, MOST_UNITS)?;
        within("--latent-dim", self.latent_dim, MOST_UNITS)?;
        within("--iwae-k", self.iwae_k, MOST_DRAWS)?;
        within("--validate-every", self.validate_every as usize, u32::MAX as usize)?;
        within("--checkpoint-every", self.checkpoint_every as usize, u32::MAX as usize)?;
        within("--threads", self.threads, MOST_THREADS)?;
        if i64::try_from(self.seed).is_err() {
            return Err(fault(
                "--seed",
                self.seed,
                format!("is more than {}, the largest number in a TOML file", i64::MAX),
            ));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return Err(fault("--lr", self.lr, "is not a positive number; the tutorial takes 1e-3".to_owned()));
        }
        if !(self.lr_final > 0.0 && self.lr_final <= 1.0) {
            return Err(fault("--lr-final", self.lr_final, "is not a share above 0, at most 1".to_owned()));
        }
        if !(self.beta >= 0.0 && self.beta.is_finite()) {
            return Err(fault(
                "--beta",
                self.beta,
                "is not a number from 0 up; 1 is the evidence lower bound".to_owned(),
            ));
        }
        if !(self.free_bits >= 0.0 && self.free_bits.is_finite()) {
            return Err(fault("--free-bits", self.free_bits, "is not a number of nats from 0 up".to_owned()));
        }
        if self.iwae_k > 1 && self.free_bits > 0.0 {
            let problem =
                "has no KL divergence in its loss to give nats of for nothing; leave out --free-bits".to_owned();
            return Err(fault("--iwae-k", self.iwae_k, problem));
        }
        if !(0.0..1.0).contains(&self.val_split) {
            return Err(fault("--val-split", self.val_split, "is not a share from 0 to below 1".to_owned()));
        }
        Ok(())
    }

    /// Checks what depends on the data: that a batch fits into the training images, and the model into the memory.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check_sizes(&self, training_images: usize, pixels: usize) -> Result<(), Error> {
        if self.batch_size > training_images {
            let problem = format!("is more than the {training_images} training images; choose a smaller batch");
            return Err(fault("--batch-size", self.batch_size, problem));
        }
        // The order of an epoch's images, and what it is made of.
        let order = 8 * (training_images * self.draws()) as u64;
        let needed = self.memory(pixels) + order;
        match available_memory() {
            Some(available) if needed > available => {
                let draws = if self.draws() > 1 { format!(", --iwae-k {}", self.iwae_k) } else { String::new() };
                let problem = format!(
                    "needs {} MiB of memory with --batch-size {}{draws} and --latent-dim {}, and {} MiB are free; choose smaller ones",
                    needed >> 20,
                    self.batch_size,
                    self.latent_dim,
                    available >> 20
                );
                Err(fault("--hidden-dim", self.hidden_dim, problem))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of the four arenas, a checkpoint of three of them twice (as tensors and as a file), and the buffers of a step.
    fn memory(&self, pixels: usize) -> u64 {
        let parameters = layout_of(self.model, self.dims(pixels)).len() as u64;
        let row = 2 * pixels as u64 + 6 * self.hidden_dim as u64 + 7 * self.latent_dim as u64;
        4 * (10 * parameters + row * self.batch_rows() as u64)
    }
}

fn fault(setting: &'static str, value: impl ToString, problem: String) -> Error {
    Error::Setting { setting, value: value.to_string(), problem }
}

/// Bytes that the system says it can give, where it says so.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_rises_linearly_to_its_value() {
        let config = Config { kl_warmup: 4, beta: 2.0, ..Config::tutorial(Kind::Variational) };
        assert_eq!([1, 2, 4, 9].map(|epoch| config.beta_in(epoch)), [0.5, 1.0, 2.0, 2.0]);
        assert_eq!(Config { kl_warmup: 0, ..config }.beta_in(1), 2.0);
    }

    #[test]
    fn settings_without_sense_are_named() {
        let good = Config::tutorial(Kind::Vanilla);
        good.check().expect("the tutorial's settings");
        let bad = [
            ("--batch-size", Config { batch_size: 0, ..good.clone() }),
            ("--hidden-dim", Config { hidden_dim: 0, ..good.clone() }),
            ("--latent-dim", Config { latent_dim: usize::MAX, ..good.clone() }),
            ("--lr", Config { lr: f64::NAN, ..good.clone() }),
            ("--lr", Config { lr: -1.0, ..good.clone() }),
            ("--lr-final", Config { lr_final: 0.0, ..good.clone() }),
            ("--lr-final", Config { lr_final: f64::NAN, ..good.clone() }),
            ("--beta", Config { beta: f64::INFINITY, ..good.clone() }),
            ("--iwae-k", Config { iwae_k: 0, ..good.clone() }),
            ("--iwae-k", Config { iwae_k: 2, free_bits: 0.1, ..good.clone() }),
            ("--val-split", Config { val_split: 1.0, ..good.clone() }),
            ("--threads", Config { threads: 0, ..good.clone() }),
            ("--epochs", Config { epochs: 0, ..good.clone() }),
            ("--seed", Config { seed: u64::MAX, ..good.clone() }),
        ];
        for (setting, config) in bad {
            let error = config.check().expect_err(setting).to_string();
            assert!(error.starts_with(setting), "{error}");
        }
        assert!(good.check_sizes(99, 784).is_err());
        assert!(Config { hidden_dim: MOST_UNITS, ..good.clone() }.check_sizes(60_000, 784).is_err());
        let many = Config { model: Kind::Variational, iwae_k: MOST_DRAWS, batch_size: 60_000, ..good };
        let error = many.check_sizes(60_000, 784).expect_err("terabytes").to_string();
        assert!(error.contains("--iwae-k 10000"), "{error}");
    }
}
