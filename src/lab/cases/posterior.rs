//! The sample of a posterior, and the way back through it.

use super::elementwise::noise;
use super::losses::{divergence, units_of};
use super::{HYPERPARAMETERS, ULP, blocks_of_quads, control, each, launch, total, uniform, walk};
use crate::backend::Noise;
use crate::backend::cuda::Argument;
use crate::backend::cuda::elementwise::{self as arguments, BLOCK, SAMPLING_BLOCK};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Compared, Contents, Expected, Number, Work};
use crate::noise::Stream;

/// A sample of `n` units for each of `m` rows, its noise, the divergence in parts, and the sums of means and of their squares.
pub fn reparameterise(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: latent, .. } = size;
    let (posterior, eps) = (uniform(1, rows * 2 * latent), noise(rows * latent));
    let sampling_blocks = blocks_of_quads(rows * latent, SAMPLING_BLOCK);
    let elements = (rows * latent) as f64;
    let divergences = || units_of(&posterior, latent).map(|(m, v)| divergence(m, v));
    let (kl, error) = (divergences().sum(), walk(16.0, divergences()));
    Case {
        name,
        buffers: vec![
            Contents::of(&posterior),
            Contents::room::<f32>(rows * latent),
            Contents::room::<f32>(rows * latent),
            Contents::room::<f64>(sampling_blocks),
            Contents::Zeros(2 * latent * size_of::<f64>()),
            Contents::of(&[control()]),
        ],
        launches: vec![launch(
            "reparameterise.cu",
            name,
            (sampling_blocks + latent.div_ceil(SAMPLING_BLOCK as usize), SAMPLING_BLOCK),
            move |addresses| vec![sampling(addresses, size, sampling_blocks)],
        )],
        expected: vec![
            each("eps", 1, eps.iter().map(|eps| f64::from(*eps)).collect(), 0.0),
            sample(&posterior, &eps, latent),
            total("divergence", 3, kl, error),
            moments(&posterior, latent),
        ],
        work: Work { flop: 80.0 * elements, bytes: 16.0 * elements + 8.0 * (sampling_blocks + 4 * latent) as f64 },
    }
}

fn sampling(addresses: &[u64], size: Size, sampling_blocks: usize) -> Argument {
    let &[posterior, eps, z, partial, sum, control] = addresses else { unreachable!("the case has six buffers") };
    Argument::new(&arguments::Reparameterise {
        posterior,
        eps,
        z,
        partial,
        sum,
        squares: sum + (size.n * size_of::<f64>()) as u64,
        control,
        rows: size.m as i32,
        latent: size.n as i32,
        stream: Stream::Training as i32,
        noise: Noise::Drawn as i32,
        sampling_blocks: sampling_blocks as i32,
        _padding: 0,
    })
}

/// z = m + e^(v / 2) eps.
fn sample(posterior: &[f32], eps: &[f32], latent: usize) -> Expected {
    let parts = || units_of(posterior, latent).zip(eps).map(|((m, v), eps)| (m, (0.5 * v).exp() * f64::from(*eps)));
    let values = parts().map(|(m, noise)| m + noise).collect();
    let allowed = parts().map(|(m, noise)| 8.0 * ULP * (m.abs() + noise.abs())).collect();
    Expected { allowed, ..each("z", 2, values, 0.0) }
}

/// For each unit the sum of its means, then for each that of their squares.
fn moments(posterior: &[f32], latent: usize) -> Expected {
    let of_unit = |unit: usize| posterior.iter().skip(unit).step_by(2 * latent).map(|m| f64::from(*m));
    let sums = (0..latent).map(|unit| of_unit(unit).sum());
    let squares = (0..latent).map(|unit| of_unit(unit).map(|m| m * m).sum::<f64>());
    let allowed = 4.0 * f64::EPSILON * (posterior.len() / latent) as f64;
    let values = sums.chain(squares).collect();
    let (buffer, number, compared) = (4, Number::F64, Compared::Each);
    Expected { what: "moments", buffer, offset: 0, number, compared, values, allowed: vec![allowed; 2 * latent] }
}

/// The gradient at the posterior of `m` rows of `n` units, the divergence's among it.
pub fn reparameterise_backward(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: latent, .. } = size;
    let length = rows * latent;
    let (posterior, eps, dz) = (uniform(1, 2 * length), noise(length), uniform(2, length));
    let arguments = move |addresses: &[u64]| {
        let &[posterior, eps, dz, dposterior, control] = addresses else { unreachable!("the case has five buffers") };
        let (rows, latent) = (rows as i32, latent as i32);
        let argument = arguments::ReparameteriseBackward { posterior, eps, dz, dposterior, control, rows, latent };
        vec![Argument::new(&argument)]
    };
    Case {
        name,
        expected: vec![gradient(&posterior, &eps, &dz, latent)],
        buffers: vec![
            Contents::of(&posterior),
            Contents::of(&eps),
            Contents::of(&dz),
            Contents::room::<f32>(2 * length),
            Contents::of(&[control()]),
        ],
        launches: vec![launch("reparameterise_backward.cu", name, (length.div_ceil(BLOCK as usize), BLOCK), arguments)],
        work: Work { flop: 52.0 * length as f64, bytes: 24.0 * length as f64 },
    }
}

/// For each row dmean = dz + beta m, then dlog_var = (dz eps e^(v / 2) + beta (e^v - 1)) / 2.
fn gradient(posterior: &[f32], eps: &[f32], dz: &[f32], latent: usize) -> Expected {
    let beta = HYPERPARAMETERS.beta;
    let mut terms = vec![[0.0; 2]; posterior.len()];
    for (i, (m, v)) in units_of(posterior, latent).enumerate() {
        let (eps, dz) = (f64::from(eps[i]), f64::from(dz[i]));
        let mean_at = i / latent * 2 * latent + i % latent;
        terms[mean_at] = [dz, beta * m];
        terms[mean_at + latent] = [0.5 * dz * eps * (0.5 * v).exp(), 0.5 * beta * v.exp_m1()];
    }
    let values = terms.iter().map(|[a, b]| a + b).collect();
    let allowed = terms.iter().map(|[a, b]| 16.0 * ULP * (a.abs() + b.abs())).collect();
    Expected { allowed, ..each("dposterior", 3, values, 0.0) }
}
