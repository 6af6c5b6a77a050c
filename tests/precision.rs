//! Training on tensor cores, on the software driver: the losses of tf32 and bf16 beside those of the processor in f32.
//!
//! The checks of the driver are off here, for time; `tensor_cores` has them on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;

use std::path::Path;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Precision, Sums};
use latent::data::DatasetName;
use latent::nn::{Autoencoder, Dims, Kind, VanillaAE, VariationalAE};

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;
const IMAGES: usize = 10 * BATCH;
const SEED: u64 = 7;

/// Steps of a training; their losses are compared one by one.
const STEPS: usize = 50;

/// Losses in nats an image, of each step over drawn digits.
fn losses<B: Backend, M: Autoencoder<B>>(mut backend: B, new: impl FnOnce(&mut B) -> M) -> Vec<f64> {
    backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: SEED, free_bits: 0.0 });
    let mut model = new(&mut backend);
    let pixels = DatasetName::Digits.load(Path::new(""), 3).unwrap().test.images.into_pixels();
    let mut images = backend.load_images(pixels[..IMAGES * DIMS.input].to_vec(), DIMS.input).unwrap();
    let order: Vec<u32> = (0..IMAGES as u32).collect();
    let mut loss = |step: usize| {
        if (step * BATCH).is_multiple_of(IMAGES) {
            backend.set_order(&mut images, &order, 0).unwrap();
        }
        backend.set_sums(Sums::zeros(DIMS.latent));
        model.train_step(&mut backend, &mut images, BATCH).unwrap();
        let Sums { bce, kl, .. } = backend.sums().unwrap();
        (bce + kl) / BATCH as f64
    };
    (0..STEPS).map(&mut loss).collect()
}

fn losses_of<B: Backend>(kind: Kind, backend: B) -> Vec<f64> {
    match kind {
        Kind::Vanilla => losses(backend, |backend| VanillaAE::new(backend, DIMS, BATCH, SEED).unwrap()),
        Kind::Variational => losses(backend, |backend| VariationalAE::new(backend, DIMS, BATCH, SEED).unwrap()),
    }
}

/// The mean loss of the last pass over the images.
fn end(losses: &[f64]) -> f64 {
    let last = &losses[losses.len() - IMAGES / BATCH..];
    last.iter().sum::<f64>() / last.len() as f64
}

/// Compares losses: step by step within `tolerance`, and what training ends with within half a nat.
#[track_caller]
fn assert_near(about: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    let mut worst = 0.0;
    for (step, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let off = (actual - expected).abs() / expected;
        assert!(off <= tolerance, "{about}, step {step}: {actual} nats, {expected} in f32");
        worst = f64::max(worst, off);
    }
    let (begin, ends, expected) = (actual[0], end(actual), end(expected));
    println!(
        "{about}: {STEPS} steps, the worst off by {worst:.1e}; from {begin:.2} to {ends:.3} nats, {expected:.3} in f32"
    );
    assert!(ends < 0.6 * begin, "{about}: {ends} nats after {begin}: nothing was learnt");
    assert!((ends - expected).abs() <= 0.5, "{about}: ends at {ends} nats, {expected} in f32");
}

/// Trains in all precisions.
fn compare(kind: Kind) {
    if !emulated::has_compiler() {
        return;
    }
    let expected = losses_of(kind, Cpu::new(2).unwrap());
    for (precision, tolerance) in [(Precision::Tf32, 2e-3), (Precision::Bf16, 2e-2)] {
        let actual = losses_of(kind, emulated::backend(&emulated::unchecked(), precision));
        assert_near(&format!("{kind} in {precision}"), &actual, &expected, tolerance);
    }
}

/// Both models one after the other: a recording forbids the context's other users to wait for it.
#[test]
fn training_on_tensor_cores_has_the_losses_of_f32() {
    compare(Kind::Vanilla);
    compare(Kind::Variational);
}
