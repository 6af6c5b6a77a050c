//! Loads a trained VAE and draws images from it: codes from the prior, decoded, in one picture.
//!
//! ```text
//! cargo run --release --example sample_a_model -- samples.png runs/vae-1/model.safetensors
//! cargo run --release --example sample_a_model -- samples.png
//! ```
//!
//! The second form has no model yet: it trains one for a few seconds on digits that the program draws, and leaves
//! `model.safetensors` in a temporary folder to be loaded like any other. The file may also come from PyTorch.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters};
use latent::data::DatasetName;
use latent::files::write_atomically;
use latent::nn::{Autoencoder, Dims, Kind, VariationalAE, Weights};
use latent::plot::grid::Grid;
use latent::train::{DeviceImages, read_model, write_model};

/// Images in the picture, and side by side in it.
const SAMPLES: usize = 64;
const PER_ROW: usize = 8;
/// The seed of everything that is drawn.
const SEED: u64 = 1;

/// The model that is trained where none is given: small, and for a moment.
const DIMS: Dims = Dims { input: 784, hidden: 128, latent: 16 };
const BATCH: usize = 100;
const EPOCHS: u32 = 4;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut backend = Cpu::new(threads)?;
    backend.set_hyperparameters(Hyperparameters { learning_rate: 2e-3, beta: 1.0, seed: SEED, free_bits: 0.0 });
    match arguments.as_slice() {
        [picture, model] => sample(&mut backend, model, picture),
        [picture] => {
            // Removed when it goes out of scope, after the picture is drawn.
            let folder = tempfile::tempdir()?;
            let model = folder.path().join("model.safetensors");
            train(&mut backend, &model)?;
            sample(&mut backend, &model, picture)
        }
        _ => Err("usage: sample_a_model PICTURE.png [MODEL.safetensors]".into()),
    }
}

/// Loads the model at `path` and draws samples of it to `picture`.
fn sample<B: Backend>(backend: &mut B, path: &Path, picture: &Path) -> Result<(), Box<dyn Error>> {
    let weights = read_model(path)?;
    if weights.kind != Kind::Variational {
        return Err(format!(
            "{} is a vanilla autoencoder, which has no prior to draw from; give a VAE",
            path.display()
        )
        .into());
    }
    println!("{}: a VAE of {}", path.display(), weights.dims);
    let side = weights.dims.input.isqrt();
    if side * side != weights.dims.input {
        return Err(format!("its {} pixels are no square image; draw them another way", weights.dims.input).into());
    }
    let mut model = VariationalAE::new(backend, weights.dims, SAMPLES, SEED)?;
    backend.write(&mut model.parameters_mut().values.storage, &weights.values)?;
    let images = model.sample(backend, SAMPLES)?.ok_or("the model has no prior to draw from")?;
    write_atomically(picture, &Grid::new(side, side, PER_ROW).png(&images)?)?;
    println!("{SAMPLES} samples in {}", picture.display());
    Ok(())
}

/// Trains a small VAE on drawn digits and writes it to `path`.
fn train<B: Backend>(backend: &mut B, path: &Path) -> Result<(), Box<dyn Error>> {
    let pixels = DatasetName::Digits.load(Path::new("data"), SEED)?.train.images.into_pixels();
    let mut model = VariationalAE::new(backend, DIMS, BATCH, SEED)?;
    let mut images = DeviceImages::new(backend, pixels, DIMS.input)?;
    for epoch in 1..=EPOCHS {
        images.shuffle(backend, SEED, epoch, 0, 1)?;
        for _ in 0..images.count / BATCH {
            model.train_step(backend, &mut images.images, BATCH)?;
        }
        println!("trained for {epoch} of {EPOCHS} epochs on {} drawn digits", images.count);
    }
    Ok(write_model(path, &Weights::of(backend, &model)?)?)
}
