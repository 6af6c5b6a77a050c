//! One executor thread: takes blocks, runs their warps in turn, opens their barriers.

use super::Fault;
use super::block::{BARRIERS, Block, Waiting};
use super::context::Context;
use super::frame::{Frame, write, write_predicate};
use super::warp::{Group, State, Warp, lanes};
use crate::check::{Check, Site};
use crate::counts::Tally;
use crate::program::instruction::{Action, Barrier, Call, FenceScope, Instruction, Operands, Register, Space};
use crate::program::symbols::{LOCAL_WINDOW, PARAMETER_WINDOW, SHARED_WINDOW, WINDOW_BYTES};
use std::sync::atomic::{Ordering, fence};

/// Instructions that a warp may execute before the next one has its turn: another warp may be what it waits for.
const QUANTUM: u32 = 20_000;

/// One executor thread.
pub struct Worker<'a> {
    /// The launch.
    pub context: &'a Context<'a>,
    /// What was executed.
    pub tally: Tally,
    /// For each instruction of each function the range of addresses that it last fell into.
    pub ranges: Vec<Vec<(u64, u64)>>,
    /// What a program prints, a line at a time.
    pub printed: Vec<u8>,
}

/// Why a warp stopped running.
enum Pause {
    /// No group can run, or its turn is over.
    Idle,
    /// A group came to a barrier.
    Barrier(usize, Waiting, Option<u32>, bool),
}

/// How an instruction leaves its group.
enum Flow {
    /// To the next instruction.
    Next,
    /// To another instruction.
    Jump(u32),
    /// Another choice of groups is due; the groups are already in order.
    Choose,
    /// Nowhere yet: it waits for lanes that the instruction names.
    Wait,
    /// To a barrier.
    Barrier(usize, Waiting, Option<u32>, bool),
}

/// An instruction at work: the block, the warp, the call whose registers it uses, and where it stands.
pub struct Spot<'s> {
    /// The block; the warp at work is not among its warps.
    pub block: &'s mut Block,
    /// The warp.
    pub warp: &'s mut Warp,
    /// The call, by the index of its frame.
    pub frame: usize,
    /// Where the instruction stands.
    pub at: At,
}

impl Spot<'_> {
    /// The registers of the call.
    pub fn registers(&self) -> &Frame {
        &self.warp.frames[self.frame]
    }

    /// The registers of the call, to be written.
    pub fn registers_mut(&mut self) -> &mut Frame {
        &mut self.warp.frames[self.frame]
    }
}

/// Where an instruction stands.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Index of the function.
    pub function: usize,
    /// Index of the instruction in it.
    pub pc: u32,
    /// The number that reports know it by.
    pub site: Site,
}

