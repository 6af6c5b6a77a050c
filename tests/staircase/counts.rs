//! What each step's header says it improves over the step before, by the counts of a device in software.

use crate::device::device;
use crate::problem::Problem;
use latent::backend::cuda::gemm::{Epilogue, Form, Layout, Plan, Size, Variant};
use latent::backend::cuda::{compile::Source, gemm::Family};
use latent::lab::staircase::{Step, StepLaunch};
use softcuda::counts::{LaunchCounts, SECTOR};

/// Where whole tiles are all there is.
const CUBE: Size = Size { m: 256, n: 256, k: 256 };

/// The first layer of the models at a batch of 100: a skinny product, tails in all steps.
const LAYER: Size = Size { m: 100, n: 400, k: 784 };

/// As many tiles of 128 x 128 as the engine wants before it takes them; the sum is short, to save the test's time.
const LARGE: Size = Size { m: 1920, n: 1920, k: 64 };

/// Lanes of a warp.
const LANES: f64 = 32.0;

/// A step's counts, and the multiply-adds of warps that the product takes.
struct Counted {
    counts: LaunchCounts,
    products: f64,
}

impl Counted {
    fn store_lanes(&self) -> u64 {
        self.counts.classes.get("store").copied().unwrap_or(0)
    }

    fn shared_loads(&self) -> f64 {
        self.counts.shared_loads.requests as f64 / self.products
    }

    fn instructions(&self) -> f64 {
        self.counts.warp_instructions as f64 / self.products
    }

    fn bytes_moved(&self) -> f64 {
        self.counts.bytes_moved() as f64 / (LANES * self.products)
    }
}

/// The counts of some steps at a size, operands at multiples of 16 bytes; a line for each on standard output. `None` where
/// nothing can be compiled.
fn count<const STEPS: usize>(size: Size, steps: [Step; STEPS]) -> Option<[Counted; STEPS]> {
    let mut device = device()?;
    let problem = Problem::of_reals(size, Layout::Nn, Epilogue::Plain);
    let products = (size.m * size.n * size.k) as f64 / LANES;
    Some(steps.map(|step| {
        let (_, counts) = device.launch(&step.launch(size), &problem, 0);
        let counted = Counted { counts, products };
        println!("{size:?} {}: {}", step.name(), figures(&counted));
        counted
    }))
}

fn figures(counted: &Counted) -> String {
    let counts = &counted.counts;
    format!(
        "{} blocks; sectors a load {:.2}, a store {:.2}; for each FMA {:.4} bytes moved, {:.4} shared loads, {:.4} \
         instructions; {} lanes store; FMA {:.2} %",
        counts.grid[0],
        counts.global_loads.per_request(),
        counts.global_stores.per_request(),
        counted.bytes_moved(),
        counted.shared_loads(),
        counted.instructions(),
        counted.store_lanes(),
        100.0 * counts.fma_share()
    )
}

#[test]
fn coalescing_takes_the_sectors_of_a_store_from_32_to_4_and_changes_no_instruction() {
    let Some([naive, coalesced]) = count(CUBE, [Step::Naive, Step::Coalesced]) else { return };
    let sectors = |step: &Counted| (step.counts.global_loads.per_request(), step.counts.global_stores.per_request());
    // A load of A and one of B: 32 sectors and 1, then 1 and 4.
    assert_eq!((sectors(&naive), sectors(&coalesced)), ((16.5, 32.0), (2.5, 4.0)));
    assert_eq!(naive.counts.warp_instructions, coalesced.counts.warp_instructions);
    let Some([naive, coalesced]) = count(LAYER, [Step::Naive, Step::Coalesced]) else { return };
    assert!(sectors(&coalesced).0 < sectors(&naive).0 / 4.0 && sectors(&coalesced).1 < sectors(&naive).1 / 4.0);
}

#[test]
fn a_tile_in_shared_memory_takes_the_bytes_moved_from_5_to_a_quarter() {
    let (steps, cube) = ([Step::Coalesced, Step::SharedTile], (CUBE.m * CUBE.n * CUBE.k) as f64);
    // Beside the operands C is stored once.
    let of_c = 4.0 * (CUBE.m * CUBE.n) as f64 / cube;
    let Some([coalesced, tile]) = count(CUBE, steps) else { return };
    assert_eq!((coalesced.bytes_moved() - of_c, tile.bytes_moved() - of_c), (5.0, 0.25));
    let Some([coalesced, tile]) = count(LAYER, steps) else { return };
    assert!(tile.bytes_moved() < coalesced.bytes_moved() / 10.0);
}

#[test]
fn tiles_in_registers_take_the_shared_loads_for_an_fma_from_2_to_a_quarter() {
    let steps = [Step::SharedTile, Step::Tile1d, Step::Tile2d];
    let Some(counted) = count(CUBE, steps) else { return };
    assert_eq!(counted.each_ref().map(Counted::shared_loads), [2.0, 9.0 / 8.0, 16.0 / 64.0]);
    // Each tile doubles the last one's side: half the bytes of operands.
    let of_c = 4.0 / CUBE.k as f64;
    assert_eq!(counted.map(|step| step.bytes_moved() - of_c), [1.0 / 4.0, 1.0 / 8.0, 1.0 / 16.0]);
    let Some([shared, column, square]) = count(LAYER, steps) else { return };
    assert!(column.shared_loads() < shared.shared_loads() && square.shared_loads() < column.shared_loads());
}

#[test]
fn no_page_meets_a_bank_conflict() {
    let Some(counted) = count(CUBE, [Step::SharedTile, Step::Tile1d, Step::Tile2d]) else { return };
    for Counted { counts, .. } in counted {
        assert_eq!((counts.shared_loads.per_request(), counts.shared_stores.per_request()), (1.0, 1.0), "{counts}");
    }
}

