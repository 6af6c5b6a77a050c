//! Which bytes of global memory were ever written: a bit for each byte.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::Mapping;
use super::shared::{LANES, ones};

/// A bit for each byte of a span of addresses. Bytes outside the span count as written.
#[derive(Debug)]
pub(super) struct Written {
    base: u64,
    span: u64,
    bits: Mapping,
}

/// The bits of one word within a range: which word, and which of its bits.
fn words(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64);
        let high = (to - word * 64).min(64);
        (word as usize, u64::MAX << low & u64::MAX >> (64 - high))
    })
}

impl Written {
    pub(super) fn new(base: u64, span: u64) -> io::Result<Written> {
        let words = usize::try_from(span.div_ceil(64)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(Written { base, span, bits: Mapping::new(words)? })
    }

    /// The part of a range that lies in the span, as bits.
    fn clip(&self, address: u64, len: u64) -> (u64, u64) {
        let inside = |address: u64| address.saturating_sub(self.base).min(self.span);
        (inside(address), inside(address.saturating_add(len)))
    }

    pub(super) fn mark(&self, address: u64, len: u64) {
        let (from, to) = self.clip(address, len);
        words(from, to).for_each(|(word, bits)| set(&self.bits[word], bits));
    }

    pub(super) fn unmark(&self, address: u64, len: u64) {
        let (from, to) = self.clip(address, len);
        let whole = from.div_ceil(64)..to / 64;
        if whole.is_empty() {
            words(from, to).for_each(|(word, bits)| unset(&self.bits[word], bits));
            return;
        }
        words(from, whole.start * 64).for_each(|(word, bits)| unset(&self.bits[word], bits));
        words(whole.end * 64, to).for_each(|(word, bits)| unset(&self.bits[word], bits));
        self.bits.clear(whole.start as usize..whole.end as usize);
    }

    /// Gives each byte of the destination what its byte of the source has.
    pub(super) fn copy(&self, dst: u64, src: u64, len: u64) {
        let (from, to) = self.clip(dst, len);
        for (word, bits) in words(from, to) {
            let first = (self.base + word as u64 * 64).wrapping_sub(dst).wrapping_add(src);
            let source = self.window(first);
            unset(&self.bits[word], bits & !source);
            set(&self.bits[word], bits & source);
        }
    }

    /// The bits of the 64 bytes at an address.
    fn window(&self, address: u64) -> u64 {
        let bit = address.wrapping_sub(self.base);
        if address < self.base && self.base - address < 64 {
            // The bytes before the span count as written.
            let before = self.base - address;
            return self.word(0) << before | u64::MAX >> (64 - before);
        }
        let (word, shift) = (bit / 64, bit % 64);
        let low = self.word(word) >> shift;
        if shift == 0 { low } else { low | self.word(word + 1) << (64 - shift) }
    }

    fn word(&self, word: u64) -> u64 {
        let inside = usize::try_from(word).ok().and_then(|word| self.bits.get(word));
        inside.map_or(u64::MAX, |word| word.load(Ordering::Relaxed))
    }

    pub(super) fn first_unwritten(&self, address: u64, len: u64) -> Option<u64> {
        let (from, to) = self.clip(address, len);
        words(from, to).find_map(|(word, bits)| {
            let missing = !self.bits[word].load(Ordering::Relaxed) & bits;
            (missing != 0).then(|| self.base + word as u64 * 64 + u64::from(missing.trailing_zeros()))
        })
    }

    pub(super) fn unwritten_lane(&self, mask: u32, addresses: &[u64; LANES], bytes: u32) -> Option<(u32, u64)> {
        let bytes = u64::from(bytes);
        if is_contiguous(mask, addresses, bytes) {
            let missing = self.first_unwritten(addresses[0], bytes * LANES as u64)?;
            return Some((((missing - addresses[0]) / bytes) as u32, missing));
        }
        let mut last = None;
        ones(mask).find_map(|lane| {
            let address = addresses[lane];
            if last.replace(address) == Some(address) {
                return None;
            }
            Some((lane as u32, self.first_unwritten(address, bytes)?))
        })
    }

    pub(super) fn mark_lanes(&self, mask: u32, addresses: &[u64; LANES], bytes: u32) {
        let bytes = u64::from(bytes);
        if is_contiguous(mask, addresses, bytes) {
            self.mark(addresses[0], bytes * LANES as u64);
        } else {
            ones(mask).for_each(|lane| self.mark(addresses[lane], bytes));
        }
    }
}

/// Sets bits; most are set already, and reading them costs far less than writing.
fn set(word: &AtomicU64, bits: u64) {
    if !word.load(Ordering::Relaxed) & bits != 0 {
        word.fetch_or(bits, Ordering::Relaxed);
    }
}

fn unset(word: &AtomicU64, bits: u64) {
    if word.load(Ordering::Relaxed) & bits != 0 {
        word.fetch_and(!bits, Ordering::Relaxed);
    }
}

/// Whether all lanes access one range, each its part in turn.
fn is_contiguous(mask: u32, addresses: &[u64; LANES], bytes: u64) -> bool {
    // All lanes are looked at, without a branch: so the loop is one of vectors.
    let strays =
        |stray: u64, (lane, &address): (usize, &u64)| stray | address ^ addresses[0].wrapping_add(lane as u64 * bytes);
    bytes > 0 && mask == u32::MAX && addresses.iter().enumerate().fold(0, strays) == 0
}