impl<'a> Worker<'a> {
    /// A thread that has executed nothing yet.
    pub fn new(context: &'a Context<'a>) -> Worker<'a> {
        let ranges = context.program.functions.iter().map(|code| vec![(0, 0); code.instructions.len()]).collect();
        Worker { context, tally: Tally::new(context.program), ranges, printed: Vec::new() }
    }

    /// Runs blocks until there are none; this is worker `index` of `workers`.
    pub fn run(mut self, index: usize, workers: usize) -> Tally {
        let result =
            if self.context.launch.cooperative { self.run_together(index, workers) } else { self.run_one_by_one() };
        if let Err(fault) = result {
            self.context.fail(fault);
        }
        self.print_rest();
        self.tally
    }

    fn run_one_by_one(&mut self) -> Result<(), Fault> {
        let mut block = Block::new(self.context);
        loop {
            let linear = self.context.next.fetch_add(1, Ordering::Relaxed);
            if linear >= self.context.blocks {
                return Ok(());
            }
            block.begin(self.context, linear);
            while !self.turn(&mut block)? {}
        }
    }

    /// Keeps its share of the blocks alive and gives each a turn after the other.
    fn run_together(&mut self, index: usize, workers: usize) -> Result<(), Fault> {
        let mut blocks: Vec<Block> = (index as u64..self.context.blocks)
            .step_by(workers)
            .map(|linear| {
                let mut block = Block::new(self.context);
                block.begin(self.context, linear);
                block
            })
            .collect();
        while !blocks.is_empty() {
            let mut alive = Vec::with_capacity(blocks.len());
            for mut block in blocks {
                if !self.turn(&mut block)? {
                    alive.push(block);
                }
            }
            blocks = alive;
        }
        Ok(())
    }

    /// Gives each warp of a block its turn; true when the block has ended.
    fn turn(&mut self, block: &mut Block) -> Result<bool, Fault> {
        let mut ran = false;
        for index in 0..block.warps.len() {
            loop {
                if self.context.stop.load(Ordering::Relaxed) {
                    return Ok(true);
                }
                let mut warp = std::mem::take(&mut block.warps[index]);
                let before = warp.clock;
                let pause = self.run_warp(block, &mut warp);
                let executed = warp.clock - before;
                block.warps[index] = warp;
                ran |= executed > 0;
                if !self.context.spend(executed) {
                    return self.out_of_budget(block, index);
                }
                match pause? {
                    Pause::Idle => break,
                    Pause::Barrier(number, waiting, expected, waits) => {
                        block.arrive(number, waiting, expected, waits);
                        self.open_barriers(block);
                    }
                }
            }
            self.open_barriers(block);
        }
        if block.live_threads() == 0 {
            return Ok(true);
        }
        if !ran {
            self.force(block);
        }
        Ok(false)
    }

    fn out_of_budget(&mut self, block: &Block, warp: usize) -> Result<bool, Fault> {
        let group = block.warps[warp].groups.first().copied();
        let (site, lane) = group.map_or((Site::NONE, 0), |group| {
            (self.group_site(&block.warps[warp], &group), group.mask.trailing_zeros())
        });
        let limit = self.context.machine.settings.limit.unwrap_or(0);
        let place = (block.index, self.context.thread_index(warp as u32, lane % 32));
        let message =
            format!("the launch was stopped after {limit} warp instructions, the limit set by SOFTCUDA_LIMIT");
        self.context.report(Check::Limit, site, place, 0, message, None);
        Err(Fault::Limit)
    }

    /// Runs a warp until it waits or its turn is over.
    fn run_warp(&mut self, block: &mut Block, warp: &mut Warp) -> Result<Pause, Fault> {
        let mut left = QUANTUM;
        loop {
            let Some((group, meeting)) = warp.choose() else {
                if warp.release_members() {
                    continue;
                }
                return Ok(Pause::Idle);
            };
            let function = warp.frames[group.frame].function;
            let mut executed = std::mem::take(&mut self.tally.executed[function]);
            let result = self.run_group(block, warp, group, meeting, &mut executed, &mut left);
            self.tally.executed[function] = executed;
            match result? {
                Some(pause) => return Ok(pause),
                None if left == 0 => return Ok(Pause::Idle),
                None => {}
            }
        }
    }

    /// Runs one group until another choice is due, and puts it back among the others.
    fn run_group(
        &mut self,
        block: &mut Block,
        warp: &mut Warp,
        mut group: Group,
        meeting: u32,
        executed: &mut [(u64, u64)],
        left: &mut u32,
    ) -> Result<Option<Pause>, Fault> {
        let program = self.context.program;
        let function = warp.frames[group.frame].function;
        let code = &program.functions[function].instructions[..];
        let sites = program.sites[function];
        loop {
            let instruction = &code[group.pc as usize];
            let active = guarded(&warp.frames[group.frame], instruction, group.mask);
            let count = &mut executed[group.pc as usize];
            count.0 += 1;
            count.1 += u64::from(active.count_ones());
            warp.clock += 1;
            *left -= 1;
            warp.ahead.1 = warp.ahead.1.saturating_sub(1);
            if let Action::Compute(compute) = instruction.action {
                // SAFETY: the handler was chosen for the features that this processor was found to have.
                unsafe { compute(&mut warp.frames[group.frame], &instruction.operands, active) };
                group.pc += 1;
            } else {
                let at = At { function, pc: group.pc, site: Site(sites + group.pc) };
                let mut spot = Spot { block: &mut *block, warp: &mut *warp, frame: group.frame, at };
                match self.step(&mut spot, &group, instruction, active)? {
                    Flow::Next => group.pc += 1,
                    Flow::Jump(target) => {
                        group.pc = target;
                        if !warp.groups.is_empty() {
                            warp.groups.push(group);
                            return Ok(None);
                        }
                    }
                    Flow::Choose => return Ok(None),
                    Flow::Wait => {
                        // It is executed, and counted, once its lanes have come.
                        count.0 -= 1;
                        count.1 -= u64::from(active.count_ones());
                        return Ok(None);
                    }
                    Flow::Barrier(number, waiting, expected, waits) => {
                        return Ok(Some(Pause::Barrier(number, waiting, expected, waits)));
                    }
                }
            }
            group.state = State::Ready;
            if group.pc >= meeting || *left == 0 {
                warp.groups.push(group);
                return Ok(None);
            }
        }
    }

    /// Executes an instruction that is more than arithmetic.
    fn step(&mut self, spot: &mut Spot<'_>, group: &Group, i: &Instruction, active: u32) -> Result<Flow, Fault> {
        if active == 0 {
            return Ok(Flow::Next);
        }
        match &i.action {
            Action::Branch(target) => Ok(self.branch(spot.warp, group, active, *target)),
            Action::BranchTable(register, targets) => self.branch_table(spot.warp, group, active, *register, targets),
            Action::Call(call) => self.call(spot, group, call, active),
            Action::Return => Ok(self.ret(spot.warp, group, active)),
            Action::Exit => Ok(self.exit(spot.warp, group, active)),
            Action::Barrier(barrier) => Ok(self.barrier(spot, group, barrier, active)),
            Action::Warp(_, members) if !self.gathered(spot.warp, group, *members, active) => Ok(Flow::Wait),
            _ => self.operate(spot, i, active).map(|()| Flow::Next),
        }
    }

    /// Executes an instruction that leads to the next one.
    fn operate(&mut self, spot: &mut Spot<'_>, i: &Instruction, active: u32) -> Result<(), Fault> {
        match &i.action {
            Action::Load(transfer) => self.load(spot, transfer, active),
            Action::Store(transfer) => self.store(spot, transfer, active, i.operands.imm != 0),
            Action::Atomic(atomic) => self.atomic(spot, atomic, active),
            Action::AsyncCopy(copy) => self.start_copy(spot, copy, active),
            Action::AsyncWait(groups) => self.wait_copies(spot, *groups, active),
            Action::MatrixTransfer(transfer) => self.matrix_transfer(spot, transfer, active),
            Action::Trap => Err(self.trap(spot, active)),
            simple => {
                self.operate_simply(spot, simple, &i.operands, active);
                Ok(())
            }
        }
    }

    /// Executes an instruction that cannot fail.
    fn operate_simply(&mut self, spot: &mut Spot<'_>, action: &Action, o: &Operands, active: u32) {
        match action {
            Action::Warp(op, members) => self.exchange(spot, op, *members, o, active),
            Action::Fence(scope) => self.fence(spot.block, *scope),
            Action::AsyncCommit => spot.warp.pending.commit(active),
            Action::MatrixProduct(product) => super::matrix::multiply(spot.registers_mut(), product, active),
            Action::Clock { wide, high } => clock(spot, o.d, *wide, *high, active),
            Action::IsSpace(space, register) => is_space(spot.registers_mut(), *space, *register, o.d, active),
            Action::Yield => spot.warp.polled = true,
            _ => {}
        }
    }

    fn trap(&self, spot: &Spot<'_>, active: u32) -> Fault {
        if self.context.checks.any() {
            self.finding(Check::Trap, spot, active.trailing_zeros(), 0, "the kernel executed trap".to_owned());
        }
        Fault::LaunchFailed
    }

    fn branch(&mut self, warp: &mut Warp, group: &Group, active: u32, target: u32) -> Flow {
        if active == group.mask {
            return Flow::Jump(target);
        }
        self.tally.traffic.divergent_branches += 1;
        let rest = group.mask & !active;
        warp.groups.push(Group { pc: target, mask: active, ..*group });
        warp.groups.push(Group { pc: group.pc + 1, mask: rest, ..*group });
        Flow::Choose
    }

    fn branch_table(
        &mut self,
        warp: &mut Warp,
        group: &Group,
        active: u32,
        register: Register,
        targets: &[u32],
    ) -> Result<Flow, Fault> {
        let values = read_register(&warp.frames[group.frame], register);
        let (mut left, mut parts) = (active, 0);
        while left != 0 {
            let value = values[left.trailing_zeros() as usize];
            let same = lanes(left).filter(|lane| values[*lane] == value).fold(0, |mask, lane| mask | 1 << lane);
            let target = usize::try_from(value).ok().and_then(|index| targets.get(index)).ok_or(Fault::InvalidPc)?;
            warp.groups.push(Group { pc: *target, mask: same, ..*group });
            left &= !same;
            parts += 1;
        }
        if group.mask & !active != 0 {
            warp.groups.push(Group { pc: group.pc + 1, mask: group.mask & !active, ..*group });
            parts += 1;
        }
        self.tally.traffic.divergent_branches += u64::from(parts > 1);
        Ok(Flow::Choose)
    }

    fn exit(&self, warp: &mut Warp, group: &Group, active: u32) -> Flow {
        warp.end(active);
        if group.mask & !active != 0 {
            warp.groups.push(Group { pc: group.pc + 1, mask: group.mask & !active, ..*group });
        }
        Flow::Choose
    }

    fn ret(&self, warp: &mut Warp, group: &Group, active: u32) -> Flow {
        let Some((frame, pc)) = warp.frames[group.frame].caller else { return self.exit(warp, group, active) };
        super::call::return_results(self.context.program, warp, group.frame, pc - 1, active);
        warp.leave(group.frame, active);
        warp.groups.push(Group { frame, pc, mask: active, ..*group });
        if group.mask & !active != 0 {
            warp.groups.push(Group { pc: group.pc + 1, mask: group.mask & !active, ..*group });
        }
        Flow::Choose
    }

    fn call(&mut self, spot: &mut Spot<'_>, group: &Group, call: &Call, active: u32) -> Result<Flow, Fault> {
        let entered = self.enter(spot, call, active)?;
        let warp = &mut *spot.warp;
        let Some(calls) = entered else { return Ok(Flow::Next) };
        for (frame, mask) in calls {
            warp.groups.push(Group { frame, pc: 0, mask, ..*group });
        }
        if group.mask & !active != 0 {
            warp.groups.push(Group { pc: group.pc + 1, mask: group.mask & !active, ..*group });
        }
        Ok(Flow::Choose)
    }

    /// Whether all lanes that an instruction names have come; if not, the group waits for them.
    fn gathered(&self, warp: &mut Warp, group: &Group, members: Option<Register>, active: u32) -> bool {
        let Some(register) = members else { return true };
        let wanted = read_register(&warp.frames[group.frame], register)[active.trailing_zeros() as usize] as u32;
        let complete = wanted & warp.live & !active == 0;
        if !complete && group.state != State::Released {
            warp.groups.push(Group { state: State::Members(wanted), ..*group });
        }
        complete || group.state == State::Released
    }

    fn barrier(&mut self, spot: &mut Spot<'_>, group: &Group, barrier: &Barrier, active: u32) -> Flow {
        let (warp, at) = (&mut *spot.warp, spot.at);
        let frame = &warp.frames[group.frame];
        let lane = active.trailing_zeros() as usize;
        let number = read_register(frame, barrier.number)[lane] as usize % BARRIERS;
        let expected = barrier.threads.map(|register| read_register(frame, register)[lane] as u32);
        let result = barrier.reduction.map(|(reduction, _, result)| (reduction, result));
        let truth =
            barrier.reduction.map_or(0, |(_, guard, _)| frame.predicates[usize::from(guard.predicate)] ^ guard.negate);
        let waiting = Waiting { warp: warp.index, mask: active, truth: truth & active, site: at.site.0, result };
        self.tally.traffic.barriers += 1;
        let state = if barrier.waits { State::Barrier } else { State::Ready };
        warp.groups.push(Group { pc: group.pc + 1, mask: active, state, ..*group });
        if group.mask & !active != 0 {
            warp.groups.push(Group { pc: group.pc + 1, mask: group.mask & !active, ..*group });
        }
        Flow::Barrier(number, waiting, expected, barrier.waits)
    }

    fn fence(&self, block: &mut Block, scope: FenceScope) {
        fence(Ordering::SeqCst);
        if let (Some(races), FenceScope::Device) = (&mut block.races, scope) {
            races.fence();
        }
    }
}

