//! The products of `kernels/gemm/`, at any size, in every form, on a device in software with all of its checks on.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;
mod problem;

use device::device;
use latent::backend::cuda::gemm::{Epilogue, Family, Layout, Plan, Size, Tile};
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

/// A product of a training step: what is counted of it.
type Work = (Layout, Epilogue, (usize, usize, usize));

const BATCH: usize = 100;

/// The launches of a training step of the VAE on a batch of 100: one product, or two.
fn step() -> Vec<Vec<Work>> {
    use Epilogue::{Bias, BiasBce, BiasGradient, BiasLeakyRelu, Derivative, Plain};
    let forward = |n, k, epilogue| vec![(Layout::Nt, epilogue, (BATCH, n, k))];
    let weights = |outputs, inputs| (Layout::Tn, BiasGradient, (outputs, inputs, BATCH));
    let backward =
        |outputs, inputs, epilogue| vec![weights(outputs, inputs), (Layout::Nn, epilogue, (BATCH, inputs, outputs))];
    vec![
        forward(400, 784, BiasLeakyRelu),
        forward(400, 400, BiasLeakyRelu),
        forward(400, 400, Bias),
        forward(400, 200, BiasLeakyRelu),
        forward(784, 400, BiasBce),
        backward(784, 400, Derivative),
        backward(400, 400, Derivative),
        backward(400, 200, Plain),
        vec![weights(400, 784)],
    ]
}

fn problem((layout, epilogue, (m, n, k)): Work) -> Problem {
    Problem::of_reals(Size { m, n, k }, layout, epilogue)
}

/// The plans of a launch's products.
fn plan(family: Family, problems: &[Problem]) -> Vec<Plan> {
    match problems {
        [one] => vec![Plan::new(family, one.size, one.layout, one.epilogue)],
        [a, b] => Plan::pair(family, [a.size, b.size], [a.layout, b.layout], [a.epilogue, b.epilogue]).to_vec(),
        _ => unreachable!("a launch has one or two products"),
    }
}

/// The least sectors that a product's tiles, taken one by one, can move.
fn least_sectors(problem: &Problem, plan: &Plan) -> f64 {
    let Size { m, n, k } = problem.size;
    let Tile { m: tile_m, n: tile_n, .. } = plan.form.tile;
    let (across, down) = (n.div_ceil(tile_n as usize), m.div_ceil(tile_m as usize));
    let operands = m * k * across + n * k * down;
    let ends = match problem.epilogue {
        Epilogue::Plain => m * n,
        Epilogue::Bias | Epilogue::BiasLeakyRelu | Epilogue::BiasSigmoid => m * n + n * down,
        Epilogue::BiasBce => 2 * m * n + n * down + 2 * plan.tiles as usize,
        Epilogue::Derivative => 2 * m * n,
        Epilogue::BiasGradient => m * n + m,
    };
    ((operands + ends + 2 * plan.workspace()) * 4) as f64 / 32.0
}

#[test]
fn a_training_steps_products_use_the_machine_well() {
    let Some(mut device) = device() else { return };
    let mut all_well = true;
    for (family, work) in FAMILIES.into_iter().flat_map(|family| step().into_iter().map(move |work| (family, work))) {
        let problems: Vec<Problem> = work.iter().map(|work| problem(*work)).collect();
        let plans = plan(family, &problems);
        let both: Vec<(&Problem, Plan)> = problems.iter().zip(plans).collect();
        let counts = device.count(family, &both);
        let least: f64 = both.iter().map(|(problem, plan)| least_sectors(problem, plan)).sum();
        let sectors = (counts.global_loads.transactions + counts.global_stores.transactions) as f64 / least;
        let reads = counts.shared_loads.per_request();
        let stores = counts.shared_stores;
        // A request's least is one wavefront for every 128 bytes.
        let writes = stores.transactions as f64 / (stores.bytes as f64 / 128.0).max(stores.requests as f64).max(1.0);
        let least_share = if work.iter().all(|(.., (.., k))| *k >= 200) { 0.70 } else { 0.60 };
        let splits: Vec<_> = both.iter().map(|(_, plan)| (plan.splits, plan.blocks)).collect();
        println!(
            "{family:?} {work:?} (splits, blocks) {splits:?}: sectors {sectors:.3} of the least, wavefronts {reads:.3} a read, \
             {writes:.3} of the least for writes, FMA {:.1} %",
            100.0 * counts.fma_share()
        );
        // Every read from shared memory asks for at most 128 different bytes: one wavefront is the least.
        let well = sectors <= 1.1 && reads <= 1.1 && writes <= 1.1 && counts.fma_share() >= least_share;
        all_well &= well;
    }
    assert!(all_well, "see the figures above");
}
