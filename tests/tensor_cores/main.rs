//! The products of `kernels/gemm/` on tensor cores, at any size, in every form, on a device in software with all of its
//! checks on.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]
#![allow(dead_code, reason = "the device and the problems are those of the test of fp32")]

#[path = "../gemm/device.rs"]
mod device;
#[path = "../gemm/problem.rs"]
mod problem;
#[path = "../gemm/rounding.rs"]
mod rounding;

use device::device;
use latent::backend::Precision;
use latent::backend::cuda::gemm::{Epilogue, Family, Form, Layout, Plan, Size, Variant};
use problem::{EPILOGUE_SIZES, EPILOGUES, Problem};
use softcuda::counts::{SECTOR, Traffic};
use std::collections::HashSet;

const FAMILIES: [Family; 2] = [Family::Tf32, Family::Bf16];

const EXTENTS: [usize; 19] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130];

/// What the family makes of an operand's element.
fn rounding(family: Family) -> fn(f32) -> f32 {
    match family {
        Family::Tf32 => rounding::to_tf32,
        Family::Bf16 => rounding::to_bf16,
        Family::Vectorised | Family::AsyncCopy | Family::SplitK => |value| value,
    }
}

#[test]
fn a_precision_has_a_family_where_the_device_has_its_instructions() {
    for (precision, family) in [(Precision::Tf32, Family::Tf32), (Precision::Bf16, Family::Bf16)] {
        for (capability, expected) in [((7, 5), None), ((8, 0), Some(family)), ((12, 0), Some(family))] {
            assert_eq!(Family::of(capability, precision), expected, "{precision} at {capability:?}");
        }
    }
}

/// Sizes that pair every extent of each dimension with several of the others.
fn sizes() -> impl Iterator<Item = Size> {
    let at = |index: usize| EXTENTS[index % EXTENTS.len()];
    let turns = [(1, 2), (3, 7), (5, 4)];
    let with = move |(n, k): (usize, usize)| {
        (0..EXTENTS.len()).map(move |i| Size { m: at(i), n: at(i * n + 3), k: at(i * k + 5) })
    };
    turns.into_iter().flat_map(with)
}

/// A plan with each of the family's tiles; all sums are cut into `splits`.
fn plans(family: Family, problem: &Problem, splits: u32) -> impl Iterator<Item = Plan> {
    let Problem { size, layout, epilogue, .. } = *problem;
    family.tiles().iter().map(move |tile| {
        let plan = Plan::with_tile(family, size, Form { layout, epilogue, tile: *tile });
        Plan { splits, blocks: plan.tiles * splits, ..plan }
    })
}

/// Integers from -4 to 4 are exact in both formats, and so are their sums.
#[test]
fn products_of_integers_are_exact_at_any_size() {
    let Some(mut device) = device() else { return };
    let mut products = 0;
    for ((size, splits), layout) in sizes().zip([1, 2, 5].into_iter().cycle()).flat_map(each_layout) {
        let problem = Problem::of_integers(size, layout, Epilogue::Plain);
        for (family, plan) in FAMILIES.into_iter().flat_map(|f| plans(f, &problem, splits).map(move |p| (f, p))) {
            // Operands that begin anywhere, then operands in pieces of 16 bytes.
            for aligned in [false, true].into_iter().filter(|aligned| !aligned || size.is_aligned(layout)) {
                let output = device.multiply(family, aligned, &[(&problem, plan)], usize::from(!aligned));
                problem.check(&output[0], true);
                products += 1;
            }
        }
    }
    println!("{products} products are exact");
}

fn each_layout<T: Copy>(work: T) -> [(T, Layout); 3] {
    Layout::ALL.map(|layout| (work, layout))
}

/// Real numbers, of which the family multiplies what is left after rounding.
fn of_reals(family: Family, size: Size, layout: Layout, epilogue: Epilogue) -> Problem {
    Problem::of_reals(size, layout, epilogue).rounded(rounding(family))
}

/// What training asks for, and so what the large tiles are tried with.
const IN_TRAINING: [(Layout, Epilogue); 3] =
    [(Layout::Nt, Epilogue::BiasBce), (Layout::Nn, Epilogue::Derivative), (Layout::Tn, Epilogue::BiasGradient)];

