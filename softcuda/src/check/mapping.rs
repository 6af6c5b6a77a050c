//! Large tables that take memory only where they were touched.

use crate::memory::{self, PAGE};
use std::io;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicU64, Ordering};

/// Clearing fewer words than this one by one costs less than a call of the system.
const MIN_DISCARD: usize = 8192;

/// An array of words, all zero at first, that the system backs with memory as they are touched.
#[derive(Debug)]
pub(super) struct Mapping {
    pages: memory::Mapping,
    len: usize,
}

impl Mapping {
    /// Reserves addresses for `len` words.
    pub(super) fn new(len: usize) -> io::Result<Mapping> {
        let bytes = len.max(1).checked_mul(size_of::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { pages: memory::Mapping::reserve(bytes as u64)?, len })
    }

    /// Sets words to zero, and gives the memory of whole pages back.
    pub(super) fn clear(&self, range: Range<usize>) {
        const WORD: usize = size_of::<AtomicU64>();
        let page_words = PAGE as usize / WORD;
        let pages = range.start.next_multiple_of(page_words)..range.end / page_words * page_words;
        let large = range.len() >= MIN_DISCARD && !pages.is_empty();
        let zero = |range: Range<usize>| self[range].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        if large && self.pages.discard((pages.start * WORD) as u64, (pages.len() * WORD) as u64) {
            zero(range.start..pages.start);
            zero(pages.end..range.end);
        } else {
            zero(range);
        }
    }
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds `len` words, readable and writable, aligned to a page, zero at first, and lives as
        // long as this value; atomics may be reached through shared references.
        unsafe { std::slice::from_raw_parts(self.pages.address() as *const AtomicU64, self.len) }
    }
}
