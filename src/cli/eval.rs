//! `eval`: what a trained model is worth on the test images.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::device::{OnBackend, with_backend};
use super::display;
use super::options::of_run;
use crate::backend::{Backend, Hyperparameters, Noise, Precision};
use crate::data::DatasetName;
use crate::nn::{Autoencoder, Kind, VanillaAE, VariationalAE, Weights};
use crate::train::{Averages, Config, Device, DeviceImages, Error, evaluate, read_model};

/// Options of `eval`.
#[derive(Args, Clone, Debug)]
pub struct Eval {
    /// A run's folder, or a .safetensors file, also one that PyTorch saved
    #[arg(value_name = "RUN|FILE.safetensors")]
    model: PathBuf,
    /// Images: mnist, fashion-mnist or digits [default: the run's, else mnist]
    #[arg(long, value_name = "NAME")]
    dataset: Option<DatasetName>,
    /// Folder that holds mnist/ and fashion-mnist/ [default: the run's, else data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to compute [default: auto]
    #[arg(long, value_enum, value_name = "DEVICE")]
    device: Option<Device>,
    /// How the GPU multiplies [default: fp32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<Precision>,
    /// Threads of the CPU backend [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Decode the posterior's mean instead of a sample
    #[arg(long)]
    deterministic: bool,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// What is printed: averages per image, in nats.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    averages: Averages,
    /// The targets' own entropy: no model's BCE is lower.
    bce_floor: f64,
}

impl Eval {
    /// Measures and prints.
    ///
    /// # Errors
    /// The model or the data cannot be read, or do not fit each other.
    pub fn run(self) -> Result<(), Error> {
        let (path, config) = self.model_and_settings()?;
        config.check()?;
        let weights = read_model(&path)?;
        let data = config.dataset.load(&config.data_dir, config.seed)?;
        let pixels = data.test.images.pixels_per_image();
        if weights.dims.input != pixels {
            let problem = format!(
                "is a model of images of {} pixels; those of {} have {pixels}",
                weights.dims.input, config.dataset
            );
            return Err(Error::Setting { setting: "model", value: path.display().to_string(), problem });
        }
        let bce_floor = data.test.images.bce_floor();
        let noise = if self.deterministic { Noise::Mean } else { Noise::Drawn };
        let pixels = data.test.images.into_pixels();
        let averages = with_backend(&config, Measurement { weights: &weights, pixels, noise, config: &config })?;
        self.print(&Report { averages, bce_floor });
        Ok(())
    }

    /// The file of the model, and the settings of its run or the tutorial's.
    fn model_and_settings(&self) -> Result<(PathBuf, Config), Error> {
        let (path, config) = if self.model.is_dir() {
            (self.model.join("model.safetensors"), of_run(&self.model, Kind::Variational)?)
        } else {
            (self.model.clone(), Config::tutorial(Kind::Variational))
        };
        let here = Config::tutorial(Kind::Variational);
        let config = Config {
            dataset: self.dataset.unwrap_or(config.dataset),
            data_dir: self.data_dir.clone().unwrap_or_else(|| config.data_dir.clone()),
            device: self.device.unwrap_or(here.device),
            precision: self.precision.unwrap_or(here.precision),
            threads: self.threads.unwrap_or(here.threads),
            ..config
        };
        Ok((path, config))
    }

    fn print(&self, report: &Report) {
        if self.json {
            let text = serde_json::to_string(report).expect("a report is plain numbers");
            return display::line(&text);
        }
        let Averages { loss, bce, kl, active_units } = report.averages;
        display::line(&format!("loss          {loss:10.4} nats an image"));
        display::line(&format!("BCE           {bce:10.4}"));
        display::line(&format!("KL            {kl:10.4}"));
        if let Some(units) = active_units {
            display::line(&format!("active units  {units:5}"));
        }
        display::line(&format!("BCE floor     {:10.4} (the entropy of the images themselves)", report.bce_floor));
    }
}

/// The averages of a model over images.
struct Measurement<'a> {
    weights: &'a Weights,
    pixels: Vec<u8>,
    noise: Noise,
    config: &'a Config,
}

impl OnBackend for Measurement<'_> {
    type Output = Averages;

    fn run<B: Backend>(self, backend: &mut B) -> Result<Averages, Error> {
        let Config { batch_size, seed, .. } = *self.config;
        let dims = self.weights.dims;
        match self.weights.kind {
            Kind::Vanilla => {
                let model = VanillaAE::new(backend, dims, batch_size, seed)?;
                self.measure(backend, model)
            }
            Kind::Variational => {
                let model = VariationalAE::new(backend, dims, batch_size, seed)?;
                self.measure(backend, model)
            }
        }
    }
}

impl Measurement<'_> {
    fn measure<B: Backend, M: Autoencoder<B>>(self, backend: &mut B, mut model: M) -> Result<Averages, Error> {
        let Self { weights, pixels, noise, config } = self;
        let mut images = DeviceImages::new(backend, pixels, weights.dims.input)?;
        backend.write(&mut model.parameters_mut().values.storage, &weights.values)?;
        let Config { lr, beta, seed, .. } = *config;
        backend.set_hyperparameters(Hyperparameters { learning_rate: lr, beta, seed });
        evaluate(backend, &mut model, &mut images, noise, beta)
    }
}