/// The lanes of a group that an instruction's guard lets through.
#[inline(always)]
fn guarded(frame: &Frame, instruction: &Instruction, mask: u32) -> u32 {
    match instruction.guard {
        None => mask,
        Some(guard) => (frame.predicates[usize::from(guard.predicate)] ^ guard.negate) & mask,
    }
}

/// A register as 64-bit numbers, zero-extended.
pub fn read_register(frame: &Frame, register: Register) -> [u64; 32] {
    match register {
        Register::Word(slot) => frame.words[usize::from(slot)].0.map(u64::from),
        Register::Double(slot) => frame.doubles[usize::from(slot)].0,
        Register::Sink => [0; 32],
    }
}

fn clock(spot: &mut Spot<'_>, d: u16, wide: bool, high: bool, active: u32) {
    let now = spot.warp.clock;
    let frame = spot.registers_mut();
    if wide {
        write(frame, d, [now; 32], active);
    } else {
        write(frame, d, [if high { (now >> 32) as u32 } else { now as u32 }; 32], active);
    }
}

fn is_space(frame: &mut Frame, space: Space, register: Register, d: u16, active: u32) {
    let addresses = read_register(frame, register);
    let holds = lanes(active).filter(|lane| space_of(addresses[*lane]) == space).fold(0, |mask, lane| mask | 1 << lane);
    write_predicate(frame, d, holds, active);
}

/// The state space that a generic address lies in.
pub fn space_of(address: u64) -> Space {
    match address {
        a if a.wrapping_sub(SHARED_WINDOW) < WINDOW_BYTES => Space::Shared,
        a if a.wrapping_sub(LOCAL_WINDOW) < WINDOW_BYTES => Space::Local,
        a if a.wrapping_sub(PARAMETER_WINDOW) < WINDOW_BYTES => Space::KernelParameter,
        _ => Space::Global,
    }
}
