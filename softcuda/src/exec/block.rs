//! A block: its shared memory, its warps and its barriers.

use super::context::Context;
use super::frame::{Frame, LANES, Lanes};
use super::warp::{Group, State, Warp, lanes};
use crate::check::Site;
use crate::check::global::BlockRaces;
use crate::check::shared::SharedShadow;
use crate::program::instruction::{BarrierResult, Reduction, Register};
use crate::program::layout::{Constant, Special};
use std::collections::HashSet;

/// One barrier of a block.
#[derive(Clone, Debug, Default)]
pub struct BarrierState {
    /// Lanes of each warp that have come.
    pub arrived: Vec<u32>,
    /// Threads that it waits for; none: all.
    pub expected: Option<u32>,
    /// The groups that wait.
    pub waiting: Vec<Waiting>,
}

/// A group at a barrier.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its warp.
    pub warp: u32,
    /// Its lanes.
    pub mask: u32,
    /// Those of them whose predicate is true, for a reduction.
    pub truth: u32,
    /// The barrier's instruction.
    pub site: u32,
    /// What it wants of a reduction.
    pub result: Option<(Reduction, BarrierResult)>,
}

/// Barriers of a block.
pub const BARRIERS: usize = 16;

/// One block.
pub struct Block {
    /// Its index in the grid, linear.
    pub linear: u64,
    /// Its index in the grid.
    pub index: [u32; 3],
    /// Its shared memory, in words so that it is aligned.
    pub shared: Vec<u128>,
    /// Its warps.
    pub warps: Vec<Warp>,
    /// Its barriers.
    pub barriers: Vec<BarrierState>,
    /// Shadow of its shared memory.
    pub shadow: Option<SharedShadow>,
    /// Races that were found, by the sites of both sides: one in a loop is found again at each turn.
    pub seen: HashSet<(Site, Site)>,
    /// Its accesses to device memory, where races are checked.
    pub races: Option<BlockRaces>,
}

impl Block {
    /// Room for a block of the launch.
    pub fn new(context: &Context<'_>) -> Block {
        let checks = context.checks;
        Block {
            linear: 0,
            index: [0; 3],
            shared: vec![0; context.shared_bytes.div_ceil(16) as usize],
            warps: (0..context.warps).map(|index| Warp { index, ..Warp::default() }).collect(),
            barriers: vec![BarrierState::default(); BARRIERS],
            shadow: (checks.race || checks.init).then(SharedShadow::new),
            seen: HashSet::new(),
            races: None,
        }
    }

    /// Makes the block ready to run from its first instruction.
    pub fn begin(&mut self, context: &Context<'_>, linear: u64) {
        (self.linear, self.index) = (linear, context.block_index(linear));
        self.shared.fill(0);
        self.seen.clear();
        self.barriers.iter_mut().for_each(|barrier| *barrier = BarrierState::default());
        if let Some(shadow) = &mut self.shadow {
            shadow.begin_block(context.shared_bytes, context.warps);
        }
        self.races = context.races.as_ref().map(|races| BlockRaces::new(races, linear));
        let index = self.index;
        for warp in &mut self.warps {
            begin_warp(context, warp, index);
        }
    }

    /// Threads of the block that have not ended.
    pub fn live_threads(&self) -> u32 {
        self.warps.iter().map(|warp| warp.live.count_ones()).sum()
    }

    /// Adds a group to a barrier.
    pub fn arrive(&mut self, number: usize, waiting: Waiting, expected: Option<u32>, waits: bool) {
        let warps = self.warps.len();
        let barrier = &mut self.barriers[number];
        barrier.arrived.resize(warps, 0);
        barrier.arrived[waiting.warp as usize] |= waiting.mask;
        barrier.expected = expected;
        if waits {
            barrier.waiting.push(waiting);
        }
    }

    /// Whether all have come whom the barrier waits for.
    pub fn complete(&self, number: usize) -> bool {
        let barrier = &self.barriers[number];
        if barrier.arrived.iter().all(|mask| *mask == 0) {
            return false;
        }
        match barrier.expected {
            None => self.warps.iter().zip(&barrier.arrived).all(|(warp, arrived)| warp.live & !arrived == 0),
            Some(expected) => {
                // A warp counts as 32 threads once all its lanes have come, whatever lanes it has.
                let whole = |(warp, arrived): &(&Warp, &u32)| **arrived != 0 && warp.live & !**arrived == 0;
                self.warps.iter().zip(&barrier.arrived).filter(whole).count() as u32 * 32 >= expected
            }
        }
    }

    /// Opens a barrier: those that wait can run again. Returns the warps that met there.
    pub fn open(&mut self, number: usize) -> u32 {
        let barrier = std::mem::take(&mut self.barriers[number]);
        let met = barrier
            .arrived
            .iter()
            .enumerate()
            .filter(|(_, mask)| **mask != 0)
            .fold(0, |warps, (warp, _)| warps | 1 << warp);
        let count: u32 = barrier.waiting.iter().map(|waiting| waiting.truth.count_ones()).sum();
        let all = barrier.waiting.iter().all(|waiting| waiting.truth == waiting.mask);
        for waiting in &barrier.waiting {
            let warp = &mut self.warps[waiting.warp as usize];
            if let Some((reduction, result)) = waiting.result {
                let value = match reduction {
                    Reduction::Count => count,
                    Reduction::And => u32::from(all),
                    _ => u32::from(count != 0),
                };
                write_result(warp, waiting.mask, result, value);
            }
            let stands = |group: &&mut Group| group.state == State::Barrier && group.mask & waiting.mask != 0;
            warp.groups.iter_mut().filter(stands).for_each(|group| group.state = State::Ready);
        }
        met
    }

