//! A training epoch against the processor's ceiling, measured in the same run: `cargo bench --bench epoch`.
//!
//! The ceiling is the best rate of the crate `gemm` on 1024 x 1024 x 1024 with all threads. The epoch is the VAE's on images
//! drawn by the program: 600 steps of 100 images, 649.6 MFLOP of products each; everything else (activations, losses, noise,
//! Adam) counts as time but not as work. Rounds alternate, so that both see the same machine.

use std::time::Instant;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Sums};
use latent::data::DatasetName;
use latent::nn::{Autoencoder, Dims, VariationalAE};

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;
const ROUNDS: usize = 5;

/// Floating-point operations of the products of one step: forward, weight gradients, and input gradients of all layers but the first.
fn step_flop() -> f64 {
    let Dims { input, hidden, latent } = DIMS;
    let first = input * hidden;
    let others = hidden * hidden + hidden * 2 * latent + latent * hidden + hidden * hidden + hidden * input;
    (2 * BATCH * (2 * first + 3 * others)) as f64
}

/// GFLOP/s of the best of ten products 1024^3.
fn ceiling(threads: usize) -> f64 {
    const N: usize = 1024;
    let a: Vec<f32> = (0..N * N).map(|i| (i % 7) as f32 - 3.0).collect();
    let mut c = vec![0.0f32; N * N];
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let best = (0..10).map(|_| {
        let start = Instant::now();
        let n = N as isize;
        // SAFETY: the three matrices are N x N, row-major, and do not overlap but for `a` with itself, which is only read.
        unsafe {
            let (c, a) = (c.as_mut_ptr(), a.as_ptr());
            gemm::gemm(N, N, N, c, 1, n, false, a, 1, n, a, 1, n, 0.0, 1.0, false, false, false, parallelism);
        }
        start.elapsed().as_secs_f64()
    });
    2.0 * (N * N * N) as f64 / best.fold(f64::INFINITY, f64::min) / 1e9
}

/// Seconds of one epoch over 60,000 images.
fn epoch(threads: usize, pixels: &[u8]) -> f64 {
    let mut cpu = Cpu::new(threads).expect("threads");
    let mut model = VariationalAE::new(&mut cpu, DIMS, BATCH, 1).expect("memory");
    cpu.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1 });
    cpu.set_sums(Sums::zeros(DIMS.latent));
    let mut images = cpu.load_images(pixels.to_vec(), DIMS.input).expect("memory");
    let steps = pixels.len() / DIMS.input / BATCH;
    let start = Instant::now();
    for _ in 0..steps {
        model.train_step(&mut cpu, &mut images, BATCH).expect("a step");
    }
    let seconds = start.elapsed().as_secs_f64();
    let loss = cpu.sums().expect("sums");
    assert!(loss.bce.is_finite() && loss.images == (steps * BATCH) as u64, "the epoch went wrong: {loss:?}");
    seconds
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pixels = DatasetName::Digits.load("data".as_ref(), 1).expect("digits need no file").train.images.into_pixels();
    let flop = step_flop() * (pixels.len() / DIMS.input / BATCH) as f64;
    let (mut ceilings, mut epochs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        ceilings.push(ceiling(threads));
        epochs.push(epoch(threads, &pixels));
        println!("round {round}: gemm 1024^3 {:.0} GFLOP/s, epoch {:.3} s", ceilings[round - 1], epochs[round - 1]);
    }
    let best = ceilings.iter().copied().fold(0.0, f64::max);
    let seconds = median(&mut epochs);
    let rate = flop / seconds / 1e9;
    println!(
        "{threads} threads: epoch {seconds:.3} s (min {:.3}, max {:.3}), {rate:.0} GFLOP/s, {:.0} % of the best {best:.0}",
        epochs[0],
        epochs[ROUNDS - 1],
        100.0 * rate / best
    );
}
