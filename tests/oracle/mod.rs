//! The mathematics of a training step in f64, written to be read: one formula a function, no speed, no fusion.
//!
//! Matrices are row-major, one image a row; the number of rows follows from a slice's length. Parameters lie in one flat vector,
//! in the order of latent's own layout. What is under test supplies sizes and offsets, never a number.

#![allow(dead_code, reason = "every test takes what it needs")]

use latent::backend::{Activation, Linear};
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind};
use latent::noise::{Address, PhiloxRng, Stream};
use latent::tensor::{Layout, Shape};
use rand_distr::{Distribution, Uniform};

/// The norm of the difference over the norm of what is wanted; the norm itself where that is zero. NaN where any number is.
pub fn relative_error(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "another number of elements");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut got.iter().zip(want).map(|(g, w)| g - w));
    let size = norm(&mut want.iter().copied());
    if size > 0.0 { difference / size } else { difference }
}

/// Whether an error keeps its bound. NaN does not.
pub fn within(error: f64, bound: f64) -> bool {
    error <= bound
}

/// Panics where [`relative_error`] exceeds `bound`.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f64], bound: f64) {
    let error = relative_error(&widen(got), want);
    assert!(within(error, bound), "{what} is off by {error:.2e}, allowed {bound:.0e}");
}

pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// `len` numbers from `from` to `to`, the same for the same seed.
pub fn uniform(seed: u64, len: usize, from: f32, to: f32) -> Vec<f32> {
    let rng = PhiloxRng::new(Address { seed, stream: Stream::Corruption, step: 0 });
    Uniform::new_inclusive(from, to).unwrap().sample_iter(rng).take(len).collect()
}

/// y = x W^T + b.
pub fn linear(layer: Linear, params: &[f64], x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&params[layer.weight..], &params[layer.bias..]);
    let row = |x: &[f64]| -> Vec<f64> {
        let unit = |j: usize| dot(x, &weight[j * layer.inputs..(j + 1) * layer.inputs]) + bias[j];
        (0..layer.outputs).map(unit).collect()
    };
    x.chunks_exact(layer.inputs).flat_map(row).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

// ANCHOR: linear_backward
/// dW and db of [`linear`] are added to `grads`; dL/dx is returned.
pub fn linear_backward(layer: Linear, params: &[f64], x: &[f64], dy: &[f64], grads: &mut [f64]) -> Vec<f64> {
    let Linear { inputs, outputs, .. } = layer;
    let mut dx = vec![0.0; x.len()];
    for (i, dy) in dy.chunks_exact(outputs).enumerate() {
        for (j, dy) in dy.iter().enumerate() {
            grads[layer.bias + j] += dy;
            for k in 0..inputs {
                grads[layer.weight + j * inputs + k] += dy * x[i * inputs + k];
                dx[i * inputs + k] += dy * params[layer.weight + j * inputs + k];
            }
        }
    }
    dx
}
// ANCHOR_END: linear_backward

pub fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// LeakyReLU's, the tutorial's.
const SLOPE: f64 = 0.2;

pub fn leaky_relu(a: f64) -> f64 {
    if a > 0.0 { a } else { SLOPE * a }
}

pub fn activate(activation: Activation, a: f64) -> f64 {
    match activation {
        Activation::Identity => a,
        Activation::LeakyRelu => leaky_relu(a),
        Activation::Sigmoid => sigmoid(a),
    }
}

/// dL/d(pre-activation) from dL/dy, y = LeakyReLU(pre-activation).
pub fn leaky_relu_backward(y: &[f64], dy: &[f64]) -> Vec<f64> {
    y.iter().zip(dy).map(|(y, dy)| if *y > 0.0 { *dy } else { SLOPE * dy }).collect()
}

/// The binary cross-entropy of sigmoid(a) against t, in nats.
pub fn bce(a: f64, t: f64) -> f64 {
    a.max(0.0) - a * t + (-a.abs()).exp().ln_1p()
}

/// The divergence of N(m, e^v) from N(0, 1), in nats.
pub fn kl(m: f64, v: f64) -> f64 {
    -0.5 * (1.0 + v - m * m - v.exp())
}

/// z = m + e^(v/2) eps.
pub fn reparameterise(m: f64, v: f64, eps: f64) -> f64 {
    m + (0.5 * v).exp() * eps
}

