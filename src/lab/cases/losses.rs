//! Losses by themselves, and the sum of what blocks leave.

use super::{
    HYPERPARAMETERS, ULP, each, launch, on_elements, on_elements_arguments, positive, total, uniform, walk, within,
};
use crate::backend::cuda::Argument;
use crate::backend::cuda::elementwise::{BLOCK, QUAD};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Contents, Expected, Launch, Work};

/// Magnitude of logits.
const LOGIT: f32 = 8.0;

/// Roundings of an element's loss.
const LOSS_ULPS: f64 = 8.0;

/// Binary cross-entropy of a logit, without the logarithm of a sigmoid, which rounds to 0.
pub fn bce_of(logit: f64, target: f64) -> f64 {
    logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
}

/// A step of the staircase of the loss.
pub struct BceStep {
    file: &'static str,
    entry: &'static str,
    block: u32,
    /// Elements of a block; all of them where there is one block.
    share: usize,
}

/// The steps of the staircase of the loss, from the bottom up.
pub const BCE_STEPS: [BceStep; 4] = [
    BceStep { file: "bce/1_one_thread.cu", entry: "bce_one_thread", block: 1, share: usize::MAX },
    BceStep { file: "bce/2_shared_memory.cu", entry: "bce_shared_memory", block: BLOCK, share: BLOCK as usize },
    BceStep { file: "bce/3_shuffle.cu", entry: "bce_shuffle", block: BLOCK, share: BLOCK as usize },
    BceStep { file: "bce/4_vectorised.cu", entry: "bce_vectorised", block: BLOCK, share: BLOCK as usize * QUAD },
];

/// The loss of `m` rows of `n` logits: a step of the staircase, and where that leaves parts their sum.
pub fn bce_loss(name: &'static str, step: &BceStep, size: Size) -> Case {
    let length = size.m * size.n;
    let [logits, targets] = logits_and_targets(length);
    let pairs = || pairs(&logits, &targets);
    let loss = pairs().map(|(a, t)| bce_of(a, t)).sum();
    // A loss is a difference of numbers as large as its logit.
    let error = walk(LOSS_ULPS, pairs().map(|(a, t)| bce_of(a, t) + a.abs()));
    let blocks = length.div_ceil(step.share);
    let first = launch(step.file, step.entry, (blocks, step.block), move |addresses| {
        on_elements_arguments([0, 1, PARTS], length, addresses)
    });
    let second = (step.block > 1).then(|| sum_launch([PARTS, LOSS], blocks));
    let result = if second.is_some() { LOSS } else { PARTS };
    Case {
        name,
        buffers: vec![
            Contents::of(&logits),
            Contents::of(&targets),
            Contents::room::<f64>(blocks),
            Contents::room::<f64>(1),
        ],
        launches: [first].into_iter().chain(second).collect(),
        expected: vec![total("loss", result, loss, error)],
        work: Work { flop: 48.0 * length as f64, bytes: 8.0 * (length + 1) as f64 },
    }
}

/// The parts of a loss, and the loss, among a case's buffers.
const PARTS: usize = 2;
const LOSS: usize = 3;

/// The gradient at `m` rows of `n` logits.
pub fn bce_gradient(name: &'static str, size: Size) -> Case {
    let length = size.m * size.n;
    let [logits, targets] = logits_and_targets(length);
    let gradient = pairs(&logits, &targets).map(|(a, t)| 1.0 / (1.0 + (-a).exp()) - t).collect();
    // Both of its terms are at most 1.
    let gradient = Expected { allowed: vec![LOSS_ULPS * ULP; length], ..each("gradient", 2, gradient, 0.0) };
    Case {
        name,
        buffers: vec![Contents::of(&logits), Contents::of(&targets), Contents::room::<f32>(length)],
        launches: vec![on_elements("bce/gradient.cu", "bce_gradient", [0, 1, 2], length)],
        expected: vec![gradient],
        work: Work { flop: 29.0 * length as f64, bytes: 12.0 * length as f64 },
    }
}

fn logits_and_targets(length: usize) -> [Vec<f32>; 2] {
    [within(1, length, LOGIT), positive(2, length, 1.0)]
}

fn pairs(logits: &[f32], targets: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    logits.iter().zip(targets).map(|(a, t)| (f64::from(*a), f64::from(*t)))
}

/// The divergence in parts, and the gradient at the posterior.
pub fn kl(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: latent, .. } = size;
    let posterior = uniform(1, rows * 2 * latent);
    let units = || units_of(&posterior, latent);
    let kl = units().map(|(m, v)| divergence(m, v)).sum();
    let error = walk(16.0, units().map(|(m, v)| divergence(m, v)));
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
        expected: vec![total("divergence", 1, kl, error), each("gradient", 2, gradient, 16.0)],
        work: Work { flop: 53.0 * elements, bytes: 16.0 * elements + 8.0 * blocks as f64 },
    }
}

/// A launch of the form (posterior, out, beta where it has one, rows, latent).
fn kl_launch(entry: &'static str, out: usize, beta: Option<f32>, size: Size) -> Launch {
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
    Case {
        name,
        buffers: vec![Contents::of(&parts), Contents::room::<f64>(1)],
        launches: vec![sum_launch([0, 1], size.n)],
        // Another order of f64 additions.
        expected: vec![total("total", 1, parts.iter().sum(), f64::EPSILON * 16.0 * magnitude)],
        work: Work { flop: size.n as f64, bytes: 8.0 * (size.n + 1) as f64 },
    }
}

/// Adds up `count` f64 of the first buffer into the second.
fn sum_launch(buffers: [usize; 2], count: usize) -> Launch {
    launch("sum.cu", "sum", (1, BLOCK), move |addresses| {
        let buffers = buffers.map(|buffer| Argument::new(&addresses[buffer]));
        buffers.into_iter().chain([Argument::new(&(count as i32))]).collect()
    })
}
