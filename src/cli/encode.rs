//! `encode` and `decode`: images to codes and back, in files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::display;
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel, check_decoded, setting};
use crate::data::OwnImages;
use crate::inference::Codes;
use crate::plot::grid::Grid;
use crate::tensor::{Array, TensorFile};
use crate::train;

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The images that models are trained on
    Train,
    /// The images that they are judged by
    Test,
}

/// Options of `encode`.
#[derive(Args, Clone, Debug)]
pub struct Encode {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    set: ImageChoice,
    /// Which part of the set
    #[arg(long, value_enum, default_value = "test", conflicts_with = "images")]
    split: Part,
    /// Images of one's own in place of a set: PNG, .npy or IDX files, bright on dark as MNIST's
    #[arg(long, value_name = "FILE", num_args = 1..)]
    images: Vec<PathBuf>,
    /// One's own images are dark on bright: turn them around
    #[arg(long, requires = "images")]
    invert: bool,
    /// A .npy file gets the log variances beside the means, [n, 2 latent]
    #[arg(long)]
    posterior: bool,
    /// The file to write, .npy or .safetensors [default: codes.safetensors in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    count: usize,
    latent: usize,
    file: PathBuf,
}

impl Encode {
    /// Encodes and writes the codes.
    ///
    /// # Errors
    /// The model or the images cannot be read, do not fit each other, or the file cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        if self.posterior {
            model.require_vae("its codes have no variance")?;
        }
        let (codes, labels) =
            if self.images.is_empty() { self.of_set(&model)? } else { (self.of_files(&model)?, None) };
        let latent = codes.latent;
        let count = codes.len();
        let bytes = match format_of(self.out.as_deref().unwrap_or(Path::new("codes.safetensors")))? {
            Format::Npy if self.posterior => {
                let rows =
                    codes.mean.chunks_exact(latent).zip(codes.log_var.iter().flat_map(|v| v.chunks_exact(latent)));
                let values: Vec<f32> = rows.flat_map(|(mean, log_var)| [mean, log_var].concat()).collect();
                Array::to_bytes(&[count, 2 * latent], &values)
            }
            Format::Npy => Array::to_bytes(&[count, latent], &codes.mean),
            Format::Safetensors => tensors(codes, labels)?,
        };
        let file = model.leave(self.out.as_deref(), "codes.safetensors", &bytes)?;
        let text = format!("codes of {count} images, {latent} units each: {}", file.display());
        self.source.place.answer(&Report { count, latent, file }, &text);
        Ok(())
    }

    fn of_set(&self, model: &TrainedModel) -> Result<(Codes, Option<Vec<u8>>), Error> {
        let data = model.dataset(&self.set)?;
        let split = if self.split == Part::Train { data.train } else { data.test };
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(split.images.pixels())?))?;
        Ok((codes, Some(split.labels)))
    }

    fn of_files(&self, model: &TrainedModel) -> Result<Codes, Error> {
        let values = read_own(&self.images, model, self.invert)?;
        model.with_codec(|codec| Ok(codec.encode(&values)?))
    }
}

/// The images of one's own in `files`, `[n, pixels]`, which must be of the model's size.
fn read_own(files: &[PathBuf], model: &TrainedModel, invert: bool) -> Result<Vec<f32>, Error> {
    let mut values = Vec::new();
    for path in files {
        let mut images = OwnImages::read(path)?;
        let own = model.weights.dims.input;
        if images.pixels != own {
            let (rows, columns) = model.image_shape();
            let found = images.shape.map_or_else(
                || format!("{} pixels", images.pixels),
                |(rows, columns)| format!("{rows} x {columns} pixels"),
            );
            let problem =
                format!("holds images of {found}; the model's have {own}, {rows} x {columns}: scale them to that");
            return Err(setting("--images", path.display(), problem));
        }
        if invert {
            images.invert();
        } else if images.looks_inverted() {
            display::note(&format!("{} is mostly bright; if it is dark on bright, say --invert", path.display()));
        }
        values.append(&mut images.values);
    }
    Ok(values)
}

/// How arrays are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Safetensors,
}

fn format_of(path: &Path) -> Result<Format, Error> {
    match path.extension().and_then(OsStr::to_str) {
        Some("npy") => Ok(Format::Npy),
        Some("safetensors") => Ok(Format::Safetensors),
        _ => Err(setting("--out", path.display(), "does not end in .npy or .safetensors")),
    }
}

