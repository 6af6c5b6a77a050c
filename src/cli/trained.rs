//! What the commands on a trained model have in common: which model, on which images, where to compute, where to leave results.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::device::{OnBackend, with_backend};
use super::display;
use super::error::Error;
use super::options::of_run;
use crate::backend::{Backend, Precision};
use crate::data::{Dataset, DatasetName};
use crate::files::write_atomically;
use crate::inference::{Codec, Trained};
use crate::nn::{Dims, Kind, Weights};
use crate::plot::grid;
use crate::train::{self, Config, Device, read_model};

/// Which model, and where to compute.
#[derive(Args, Clone, Debug)]
pub struct Source {
    /// A run's folder, or a .safetensors file, also one that PyTorch saved
    #[arg(value_name = "RUN|FILE.safetensors")]
    pub model: PathBuf,
    #[command(flatten)]
    pub place: Place,
}

/// Where to compute, from which seed, and how to answer.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Seed of what is drawn [default: the run's, else 1]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where to compute [default: auto]
    #[arg(long, value_enum, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// How the GPU multiplies [default: fp32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    pub precision: Option<Precision>,
    /// Threads of the CPU backend [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Which images.
#[derive(Args, Clone, Debug)]
pub struct ImageChoice {
    /// Images: mnist, fashion-mnist or digits [default: the run's, else mnist]
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<DatasetName>,
    /// Folder that holds mnist/ and fashion-mnist/ [default: the run's, else data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// A trained model as read from its file.
#[derive(Debug)]
pub struct TrainedModel {
    /// The file.
    pub path: PathBuf,
    /// The folder for results: the run's, or one named after the file and beside it.
    pub folder: PathBuf,
    /// The settings of its run, or the tutorial's; device, precision, threads and seed as asked for here.
    pub config: Config,
    /// The parameters.
    pub weights: Weights,
}

impl Source {
    /// Reads the model and the settings of its run.
    ///
    /// # Errors
    /// They cannot be read, or a setting makes no sense.
    pub fn open(&self) -> Result<TrainedModel, Error> {
        self.place.open(&self.model)
    }
}

impl Place {
    /// Reads the model at `path`, a run's folder or a file, and the settings of its run.
    ///
    /// # Errors
    /// They cannot be read, or a setting makes no sense.
    pub fn open(&self, path: &Path) -> Result<TrainedModel, Error> {
        let is_run = path.is_dir();
        let file = if is_run { path.join("model.safetensors") } else { path.to_owned() };
        let weights = read_model(&file)?;
        let Dims { input, hidden, latent } = weights.dims;
        if input.min(hidden).min(latent) == 0 {
            let problem = format!("is a model {} with a layer of no units; take another file", weights.dims);
            return Err(setting("model", file.display(), problem));
        }
        let here = Config::tutorial(weights.kind);
        let stored = if is_run { of_run(path, weights.kind)? } else { here.clone() };
        let config = Config {
            seed: self.seed.unwrap_or(stored.seed),
            device: self.device.unwrap_or(here.device),
            precision: self.precision.unwrap_or(here.precision),
            threads: self.threads.unwrap_or(here.threads),
            ..stored
        };
        config.check()?;
        let folder = if is_run { path.to_owned() } else { folder_beside(path) };
        Ok(TrainedModel { path: file, folder, config, weights })
    }

    /// Prints `report` as JSON if that was asked for, else `text`.
    pub fn answer(&self, report: &impl Serialize, text: &str) {
        answer(self.json, report, text);
    }
}

impl TrainedModel {
    /// Loads the images of `choice`, or those of the run.
    ///
    /// # Errors
    /// They cannot be read, or are of another size than the model's.
    pub fn dataset(&self, choice: &ImageChoice) -> Result<Dataset, Error> {
        let name = choice.dataset.unwrap_or(self.config.dataset);
        let data_dir = choice.data_dir.as_ref().unwrap_or(&self.config.data_dir);
        let data = name.load(data_dir, self.config.seed).map_err(train::Error::from)?;
        let (pixels, own) = (data.test.images.pixels_per_image(), self.weights.dims.input);
        if pixels == own {
            return Ok(data);
        }
        Err(self.refuse(format!("is a model of images of {own} pixels; those of {name} have {pixels}")))
    }

