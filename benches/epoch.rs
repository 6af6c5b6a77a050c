//! A training epoch against the processor's ceiling, measured in the same run: `cargo bench --bench epoch`.
//!
//! The ceiling is the best rate of the crate `gemm` on 1024 x 1024 x 1024 with all threads. The epoch is the VAE's on images
//! drawn by the program: 600 steps of 100 images, 649.6 MFLOP of products each; everything else (activations, losses, noise,
//! Adam) counts as time but not as work. Rounds alternate, so that both see the same machine. With `--quick` an epoch has 30 steps.

#[path = "step/bed.rs"]
#[allow(dead_code, reason = "the epoch takes the training step alone")]
mod bed;
#[path = "harness/mod.rs"]
mod harness;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../tests/oracle/mod.rs"]
mod oracle;

use std::process::ExitCode;
use std::time::Instant;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Sums};
use latent::data::DatasetName;
use latent::nn::{Autoencoder, Kind, VariationalAE};

use bed::{Bed, Part, SEED};
use harness::work::{BATCH, DIMS, training_flop};
use harness::{Bench, Failure, Quantity, Row, Spread, Unit, Verified};

const ROUNDS: usize = 7;
/// Products in a round, of which the best counts.
const PRODUCTS: usize = 10;
const N: usize = 1024;

/// Where the average training loss of a whole first epoch on drawn digits lies, in nats an image.
const LOSSES: std::ops::RangeInclusive<f64> = 160.0..=169.0;

fn main() -> ExitCode {
    Bench::main("epoch", measure)
}

fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut pixels = DatasetName::Digits.load("data".as_ref(), 1)?.train.images.into_pixels();
    if bench.options.quick {
        pixels.truncate(30 * BATCH * DIMS.input);
    }
    let mut ceiling = Ceiling::new();
    let verified = ceiling.verify()?;
    let trained = verify_a_step()?;
    let (mut ceilings, mut epochs) = (Vec::new(), Vec::new());
    let rounds = if bench.options.quick || bench.options.counts { 1 } else { ROUNDS };
    for round in 1..=rounds {
        ceilings.push(ceiling.best());
        let (seconds, loss) = epoch(&pixels)?;
        epochs.push(seconds);
        // The few steps of a quick run do not get that far.
        if !(LOSSES.contains(&loss) || (bench.options.quick && loss.is_finite())) {
            return Err(format!("the epoch's loss is {loss}, expected {LOSSES:?}: training went wrong").into());
        }
        println!("round {round} of {rounds}, training loss {loss:.2}");
    }
    let [ceilings, epochs] = [ceilings, epochs].map(Spread::of);
    let [ceilings, epochs] = [ceilings?, epochs?].map(|spread| (!bench.options.counts).then_some(spread));
    let work = Quantity::new(2.0 * (N * N * N) as f64, Unit::Flop);
    let name = format!("gemm {N} x {N} x {N}, best of {PRODUCTS}");
    bench.add(Row { verified: Some(verified), hot: ceilings, ..Row::new(name, work) }.with_rate());
    let steps = pixels.len() / DIMS.input / BATCH;
    let work = Quantity::new(training_flop(Kind::Variational) * steps as f64, Unit::Flop);
    let row =
        Row { verified: Some(trained), hot: epochs, ..Row::new(format!("epoch of the VAE, {steps} steps"), work) };
    // The best that the crate reached in any round is what could have been had.
    let best = ceilings.map(|spread| 2.0 * (N * N * N) as f64 / spread.min / 1e3);
    let row = row.with_rate();
    let part = row.rate.zip(best).map(|(rate, best)| Quantity::new(100.0 * rate.value / best, Unit::Percent));
    bench.add(Row { part, ..row });
    Ok(())
}

/// Holds a training step of the model against f64.
fn verify_a_step() -> Result<Verified, Failure> {
    let mut cpu = Cpu::new(harness::threads())?;
    let model = VariationalAE::new(&mut cpu, DIMS, BATCH, SEED)?;
    Bed::new(cpu, model)?.verify(Part::Training)
}

/// The product that shows what the processor can do.
struct Ceiling {
    a: Vec<f32>,
    c: Vec<f32>,
}

impl Ceiling {
    /// Small integers, whose sums are exact in f32.
    fn new() -> Self {
        Self { a: (0..N * N).map(|i| (i * 7919 % 101 % 7) as f32 - 3.0).collect(), c: vec![0.0; N * N] }
    }

    /// Holds every 37th element against f64.
    fn verify(&mut self) -> Result<Verified, Failure> {
        self.multiply();
        let want = |i: usize| -> f64 {
            let (row, column) = (i / N, i % N);
            (0..N).map(|k| f64::from(self.a[row * N + k]) * f64::from(self.a[k * N + column])).sum()
        };
        let off = (0..N * N).step_by(37).map(|i| (f64::from(self.c[i]) - want(i)).abs()).fold(0.0, f64::max);
        Verified::new("the product of the crate gemm", &[off], 0.0)
    }

    fn multiply(&mut self) {
        let (threads, n) = (harness::threads(), N as isize);
        let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
        let (c, a) = (self.c.as_mut_ptr(), self.a.as_ptr());
        // SAFETY: the three matrices are N x N, row-major, and do not overlap but for `a` with itself, which is only read.
        unsafe { gemm::gemm(N, N, N, c, 1, n, false, a, 1, n, a, 1, n, 0.0, 1.0, false, false, false, parallelism) };
    }

    /// Seconds of the best of some products.
    fn best(&mut self) -> f64 {
        let seconds = (0..PRODUCTS).map(|_| {
            let start = Instant::now();
            self.multiply();
            start.elapsed().as_secs_f64()
        });
        seconds.fold(f64::INFINITY, f64::min)
    }
}

/// Seconds of one epoch, and its average training loss per image.
fn epoch(pixels: &[u8]) -> Result<(f64, f64), Failure> {
    let mut cpu = Cpu::new(harness::threads())?;
    let mut model = VariationalAE::new(&mut cpu, DIMS, BATCH, SEED)?;
    cpu.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: SEED, free_bits: 0.0 });
    cpu.set_sums(Sums::zeros(DIMS.latent));
    let mut images = cpu.load_images(pixels.to_vec(), DIMS.input)?;
    let start = Instant::now();
    for _ in 0..pixels.len() / DIMS.input / BATCH {
        model.train_step(&mut cpu, &mut images, BATCH)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let sums = cpu.sums()?;
    Ok((seconds, (sums.bce + sums.kl) / sums.images.max(1) as f64))
}
