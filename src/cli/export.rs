//! `export`: a trained model for other programs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel};
use crate::data::Split;
use crate::export::{Explorer, onnx};
use crate::files::write_atomically;
use crate::nn::Kind;
use crate::train::{self, write_model};

/// The largest half-precision float.
const MOST_HALF: f32 = 65_504.0;

/// Options of `export`.
#[derive(Args, Clone, Debug)]
pub struct Export {
    #[command(flatten)]
    source: Source,
    /// Only encoder.onnx and decoder.onnx
    #[arg(long)]
    onnx: bool,
    /// Only model.safetensors, which PyTorch's load_state_dict takes
    #[arg(long)]
    safetensors: bool,
    /// Only explorer.html: a page with the model in it, to walk through its latent space and to draw digits; needs no network
    #[arg(long)]
    explorer: bool,
    #[command(flatten)]
    images: ImageChoice,
    /// The folder to write to [default: export in the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    files: Vec<PathBuf>,
}

impl Export {
    /// Writes what is asked for; everything, if nothing is.
    ///
    /// # Errors
    /// The model cannot be read, or a file cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let folder = self.out.clone().unwrap_or_else(|| model.folder.join("export"));
        fs::create_dir_all(&folder).map_err(|source| train::Error::CreateRun { path: folder.clone(), source })?;
        let all = !(self.onnx || self.safetensors || self.explorer);
        let mut files = Vec::new();
        if all || self.onnx {
            files.push(write(&folder, "encoder.onnx", &onnx::encoder(&model.weights))?);
            files.push(write(&folder, "decoder.onnx", &onnx::decoder(&model.weights))?);
        }
        if all || self.safetensors {
            let path = folder.join("model.safetensors");
            write_model(&path, &model.weights)?;
            files.push(path);
        }
        if all || self.explorer {
            files.push(write(&folder, "explorer.html", self.explorer(&model)?.as_bytes())?);
        }
        let text: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.source.place.answer(&Report { files }, &text.join("\n"));
        Ok(())
    }

    fn explorer(&self, model: &TrainedModel) -> Result<String, Error> {
        if model.weights.values.iter().any(|value| value.abs() > MOST_HALF) {
            let problem = format!("has parameters beyond {MOST_HALF}, too large for the page's half-precision floats");
            return Err(model.refuse(problem));
        }
        let data = model.dataset(&self.images)?;
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(data.test.images.pixels())?))?;
        let what = if model.weights.kind == Kind::Variational { "a variational autoencoder" } else { "an autoencoder" };
        let page = Explorer {
            title: &format!("The latent space of {what} of {}", data.name),
            weights: &model.weights,
            shape: (data.test.images.rows(), data.test.images.columns()),
            codes: &codes,
            labels: &data.test.labels,
            examples: examples(&data.test),
        };
        Ok(page.page())
    }
}

/// One image of each label, the first of it.
fn examples(test: &Split) -> Vec<(u8, &[u8])> {
    let first = |label| test.labels.iter().position(|other| *other == label);
    (0..=u8::MAX).filter_map(|label| Some((label, test.images.image(first(label)?)))).collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    write_atomically(&path, bytes)?;
    Ok(path)
}