    /// Refuses a vanilla model for what needs a posterior or a prior.
    ///
    /// # Errors
    /// It is one.
    pub fn require_vae(&self, purpose: &str) -> Result<(), Error> {
        match self.weights.kind {
            Kind::Variational => Ok(()),
            Kind::Vanilla => {
                Err(self
                    .refuse(format!("is a vanilla autoencoder: {purpose}; train a variational one with `latent vae`")))
            }
        }
    }

    /// An error about the model.
    pub fn refuse(&self, problem: String) -> Error {
        setting("model", self.path.display(), problem)
    }

    /// Which model it is and its sizes: vae 784-400-400-200.
    pub fn name(&self) -> String {
        format!("{} {}", self.weights.kind, self.weights.dims)
    }

    /// Rows and columns of the model's images: square where they can be, else as near to it as their number of pixels allows.
    pub fn image_shape(&self) -> (usize, usize) {
        let pixels = self.weights.dims.input;
        let rows = (1..=pixels.isqrt()).rev().find(|rows| pixels.is_multiple_of(*rows)).unwrap_or(1);
        (rows, pixels / rows)
    }

    /// That `images` of the model's size are no more than a picture has room for, before they are computed.
    ///
    /// # Errors
    /// They are more.
    pub fn check_room(&self, images: usize) -> Result<(), Error> {
        match images.checked_mul(self.weights.dims.input) {
            Some(pixels) if pixels <= grid::MAX_PIXELS => Ok(()),
            _ => Err(grid::Error::TooLarge { images, magnification: 1 }.into()),
        }
    }

    /// Does `work` with the model on the device of the settings.
    ///
    /// # Errors
    /// The device cannot be used, or the work failed.
    pub fn with_codec<T>(&self, work: impl FnOnce(&mut dyn Codec) -> Result<T, Error>) -> Result<T, Error> {
        with_backend(&self.config, Work { weights: &self.weights, work })?
    }

    /// Writes `bytes` to `out`, or to `name` in the folder for results, and says where they are.
    ///
    /// # Errors
    /// The file or its folder cannot be written.
    pub fn leave(&self, out: Option<&Path>, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
        let path = match out {
            Some(path) => path.to_owned(),
            None => {
                let fault = |source| train::Error::CreateRun { path: self.folder.clone(), source };
                fs::create_dir_all(&self.folder).map_err(fault)?;
                self.folder.join(name)
            }
        };
        write_atomically(&path, bytes)?;
        Ok(path)
    }
}

/// The folder for the results of a file: named after it without its extension, or with `.results` where it has none.
fn folder_beside(file: &Path) -> PathBuf {
    let extension = if file.extension().is_some() { "" } else { "results" };
    file.with_extension(extension)
}

/// Prints `report` as JSON, or `text`.
pub fn answer(json: bool, report: &impl Serialize, text: &str) {
    if json {
        display::line(&serde_json::to_string(report).expect("a report is plain numbers and texts"));
    } else {
        display::line(text);
    }
}

/// An error about an option or an argument.
pub fn setting(setting: &'static str, value: impl ToString, problem: impl Into<String>) -> Error {
    train::Error::Setting { setting, value: value.to_string(), problem: problem.into() }.into()
}

/// Checks that `images` are numbers: codes that are finite, but enormous, decode to none. `value` of `from` led to the codes.
///
/// # Errors
/// One is infinite or NaN.
pub fn check_decoded(images: &[f32], from: &'static str, value: impl ToString) -> Result<(), Error> {
    if images.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(setting(from, value, "leads to codes too large to be decoded; those of images lie within a few units of 0"))
}

/// What is done with a model, and its weights.
struct Work<'a, F> {
    weights: &'a Weights,
    work: F,
}

impl<T, F: FnOnce(&mut dyn Codec) -> Result<T, Error>> OnBackend for Work<'_, F> {
    /// The error of the work may be of another kind than that of the device.
    type Output = Result<T, Error>;

    fn run<B: Backend>(self, backend: &mut B) -> Result<Self::Output, train::Error> {
        let Self { weights, work } = self;
        Ok(match weights.kind {
            Kind::Vanilla => work(&mut Trained::vanilla(backend, weights)?),
            Kind::Variational => work(&mut Trained::variational(backend, weights)?),
        })
    }
}
