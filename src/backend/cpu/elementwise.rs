//! The loops over elements. Each is compiled once for every vector extension, and the widest present is taken at run time. They
//! are written so that the compiler vectorises them: no calls, no early exits, sums in [`LANES`] fixed lanes.

use std::ops::Range;

use multiversion::multiversion;

use crate::backend::{Activation, NEGATIVE_SLOPE, adam as constants};
use crate::math;
use crate::noise::{Address, fill_standard_normal};

/// Partial sums of a reduction. Their number is fixed, so the order of a sum does not depend on the processor.
const LANES: usize = 16;

/// Adds up in f64 what was summed in lanes of f32.
#[inline(always)]
fn total(lanes: [f32; LANES]) -> f64 {
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}

/// out = bytes / 255.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn bytes_to_unit(bytes: &[u8], out: &mut [f32]) {
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = f32::from(*byte) / 255.0;
    }
}

/// y = activation(y + bias).
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn bias_activation(bias: &[f32], activation: Activation, y: &mut [f32]) {
    let pairs = y.iter_mut().zip(bias);
    match activation {
        Activation::Identity => pairs.for_each(|(y, b)| *y += b),
        Activation::LeakyRelu => pairs.for_each(|(y, b)| {
            let a = *y + b;
            *y = if a > 0.0 { a } else { NEGATIVE_SLOPE * a };
        }),
        Activation::Sigmoid => pairs.for_each(|(y, b)| *y = math::sigmoid(*y + b)),
    }
}

/// dx = dx f'(p), where `x` = f(p) is the activation's output.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn times_derivative(activation: Activation, x: &[f32], dx: &mut [f32]) {
    if activation == Activation::LeakyRelu {
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx *= if *x > 0.0 { 1.0 } else { NEGATIVE_SLOPE };
        }
    }
}

/// Binary cross-entropy of the logits `a` + `bias` against `target`, in nats; `a` becomes its gradient at the logits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn bce_and_gradient(bias: &[f32], target: &[f32], a: &mut [f32]) -> f64 {
    let n = a.len();
    let (bias, target) = (&bias[..n], &target[..n]);
    let mut loss = [0.0f32; LANES];
    let mut rest = 0.0f64;
    // ANCHOR: bce
    let step = |a: &mut f32, b: f32, t: f32| {
        let logit = *a + b;
        let (s, softplus) = math::sigmoid_softplus(logit);
        // Infinity times 0 is NaN: an infinite logit, whose sigmoid is finite, is found all the same.
        *a = logit.mul_add(0.0, s - t);
        // `max` would lose a NaN.
        let positive = if logit < 0.0 { 0.0 } else { logit };
        logit.mul_add(-t, positive) + softplus
    };
    // ANCHOR_END: bce
    let (chunks, tail) = a.as_chunks_mut::<LANES>();
    for (i, chunk) in chunks.iter_mut().enumerate() {
        let (b, t) = (&bias[i * LANES..(i + 1) * LANES], &target[i * LANES..(i + 1) * LANES]);
        for lane in 0..LANES {
            loss[lane] += step(&mut chunk[lane], b[lane], t[lane]);
        }
    }
    let first = n - tail.len();
    for (i, a) in tail.iter_mut().enumerate() {
        rest += f64::from(step(a, bias[first + i], target[first + i]));
    }
    total(loss) + rest
}

/// out = the sums of the columns `range` of `matrix`, rows in ascending order.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn column_sums(matrix: &[f32], columns: usize, range: Range<usize>, out: &mut [f32]) {
    out.fill(0.0);
    for row in matrix.chunks_exact(columns) {
        for (out, value) in out.iter_mut().zip(&row[range.clone()]) {
            *out += value;
        }
    }
}

/// The KL divergence of N(m, e^v) from N(0, 1): (m^2 + (e^v - 1 - v)) / 2, where nothing cancels near the prior.
#[inline(always)]
fn kl(m: f32, v: f32) -> f32 {
    0.5 * m.mul_add(m, math::exp_m1_minus_x(v))
}

/// The sum of the KL divergences of rows of `latent` means beside as many log variances.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn kl_sum(latent: usize, posterior: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut rest = 0.0;
    for row in posterior.chunks_exact(2 * latent) {
        let (mean, log_var) = row.split_at(latent);
        let ((means, mean_tail), (log_vars, log_var_tail)) = (mean.as_chunks::<LANES>(), log_var.as_chunks::<LANES>());
        for (m, v) in means.iter().zip(log_vars) {
            for lane in 0..LANES {
                lanes[lane] += kl(m[lane], v[lane]);
            }
        }
        rest += mean_tail.iter().zip(log_var_tail).map(|(m, v)| f64::from(kl(*m, *v))).sum::<f64>();
    }
    total(lanes) + rest
}

/// z = m + e^(v/2) eps for rows of `latent` means beside as many log variances.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn sample(latent: usize, posterior: &[f32], eps: &[f32], z: &mut [f32]) {
    let rows = posterior.chunks_exact(2 * latent).zip(eps.chunks_exact(latent)).zip(z.chunks_exact_mut(latent));
    for ((posterior, eps), z) in rows {
        let (mean, log_var) = posterior.split_at(latent);
        for (((z, m), v), e) in z.iter_mut().zip(mean).zip(log_var).zip(eps) {
            *z = math::exp(0.5 * v).mul_add(*e, *m);
        }
    }
}

