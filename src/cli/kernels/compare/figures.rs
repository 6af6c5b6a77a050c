//! What tells one step of a staircase from another: figures of its counts, or of its times.

use serde::Serialize;
use softcuda::counts::{AccessKind, LaunchCounts};

use crate::lab::case::{Agreement, Work};
use crate::lab::measure::Measured;

/// What instructions are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A fused multiply-add of a thread.
    Fma,
    /// A multiplication and the addition of its product, on tensor cores.
    Product,
    /// An element of the result.
    Element,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fma => "FMA",
            Self::Product => "product",
            Self::Element => "element",
        })
    }
}

/// The access of its kind of which a warp's request touches most sectors of 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Widest {
    /// Sectors that a request touches.
    pub sectors: f64,
    /// Sectors that would do if what it asks for lay side by side.
    pub least: f64,
}

impl Widest {
    fn of(launches: &[LaunchCounts], kind: AccessKind) -> Self {
        let widest = |counts: &LaunchCounts| {
            let traffic = counts.widest(kind)?.widest;
            Some(Self { sectors: traffic.per_request(), least: traffic.least as f64 / traffic.requests.max(1) as f64 })
        };
        let of_each = launches.iter().filter_map(widest);
        of_each.max_by(|a, b| a.sectors.total_cmp(&b.sectors)).unwrap_or_default()
    }

    /// How many times more sectors than would do.
    pub fn excess(&self) -> f64 {
        if self.least > 0.0 { self.sectors / self.least } else { 1.0 }
    }
}

/// What softcuda counted of a step's launches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// Kernels that were launched.
    pub launches: usize,
    /// The load from device memory of which a warp's request touches most sectors.
    pub widest_load: Widest,
    /// The same of stores.
    pub widest_store: Widest,
    /// Bytes that passed between device memory and the multiprocessors, before any cache.
    pub bytes_moved: f64,
    /// The same as a multiple of the least.
    pub moved_of_least: f64,
    /// What instructions and requests are counted for.
    pub unit: Unit,
    /// Requests to shared memory by a warp for each unit of its lanes.
    pub shared_requests: f64,
    /// Instructions that store from registers, counted by lanes.
    pub stores: u64,
    /// Wavefronts of shared memory beyond those that would do.
    pub bank_conflicts: u64,
    /// FMA among the instructions, from 0 to 1.
    pub fma_share: f64,
    /// Instructions for each unit.
    pub instructions: f64,
    /// Instructions of warps in all.
    pub warp_instructions: u64,
    /// Lanes that took part in an instruction, on average, of 32.
    pub active_lanes: f64,
    /// Barriers that a warp waited at, on average.
    pub barriers: f64,
    /// Blocks of all grids.
    pub blocks: u64,
    /// Warps that a multiprocessor holds, of those it has room for: of the launch with most instructions.
    pub occupancy: f64,
}

impl Counted {
    /// The figures of a step's launches; `elements` are counted where the step neither multiplies matrices.
    ///
    /// Returns None where nothing was launched.
    pub fn new(launches: &[LaunchCounts], work: Work, elements: Option<usize>) -> Option<Self> {
        let largest = launches.iter().max_by_key(|counts| counts.warp_instructions)?;
        let sum = |of: fn(&LaunchCounts) -> u64| launches.iter().map(of).sum::<u64>();
        let bytes_moved = sum(LaunchCounts::bytes_moved) as f64;
        let (unit, units) = units(sum(|counts| counts.fmas), work, elements);
        let lanes = sum(|counts| counts.lane_instructions) as f64;
        let warps = sum(|counts| counts.warp_instructions);
        let shared = sum(|counts| counts.shared_loads.requests + counts.shared_stores.requests) as f64;
        let of_warps = |counts: &LaunchCounts| {
            let [blocks, threads] =
                [counts.grid, counts.block].map(|extents| extents.iter().copied().map(u64::from).product());
            let warps: u64 = blocks * u64::div_ceil(threads, 32);
            warps
        };
        Some(Self {
            launches: launches.len(),
            widest_load: Widest::of(launches, AccessKind::GlobalLoad),
            widest_store: Widest::of(launches, AccessKind::GlobalStore),
            bytes_moved,
            moved_of_least: bytes_moved / work.bytes,
            unit,
            shared_requests: 32.0 * shared / units,
            stores: sum(|counts| counts.classes.get("store").copied().unwrap_or(0)),
            bank_conflicts: sum(LaunchCounts::bank_conflicts),
            fma_share: sum(|counts| counts.fmas) as f64 / lanes.max(1.0),
            instructions: lanes / units,
            warp_instructions: warps,
            active_lanes: lanes / warps.max(1) as f64,
            barriers: sum(|counts| counts.barriers) as f64 / launches.iter().map(of_warps).sum::<u64>().max(1) as f64,
            blocks: sum(|counts| counts.grid.iter().copied().map(u64::from).product()),
            occupancy: largest.theoretical_occupancy,
        })
    }
}