#[test]
fn every_epilogue_is_right_in_every_layout() {
    let Some(mut device) = device() else { return };
    let forms = Layout::ALL.into_iter().flat_map(|layout| EPILOGUES.map(|epilogue| (layout, epilogue)));
    let forms: Vec<_> = forms.chain([(Layout::Tn, Epilogue::BiasGradient)]).collect();
    for (index, size) in EPILOGUE_SIZES.into_iter().enumerate() {
        for ((layout, epilogue), family) in forms.iter().flat_map(|form| FAMILIES.map(|family| (*form, family))) {
            let problem = of_reals(family, size, layout, epilogue);
            let aligned = size.is_aligned(layout);
            let tiles = if IN_TRAINING.contains(&(layout, epilogue)) { 3 } else { 1 };
            for plan in plans(family, &problem, 1 + index as u32).skip(3 - tiles) {
                let output = device.multiply(family, aligned, &[(&problem, plan)], usize::from(!aligned));
                problem.check(&output[0], false);
            }
        }
    }
}

/// Operands are rounded to the format, not cut off: halfway to the next number they differ by a whole unit.
#[test]
fn operands_are_rounded_to_the_nearest() {
    let Some(mut device) = device() else { return };
    for (family, unit) in [(Family::Tf32, f32::powi(2.0, -10)), (Family::Bf16, f32::powi(2.0, -7))] {
        for (a, rounded) in
            [(1.0 + 0.49 * unit, 1.0), (1.0 + 0.51 * unit, 1.0 + unit), (-1.0 - 0.51 * unit, -1.0 - unit)]
        {
            let size = Size { m: 1, n: 1, k: 1 };
            let mut problem = Problem::of_integers(size, Layout::Nt, Epilogue::Plain);
            (problem.a, problem.b) = (vec![a], vec![1.0]);
            let plan = Plan::new(family, size, Layout::Nt, Epilogue::Plain);
            assert_eq!(device.multiply(family, false, &[(&problem, plan)], 0)[0].c, [rounded], "{family:?} of {a}");
        }
    }
}

#[test]
fn a_nan_stays_in_its_row_and_is_noted() {
    let Some(mut device) = device() else { return };
    let size = Size { m: 33, n: 40, k: 72 };
    for family in FAMILIES {
        let mut problem = of_reals(family, size, Layout::Nt, Epilogue::BiasBce);
        problem.a[7 * size.k + 71] = f32::NAN;
        let plan = Plan::new(family, size, Layout::Nt, Epilogue::BiasBce);
        let output = device.multiply(family, true, &[(&problem, plan)], 0).remove(0);
        let rows = output.c.chunks(size.n).map(|row| row.iter().filter(|value| value.is_nan()).count());
        let expected = (0..size.m).map(|row| if row == 7 { size.n } else { 0 });
        assert!(rows.eq(expected), "{family:?}: {:?}", output.c);
        assert!(output.suspect.is_some(), "{family:?}");
    }
}

const BATCH: usize = 100;

/// The layers of the models, outputs and inputs.
const LAYERS: [(usize, usize); 4] = [(400, 784), (400, 400), (400, 200), (784, 400)];

/// The products of a layer, forward and backward, launch by launch.
fn plans_of_layer(family: Family, batch: usize, (outputs, inputs): (usize, usize)) -> [Vec<(Size, Plan)>; 3] {
    let forward = if outputs == 784 { Epilogue::BiasBce } else { Epilogue::BiasLeakyRelu };
    let y = Size { m: batch, n: outputs, k: inputs };
    let dw = Size { m: outputs, n: inputs, k: batch };
    let dx = Size { m: batch, n: inputs, k: outputs };
    let epilogues = [Epilogue::BiasGradient, Epilogue::Derivative];
    let pair = Plan::pair(family, [dw, dx], [Layout::Tn, Layout::Nn], epilogues);
    [
        vec![(y, Plan::new(family, y, Layout::Nt, forward))],
        vec![(dw, Plan::new(family, dw, Layout::Tn, Epilogue::BiasGradient))],
        vec![(dw, pair[0]), (dx, pair[1])],
    ]
}

/// The same with numbers, for the batch of training.
fn launches(family: Family, layer: (usize, usize)) -> Vec<Vec<(Problem, Plan)>> {
    let with_numbers =
        |(size, plan): (Size, Plan)| (of_reals(family, size, plan.form.layout, plan.form.epilogue), plan);
    plans_of_layer(family, BATCH, layer).map(|work| work.into_iter().map(with_numbers).collect()).into()
}

/// Every layer in every family.
fn layers() -> impl Iterator<Item = (Family, (usize, usize))> {
    FAMILIES.into_iter().flat_map(|family| LAYERS.map(|layer| (family, layer)))
}

fn borrowed(work: &[(Problem, Plan)]) -> Vec<(&Problem, Plan)> {
    work.iter().map(|(problem, plan)| (problem, *plan)).collect()
}