/// z = m.
pub fn copy_mean(latent: usize, posterior: &[f32], z: &mut [f32]) {
    for (posterior, z) in posterior.chunks_exact(2 * latent).zip(z.chunks_exact_mut(latent)) {
        z.copy_from_slice(&posterior[..latent]);
    }
}

/// Adds every unit's mean and its square, rows in ascending order.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn add_moments(latent: usize, posterior: &[f32], sum: &mut [f64], squares: &mut [f64]) {
    for row in posterior.chunks_exact(2 * latent) {
        for ((sum, square), m) in sum.iter_mut().zip(squares.iter_mut()).zip(row) {
            let m = f64::from(*m);
            *sum += m;
            *square += m * m;
        }
    }
}

/// out = (dz + beta m) beside (dz eps e^(v/2) / 2 + beta (e^v - 1) / 2), with 0 in place of beta where a unit's KL is below
/// `free_bits`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn posterior_gradient(
    latent: usize,
    (beta, free_bits): (f32, f32),
    posterior: &[f32],
    eps: &[f32],
    dz: &[f32],
    out: &mut [f32],
) {
    let weight = |m: f32, v: f32| if kl(m, v) < free_bits { 0.0 } else { beta };
    let inputs = posterior.chunks_exact(2 * latent).zip(eps.chunks_exact(latent)).zip(dz.chunks_exact(latent));
    for (((posterior, eps), dz), out) in inputs.zip(out.chunks_exact_mut(2 * latent)) {
        let (mean, log_var) = posterior.split_at(latent);
        let (d_mean, d_log_var) = out.split_at_mut(latent);
        for (((d, m), v), dz) in d_mean.iter_mut().zip(mean).zip(log_var).zip(dz) {
            *d = weight(*m, *v).mul_add(*m, *dz);
        }
        for ((((d, m), v), e), dz) in d_log_var.iter_mut().zip(mean).zip(log_var).zip(eps).zip(dz) {
            let deviation = math::exp(0.5 * v);
            *d = 0.5 * (dz * e).mul_add(deviation, weight(*m, *v) * (math::exp_m1_minus_x(*v) + v));
        }
    }
}

/// log p(z) - log q(z|x) of one code: the sum of (eps^2 + v - z^2) / 2.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn log_ratio(eps: &[f32], log_var: &[f32], z: &[f32]) -> f64 {
    let unit = |((e, v), z): ((&f32, &f32), &f32)| {
        let (e, v, z) = (f64::from(*e), f64::from(*v), f64::from(*z));
        e * e + v - z * z
    };
    0.5 * eps.iter().zip(log_var).zip(z).map(unit).sum::<f64>()
}

/// What share of their sum each of some numbers is, from their logarithms; returns the logarithm of their mean.
pub fn shares(logarithms: &[f64], shares: &mut [f32]) -> f64 {
    let highest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (share, logarithm) in shares.iter_mut().zip(logarithms) {
        *share = math::exp((logarithm - highest) as f32);
    }
    let total = shares.iter().map(|share| f64::from(*share)).sum::<f64>();
    for share in shares {
        *share /= total as f32;
    }
    highest + (total / logarithms.len() as f64).ln()
}

/// values = weight values.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn scale(weight: f32, values: &mut [f32]) {
    for value in values {
        *value *= weight;
    }
}

/// out = d beside (d eps e^(v/2) - weight) / 2 for one code, with d = dz + weight z; `weight` is beta times the draw's share.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn importance_gradient(weight: f32, log_var: &[f32], [eps, z, dz]: [&[f32]; 3], out: &mut [f32]) {
    let (d_mean, d_log_var) = out.split_at_mut(log_var.len());
    for ((d, z), dz) in d_mean.iter_mut().zip(z).zip(dz) {
        *d = weight.mul_add(*z, *dz);
    }
    for (((d_log_var, d), e), v) in d_log_var.iter_mut().zip(&*d_mean).zip(eps).zip(log_var) {
        *d_log_var = 0.5 * (d * e).mul_add(math::exp(0.5 * v), -weight);
    }
}

/// Adam's update with `step_size` = lr / (1 - beta_1^t) and `root_scale` = 1 / sqrt(1 - beta_2^t).
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn adam(step_size: f32, root_scale: f32, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    const FRESH_1: f32 = (1.0 - constants::BETA_1) as f32;
    const FRESH_2: f32 = (1.0 - constants::BETA_2) as f32;
    const KEEP_2: f32 = constants::BETA_2 as f32;
    const EPSILON: f32 = constants::EPSILON as f32;
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
        *m = (g - *m).mul_add(FRESH_1, *m);
        *v = v.mul_add(KEEP_2, FRESH_2 * g * g);
        *p -= step_size * *m / v.sqrt().mul_add(root_scale, EPSILON);
    }
}

/// Fills `out` with the standard normals of the elements `first`, `first` + 1, ... of `address`; see [`fill_standard_normal`].
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+fma", "x86_64+avx2+fma"))]
pub fn standard_normal(address: Address, first: usize, out: &mut [f32]) {
    fill_standard_normal(address, first, out);
}
