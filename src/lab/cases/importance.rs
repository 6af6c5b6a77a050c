//! The weights of an image's draws, and the way back through them.

use super::elementwise::noise;
use super::losses::{bce_of, units_of};
use super::{HYPERPARAMETERS, ULP, control, each, launch, positive, total, uniform, walk, within};
use crate::backend::cuda::Argument;
use crate::backend::cuda::elementwise::{self as arguments, BLOCK};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Contents, Expected, Work};

/// Codes of an image, and units of a code.
pub const DRAWS: usize = 5;
const LATENT: usize = 20;

/// Magnitude of logits: so small that no draw of an image outweighs all others.
const LOGIT: f32 = 0.25;

/// Roundings of a pixel's loss.
const LOSS_ULPS: f64 = 8.0;

/// What the weights are computed from.
struct Inputs {
    logits: Vec<f32>,
    target: Vec<f32>,
    posterior: Vec<f32>,
    eps: Vec<f32>,
    z: Vec<f32>,
}

/// What must come out, and how far off each may be.
#[derive(Default)]
struct Results {
    gradient: Vec<(f64, f64)>,
    weights: Vec<(f64, f64)>,
    bce: f64,
    bound: f64,
    /// Of the sums of losses and bounds.
    allowed: f64,
}

/// The weights of [`DRAWS`] draws for each of `m` images of `n` pixels, and the loss's gradient at their logits.
pub fn importance_weights(name: &'static str, size: Size) -> Case {
    let Size { m: images, n: pixels, .. } = size;
    let rows = images * DRAWS;
    let inputs = Inputs {
        logits: within(1, rows * pixels, LOGIT),
        target: positive(2, rows * pixels, 1.0),
        posterior: uniform(3, rows * 2 * LATENT),
        eps: noise(rows * LATENT),
        z: uniform(4, rows * LATENT),
    };
    let Results { gradient, weights, bce, bound, allowed } = inputs.results(pixels);
    let Inputs { logits, target, posterior, eps, z } = &inputs;
    let elements = (rows * pixels) as f64;
    let units = (rows * LATENT) as f64;
    Case {
        name,
        buffers: [logits, target, posterior, eps, z]
            .map(|values| Contents::of(values))
            .into_iter()
            .chain([
                Contents::room::<f32>(rows),
                Contents::room::<f64>(images),
                Contents::room::<f64>(images),
                Contents::of(&[control()]),
            ])
            .collect(),
        launches: vec![launch("importance_weights.cu", name, (images, BLOCK), move |addresses| {
            vec![weighing(addresses, size)]
        })],
        expected: vec![
            off("gradient", 0, gradient),
            off("weights", 5, weights),
            total("cross-entropy", 6, bce, allowed),
            total("bound", 7, bound, allowed),
        ],
        work: Work { flop: 50.0 * elements + 8.0 * units, bytes: 20.0 * elements + 12.0 * units },
    }
}

fn weighing(addresses: &[u64], size: Size) -> Argument {
    let &[logits, target, posterior, eps, z, weights, bce, bound, control] = addresses else {
        unreachable!("the case has nine buffers")
    };
    Argument::new(&arguments::ImportanceWeights {
        logits,
        target,
        posterior,
        eps,
        z,
        weights,
        bce,
        bound,
        control,
        rows: (size.m * DRAWS) as i32,
        draws: DRAWS as i32,
        latent: LATENT as i32,
        pixels: size.n as i32,
    })
}

/// Each f32 of a buffer is expected to be one of these, so far off at most.
fn off(what: &'static str, buffer: usize, values: Vec<(f64, f64)>) -> Expected {
    let (values, allowed) = values.into_iter().unzip();
    Expected { allowed, ..each(what, buffer, values, 0.0) }
}

