//! Every step at all tails and odd shapes: the bodies, for a device in software and for a GPU.

use crate::problem::Problem;
use crate::rounding;
use crate::staircase_device::Device;
use latent::backend::cuda::gemm::{Epilogue, Layout, Size};
use latent::lab::staircase::Step;

/// Extents within a tile, at its edges and beyond, for every tile that a step has.
pub const EXTENTS: [usize; 13] = [1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 130];

/// Sums long enough to be cut among several blocks, ragged and whole.
pub const LONG: [Size; 4] = [
    Size { m: 1, n: 1, k: 1000 },
    Size { m: 33, n: 7, k: 777 },
    Size { m: 100, n: 64, k: 784 },
    Size { m: 65, n: 132, k: 400 },
];

/// Every pair of extents of C, each with one of the sum's, so that every extent of the sum meets every other extent; and the long
/// sums.
pub fn sizes() -> impl Iterator<Item = Size> {
    let count = EXTENTS.len();
    let pairs = (0..count).flat_map(move |i| (0..count).map(move |j| (i, j)));
    let with = |(i, j): (usize, usize)| Size { m: EXTENTS[i], n: EXTENTS[j], k: EXTENTS[(i + 2 * j) % EXTENTS.len()] };
    pairs.map(with).chain(LONG)
}

/// The problem as the step multiplies it: tensor cores round the operands.
fn rounded(step: Step, problem: Problem) -> Problem {
    match step {
        Step::Tf32 => problem.rounded(rounding::to_tf32),
        Step::Bf16 => problem.rounded(rounding::to_bf16),
        _ => problem,
    }
}

/// Holds every step that the device can do against exact sums of integers.
pub fn exact_on_integers(device: &mut Device<'_>, sizes: impl IntoIterator<Item = Size>) {
    for size in sizes {
        let problem = Problem::of_integers(size, Layout::Nn, Epilogue::Plain);
        for step in device.steps() {
            problem.check(&device.multiply(step, &problem), true);
        }
    }
}

/// Holds every step that the device can do against f64.
pub fn near_f64(device: &mut Device<'_>, sizes: impl IntoIterator<Item = Size>) {
    for size in sizes {
        for step in device.steps() {
            let problem = rounded(step, Problem::of_reals(size, Layout::Nn, Epilogue::Plain));
            problem.check(&device.multiply(step, &problem), false);
        }
    }
}
