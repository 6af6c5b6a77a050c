//! Large tables that take memory only where they were touched.

use std::io;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Clearing fewer words than this one by one costs less than a call of the system.
const MIN_DISCARD: usize = 8192;

/// An array of words, all zero at first, that the system backs with memory as they are touched.
#[derive(Debug)]
pub(super) struct Mapping {
    words: NonNull<AtomicU64>,
    len: usize,
    page: usize,
}

// SAFETY: the mapping is owned by this value alone and holds atomics, which threads may share.
unsafe impl Send for Mapping {}
// SAFETY: as above; every access through a shared reference is atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves addresses for `len` words.
    pub(super) fn new(len: usize) -> io::Result<Mapping> {
        let bytes = len.max(1).checked_mul(size_of::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address that the system chooses touches no memory in use.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: asks for a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Ok(Mapping { words, len, page: usize::try_from(page).unwrap_or(4096) })
    }

    /// Sets words to zero, and gives the memory of whole pages back.
    pub(super) fn clear(&self, range: Range<usize>) {
        let page_words = self.page / size_of::<AtomicU64>();
        let pages = range.start.next_multiple_of(page_words)..range.end / page_words * page_words;
        if range.len() < MIN_DISCARD || pages.is_empty() || !self.discard(pages.clone()) {
            self[range].iter().for_each(|word| word.store(0, Ordering::Relaxed));
            return;
        }
        for edge in [range.start..pages.start, pages.end..range.end] {
            self[edge].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
    }

    /// Gives pages back, which are zero when they are touched again; false if the system refuses.
    fn discard(&self, words: Range<usize>) -> bool {
        let pages = &self[words];
        // SAFETY: the pages lie within this private anonymous mapping, as the slice shows. To other threads their words
        // turn to zero, as if stored.
        unsafe { libc::madvise(pages.as_ptr().cast_mut().cast(), size_of_val(pages), libc::MADV_DONTNEED) == 0 }
    }
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds `len` words, readable and writable, aligned to a page, zero at first, and lives as
        // long as this value; atomics may be reached through shared references.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let bytes = self.len.max(1) * size_of::<AtomicU64>();
        // SAFETY: unmaps exactly what `new` mapped; no reference into it outlives this value.
        unsafe { libc::munmap(self.words.as_ptr().cast(), bytes) };
    }
}