impl Inputs {
    /// Equation 8 of Burda, Grosse and Salakhutdinov 2016 and its derivative at the logits.
    fn results(&self, pixels: usize) -> Results {
        let mut results = Results::default();
        let rows: Vec<(f64, f64)> = (0..self.eps.len() / LATENT).map(|row| self.log_weight(row, pixels)).collect();
        for (image, rows) in rows.chunks(DRAWS).enumerate() {
            let highest = rows.iter().map(|(log_weight, _)| *log_weight).fold(f64::NEG_INFINITY, f64::max);
            let error = rows.iter().map(|(_, error)| *error).fold(0.0, f64::max);
            let sum: f64 = rows.iter().map(|(log_weight, _)| (log_weight - highest).exp()).sum();
            results.bound -= DRAWS as f64 * (highest + (sum / DRAWS as f64).ln());
            results.allowed += DRAWS as f64 * (error + 8.0 * ULP);
            for (draw, (log_weight, _)) in rows.iter().enumerate() {
                let below = highest - log_weight;
                let weight = (-below).exp() / sum;
                let may = weight * (4.0 * error + (16.0 + 4.0 * below) * ULP);
                results.weights.push((weight, may));
                for (a, t) in self.pixels_of(image * DRAWS + draw, pixels) {
                    let gradient = 1.0 / (1.0 + (-a).exp()) - t;
                    results.gradient.push((weight * gradient, may * gradient.abs() + LOSS_ULPS * ULP * weight));
                    results.bce += bce_of(a, t);
                }
            }
        }
        results
    }

    fn pixels_of(&self, row: usize, pixels: usize) -> impl Iterator<Item = (f64, f64)> {
        let range = row * pixels..(row + 1) * pixels;
        self.logits[range.clone()].iter().zip(&self.target[range]).map(|(a, t)| (f64::from(*a), f64::from(*t)))
    }

    /// The log weight of a row, and how far off it may be.
    fn log_weight(&self, row: usize, pixels: usize) -> (f64, f64) {
        let pixels = || self.pixels_of(row, pixels);
        let bce: f64 = pixels().map(|(a, t)| bce_of(a, t)).sum();
        let error = walk(LOSS_ULPS, pixels().map(|(a, t)| bce_of(a, t) + a.abs()));
        let code = row * LATENT..(row + 1) * LATENT;
        let log_vars = units_of(&self.posterior[2 * code.start..2 * code.end], LATENT).map(|(_, log_var)| log_var);
        let squares = self.eps[code.clone()].iter().zip(&self.z[code]);
        let ratio: f64 =
            squares.zip(log_vars).map(|((eps, z), v)| f64::from(*eps).powi(2) + v - f64::from(*z).powi(2)).sum();
        (HYPERPARAMETERS.beta * 0.5 * ratio - bce, error)
    }
}

/// The gradient at the posterior of `m` rows of `n` units, from the gradient at their codes and the rows' weights.
pub fn importance_backward(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: latent, .. } = size;
    let length = rows * latent;
    let posterior = uniform(1, 2 * length);
    let (eps, z, weights, dz) = (noise(length), uniform(2, length), positive(3, rows, 1.0), uniform(4, length));
    let arguments = move |addresses: &[u64]| {
        let &[posterior, eps, z, weights, dz, dposterior, control] = addresses else {
            unreachable!("the case has seven buffers")
        };
        let (rows, latent) = (rows as i32, latent as i32);
        let argument =
            arguments::ImportanceBackward { posterior, eps, z, weights, dz, dposterior, control, rows, latent };
        vec![Argument::new(&argument)]
    };
    Case {
        name,
        expected: vec![off("dposterior", 5, gradient(&posterior, [&eps, &z, &weights, &dz], latent))],
        buffers: vec![
            Contents::of(&posterior),
            Contents::of(&eps),
            Contents::of(&z),
            Contents::of(&weights),
            Contents::of(&dz),
            Contents::room::<f32>(2 * length),
            Contents::of(&[control()]),
        ],
        launches: vec![launch("importance_backward.cu", name, (length.div_ceil(BLOCK as usize), BLOCK), arguments)],
        work: Work { flop: 30.0 * length as f64, bytes: 24.0 * length as f64 },
    }
}

/// For each row d = dz + beta w z, then (d eps e^(v / 2) - beta w) / 2.
fn gradient(posterior: &[f32], [eps, z, weights, dz]: [&[f32]; 4], latent: usize) -> Vec<(f64, f64)> {
    let mut results = vec![(0.0, 0.0); posterior.len()];
    for (i, (_, v)) in units_of(posterior, latent).enumerate() {
        let [eps, z, dz, weight] = [eps[i], z[i], dz[i], weights[i / latent]].map(f64::from);
        let weight = HYPERPARAMETERS.beta * weight;
        let (d, scale) = (dz + weight * z, 0.5 * eps * (0.5 * v).exp());
        let size = dz.abs() + (weight * z).abs();
        let mean_at = i / latent * 2 * latent + i % latent;
        results[mean_at] = (d, 4.0 * ULP * size);
        results[mean_at + latent] = (d * scale - 0.5 * weight, 16.0 * ULP * (size * scale.abs() + 0.5 * weight));
    }
    results
}
