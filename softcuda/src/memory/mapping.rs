//! A large range of the host's addresses whose pages come into being when they are touched.

use std::io;

/// Bytes of a page; a system with larger ones refuses to give back smaller pieces.
pub const PAGE: u64 = 4096;

/// An anonymous mapping, zero until written.
#[derive(Debug)]
pub struct Mapping {
    address: u64,
    bytes: u64,
}

impl Mapping {
    /// Reserves `bytes` bytes; memory is used only for the pages that are touched.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn reserve(bytes: u64) -> io::Result<Mapping> {
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address that the system chooses touches no memory of this program.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { address: address as u64, bytes })
    }

    /// Where it begins on the host.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets `bytes` bytes from `offset` to zero and gives whole pages back to the system.
    pub fn release(&self, offset: u64, bytes: u64) {
        assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.bytes), "released bytes lie in the mapping");
        let (start, end) = (offset, offset + bytes);
        let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        let zero = |from: u64, to: u64| {
            // SAFETY: all bytes lie in this mapping, which the assertion above checked.
            unsafe { ((self.address + from) as *mut u8).write_bytes(0, (to - from) as usize) };
        };
        if first < last && self.discard(first, last - first) {
            zero(start, first);
            zero(last, end);
        } else {
            zero(start, end);
        }
    }

    /// Gives whole pages back, which are zero when they are touched again; false if that could not be done.
    pub fn discard(&self, offset: u64, bytes: u64) -> bool {
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        if !inside || !offset.is_multiple_of(PAGE) || !bytes.is_multiple_of(PAGE) {
            return false;
        }
        let start = (self.address + offset) as *mut libc::c_void;
        // SAFETY: the pages lie within this private anonymous mapping, which the condition above checked. To other
        // threads their bytes turn to zero, as if stored.
        unsafe { libc::madvise(start, bytes as usize, libc::MADV_DONTNEED) == 0 }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nobody can ask for its address any more.
        unsafe { libc::munmap(self.address as *mut libc::c_void, self.bytes as usize) };
    }
}
