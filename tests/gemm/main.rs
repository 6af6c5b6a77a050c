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

const EPILOGUES: [Epilogue; 6] = [
    Epilogue::Plain,
    Epilogue::Bias,
    Epilogue::BiasLeakyRelu,
    Epilogue::BiasSigmoid,
    Epilogue::BiasBce,
    Epilogue::Derivative,
];

/// Sizes inside one tile, across tiles, and with tails everywhere.
const EPILOGUE_SIZES: [Size; 4] = [
    Size { m: 1, n: 1, k: 1 },
    Size { m: 31, n: 33, k: 65 },
    Size { m: 64, n: 36, k: 128 },
    Size { m: 130, n: 127, k: 63 },
];

#[test]
fn every_epilogue_is_right_in_every_layout() {
    let Some(mut device) = device() else { return };
    let forms = Layout::ALL.into_iter().flat_map(|layout| EPILOGUES.map(|epilogue| (layout, epilogue)));
    let forms: Vec<_> = forms.chain([(Layout::Tn, Epilogue::BiasGradient)]).collect();
    for (size, (layout, epilogue)) in EPILOGUE_SIZES.into_iter().flat_map(|size| forms.iter().map(move |f| (size, *f)))
    {
        let problem = Problem::of_reals(size, layout, epilogue);
        for (family, plan) in FAMILIES.into_iter().flat_map(|f| plans(f, &problem).into_iter().map(move |p| (f, p))) {
            let aligned = size.is_aligned(layout);
            let output = device.multiply(family, aligned, &[(&problem, plan)], usize::from(!aligned));
            problem.check(&output[0], false);
        }
    }
}

/// The products of a training step on a batch of 100.
const FORWARD: [(usize, usize, Epilogue); 5] = [
    (400, 784, Epilogue::BiasLeakyRelu),
    (400, 400, Epilogue::BiasLeakyRelu),
    (400, 400, Epilogue::Bias),
    (400, 200, Epilogue::BiasLeakyRelu),
    (784, 400, Epilogue::BiasBce),
];

#[test]
#[ignore = "prints"]
fn print_counts() {
    let Some(mut device) = device() else { return };
    for (n, k, epilogue) in FORWARD {
        for family in FAMILIES {
            let problem = Problem::of_reals(Size { m: 100, n, k }, Layout::Nt, epilogue);
            let plan = Plan::new(family, problem.size, Layout::Nt, epilogue);
            println!("{plan:?}\n{}", device.count(family, &[(&problem, plan)]));
        }
    }
    for (m, n, k, layout, epilogue) in [
        (400, 784, 100, Layout::Tn, Epilogue::BiasGradient),
        (400, 400, 100, Layout::Tn, Epilogue::BiasGradient),
        (100, 400, 784, Layout::Nn, Epilogue::Derivative),
        (100, 400, 400, Layout::Nn, Epilogue::Derivative),
        (100, 200, 400, Layout::Nn, Epilogue::Plain),
    ] {
        for family in FAMILIES {
            let problem = Problem::of_reals(Size { m, n, k }, layout, epilogue);
            let plan = Plan::new(family, problem.size, layout, epilogue);
            println!("{plan:?}\n{}", device.count(family, &[(&problem, plan)]));
        }
    }
}
