//! The products of `kernels/gemm/`, at any size, in every form, on a device in software with all of its checks on.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;
#[allow(dead_code, reason = "the tests of tensor cores share this file, and round operands as well")]
mod problem;

use device::{device, options, source};
use latent::backend::cuda::gemm::{Epilogue, Family, Form, Layout, Plan, Size, TILES, Tile, Variant};
use problem::{EPILOGUE_SIZES, EPILOGUES, Problem};

const FAMILIES: [Family; 3] = [Family::Vectorised, Family::AsyncCopy, Family::SplitK];

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
    let splits: &[u32] = if family == Family::SplitK { &[1, 2, 3, 4, 5] } else { &[1] };
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
        let (outputs, counts) = device.count(family, &both);
        problems.iter().zip(&outputs).for_each(|(problem, output)| problem.check(output, false));
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

#[test]
fn every_tile_is_exact_within_and_across_its_edges() {
    let Some(mut device) = device() else { return };
    let sizes = [Size { m: 3, n: 5, k: 7 }, Size { m: 132, n: 140, k: 36 }, Size { m: 129, n: 131, k: 33 }];
    for (size, tile) in sizes.into_iter().flat_map(|size| TILES.map(|tile| (size, tile))) {
        for (family, layout) in FAMILIES.into_iter().flat_map(|family| Layout::ALL.map(|layout| (family, layout))) {
            let epilogue = if layout == Layout::Tn { Epilogue::BiasGradient } else { Epilogue::Bias };
            let problem = Problem::of_integers(size, layout, epilogue);
            let mut plan = Plan::with_tile(family, size, Form { layout, epilogue, tile });
            if family == Family::SplitK {
                (plan.splits, plan.blocks) = (2, 2 * plan.tiles);
            }
            let aligned = size.is_aligned(layout);
            let output = device.multiply(family, aligned, &[(&problem, plan)], usize::from(!aligned));
            problem.check(&output[0], true);
        }
    }
}

#[test]
fn two_products_of_one_launch_are_exact_at_any_size() {
    let Some(mut device) = device() else { return };
    for (batch, inputs, outputs) in [(1, 1, 1), (3, 2, 130), (100, 31, 65), (33, 128, 7), (36, 64, 132)] {
        let weights = Size { m: outputs, n: inputs, k: batch };
        let gradient = Size { m: batch, n: inputs, k: outputs };
        let first = Problem::of_integers(weights, Layout::Tn, Epilogue::BiasGradient);
        let second = Problem::of_integers(gradient, Layout::Nn, Epilogue::Plain);
        let aligned = weights.is_aligned(Layout::Tn) && gradient.is_aligned(Layout::Nn);
        for family in FAMILIES {
            let epilogues = [first.epilogue, second.epilogue];
            let [a, mut b] = Plan::pair(family, [weights, gradient], [Layout::Tn, Layout::Nn], epilogues);
            assert_eq!(a.form.tile.threads(), b.form.tile.threads());
            if family == Family::SplitK {
                (b.splits, b.blocks) = (3, 3 * b.tiles);
            }
            let work = [(&first, a), (&second, b)];
            let outputs = device.multiply(family, aligned, &work, usize::from(!aligned));
            first.check(&outputs[0], true);
            second.check(&outputs[1], true);
        }
    }
}

#[test]
fn repeated_launches_give_the_same_bits() {
    let Some(mut device) = device() else { return };
    for (layout, epilogue) in [(Layout::Nt, Epilogue::BiasBce), (Layout::Tn, Epilogue::BiasGradient)] {
        let problem = Problem::of_reals(Size { m: 100, n: 72, k: 784 }, layout, epilogue);
        for (family, plan) in FAMILIES.into_iter().flat_map(|f| plans(f, &problem).into_iter().map(move |p| (f, p))) {
            let once = device.multiply(family, true, &[(&problem, plan)], 0);
            let again = device.multiply(family, true, &[(&problem, plan)], 0);
            assert!(once == again, "{family:?} {plan:?}");
        }
    }
}

/// `Tensor::LOGITS` of kernels/control.cuh, above an element's number.
const LOGITS: u64 = 2 << 56;