/// The codes as the tensors `mean`, `log_var` for the VAE, and `labels` where there are any.
fn tensors(codes: Codes, labels: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let shape = vec![codes.len(), codes.latent];
    let mut tensors = BTreeMap::from([("mean".to_owned(), (shape.clone(), codes.mean))]);
    tensors.extend(codes.log_var.map(|log_var| ("log_var".to_owned(), (shape, log_var))));
    let labels = labels.map(|labels| labels.into_iter().map(f32::from).collect::<Vec<f32>>());
    tensors.extend(labels.map(|labels| ("labels".to_owned(), (vec![labels.len()], labels))));
    let file = TensorFile { note: Some("codes".to_owned()), tensors };
    Ok(file.to_bytes().map_err(|source| train::Error::File { path: "codes.safetensors".into(), source })?)
}

/// Options of `decode`.
#[derive(Args, Clone, Debug)]
pub struct Decode {
    #[command(flatten)]
    source: Source,
    /// Codes as `encode` writes them: a .npy array [n, latent] or [n, 2 latent], or a .safetensors file with the tensor `mean`
    #[arg(value_name = "CODES")]
    codes: PathBuf,
    /// The file to write: .npy or .safetensors for values from 0 to 1, .png for a picture of all [default: decoded.png in the
    /// run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is printed of `decode`.
#[derive(Serialize)]
struct DecodeReport {
    count: usize,
    file: PathBuf,
}

impl Decode {
    /// Decodes and writes the images.
    ///
    /// # Errors
    /// The model or the codes cannot be read, do not fit each other, or the file cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        let codes = self.read_codes(model.weights.dims.latent)?;
        let count = codes.len() / model.weights.dims.latent;
        let images = model.with_codec(|codec| Ok(codec.decode(&codes)?))?;
        check_decoded(&images, "CODES", self.codes.display())?;
        let (rows, columns) = model.image_shape();
        let shape = vec![count, rows, columns];
        let out = self.out.as_deref();
        let bytes = if out.is_none_or(|path| path.extension() == Some(OsStr::new("png"))) {
            let per_row = count.isqrt() + usize::from(count.isqrt().pow(2) < count);
            Grid::new(rows, columns, per_row).png(&images)?
        } else {
            match format_of(out.unwrap_or(Path::new("")))? {
                Format::Npy => Array::to_bytes(&shape, &images),
                Format::Safetensors => {
                    let tensors = BTreeMap::from([("images".to_owned(), (shape, images))]);
                    let file = TensorFile { note: Some("images".to_owned()), tensors };
                    file.to_bytes().map_err(|source| train::Error::File { path: self.codes.clone(), source })?
                }
            }
        };
        let file = model.leave(out, "decoded.png", &bytes)?;
        let what = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
        let text = format!("{what}: {}", file.display());
        self.source.place.answer(&DecodeReport { count, file }, &text);
        Ok(())
    }

    /// The codes in the file, `[n, latent]`; of means beside log variances the means.
    fn read_codes(&self, latent: usize) -> Result<Vec<f32>, Error> {
        let path = &self.codes;
        let at = || path.clone();
        let bytes = std::fs::read(path).map_err(|source| train::Error::Read { path: at(), source })?;
        let refuse = |problem: String| setting("CODES", path.display(), problem);
        let (shape, values) = if bytes.starts_with(b"\x93NUMPY") {
            let array = Array::from_bytes(&bytes).map_err(|error| refuse(error.to_string()))?;
            (array.shape, array.values)
        } else {
            let file = TensorFile::from_bytes(&bytes).map_err(|source| train::Error::File { path: at(), source })?;
            file.tensors
                .get("mean")
                .cloned()
                .ok_or_else(|| refuse("holds no tensor `mean`; `encode` writes such files".to_owned()))?
        };
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(refuse(format!("holds {} at element {index}; codes are finite numbers", values[index])));
        }
        match shape[..] {
            [rows, columns] if rows > 0 && columns == latent => Ok(values),
            [rows, columns] if rows > 0 && columns == 2 * latent => {
                Ok(values.chunks_exact(columns).flat_map(|row| &row[..latent]).copied().collect())
            }
            _ => Err(refuse(format!("has shape {shape:?}; this model's codes are [n, {latent}], n at least 1"))),
        }
    }
}
