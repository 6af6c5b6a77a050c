//! Barriers of a block: when they open, and what is wrong with those that do not.

use super::block::{BARRIERS, Block, Waiting};
use super::frame::FULL;
use super::warp::{Group, State, Warp};
use super::worker::Worker;
use crate::check::{Check, Site};

impl Worker<'_> {
    /// The instruction that a group stands at.
    pub fn group_site(&self, warp: &Warp, group: &Group) -> Site {
        let function = warp.frames[group.frame].function;
        Site(self.context.program.sites[function] + group.pc)
    }

    /// Opens the barriers to which all have come.
    pub fn open_barriers(&mut self, block: &mut Block) {
        for number in 0..BARRIERS {
            if !block.barriers[number].arrived.is_empty() && block.complete(number) {
                self.check_barrier(block, number);
                self.open(block, number);
            }
        }
    }

    fn open(&mut self, block: &mut Block, number: usize) {
        let met = block.open(number);
        if let Some(shadow) = &mut block.shadow {
            shadow.barrier(met);
        }
        if let Some(races) = &mut block.races {
            races.barrier(met);
        }
    }

    /// A barrier opens: reports threads that ended without coming to it, and warps that came to it in two places.
    fn check_barrier(&self, block: &Block, number: usize) {
        let barrier = &block.barriers[number];
        let Some(first) = barrier.waiting.first() else { return };
        if !self.context.checks.sync {
            return;
        }
        let split = barrier.waiting.iter().enumerate().find_map(|(index, one)| {
            barrier.waiting[..index]
                .iter()
                .find(|other| other.warp == one.warp && other.site != one.site)
                .map(|other| (one, other))
        });
        if let Some((one, other)) = split {
            let place = |waiting: &Waiting| {
                (block.index, self.context.thread_index(waiting.warp, waiting.mask.trailing_zeros()))
            };
            let message = "threads of one warp wait at different places for one barrier".to_owned();
            let other = self.context.other(Site(other.site), block.index, place(other).1, "barrier");
            self.context.report(Check::Barrier, Site(one.site), place(one), 0, message, Some(other));
        }
        let absent = block.warps.iter().zip(&barrier.arrived).find_map(|(warp, arrived)| {
            let threads = self.context.threads - warp.index * 32;
            let all = if threads >= 32 { FULL } else { (1 << threads) - 1 };
            let ended = all & !warp.live & !arrived;
            (barrier.expected.is_none() && ended != 0).then(|| (warp.index, ended.trailing_zeros()))
        });
        if let Some((warp, lane)) = absent {
            let thread = self.context.thread_index(warp, lane);
            let place = (block.index, self.context.thread_index(first.warp, first.mask.trailing_zeros()));
            let message =
                format!("a barrier that thread ({}, {}, {}) ended without reaching", thread[0], thread[1], thread[2]);
            self.context.report(Check::Barrier, Site(first.site), place, 0, message, None);
        }
    }

    /// Nothing in the block can run: reports what it waits for, and lets it go on.
    pub fn force(&mut self, block: &mut Block) {
        let barrier = (0..BARRIERS).find(|number| !block.barriers[*number].waiting.is_empty());
        let member = block.warps.iter().enumerate().find_map(|(index, warp)| {
            warp.groups.iter().position(|group| matches!(group.state, State::Members(_))).map(|group| (index, group))
        });
        // Lanes that wait for lanes come first: those may then reach the barrier.
        if let Some((index, position)) = member {
            let group = block.warps[index].groups[position];
            if self.context.checks.sync {
                let place = (block.index, self.context.thread_index(index as u32, group.mask.trailing_zeros()));
                let message = "the mask names lanes that never come to this instruction".to_owned();
                self.context.report(
                    Check::Barrier,
                    self.group_site(&block.warps[index], &group),
                    place,
                    0,
                    message,
                    None,
                );
            }
            block.warps[index].groups[position].state = State::Released;
        } else if let Some(number) = barrier {
            if self.context.checks.sync {
                let waiting = block.barriers[number].waiting[0];
                let place = (block.index, self.context.thread_index(waiting.warp, waiting.mask.trailing_zeros()));
                let missing = block.live_threads()
                    - block.barriers[number].arrived.iter().map(|mask| mask.count_ones()).sum::<u32>();
                let message = format!("a barrier that {missing} threads never reach: the block would wait for ever");
                self.context.report(Check::Barrier, Site(waiting.site), place, 0, message, None);
            }
            self.open(block, number);
        } else {
            // Barriers that threads only arrived at keep nobody: there must be lanes that can run, or none at all.
            block.warps.iter_mut().for_each(|warp| warp.live = 0);
        }
    }
}