#[test]
fn the_share_of_fma_rises_from_step_to_step() {
    let rising = [Step::Coalesced, Step::SharedTile, Step::Tile1d, Step::Tile2d, Step::Vectorised];
    for size in [CUBE, LAYER, LARGE] {
        let Some(counted) = count(size, rising) else { return };
        let shares = counted.map(|step| step.counts.fma_share());
        assert!(shares.is_sorted_by(|one, next| one < next), "{size:?}: {shares:?}");
    }
}

#[test]
fn wide_accesses_are_fewer_instructions() {
    for size in [CUBE, LAYER, LARGE] {
        let Some([scalar, wide]) = count(size, [Step::Tile2d, Step::Vectorised]) else { return };
        assert!(wide.instructions() < scalar.instructions(), "{size:?}");
    }
    // With the same tile of C: a quarter of the requests for the same bytes.
    let Some([scalar, wide]) = count(LARGE, [Step::Tile2d, Step::Vectorised]) else { return };
    let requests = |step: &Counted| (step.counts.global_loads.requests, step.counts.global_stores.requests);
    assert_eq!(requests(&scalar), (4 * requests(&wide).0, 4 * requests(&wide).1));
    assert_eq!(scalar.counts.global_loads.bytes, wide.counts.global_loads.bytes);
    assert_eq!(scalar.shared_loads(), 4.0 * wide.shared_loads());
}

#[test]
fn asynchronous_copies_store_nothing_but_c() {
    for size in [CUBE, LAYER, LARGE] {
        let Some([through, past]) = count(size, [Step::Vectorised, Step::AsyncCopy]) else { return };
        let of_c = (size.m * size.n / 4) as u64;
        assert_eq!((past.store_lanes(), past.counts.shared_stores.requests), (of_c, 0), "{size:?}");
        assert!(through.store_lanes() > of_c, "{size:?}");
    }
}

#[test]
fn splitting_gives_a_skinny_product_more_blocks_and_a_large_one_none() {
    let steps = [Step::AsyncCopy, Step::SplitK];
    let Some([whole, split]) = count(LAYER, steps) else { return };
    assert!(split.counts.grid[0] >= 4 * whole.counts.grid[0]);
    let Some([whole, split]) = count(LARGE, steps) else { return };
    assert_eq!(split.counts.grid, whole.counts.grid);
}

#[test]
fn tensor_cores_take_fewer_instructions_and_bf16_the_fewest() {
    for size in [CUBE, LAYER, LARGE] {
        let Some(counted) = count(size, [Step::SplitK, Step::Tf32, Step::Bf16]) else { return };
        let instructions = counted.map(|step| step.counts.warp_instructions);
        assert!(
            instructions[1] * 2 < instructions[0] && instructions[2] < instructions[1],
            "{size:?}: {instructions:?}"
        );
    }
}

/// The last step in f32 as a product of 4096^3 takes it, on a product of another size.
fn as_at_4096(size: Size) -> StepLaunch {
    let square = Size { m: 4096, n: 4096, k: 4096 };
    let plan = Plan::new(Family::SplitK, square, Layout::Nn, Epilogue::Plain);
    let plan = Plan::with_tile(Family::SplitK, size, Form { ..plan.form });
    // A part for each tile: at 4096^3 there are more than enough.
    let plan = Plan { splits: 1, blocks: plan.tiles, ..plan };
    let variant = Variant { family: Family::SplitK, aligned: true, first: plan.form, second: None };
    let source = Source { file: variant.file(), defines: variant.defines() };
    let (grid, plan) = (plan.blocks, Some(plan));
    StepLaunch { source, grid, plan, splits: 1, workspace: 0, tickets: 0, ..Step::SplitK.launch(square) }
}

/// Whether a product of whole tiles of 128 x 128 moves the least sectors and meets no bank conflict.
#[track_caller]
fn assert_least_traffic(size: Size, counts: &LaunchCounts) {
    let Size { m, n, k } = size;
    println!("{size:?} as at 4096^3: {counts}");
    let (loads, stores) = (m * k * (n / 128) + k * n * (m / 128), m * n);
    let sectors = |floats: usize| 4 * floats as u64 / SECTOR;
    assert_eq!(counts.global_loads.transactions, sectors(loads));
    assert_eq!(counts.global_stores.transactions, sectors(stores));
    // Of what is read, at most 128 bytes a request are different: one wavefront is the least.
    assert_eq!(counts.shared_loads.transactions, counts.shared_loads.requests);
    assert_eq!(counts.shared_stores.requests, 0);
}

#[test]
fn at_4096_cubed_sectors_are_the_least_and_no_bank_conflicts() {
    let size = Size { m: 384, n: 256, k: 512 };
    assert_eq!(as_at_4096(Size { m: 4096, n: 4096, k: 4096 }), Step::SplitK.launch(Size { m: 4096, n: 4096, k: 4096 }));
    let Some(mut device) = device() else { return };
    let problem = Problem::of_reals(size, Layout::Nn, Epilogue::Plain);
    let (output, counts) = device.launch(&as_at_4096(size), &problem, 0);
    problem.check(&output, false);
    assert_least_traffic(size, &counts);
    assert!(counts.fma_share() >= 0.85, "{counts}");
}

#[test]
#[ignore = "takes minutes; the slice above has the same blocks"]
fn the_whole_of_4096_cubed_is_as_its_slice() {
    let size = Size { m: 4096, n: 4096, k: 4096 };
    let Some(mut device) = device() else { return };
    let (_, counts) =
        device.launch(&Step::SplitK.launch(size), &Problem::of_reals(size, Layout::Nn, Epilogue::Plain), 0);
    assert_least_traffic(size, &counts);
}