#[test]
fn the_products_of_a_step_are_right_and_have_the_same_bits_again() {
    let Some(mut device) = device() else { return };
    for (family, layer) in layers() {
        for work in &launches(family, layer) {
            let work = borrowed(work);
            let outputs = device.multiply(family, true, &work, 0);
            for ((problem, _), output) in work.iter().zip(&outputs) {
                problem.check(output, false);
            }
            assert_eq!(outputs, device.multiply(family, true, &work, 0));
        }
    }
}

/// The least bytes that the launch can load and store: every operand once for each tile that it is in, all else once.
fn least_bytes(work: &[(Problem, Plan)]) -> (usize, usize) {
    let of_one = |(problem, plan): &(Problem, Plan)| {
        let (Size { m, n, k }, tile) = (problem.size, plan.form.tile);
        let (tiles_m, tiles_n) = (m.div_ceil(tile.m as usize), n.div_ceil(tile.n as usize));
        let bias =
            if problem.epilogue == Epilogue::BiasLeakyRelu || problem.epilogue == Epilogue::BiasBce { n } else { 0 };
        let other = if matches!(problem.epilogue, Epilogue::BiasBce | Epilogue::Derivative) { m * n } else { 0 };
        let loads = m * k * tiles_n + n * k * tiles_m + bias * tiles_m + other + plan.workspace();
        (4 * loads, 4 * (m * n + plan.workspace()))
    };
    work.iter().map(of_one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Whether `actual` is at most 1.1 times the least.
#[track_caller]
fn assert_near(what: &str, actual: u64, least: u64) -> f64 {
    assert!(actual as f64 <= 1.1 * least as f64, "{what}: {actual}, where {least} would do");
    if actual == least { 1.0 } else { actual as f64 / least as f64 }
}

/// Wavefronts without a bank conflict: 128 bytes each, and a request is at least one.
fn ideal_wavefronts(traffic: &Traffic) -> u64 {
    u64::max(traffic.bytes / 128, traffic.requests)
}

#[test]
fn the_products_of_a_step_move_whole_sectors_and_meet_no_bank_conflict() {
    let Some(mut device) = device() else { return };
    let mut worst = [0.0; 4];
    for (family, layer) in layers() {
        for work in &launches(family, layer) {
            let (_, counts) = device.count(family, &borrowed(work));
            let (loads, stores) = least_bytes(work);
            let about = format!("{family:?} {:?}", work.iter().map(|(problem, _)| problem.size).collect::<Vec<_>>());
            let near = |what: &str, actual, least| assert_near(&format!("{about}: {what}"), actual, least);
            let ratios = [
                near("sectors loaded", counts.global_loads.transactions, loads as u64 / SECTOR),
                near("sectors stored", counts.global_stores.transactions, stores as u64 / SECTOR),
                near("wavefronts loaded", counts.shared_loads.transactions, ideal_wavefronts(&counts.shared_loads)),
                near("wavefronts stored", counts.shared_stores.transactions, ideal_wavefronts(&counts.shared_stores)),
            ];
            println!("{about}: {ratios:.3?}, {} warp instructions", counts.warp_instructions);
            worst = std::array::from_fn(|i| f64::max(worst[i], ratios[i]));
        }
    }
    println!(
        "the worst: sectors loaded and stored {:.3} {:.3}, wavefronts {:.3} {:.3}",
        worst[0], worst[1], worst[2], worst[3]
    );
}

const ARCHITECTURES: [u32; 6] = [80, 86, 89, 90, 100, 120];

/// Small batches and large ones, which take other tiles.
#[test]
fn every_variant_of_a_step_compiles_everywhere_without_a_warning_or_a_spill() {
    let Some(device) = device() else { return };
    let batches = layers().flat_map(|layer| [BATCH, 2000, 20_000].map(|batch| (layer, batch)));
    let variants = batches.flat_map(|((family, layer), batch)| {
        plans_of_layer(family, batch, layer).map(|work| Variant {
            family,
            aligned: true,
            first: work[0].1.form,
            second: work.get(1).map(|(_, plan)| plan.form),
        })
    });
    let variants: HashSet<Variant> = variants.collect();
    for (variant, architecture) in variants.iter().flat_map(|v| ARCHITECTURES.map(|architecture| (v, architecture))) {
        let mut options = device::options(&format!("sm_{architecture}"), variant);
        options.push("--ptxas-options=-v".to_owned());
        let program = device.nvrtc().compile(&device::source(variant), variant.file(), &options).unwrap();
        let log = program.log();
        assert!(log.contains(" 0 bytes spill stores, 0 bytes spill loads"), "{variant:?} {architecture}: {log}");
        assert!(!log.contains("warning"), "{variant:?} {architecture}: {log}");
    }
    println!("{} variants on {} architectures", variants.len(), ARCHITECTURES.len());
}
