//! The processor's caches, emptied of what a benchmark works on.

use std::thread;

/// Bytes of a cache line, the unit in which caches hold memory.
const LINE: usize = 64;

/// What a processor that does not tell is taken to have.
const UNKNOWN: usize = 64 << 20;

/// Bytes of the processor's largest cache, as Linux tells them.
pub fn last_level() -> Option<usize> {
    let size = |index: usize| -> Option<usize> {
        let text = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size")).ok()?;
        text.trim().strip_suffix('K')?.parse::<usize>().ok().map(|kibibytes| kibibytes << 10)
    };
    (0..8).filter_map(size).max()
}

/// Memory that takes the place of all else in the caches when it is walked through.
pub struct Sweep {
    memory: Vec<u8>,
    threads: usize,
}

impl Sweep {
    /// Twice the last-level cache.
    pub fn new(threads: usize) -> Self {
        Self { memory: vec![1; 2 * last_level().unwrap_or(UNKNOWN)], threads }
    }

    /// Writes to every line. Each thread walks a part of its own, so that the cores' own caches are emptied as well.
    pub fn walk(&mut self) {
        let part = self.memory.len().div_ceil(self.threads).next_multiple_of(LINE);
        thread::scope(|scope| {
            for part in self.memory.chunks_mut(part) {
                scope.spawn(|| part.iter_mut().step_by(LINE).for_each(|byte| *byte = byte.wrapping_add(1)));
            }
        });
    }
}
