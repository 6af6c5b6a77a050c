//! What the blocks of one launch let each other know through atomics and fences.
//!
//! Each location that a block releases at has a log of releases. A block that acquires there knows the log up to its
//! present length: all that the releasing blocks did before, and all that they knew when they released. A position in a
//! log so stands for a whole vector clock, in constant space.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The releases of a launch.
#[derive(Debug, Default)]
pub(super) struct Releases {
    /// How many there are: where there is none, nothing is locked.
    count: AtomicU64,
    logs: Mutex<Logs>,
}

#[derive(Debug, Default)]
struct Logs {
    /// The log of each address.
    locations: HashMap<u64, usize>,
    logs: Vec<Log>,
    /// The releases of each block, in their order.
    blocks: HashMap<u32, Vec<Release>>,
}

/// The releases at one location.
#[derive(Debug, Default)]
struct Log {
    len: usize,
    links: Vec<Link>,
    /// The longest link into each log.
    reach: HashMap<usize, usize>,
}

/// The release at `position` of this log was by a block that knew another log up to `reach`.
#[derive(Clone, Copy, Debug)]
struct Link {
    position: usize,
    log: usize,
    reach: usize,
}

/// A release of all that its block did at `clock` or before.
#[derive(Clone, Copy, Debug)]
struct Release {
    clock: u32,
    log: usize,
    position: usize,
}

/// What one block knows of the others.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// How far the block itself acquired each log.
    direct: HashMap<usize, usize>,
    /// How far it knows each log, by all that was followed of the links.
    reach: HashMap<usize, usize>,
    /// Stretches of logs whose links are not yet followed: log, from, to.
    unfollowed: VecDeque<(usize, usize, usize)>,
    /// The latest clock of each block that was found known.
    blocks: HashMap<u32, u32>,
    /// The last acquisition: its address, and the launch's releases at the time.
    last: Option<(u64, u64)>,
}

impl Releases {
    /// Lets whoever acquires at `address` from now on know what the block did up to `clock`, and what it knows.
    pub(super) fn release(&self, address: u64, block: u32, clock: u32, knowledge: &Knowledge) {
        let mut logs = self.lock();
        let Logs { locations, logs, blocks } = &mut *logs;
        let index = *locations.entry(address).or_insert(logs.len());
        if index == logs.len() {
            logs.push(Log::default());
        }
        let log = &mut logs[index];
        let own = blocks.entry(block).or_default();
        let said = own.last().is_some_and(|last| last.log == index && last.clock == clock);
        if said && !knowledge.direct.iter().any(|(&to, &reach)| to != index && log.is_new(to, reach)) {
            // A block that spins on an atomic says the same again and again.
            return;
        }
        let position = log.len;
        log.len += 1;
        for (&to, &reach) in &knowledge.direct {
            // Whoever knows this position knows those before it in any case.
            if to != index && log.is_new(to, reach) {
                log.reach.insert(to, reach);
                log.links.push(Link { position, log: to, reach });
            }
        }
        own.push(Release { clock, log: index, position });
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Adds to a block's knowledge all that was released at `address` so far.
    pub(super) fn acquire(&self, address: u64, knowledge: &mut Knowledge) {
        let count = self.count.load(Ordering::SeqCst);
        if count == 0 || knowledge.last == Some((address, count)) {
            return;
        }
        knowledge.last = Some((address, count));
        let logs = self.lock();
        if let Some(&index) = logs.locations.get(&address) {
            let len = logs.logs[index].len;
            knowledge.direct.insert(index, len);
            knowledge.learn(index, len);
        }
    }

    /// Whether what `block` did at `clock` is known.
    pub(super) fn knows(&self, block: u32, clock: u32, knowledge: &mut Knowledge) -> bool {
        if knowledge.direct.is_empty() {
            return false;
        }
        if knowledge.blocks.get(&block).is_some_and(|&known| clock <= known) {
            return true;
        }
        let logs = self.lock();
        let releases = logs.blocks.get(&block).map_or(&[][..], Vec::as_slice);
        let releases = &releases[releases.partition_point(|release| release.clock < clock)..];
        let mut known = knowledge.first_known(releases);
        if known.is_none() {
            knowledge.follow(&logs.logs);
            known = knowledge.first_known(releases);
        }
        if let Some(clock) = known {
            knowledge.blocks.insert(block, clock);
        }
        known.is_some()
    }

    /// How many releases there are at an address.
    #[cfg(test)]
    pub(super) fn acquirable(&self, address: u64) -> usize {
        let logs = self.lock();
        logs.locations.get(&address).map_or(0, |&log| logs.logs[log].len)
    }

    fn lock(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Whether no release of this log knew another log so far.
    fn is_new(&self, log: usize, reach: usize) -> bool {
        self.reach.get(&log).is_none_or(|&known| known < reach)
    }

    /// The links of the releases between two positions.
    fn links(&self, from: usize, to: usize) -> &[Link] {
        let at = |position| self.links.partition_point(|link| link.position < position);
        &self.links[at(from)..at(to)]
    }
}

impl Knowledge {
    fn learn(&mut self, log: usize, to: usize) {
        let reach = self.reach.entry(log).or_default();
        if to > *reach {
            self.unfollowed.push_back((log, *reach, to));
            *reach = to;
        }
    }

    fn follow(&mut self, logs: &[Log]) {
        while let Some((log, from, to)) = self.unfollowed.pop_front() {
            for link in logs[log].links(from, to) {
                self.learn(link.log, link.reach);
            }
        }
    }

    fn first_known(&self, releases: &[Release]) -> Option<u32> {
        let is_known = |release: &&Release| self.reach.get(&release.log).is_some_and(|&reach| release.position < reach);
        releases.iter().find(is_known).map(|release| release.clock)
    }
}