/// (dL/dm, dL/dv) for L = f(z) + beta KL, from dz = df/dz.
pub fn reparameterise_backward(m: f64, v: f64, eps: f64, dz: f64, beta: f64) -> (f64, f64) {
    (dz + beta * m, dz * eps * 0.5 * (0.5 * v).exp() + beta * 0.5 * (v.exp() - 1.0))
}

/// log p(z) - log q(z|x) of a unit, for z that was sampled with `eps` at the log variance v.
pub fn log_ratio(v: f64, eps: f64, z: f64) -> f64 {
    0.5 * (eps * eps + v - z * z)
}

/// log((e^l_1 + ... + e^l_K) / K).
pub fn log_mean_exp(logarithms: &[f64]) -> f64 {
    let highest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest + (logarithms.iter().map(|l| (l - highest).exp()).sum::<f64>() / logarithms.len() as f64).ln()
}

/// e^l_k / (e^l_1 + ... + e^l_K) for every k.
pub fn shares(logarithms: &[f64]) -> Vec<f64> {
    let mean = log_mean_exp(logarithms);
    logarithms.iter().map(|l| (l - mean).exp() / logarithms.len() as f64).collect()
}

/// (dL/dm, dL/dv) for L = f(z) - weight log p(z)/q(z|x), from dz = df/dz.
pub fn importance_backward(v: f64, eps: f64, z: f64, dz: f64, weight: f64) -> (f64, f64) {
    let d = dz + weight * z;
    (d, d * eps * 0.5 * (0.5 * v).exp() - 0.5 * weight)
}

/// Adam's state (Kingma and Ba 2015, algorithm 1).
pub struct Adam {
    pub first_moment: Vec<f64>,
    pub second_moment: Vec<f64>,
}

impl Adam {
    pub fn new(len: usize) -> Self {
        Self { first_moment: vec![0.0; len], second_moment: vec![0.0; len] }
    }

    /// Step `t`, from 1.
    pub fn step(&mut self, t: i32, learning_rate: f64, params: &mut [f64], grads: &[f64]) {
        let (beta_1, beta_2, epsilon) = (0.9, 0.999, 1e-8);
        for (i, g) in grads.iter().enumerate() {
            let (m, v) = (&mut self.first_moment[i], &mut self.second_moment[i]);
            *m = beta_1 * *m + (1.0 - beta_1) * g;
            *v = beta_2 * *v + (1.0 - beta_2) * g * g;
            let (m_hat, v_hat) = (*m / (1.0 - f64::powi(beta_1, t)), *v / (1.0 - f64::powi(beta_2, t)));
            params[i] -= learning_rate * m_hat / (v_hat.sqrt() + epsilon);
        }
    }
}

/// One of the two models. Unlike latent's, its mean and log variance are two layers, as the tutorial has them.
pub struct Model {
    pub kind: Kind,
    pub dims: Dims,
    pub layout: Layout,
}

/// What a batch is: images, and the noise that samples their codes (empty for the AE).
pub struct Batch {
    pub x: Vec<f64>,
    pub eps: Vec<f64>,
}

/// Every intermediate value of a forward pass, and the loss in its two parts.
pub struct Forward {
    encoder: [Vec<f64>; 2],
    pub mean: Vec<f64>,
    pub log_var: Vec<f64>,
    pub z: Vec<f64>,
    decoder: [Vec<f64>; 2],
    pub logits: Vec<f64>,
    pub bce: f64,
    /// Not weighted by beta; 0 for the AE.
    pub kl: f64,
}

impl Model {
    pub fn new(kind: Kind, dims: Dims) -> Self {
        Self { kind, dims, layout: layout_of(kind, dims) }
    }

    fn layer(&self, name: &str) -> Linear {
        let slot = |part: &str| self.layout.get(&format!("{name}.{part}")).unwrap();
        let (weight, bias) = (slot("weight"), slot("bias"));
        let Shape::Matrix(outputs, inputs) = weight.shape else { panic!("{name}.weight is no matrix") };
        Linear { inputs, outputs, weight: weight.offset, bias: bias.offset }
    }