#[test]
fn the_first_logit_that_is_not_finite_is_noted() {
    let Some(mut device) = device() else { return };
    let size = Size { m: 70, n: 68, k: 40 };
    for (value, column, row) in [(f32::INFINITY, 67, 69), (f32::NEG_INFINITY, 0, 33), (f32::NAN, 35, 5)] {
        let mut problem = Problem::of_reals(size, Layout::Nt, Epilogue::BiasBce);
        problem.a.fill(0.25);
        problem.b.fill(0.25);
        // The last rows' logits are all spoiled: the least element is the first of them.
        problem.a[row * size.k..].fill(value);
        problem.bias[column] = 1.0;
        for (family, plan) in FAMILIES.into_iter().flat_map(|f| plans(f, &problem).into_iter().map(move |p| (f, p))) {
            let output = &device.multiply(family, true, &[(&problem, plan)], 0)[0];
            assert_eq!(output.suspect, Some(LOGITS | (row * size.n) as u64), "{family:?} {value}");
        }
        let mut problem = Problem::of_reals(size, Layout::Nt, Epilogue::BiasBce);
        problem.bias[column] = value;
        problem.b[column * size.k..][..size.k].fill(0.0);
        let plan = Plan::new(Family::SplitK, size, Layout::Nt, Epilogue::BiasBce);
        let output = &device.multiply(Family::SplitK, true, &[(&problem, plan)], 0)[0];
        assert_eq!(output.suspect, Some(LOGITS | column as u64), "{value} in column {column}");
    }
}

#[test]
fn a_loss_that_overflows_is_noted_although_its_gradient_is_finite() {
    let Some(mut device) = device() else { return };
    let mut problem = Problem::of_reals(Size { m: 8, n: 8, k: 4 }, Layout::Nt, Epilogue::BiasBce);
    problem.a.fill(0.0);
    problem.other.fill(0.0);
    problem.bias.fill(0.0);
    // A thread's rows are 4 apart: it adds two losses of 3e38, more than an f32 holds.
    problem.bias[0] = 3e38;
    for family in FAMILIES {
        let plan = Plan::new(family, problem.size, Layout::Nt, Epilogue::BiasBce);
        let output = &device.multiply(family, true, &[(&problem, plan)], 0)[0];
        assert_eq!(output.suspect, Some(LOGITS), "{family:?}");
        assert!(output.c.iter().all(|gradient| gradient.is_finite()), "{family:?}");
    }
}

#[test]
fn every_instance_compiles_for_every_architecture_without_warning_or_spill() {
    let Some(device) = device() else { return };
    let architectures =
        [(Family::Vectorised, 75)].into_iter().chain([80, 86, 89, 90, 100, 120].map(|a| (Family::SplitK, a)));
    let architectures = architectures.chain([(Family::AsyncCopy, 90)]);
    for (family, architecture) in architectures {
        let of_a_step = step().into_iter().map(|work| work.into_iter().map(problem).collect::<Vec<_>>());
        let of_a_step = of_a_step.map(|problems| (true, plan(family, &problems)));
        let other_tiles = TILES.into_iter().flat_map(|tile| Layout::ALL.map(|layout| (tile, layout)));
        let size = Size { m: 1, n: 1, k: 1 };
        let other_tiles = other_tiles.map(|(tile, layout)| Form { layout, epilogue: Epilogue::Plain, tile });
        let other_tiles = other_tiles.map(|form| (false, vec![Plan::with_tile(family, size, form)]));
        // An architecture of each family is enough for instances that only odd sizes need.
        let others = if [75, 90].contains(&architecture) { usize::MAX } else { 0 };
        for (aligned, plans) in of_a_step.chain(other_tiles.take(others)) {
            let variant = Variant { family, aligned, first: plans[0].form, second: plans.get(1).map(|plan| plan.form) };
            let mut options = options(&format!("sm_{architecture}"), &variant);
            options.push("--ptxas-options=-v".to_owned());
            let program = device.nvrtc().compile(&source(&variant), variant.file(), &options).unwrap();
            let log = program.log();
            assert!(!log.contains("warning"), "sm_{architecture} {variant:?}: {log}");
            assert!(log.contains(" 0 bytes spill stores, 0 bytes spill loads"), "sm_{architecture} {variant:?}: {log}");
        }
    }
}

#[test]
fn plans_follow_from_the_shape_and_fill_a_large_device_at_a_batch_of_100() {
    let size = Size { m: 100, n: 400, k: 784 };
    let split = Plan::new(Family::SplitK, size, Layout::Nt, Epilogue::Bias);
    assert!(split.blocks >= 132 && split.splits > 1, "{split:?}");
    assert_eq!((split.tickets(), split.blocks), (split.tiles as usize, split.tiles * split.splits));
    assert_eq!(split.workspace(), (split.blocks * split.form.tile.m * split.form.tile.n) as usize);
    let whole = Plan::new(Family::Vectorised, size, Layout::Nt, Epilogue::Bias);
    assert_eq!((whole.splits, whole.workspace(), whole.tickets()), (1, 0, 0));
    for m in [1, 10, 64, 100, 128, 1000, 10_000] {
        let plan = Plan::new(Family::SplitK, Size { m, ..size }, Layout::Nt, Epilogue::Bias);
        let padded = plan.tiles * plan.form.tile.m * plan.form.tile.n;
        println!("batch of {m}: {plan:?}, {:.2} of C's elements", f64::from(padded) / (m * 400) as f64);
        assert!(m < 100 || plan.blocks >= 132, "{plan:?}");
    }
}
