//! What all executor threads of a launch share.

use super::{Fault, Launch};
use crate::check::global::{Kind, LaunchRaces, RacingAccess};
use crate::check::{Batch, Check, Other, Report, Site};
use crate::counts::{LaunchCounts, Tally};
use crate::machine::{self, Machine};
use crate::memory::{Ranges, View};
use crate::program::{Kernel, Program};
use crate::settings::Checks;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A launch under way.
pub struct Context<'a> {
    /// The device.
    pub machine: &'a Machine,
    /// The program that holds the kernel.
    pub program: &'a Program,
    /// What was asked for.
    pub launch: &'a Launch,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The way from device addresses to the host's.
    pub view: View,
    /// Addresses that could be accessed when the launch began.
    pub ranges: Arc<Ranges>,
    /// The checks made.
    pub checks: Checks,
    /// The launch as the check of races knows it.
    pub races: Option<Arc<LaunchRaces>>,
    /// Threads of a block.
    pub threads: u32,
    /// Warps of a block.
    pub warps: u32,
    /// Blocks of the grid.
    pub blocks: u64,
    /// Bytes of shared memory of a block.
    pub shared_bytes: u32,
    /// Where dynamic shared memory begins.
    pub dynamic_shared: u32,
    /// Findings of this launch.
    pub batch: Batch,
    /// The next block to run.
    pub next: AtomicU64,
    /// Set when the launch is to end.
    pub stop: AtomicBool,
    budget: Option<AtomicI64>,
    fault: Mutex<Option<Fault>>,
}

/// Alignment of dynamic shared memory.
const DYNAMIC_ALIGNMENT: u32 = 16;

impl<'a> Context<'a> {
    /// A launch that is about to begin.
    pub fn new(machine: &'a Machine, program: &'a Program, launch: &'a Launch) -> Context<'a> {
        let kernel = &program.kernels()[launch.kernel];
        let threads = launch.block.iter().product::<u32>();
        let blocks = launch.grid.iter().map(|n| u64::from(*n)).product();
        let dynamic_shared = kernel.shared_bytes.next_multiple_of(DYNAMIC_ALIGNMENT);
        let races = machine.shadow.as_ref().filter(|_| machine.settings.checks.race);
        let shared_bytes =
            if launch.shared_bytes == 0 { kernel.shared_bytes } else { dynamic_shared + launch.shared_bytes };
        Context {
            machine,
            program,
            launch,
            kernel,
            view: machine.memory.view(),
            ranges: machine.memory.ranges(),
            checks: machine.settings.checks,
            races: races.map(|shadow| {
                shadow.begin_launch(launch.order.clone(), kernel.name.clone(), launch.grid, launch.block)
            }),
            threads,
            warps: threads.div_ceil(32),
            blocks,
            shared_bytes,
            dynamic_shared,
            batch: Batch::default(),
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            budget: machine.settings.limit.map(|limit| AtomicI64::new(i64::try_from(limit).unwrap_or(i64::MAX))),
            fault: Mutex::new(None),
        }
    }

    /// Ends the launch with a fault, unless another came first.
    pub fn fail(&self, fault: Fault) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Takes executed instructions off the limit; false when it is used up.
    pub fn spend(&self, instructions: u64) -> bool {
        let Some(budget) = &self.budget else { return true };
        let spent = i64::try_from(instructions).unwrap_or(i64::MAX);
        budget.fetch_sub(spent, Ordering::Relaxed) >= spent
    }

    /// The block of a linear index.
    pub fn block_index(&self, linear: u64) -> [u32; 3] {
        unravel(linear, self.launch.grid)
    }

    /// The thread of a warp's lane.
    pub fn thread_index(&self, warp: u32, lane: u32) -> [u32; 3] {
        unravel(u64::from(warp) * 32 + u64::from(lane), self.launch.block)
    }

    /// Adds a finding at one thread.
    pub fn report(
        &self,
        check: Check,
        site: Site,
        place: ([u32; 3], [u32; 3]),
        address: u64,
        message: String,
        other: Option<Other>,
    ) {
        let source = self.machine.sites.get(site);
        let report = Report {
            check,
            kernel: self.kernel.name.to_string(),
            file: source.as_ref().and_then(|source| source.file.as_deref().map(str::to_owned)),
            line: source.as_ref().map_or(0, |source| source.line),
            block: place.0,
            thread: place.1,
            instruction: source.map_or_else(String::new, |source| source.instruction.to_string()),
            address,
            message,
            other,
            count: 1,
        };
        self.batch.add(report);
    }

    /// The other side of a race in this kernel.
    pub fn other(&self, site: Site, block: [u32; 3], thread: [u32; 3], kind: &str) -> Other {
        let access = RacingAccess { operation: self.kernel.name.clone(), site, block, thread, kind: Kind::Read };
        Other { kind: kind.to_owned(), ..machine::other_of(&self.machine.sites, &access) }
    }

    /// The share of a multiprocessor's warps that blocks of this launch fill; by the estimate of its registers.
    fn occupancy(&self) -> f64 {
        let chip = self.machine.chip();
        let blocks = chip.occupancy(self.threads, self.kernel.registers, self.shared_bytes);
        f64::from(blocks * self.warps) / f64::from(chip.threads / 32)
    }

    /// Hands over findings and counts.
    pub fn finish(self, tally: Tally) -> Result<(), Fault> {
        let counts = LaunchCounts {
            kernel: self.kernel.name.to_string(),
            grid: self.launch.grid,
            block: self.launch.block,
            shared_bytes: self.shared_bytes,
            theoretical_occupancy: self.occupancy(),
            ..tally.finish(self.program, &self.machine.sites)
        };
        self.machine.counts.add(counts);
        self.machine.reporter.flush_batch(&self.batch);
        match self.fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

fn unravel(linear: u64, extent: [u32; 3]) -> [u32; 3] {
    let [x, y] = [u64::from(extent[0].max(1)), u64::from(extent[1].max(1))];
    [(linear % x) as u32, (linear / x % y) as u32, (linear / (x * y)) as u32]
}