    pub fn forward(&self, params: &[f64], batch: &Batch) -> Forward {
        let linear = |name: &str, x: &[f64]| linear(self.layer(name), params, x);
        let hidden = |name: &str, x: &[f64]| -> Vec<f64> { linear(name, x).into_iter().map(leaky_relu).collect() };
        let h1 = hidden("encoder.FC_input", &batch.x);
        let h2 = hidden("encoder.FC_input2", &h1);
        let (mean, log_var, z) = match self.kind {
            Kind::Vanilla => (Vec::new(), Vec::new(), linear("encoder.FC_latent", &h2)),
            Kind::Variational => {
                let (mean, log_var) = (linear("encoder.FC_mean", &h2), linear("encoder.FC_var", &h2));
                let sample = |i: usize| reparameterise(mean[i], log_var[i], batch.eps[i]);
                let z = (0..mean.len()).map(sample).collect();
                (mean, log_var, z)
            }
        };
        let (decoder, logits) = self.decode(params, &z);
        let bce = logits.iter().zip(&batch.x).map(|(a, t)| bce(*a, *t)).sum();
        let kl = mean.iter().zip(&log_var).map(|(m, v)| kl(*m, *v)).sum();
        Forward { encoder: [h1, h2], mean, log_var, z, decoder, logits, bce, kl }
    }

    /// The hidden layers and the logits that a code leads to.
    pub fn decode(&self, params: &[f64], z: &[f64]) -> ([Vec<f64>; 2], Vec<f64>) {
        let linear = |name: &str, x: &[f64]| linear(self.layer(name), params, x);
        let hidden = |name: &str, x: &[f64]| -> Vec<f64> { linear(name, x).into_iter().map(leaky_relu).collect() };
        let g1 = hidden("decoder.FC_hidden", z);
        let g2 = hidden("decoder.FC_hidden2", &g1);
        let logits = linear("decoder.FC_output", &g2);
        ([g1, g2], logits)
    }

    /// L = BCE + beta KL, summed over the batch.
    pub fn loss(&self, params: &[f64], batch: &Batch, beta: f64) -> f64 {
        let Forward { bce, kl, .. } = self.forward(params, batch);
        bce + beta * kl
    }

    /// The importance-weighted loss of images of which each has `draws` rows of the batch, summed over rows.
    pub fn importance_loss(&self, params: &[f64], batch: &Batch, beta: f64, draws: usize) -> f64 {
        let (f, Dims { input, latent, .. }) = (self.forward(params, batch), self.dims);
        let log_weight = |row: usize| {
            let pixels = row * input..(row + 1) * input;
            let bce: f64 = f.logits[pixels.clone()].iter().zip(&batch.x[pixels]).map(|(a, t)| bce(*a, *t)).sum();
            let unit = |i: usize| log_ratio(f.log_var[i], batch.eps[i], f.z[i]);
            beta * (row * latent..(row + 1) * latent).map(unit).sum::<f64>() - bce
        };
        let log_weights: Vec<f64> = (0..batch.x.len() / input).map(log_weight).collect();
        log_weights.chunks(draws).map(|image| -log_mean_exp(image) * image.len() as f64).sum()
    }

    /// dL/d(parameters) by the chain rule, from the loss down.
    pub fn gradients(&self, params: &[f64], batch: &Batch, beta: f64) -> Vec<f64> {
        let f = self.forward(params, batch);
        let mut grads = vec![0.0; params.len()];
        let mut back = |name: &str, x: &[f64], dy: &[f64]| linear_backward(self.layer(name), params, x, dy, &mut grads);
        let ([h1, h2], [g1, g2]) = (&f.encoder, &f.decoder);
        let dlogits: Vec<f64> = f.logits.iter().zip(&batch.x).map(|(a, t)| sigmoid(*a) - t).collect();
        let dg2 = leaky_relu_backward(g2, &back("decoder.FC_output", g2, &dlogits));
        let dg1 = leaky_relu_backward(g1, &back("decoder.FC_hidden2", g1, &dg2));
        let dz = back("decoder.FC_hidden", &f.z, &dg1);
        let dh2 = match self.kind {
            Kind::Vanilla => back("encoder.FC_latent", h2, &dz),
            Kind::Variational => {
                let at = |i: usize| reparameterise_backward(f.mean[i], f.log_var[i], batch.eps[i], dz[i], beta);
                let (dmean, dlog_var): (Vec<f64>, Vec<f64>) = (0..dz.len()).map(at).unzip();
                let parts = [back("encoder.FC_mean", h2, &dmean), back("encoder.FC_var", h2, &dlog_var)];
                parts[0].iter().zip(&parts[1]).map(|(a, b)| a + b).collect()
            }
        };
        let dh1 = leaky_relu_backward(h1, &back("encoder.FC_input2", h1, &leaky_relu_backward(h2, &dh2)));
        back("encoder.FC_input", &batch.x, &dh1);
        grads
    }
}
