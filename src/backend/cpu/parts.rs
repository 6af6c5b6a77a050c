//! One mutable slice, written by several tasks in parts that do not overlap.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that tasks share. Who takes a part sees to it that no other task takes any of its elements.
pub struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: `part` and `strip` are unsafe; their callers promise that no element is reached from two tasks.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Borrows `slice` until the last part is gone.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// While the result lives, nothing else may reach any of these elements.
    #[expect(clippy::mut_from_ref, reason = "that parts do not overlap is the caller's promise")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: inside the slice that was borrowed mutably; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Where element `index` lies, for writing through a pointer under the same promise as [`Parts::part`].
    pub fn pointer(&self, index: usize) -> *mut T {
        assert!(index < self.len, "{index} of {}", self.len);
        // SAFETY: inside the slice.
        unsafe { self.start.add(index) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }
}
