//! A warp: its registers, and the groups of its lanes that stand at the same instruction.
//!
//! Of the groups that can run, the one deepest in calls runs, and of those the one at the lowest instruction. So lanes
//! that left a loop or a branch early wait where the others come by, and join them. A group that waits while others
//! poll memory is let ahead now and then: the lane that holds a lock must be able to release it.

use super::copy::Pending;
use super::frame::{Frame, LANES};
use crate::program::Program;

/// Why a group does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can run.
    Ready,
    /// It can run, though it names lanes that are not with it: those wait elsewhere, and all have come.
    Released,
    /// It waits at a barrier of the block.
    Barrier,
    /// It waits for the lanes of a mask.
    Members(u32),
}

/// Lanes at the same instruction of the same call.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The call.
    pub frame: usize,
    /// The next instruction.
    pub pc: u32,
    /// The lanes.
    pub mask: u32,
    /// Whether it can run.
    pub state: State,
    /// Turns that others had while it waited and they polled.
    pub age: u32,
}

/// Turns of polling groups after which a waiting one is let ahead.
const PATIENCE: u32 = 64;
/// Instructions that it then has.
const HEAD_START: u32 = 256;

/// One warp.
#[derive(Debug, Default)]
pub struct Warp {
    /// Its number in the block.
    pub index: u32,
    /// Its lanes that have not ended.
    pub live: u32,
    /// Its calls; some may be unused.
    pub frames: Vec<Frame>,
    /// Frames that are not in use.
    pub unused: Vec<usize>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// Local memory, for each lane after the other.
    pub local: Vec<u8>,
    /// Which bytes of it were written, where that is checked.
    pub local_written: Vec<bool>,
    /// Bytes of local memory of each lane.
    pub local_stride: usize,
    /// Asynchronous copies under way.
    pub pending: Pending,
    /// Whether memory was polled since the last choice of a group.
    pub polled: bool,
    /// Instructions executed: the clock.
    pub clock: u64,
    /// Lanes that were let ahead, and the instructions that they still have.
    pub ahead: (u32, u32),
}

impl Group {
    fn can_run(&self) -> bool {
        matches!(self.state, State::Ready | State::Released)
    }
}

impl Warp {
    /// Chooses the group to run, takes it out and joins those at the same place to it; also tells the next instruction
    /// at which another group of the same call waits.
    pub fn choose(&mut self) -> Option<(Group, u32)> {
        let chosen = self.group_ahead().or_else(|| self.group_behind())?;
        let mut group = self.groups.swap_remove(chosen);
        group.age = 0;
        self.groups.retain(|other| {
            let joins = (other.frame, other.pc, other.state) == (group.frame, group.pc, group.state);
            if joins {
                group.mask |= other.mask;
            }
            !joins
        });
        if self.polled {
            self.groups.iter_mut().filter(|group| group.can_run()).for_each(|group| group.age += 1);
            self.polled = false;
        }
        Some((group, self.next_meeting(&group)))
    }

    /// The group that was let ahead and has instructions left, or one that has waited too long and is let ahead now.
    fn group_ahead(&mut self) -> Option<usize> {
        let (favoured, left) = self.ahead;
        let of_favoured = |group: &Group| group.can_run() && group.mask & favoured != 0;
        if left > 0
            && let Some(index) = self.groups.iter().position(of_favoured)
        {
            return Some(index);
        }
        let index = self.groups.iter().position(|group| group.can_run() && group.age > PATIENCE)?;
        self.ahead = (self.groups[index].mask, HEAD_START);
        Some(index)
    }

    /// The group deepest in calls, and of those the one at the lowest instruction.
    fn group_behind(&self) -> Option<usize> {
        let depth = |group: &Group| std::cmp::Reverse(self.frames[group.frame].depth);
        let can_run = self.groups.iter().enumerate().filter(|(_, group)| group.can_run());
        Some(can_run.min_by_key(|(_, group)| (depth(group), group.pc))?.0)
    }

    /// The lowest instruction behind the group's own at which others of its call stand.
    fn next_meeting(&self, group: &Group) -> u32 {
        let others = self
            .groups
            .iter()
            .filter(|other| other.frame == group.frame && other.pc > group.pc && other.state != State::Barrier);
        others.map(|other| other.pc).min().unwrap_or(u32::MAX)
    }

    /// A frame for a call whose local memory begins at `base`, and whether all its constants are to be filled in.
    pub fn take_frame(&mut self, program: &Program, function: usize, base: u32) -> (usize, bool) {
        if let Some(position) = self.unused.iter().position(|frame| self.frames[*frame].function == function) {
            let frame = self.unused.swap_remove(position);
            return (frame, self.frames[frame].local_base != base);
        }
        self.frames.push(program.functions[function].layout.frame(function));
        (self.frames.len() - 1, true)
    }

    /// Ends lanes: in all groups and calls.
    pub fn end(&mut self, mask: u32) {
        self.live &= !mask;
        for frame in 0..self.frames.len() {
            if self.frames[frame].live & mask != 0 {
                self.leave(frame, mask);
            }
        }
    }

    /// Lanes leave a call; with the last one its frame becomes unused.
    pub fn leave(&mut self, frame: usize, mask: u32) {
        self.frames[frame].live &= !mask;
        if self.frames[frame].live == 0 && frame != 0 {
            self.unused.push(frame);
        }
    }

    /// Lets groups that wait for each other's lanes go on once all have come; `true` if some can run.
    pub fn release_members(&mut self) -> bool {
        let mut released = false;
        for index in 0..self.groups.len() {
            let State::Members(wanted) = self.groups[index].state else { continue };
            let waiting = |group: &&Group| group.state == State::Members(wanted);
            let present = self.groups.iter().filter(waiting).fold(0, |mask, group| mask | group.mask);
            if wanted & self.live & !present == 0 {
                self.groups
                    .iter_mut()
                    .filter(|group| group.state == State::Members(wanted))
                    .for_each(|group| group.state = State::Released);
                released = true;
            }
        }
        released
    }
}

/// The lanes of a mask, from the lowest.
pub fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 != 0)
}
