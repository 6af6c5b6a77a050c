//! Losses by themselves, and the sum of what blocks leave.

use super::{ULP, each, launch, on_elements, positive, total, uniform, within};
use crate::backend::cuda::Argument;
use crate::backend::cuda::elementwise::{BLOCK, QUAD};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Contents, Expected, Work};

use super::HYPERPARAMETERS;

/// Magnitude of logits.
const LOGIT: f32 = 8.0;

/// Roundings of an element's loss.
const LOSS_ULPS: f64 = 8.0;

/// Binary cross-entropy of a logit, without the logarithm of a sigmoid, which rounds to 0.
fn bce_of(logit: f64, target: f64) -> f64 {
    logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
}

/// The loss in parts, and the gradient at the logits.
pub fn bce(name: &'static str, size: Size) -> Case {
    let length = size.m * size.n;
    let (logits, targets) = (within(1, length, LOGIT), positive(2, length, 1.0));
    let pairs = || logits.iter().zip(&targets).map(|(a, t)| (f64::from(*a), f64::from(*t)));
    let loss: f64 = pairs().map(|(a, t)| bce_of(a, t)).sum();
    // A loss is a difference of numbers as large as its logit.
    let magnitude: f64 = pairs().map(|(a, t)| bce_of(a, t) + a.abs()).sum();
    let gradient = pairs().map(|(a, t)| 1.0 / (1.0 + (-a).exp()) - t).collect();
    // Both of its terms are at most 1.
    let gradient = Expected { allowed: vec![LOSS_ULPS * ULP; length], ..each("gradient", 3, gradient, 0.0) };
    let blocks = length.div_ceil(QUAD).div_ceil(BLOCK as usize);
    Case {
        name,
        buffers: vec![
            Contents::of(&logits),
            Contents::of(&targets),
            Contents::room::<f64>(blocks),
            Contents::room::<f32>(length),
        ],
        launches: vec![
            on_elements("bce.cu", "bce_loss", &[0, 1, 2], length),
            on_elements("bce.cu", "bce_gradient", &[0, 1, 3], length),
        ],
        expected: vec![total("loss", 2, loss, LOSS_ULPS * ULP * magnitude), gradient],
        work: Work { flop: 80.0 * length as f64, bytes: 12.0 * length as f64 + 8.0 * blocks as f64 },
    }
}

/// The divergence in parts, and the gradient at the posterior.
pub fn kl(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: latent, .. } = size;
    let posterior = uniform(1, rows * 2 * latent);
    let units = || units_of(&posterior, latent);
    let divergence: f64 = units().map(|(m, v)| divergence(m, v)).sum();
    let beta = HYPERPARAMETERS.beta;
    let gradient = |row: &[f32]| {
        let (means, log_vars) = row.split_at(latent);
        let of_means = means.iter().map(|m| beta * f64::from(*m)).collect::<Vec<_>>();
        of_means.into_iter().chain(log_vars.iter().map(|v| 0.5 * beta * f64::from(*v).exp_m1())).collect::<Vec<_>>()
    };
    let gradient: Vec<f64> = posterior.chunks(2 * latent).flat_map(gradient).collect();
    let blocks = (rows * latent).div_ceil(BLOCK as usize);
    let elements = (rows * latent) as f64;
    Case {
        name,
        buffers: vec![
            Contents::of(&posterior),
            Contents::room::<f64>(blocks),
            Contents::room::<f32>(rows * 2 * latent),
        ],
        launches: vec![kl_launch("kl_loss", 1, None, size), kl_launch("kl_gradient", 2, Some(beta as f32), size)],
        expected: vec![
            total("divergence", 1, divergence, 16.0 * ULP * divergence),
            each("gradient", 2, gradient, 16.0),
        ],
        work: Work { flop: 60.0 * elements, bytes: 16.0 * elements + 8.0 * blocks as f64 },
    }
}

/// A launch of the form (posterior, out, beta where it has one, rows, latent).
fn kl_launch(entry: &'static str, out: usize, beta: Option<f32>, size: Size) -> crate::lab::case::Launch {
    let grid = (size.m * size.n).div_ceil(BLOCK as usize);
    launch("kl.cu", entry, (grid, BLOCK), move |addresses| {
        let buffers = [addresses[0], addresses[out]].map(|address| Argument::new(&address));
        let sizes = [size.m, size.n].map(|extent| Argument::new(&(extent as i32)));
        let beta = beta.map(|beta| Argument::new(&beta));
        buffers.into_iter().chain(beta).chain(sizes).collect()
    })
}

/// Mean and log variance of each unit of each row.
pub fn units_of(posterior: &[f32], latent: usize) -> impl Iterator<Item = (f64, f64)> {
    posterior.chunks(2 * latent).flat_map(move |row| {
        let (means, log_vars) = row.split_at(latent);
        means.iter().zip(log_vars).map(|(m, v)| (f64::from(*m), f64::from(*v)))
    })
}

/// The divergence of N(m, e^v) from N(0, 1).
pub fn divergence(m: f64, v: f64) -> f64 {
    0.5 * (m * m + v.exp_m1() - v)
}

/// The sum of `n` parts.
pub fn sum(name: &'static str, size: Size) -> Case {
    let parts: Vec<f64> = uniform(1, size.n).into_iter().map(f64::from).collect();
    let magnitude: f64 = parts.iter().map(|part| part.abs()).sum();
    let count = size.n as i32;
    let arguments = move |addresses: &[u64]| {
        vec![Argument::new(&addresses[0]), Argument::new(&addresses[1]), Argument::new(&count)]
    };
    Case {
        name,
        buffers: vec![Contents::of(&parts), Contents::room::<f64>(1)],
        launches: vec![launch("sum.cu", name, (1, BLOCK), arguments)],
        // Another order of f64 additions.
        expected: vec![total("total", 1, parts.iter().sum(), f64::EPSILON * 16.0 * magnitude)],
        work: Work { flop: size.n as f64, bytes: 8.0 * (size.n + 1) as f64 },
    }
}
