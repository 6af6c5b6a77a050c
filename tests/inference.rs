//! A trained model at work, [`Codec`], against the f64 oracle on every backend.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;
mod oracle;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Precision};
use latent::inference::{Codec, Trained, bce_of_rows, log_weights};
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind, Weights};
use latent::noise::{Address, Stream, fill_standard_normal};
use oracle::{Batch, Model, relative_error, sigmoid, widen, within};

const DIMS: Dims = Dims { input: 33, hidden: 17, latent: 5 };
/// More than a batch of 500, and a rest.
const ROWS: usize = 507;
/// Bound on the norm of the difference over the norm.
const FORWARD: f64 = 1e-5;

fn normals(len: usize, step: u64) -> Vec<f32> {
    let mut values = vec![0.0; len];
    fill_standard_normal(Address { seed: 11, stream: Stream::Drawing, step }, 0, &mut values);
    values
}

fn weights(kind: Kind) -> Weights {
    let values = normals(layout_of(kind, DIMS).len(), 0).into_iter().map(|w| 0.3 * w).collect();
    Weights { kind, dims: DIMS, values }
}

fn images() -> Vec<u8> {
    (0..ROWS * DIMS.input).map(|i| (i * 37 % 256) as u8).collect()
}

fn assert_near(what: &str, got: &[f32], want: &[f64]) {
    let error = relative_error(&widen(got), want);
    assert!(within(error, FORWARD), "{what} is off by {error:.2e}");
}

/// Encodes and decodes with `codec` and with the oracle.
fn compare(codec: &mut dyn Codec, weights: &Weights) {
    let oracle = Model::new(weights.kind, DIMS);
    let (params, bytes) = (widen(&weights.values), images());
    let x: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let eps = vec![0.0; ROWS * DIMS.latent];
    let forward = oracle.forward(&params, &Batch { x: widen(&x), eps });
    assert_eq!((codec.kind(), codec.dims()), (weights.kind, DIMS));

    let codes = codec.encode(&x).unwrap();
    assert_eq!(codes, codec.encode_bytes(&bytes).unwrap());
    assert_eq!(codes.len(), ROWS);
    // Without noise the sample is the mean.
    assert_near("the code", &codes.mean, &forward.z);
    assert_eq!(codes.log_var.is_some(), weights.kind == Kind::Variational);
    if let Some(log_var) = &codes.log_var {
        assert_near("the log variance", log_var, &forward.log_var);
        let kl: f64 = codes.kl_of_rows().iter().sum();
        assert!(within((kl - forward.kl) / forward.kl, FORWARD), "KL {kl}, not {}", forward.kl);
    }

    let z = normals(ROWS * DIMS.latent, 1);
    let logits = oracle.decode(&params, &widen(&z)).1;
    let decoded: Vec<f64> = logits.iter().map(|a| sigmoid(*a)).collect();
    assert_near("the logits", &codec.logits(&z).unwrap(), &logits);
    assert_near("the image", &codec.decode(&z).unwrap(), &decoded);

    let bce: f64 = bce_of_rows(&codec.logits(&codes.mean).unwrap(), &x, DIMS.input).iter().sum();
    assert!(within((bce - forward.bce) / forward.bce, FORWARD), "BCE {bce}, not {}", forward.bce);
}

fn compare_both<B: Backend>(backend: &mut B) {
    let [ae, vae] = [Kind::Vanilla, Kind::Variational].map(weights);
    compare(&mut Trained::vanilla(backend, &ae).unwrap(), &ae);
    compare(&mut Trained::variational(backend, &vae).unwrap(), &vae);
}

#[test]
fn codes_and_images_are_the_oracles_on_the_cpu() {
    for threads in [1, 2, 3] {
        compare_both(&mut Cpu::new(threads).unwrap());
    }
}

#[test]
fn codes_and_images_are_the_oracles_on_cuda() {
    if emulated::has_compiler() {
        let settings = emulated::checked();
        compare_both(&mut emulated::backend(&settings, Precision::Fp32));
        emulated::assert_no_report(&settings);
    }
}

#[test]
fn nothing_is_encoded_to_nothing() {
    let vae = weights(Kind::Variational);
    let mut backend = Cpu::new(1).unwrap();
    let mut codec = Trained::variational(&mut backend, &vae).unwrap();
    assert!(codec.encode(&[]).unwrap().is_empty());
    assert!(codec.decode(&[]).unwrap().is_empty());
}

/// The mean of exp(log weight) over draws from the posterior is the likelihood, whatever the posterior is; with the draws of
/// the prior it is the mean of exp(-BCE). Both estimate the same number.
#[test]
fn importance_weights_estimate_the_same_likelihood_from_any_posterior() {
    const DRAWS: usize = 200_000;
    let vae = weights(Kind::Variational);
    let mut backend = Cpu::new(2).unwrap();
    let mut codec = Trained::variational(&mut backend, &vae).unwrap();
    let x: Vec<f32> = images()[..DIMS.input].iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let targets = x.repeat(DRAWS);
    let mut estimate = |mean: &[f32], log_var: &[f32], step: u64| {
        let eps = normals(DRAWS * DIMS.latent, step);
        let rows = eps.chunks_exact(DIMS.latent);
        let draw = |row: &[f32]| -> Vec<f32> {
            row.iter().zip(mean).zip(log_var).map(|((e, m), v)| m + (0.5 * v).exp() * e).collect()
        };
        let z: Vec<f32> = rows.flat_map(draw).collect();
        let bce = bce_of_rows(&codec.logits(&z).unwrap(), &targets, DIMS.input);
        let weights = log_weights(&bce, &z, &eps, log_var);
        let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + (weights.iter().map(|w| (w - most).exp()).sum::<f64>() / DRAWS as f64).ln()
    };
    let prior = estimate(&[0.0; 5], &[0.0; 5], 2);
    let shifted = estimate(&[0.4, -0.3, 0.2, 0.0, -0.5], &[0.2, 0.1, 0.3, 0.0, 0.2], 3);
    assert!((prior - shifted).abs() < 0.05, "{prior} and {shifted}");
}
