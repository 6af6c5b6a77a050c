//! `export`: a trained model for other programs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::error::Error;
use super::trained::Source;
use crate::export::onnx;
use crate::files::write_atomically;
use crate::train::{self, write_model};

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
        let all = !(self.onnx || self.safetensors);
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
        let text: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.source.place.answer(&Report { files }, &text.join("\n"));
        Ok(())
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    write_atomically(&path, bytes)?;
    Ok(path)
}
