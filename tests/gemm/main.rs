//! The products of `kernels/gemm/`, at any size, in every form, on a device in software with all of its checks on.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;
mod problem;

use device::device;
use latent::backend::cuda::gemm::{Epilogue, Family, Layout, Plan, Size};
use problem::Problem;

const FAMILIES: [Family; 2] = [Family::Vectorised, Family::SplitK];

const EXTENTS: [usize; 13] = [1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 130];

/// Sizes that pair every extent of each dimension with several of the others.
fn sizes() -> Vec<Size> {
    let count = EXTENTS.len();
    let at = |index: usize| EXTENTS[index % count];
    let turns = [(1, 2), (3, 7), (5, 4)];
    let with = |(n, k): (usize, usize)| (0..count).map(move |i| Size { m: at(i), n: at(i * n + 3), k: at(i * k + 5) });
    turns.into_iter().flat_map(with).collect()
}

fn plans(family: Family, problem: &Problem) -> Vec<Plan> {
    let chosen = Plan::new(family, problem.size, problem.layout, problem.epilogue);
    let splits: &[u32] = if family == Family::SplitK { &[1, 2, 3, 5] } else { &[1] };
    splits.iter().map(|splits| Plan { splits: *splits, blocks: chosen.tiles * splits, ..chosen }).collect()
}

#[test]
fn products_of_integers_are_exact_at_any_size() {
    let Some(mut device) = device() else { return };
    for size in sizes() {
        for layout in Layout::ALL {
            let problem = Problem::of_integers(size, layout, Epilogue::Plain);
            for family in FAMILIES {
                for plan in plans(family, &problem) {
                    let output = device.multiply(family, false, &[(&problem, plan)], 1);
                    problem.check(&output[0], true);
                    if size.is_aligned(layout) {
                        let output = device.multiply(family, true, &[(&problem, plan)], 0);
                        problem.check(&output[0], true);
                    }
                }
            }
        }
    }
}
