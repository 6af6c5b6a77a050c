//! Trains the variational autoencoder on an array of one's own: 4096 rows of 24 values from 0 to 1, made in the program.
//!
//! ```text
//! cargo run --release --example train_on_an_array
//! ```
//!
//! It shows the four things that training takes: a backend, the array as [`Images`] on it, a model of its width, and the loop. To
//! use a GPU, make a `latent::backend::cuda::Cuda` in place of the `Cpu`; nothing else changes.

use std::error::Error;
use std::f32::consts::TAU;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Noise, Sums};
use latent::data::Images;
use latent::nn::{Autoencoder, Dims, VariationalAE};
use latent::noise::{Address, PhiloxRng, Stream};
use latent::train::{Averages, DeviceImages, evaluate};
use rand_distr::{Distribution, Uniform};

const ROWS: usize = 4096;
const COLUMNS: usize = 24;
/// Rows that the model never trains on.
const HELD_OUT: usize = 512;
const BATCH: usize = 64;
const EPOCHS: u32 = 12;
const SEED: u64 = 1;
/// Weight of the KL divergence in the loss; 1 is the evidence lower bound.
const BETA: f64 = 1.0;

fn main() -> Result<(), Box<dyn Error>> {
    let array = waves()?;
    let (training, held_out) = array.split_at((ROWS - HELD_OUT) * COLUMNS);
    let training = Images::from_values(1, COLUMNS, training)?;
    let held_out = Images::from_values(1, COLUMNS, held_out)?;
    println!("{} rows of {COLUMNS} values to train on, {} to judge by", training.len(), held_out.len());
    let floor = held_out.bce_floor();

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut backend = Cpu::new(threads)?;
    backend.set_hyperparameters(Hyperparameters { learning_rate: 2e-3, beta: BETA, seed: SEED, free_bits: 0.0 });
    let dims = Dims { input: COLUMNS, hidden: 128, latent: 4 };
    let mut model = VariationalAE::new(&mut backend, dims, BATCH, SEED)?;
    let mut training = DeviceImages::new(&mut backend, training.into_pixels(), COLUMNS)?;
    let mut held_out = DeviceImages::new(&mut backend, held_out.into_pixels(), COLUMNS)?;

    println!("a VAE of {dims}; losses in nats a row");
    for epoch in 1..=EPOCHS {
        let averages = train_epoch(&mut backend, &mut model, &mut training, epoch)?;
        println!("epoch {epoch:2}  loss {:.3}  BCE {:.3}  KL {:.3}", averages.loss, averages.bce, averages.kl);
    }
    let sampled = evaluate(&mut backend, &mut model, &mut held_out, Noise::Drawn, BETA)?;
    let mean = evaluate(&mut backend, &mut model, &mut held_out, Noise::Mean, BETA)?;
    println!("held out  loss {:.3}  BCE {:.3}, from the mean {:.3}", sampled.loss, sampled.bce, mean.bce);
    println!("no model's BCE is below {floor:.3}, the entropy of the rows themselves");
    Ok(())
}

/// One pass over all rows in the epoch's own order. The averages are those of each batch before its update.
fn train_epoch<B: Backend>(
    backend: &mut B,
    model: &mut VariationalAE<B>,
    rows: &mut DeviceImages<B::Images>,
    epoch: u32,
) -> Result<Averages, Box<dyn Error>> {
    rows.shuffle(backend, SEED, epoch, 0, 1)?;
    backend.set_sums(Sums::zeros(model.dims().latent));
    let mut left = rows.count;
    while left > 0 {
        let batch = left.min(BATCH);
        model.train_step(backend, &mut rows.images, batch)?;
        left -= batch;
    }
    // From the first number that is not finite on, the backend leaves the parameters as they are.
    if let Some(found) = backend.non_finite()? {
        return Err(format!("training diverged ({found:?}); choose a smaller learning rate").into());
    }
    Ok(Averages::of(&backend.sums()?, model.kind(), 1, BETA))
}

/// `[ROWS, COLUMNS]`: in each row a steep wave of its own frequency and phase. Two numbers say all about a row, so a code of four has
/// room for it.
fn waves() -> Result<Vec<f32>, Box<dyn Error>> {
    let mut random = PhiloxRng::new(Address { seed: SEED, stream: Stream::Corruption, step: 0 });
    let (phases, cycles) = (Uniform::new(0.0, 1.0_f32)?, Uniform::new(0.5, 2.0_f32)?);
    let mut array = Vec::with_capacity(ROWS * COLUMNS);
    for _ in 0..ROWS {
        let (frequency, phase) = (cycles.sample(&mut random), phases.sample(&mut random));
        let wave = |column: usize| (TAU * (frequency * column as f32 / COLUMNS as f32 + phase)).sin();
        array.extend((0..COLUMNS).map(|column| 0.5 + 0.5 * (4.0 * wave(column)).tanh()));
    }
    Ok(array)
}
