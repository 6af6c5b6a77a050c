//! The products of `kernels/gemm/` on tensor cores, at any size, in every form, on a device in software with all of its
//! checks on.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]
#![allow(dead_code, reason = "the device and the problems are those of the test of fp32")]

#[path = "../gemm/device.rs"]
mod device;
#[path = "../gemm/problem.rs"]
mod problem;

use device::device;
use latent::backend::cuda::gemm::{Epilogue, Family, Layout, Plan, Size};
use problem::Problem;

const FAMILIES: [Family; 2] = [Family::Tf32, Family::Bf16];

const EXTENTS: [usize; 19] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130];

/// Rounds to the nearest number of `bits` bits less of fraction; a tie goes up in magnitude, or to even.
fn without_bits(value: f32, bits: u32, ties_to_even: bool) -> f32 {
    let (word, half) = (value.to_bits(), 1 << (bits - 1));
    let down = u32::from(ties_to_even && word >> bits & 1 == 0);
    f32::from_bits((word + half - down) >> bits << bits)
}

/// What the family makes of an operand's element.
fn rounding(family: Family) -> fn(f32) -> f32 {
    match family {
        Family::Tf32 => |value| without_bits(value, 13, false),
        Family::Bf16 => |value| without_bits(value, 16, true),
        Family::Vectorised | Family::SplitK => |value| value,
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

/// The plan for a problem, cut into each of several numbers of parts.
fn plans(family: Family, problem: &Problem) -> impl Iterator<Item = Plan> {
    let chosen = Plan::new(family, problem.size, problem.layout, problem.epilogue);
    [1, 2, 5].into_iter().map(move |splits| Plan { splits, blocks: chosen.tiles * splits, ..chosen })
}

/// Integers from -4 to 4 are exact in both formats, and so are their sums.
#[test]
fn products_of_integers_are_exact_at_any_size() {
    let Some(mut device) = device() else { return };
    let mut products = 0;
    for size in sizes() {
        for layout in Layout::ALL {
            let problem = Problem::of_integers(size, layout, Epilogue::Plain);
            for family in FAMILIES {
                for plan in plans(family, &problem) {
                    let output = device.multiply(family, false, &[(&problem, plan)], 1);
                    problem.check(&output[0], true);
                    products += 1;
                    if size.is_aligned(layout) {
                        let output = device.multiply(family, true, &[(&problem, plan)], 0);
                        problem.check(&output[0], true);
                        products += 1;
                    }
                }
            }
        }
    }
    println!("{products} products are exact");
}
