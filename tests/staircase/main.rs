//! Every step of the staircase, in one test of all tails and odd shapes on a device in software with all of its checks on; and
//! what each step improves over the one before, by the device's counts.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod compiled;
mod counts;
mod device;
#[path = "../emulated/mod.rs"]
mod emulated;
#[allow(dead_code, reason = "the problems are those of the products with every epilogue")]
#[path = "../gemm/problem.rs"]
mod problem;
#[path = "../gemm/rounding.rs"]
mod rounding;

use device::device;
use latent::backend::cuda::gemm::{Epilogue, Layout, Size};
use latent::lab::staircase::Step;
use problem::Problem;

const EXTENTS: [usize; 13] = [1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 130];

/// Sums long enough to be cut among several blocks, ragged and whole.
const LONG: [Size; 4] = [
    Size { m: 1, n: 1, k: 1000 },
    Size { m: 33, n: 7, k: 777 },
    Size { m: 100, n: 64, k: 784 },
    Size { m: 65, n: 132, k: 400 },
];

/// Every pair of extents of C, each with one of the sum's, so that every extent of the sum meets every other extent; and the long
/// sums.
fn sizes() -> impl Iterator<Item = Size> {
    let count = EXTENTS.len();
    let pairs = (0..count).flat_map(move |i| (0..count).map(move |j| (i, j)));
    let with = |(i, j): (usize, usize)| Size { m: EXTENTS[i], n: EXTENTS[j], k: EXTENTS[(i + 2 * j) % EXTENTS.len()] };
    pairs.map(with).chain(LONG)
}

#[test]
fn every_extent_meets_every_other() {
    let sizes: Vec<Size> = sizes().collect();
    for (one, other) in EXTENTS.into_iter().flat_map(|one| EXTENTS.map(|other| (one, other))) {
        assert!(sizes.iter().any(|size| (size.m, size.n) == (one, other)), "m {one}, n {other}");
        assert!(sizes.iter().any(|size| (size.m, size.k) == (one, other)), "m {one}, k {other}");
        assert!(sizes.iter().any(|size| (size.n, size.k) == (one, other)), "n {one}, k {other}");
    }
}

/// The problem as the step multiplies it: tensor cores round the operands.
fn rounded(step: Step, problem: Problem) -> Problem {
    match step {
        Step::Tf32 => problem.rounded(rounding::to_tf32),
        Step::Bf16 => problem.rounded(rounding::to_bf16),
        _ => problem,
    }
}

#[test]
fn every_step_is_exact_on_integers_at_any_size() {
    let Some(mut device) = device() else { return };
    for size in sizes() {
        let problem = Problem::of_integers(size, Layout::Nn, Epilogue::Plain);
        for step in Step::ALL {
            problem.check(&device.multiply(step, &problem), true);
        }
    }
}

#[test]
fn every_step_agrees_with_f64_at_any_size() {
    let Some(mut device) = device() else { return };
    for (size, step) in sizes().flat_map(|size| Step::ALL.map(|step| (size, step))) {
        let problem = rounded(step, Problem::of_reals(size, Layout::Nn, Epilogue::Plain));
        problem.check(&device.multiply(step, &problem), false);
    }
}

#[test]
fn every_step_gives_the_same_bits_again() {
    let Some(mut device) = device() else { return };
    let problem = Problem::of_reals(Size { m: 100, n: 72, k: 784 }, Layout::Nn, Epilogue::Plain);
    for step in Step::ALL {
        let (once, again) = (device.multiply(step, &problem), device.multiply(step, &problem));
        assert!(once == again, "{step:?}");
    }
}