/// What instructions are counted for, and how many there are.
fn units(fmas: u64, work: Work, elements: Option<usize>) -> (Unit, f64) {
    match elements {
        Some(elements) => (Unit::Element, elements as f64),
        // Steps on tensor cores have hardly an FMA of a thread's own.
        None if 4.0 * (fmas as f64) < work.flop => (Unit::Product, work.flop / 2.0),
        None => (Unit::Fma, fmas as f64),
    }
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Its name in the catalogue, as in `gemm/1_naive`.
    pub name: String,
    /// Why it was not run.
    pub unavailable: Option<String>,
    /// What it takes at least.
    pub work: Option<Work>,
    /// How near it came to float64.
    pub agreement: Option<Agreement>,
    /// On softcuda.
    pub counts: Option<Counted>,
    /// On a GPU.
    pub times: Option<Measured>,
    /// What it gained over the step before, in figures of this run.
    pub gain: Option<String>,
}

impl Step {
    /// The name without its folder.
    pub fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use softcuda::counts::{Access, Traffic};

    use super::*;

    const WORK: Work = Work { flop: 2048.0, bytes: 1000.0 };

    /// Requests for 128 bytes each, and what they touch.
    fn traffic(requests: u64, transactions: u64, least: u64) -> Traffic {
        Traffic { requests, bytes: 128 * requests, transactions, least }
    }

    fn access(line: u32, kind: AccessKind, traffic: Traffic) -> Access {
        Access { file: "kernel.cu".to_owned(), line, kind, traffic, widest: traffic }
    }

    fn launch() -> LaunchCounts {
        LaunchCounts {
            launches: 1,
            grid: [2, 1, 1],
            block: [64, 1, 1],
            warp_instructions: 100,
            lane_instructions: 3000,
            fmas: 1024,
            global_loads: traffic(20, 330, 80),
            global_stores: traffic(2, 8, 8),
            shared_loads: traffic(64, 128, 64),
            accesses: vec![
                access(1, AccessKind::GlobalLoad, traffic(10, 320, 40)),
                access(2, AccessKind::GlobalLoad, traffic(10, 10, 10)),
                access(3, AccessKind::GlobalStore, traffic(2, 8, 8)),
            ],
            barriers: 8,
            theoretical_occupancy: 0.5,
            ..LaunchCounts::default()
        }
    }

    #[test]
    fn figures_are_those_of_the_counts() {
        let counted = Counted::new(&[launch()], WORK, None).unwrap();
        assert_eq!(counted.widest_load, Widest { sectors: 32.0, least: 4.0 });
        assert_eq!((counted.widest_store.excess(), counted.widest_load.excess()), (1.0, 8.0));
        assert_eq!((counted.bytes_moved, counted.moved_of_least), (338.0 * 32.0, 338.0 * 32.0 / 1000.0));
        assert_eq!((counted.unit, counted.shared_requests, counted.instructions), (Unit::Fma, 2.0, 3000.0 / 1024.0));
        assert_eq!((counted.bank_conflicts, counted.barriers, counted.blocks), (64, 2.0, 2));
        assert_eq!((counted.active_lanes, counted.occupancy, counted.launches), (30.0, 0.5, 1));
    }

    #[test]
    fn launches_are_added_and_the_widest_is_that_of_all() {
        let accesses = vec![access(1, AccessKind::GlobalLoad, traffic(10, 160, 160))];
        let second = LaunchCounts { accesses, theoretical_occupancy: 1.0, ..launch() };
        let second = LaunchCounts { warp_instructions: 200, ..second };
        let counted = Counted::new(&[launch(), second], WORK, None).unwrap();
        assert_eq!((counted.widest_load.sectors, counted.occupancy, counted.blocks), (32.0, 1.0, 4));
        assert_eq!(counted.widest_store.sectors, 4.0, "of the launch that stores");
        assert_eq!((counted.warp_instructions, counted.launches), (300, 2));
        assert_eq!(Counted::new(&[], WORK, None), None);
    }

    #[test]
    fn instructions_are_counted_for_products_on_tensor_cores_and_for_elements_elsewhere() {
        let counted = Counted::new(&[LaunchCounts { fmas: 10, ..launch() }], WORK, None).unwrap();
        assert_eq!((counted.unit, counted.instructions), (Unit::Product, 3000.0 / 1024.0));
        let counted = Counted::new(&[launch()], WORK, Some(100)).unwrap();
        assert_eq!((counted.unit, counted.instructions), (Unit::Element, 30.0));
    }
}