    /// Shared memory as bytes.
    pub fn shared_pointer(&mut self) -> *mut u8 {
        self.shared.as_mut_ptr().cast()
    }
}

fn write_result(warp: &mut Warp, mask: u32, result: BarrierResult, value: u32) {
    let Some(group) = warp.groups.iter().find(|group| group.state == State::Barrier && group.mask & mask != 0) else {
        return;
    };
    let frame = &mut warp.frames[group.frame];
    match result {
        BarrierResult::Count(Register::Word(slot)) => {
            for lane in lanes(mask) {
                frame.words[usize::from(slot)].0[lane] = value;
            }
        }
        BarrierResult::Count(_) => {}
        BarrierResult::Predicate(slot) => {
            super::frame::write_predicate(frame, slot, if value == 0 { 0 } else { u32::MAX }, mask);
        }
    }
}

fn begin_warp(context: &Context<'_>, warp: &mut Warp, block: [u32; 3]) {
    let entry = context.program.entry(context.launch.kernel);
    let fresh = warp.frames.is_empty();
    if fresh {
        warp.frames.push(context.program.functions[entry].layout.frame(entry));
    }
    warp.unused = (1..warp.frames.len()).collect();
    let threads = context.threads - warp.index * LANES as u32;
    warp.live = if threads >= LANES as u32 { u32::MAX } else { (1 << threads) - 1 };
    let stack = context.program.functions[entry].layout.local_bytes as usize;
    warp.local_stride = stack;
    warp.local.clear();
    warp.local.resize(stack * LANES, 0);
    if context.checks.init {
        warp.local_written.clear();
        warp.local_written.resize(stack * LANES, false);
    }
    warp.pending = Default::default();
    (warp.clock, warp.polled, warp.ahead) = (0, false, (0, 0));
    warp.groups.clear();
    warp.groups.push(Group { frame: 0, pc: 0, mask: warp.live, state: State::Ready, age: 0 });
    let layout = &context.program.functions[entry].layout;
    let frame = &mut warp.frames[0];
    // Registers that a kernel reads before it writes them hold the same in every block.
    frame.words[..layout.words].fill(Lanes([0; LANES]));
    frame.doubles[..layout.doubles].fill(Lanes([0; LANES]));
    frame.predicates[3..].fill(0);
    frame.predicates[0] = 0;
    (frame.local_base, frame.depth, frame.caller, frame.live) = (0, 0, None, warp.live);
    fill_constants(context, frame, warp.index, block, fresh);
}

/// Fills the constants and special registers of a frame: all of them if it is fresh, else those that differ from block to
/// block.
pub fn fill_constants(context: &Context<'_>, frame: &mut Frame, warp: u32, block: [u32; 3], fresh: bool) {
    let layout = &context.program.functions[frame.function].layout;
    let base = frame.local_base;
    let due = |constant: &Constant| fresh || varies(*constant);
    let value = |constant: Constant, lane: usize| constant_value(context, constant, base, warp, lane as u32, block);
    for (index, constant) in layout.word_constants.iter().enumerate().filter(|(_, constant)| due(constant)) {
        frame.words[layout.words + index] = Lanes(std::array::from_fn(|lane| value(*constant, lane) as u32));
    }
    for (index, constant) in layout.double_constants.iter().enumerate().filter(|(_, constant)| due(constant)) {
        frame.doubles[layout.doubles + index] = Lanes(std::array::from_fn(|lane| value(*constant, lane)));
    }
}

/// Whether a constant differs from block to block.
fn varies(constant: Constant) -> bool {
    matches!(constant, Constant::Special(Special::Block(_) | Special::Multiprocessor))
}

fn constant_value(
    context: &Context<'_>,
    constant: Constant,
    local_base: u32,
    warp: u32,
    lane: u32,
    block: [u32; 3],
) -> u64 {
    match constant {
        Constant::Bits(bits) => bits,
        Constant::Local(offset) => u64::from(local_base) + u64::from(offset),
        Constant::DynamicShared(offset) => u64::from(context.dynamic_shared) + offset,
        Constant::Special(special) => special_value(context, special, warp, lane, block),
    }
}

fn special_value(context: &Context<'_>, special: Special, warp: u32, lane: u32, block: [u32; 3]) -> u64 {
    let of = |values: [u32; 3], axis: u8| u64::from(values[usize::from(axis)]);
    match special {
        Special::Thread(axis) => of(context.thread_index(warp, lane), axis),
        Special::BlockSize(axis) => of(context.launch.block, axis),
        Special::Block(axis) => of(block, axis),
        Special::GridSize(axis) => of(context.launch.grid, axis),
        Special::Lane => u64::from(lane),
        Special::Warp => u64::from(warp),
        Special::Warps => u64::from(context.warps),
        // Blocks are dealt out in turn, so that the answer does not depend on host threads.
        Special::Multiprocessor => {
            let [x, y, _] = context.launch.grid.map(u64::from);
            let [i, j, k] = block.map(u64::from);
            (i + x * (j + y * k)) % u64::from(context.machine.chip().multiprocessors)
        }
        Special::Multiprocessors => u64::from(context.machine.chip().multiprocessors),
        Special::Grid => context.launch.order.sequence,
        Special::LaneMask(kind) => {
            let below = (1u64 << lane) - 1;
            let mask = [1 << lane, below, below | 1 << lane, !(below | 1 << lane), !below][usize::from(kind)];
            mask & u64::from(u32::MAX)
        }
        Special::DynamicShared => u64::from(context.launch.shared_bytes),
        Special::TotalShared => u64::from(context.shared_bytes),
    }
}
