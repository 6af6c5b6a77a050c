//! What crosses the C boundary: pointers that are read or written once, names, and the table of entry points.

use super::code::{Code, Outcome};
use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicU64, Ordering};

/// A pointer through which a result goes back. Values come into being only as arguments of an entry point, whose caller
/// promises that the pointer is null or valid for writes of what the interface documents.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T: Copy> Out<T> {
    /// The address, for a place that the interface describes by another argument.
    pub fn at(address: u64) -> Out<T> {
        Out(address as usize as *mut T)
    }

    /// Whether nothing is asked for.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Writes a result; a null pointer is an invalid value.
    pub fn set(self, value: T) -> Outcome {
        if self.0.is_null() {
            return Err(Code::INVALID_VALUE);
        }
        // SAFETY: not null, so valid for one write by the promise of the entry point's caller.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// Writes a result if it is asked for.
    pub fn offer(self, value: T) {
        let _ = self.set(value);
    }

    /// The value that stands there.
    pub fn get(self) -> Outcome<T> {
        In(self.0).get()
    }

    /// Writes as many of `values` as `capacity` allows.
    pub fn fill(self, values: &[T], capacity: usize) -> Outcome {
        for (index, value) in values.iter().take(capacity).enumerate() {
            Out(self.0.wrapping_add(if self.0.is_null() { 0 } else { index })).set(*value)?;
        }
        Ok(())
    }
}

/// The pair of a list and its length by which the interface answers questions for lists: without a list only the length
/// is answered; a list that is longer than the answer is padded.
pub fn answer_list<T: Copy + Default>(list: Out<T>, length: Out<usize>, values: &[T]) -> Outcome {
    if list.is_null() {
        return length.set(values.len());
    }
    let capacity = length.get()?;
    let mut padded = values.to_vec();
    padded.resize(padded.len().max(capacity.min(1 << 20)), T::default());
    list.fill(&padded, capacity)?;
    length.set(capacity.min(values.len()))
}

/// Writes a C string, cut to `capacity` bytes with its final zero.
pub fn answer_text(target: Out<u8>, capacity: usize, text: &str) -> Outcome {
    let Some(room) = capacity.checked_sub(1) else { return Err(Code::INVALID_VALUE) };
    let mut bytes = text.as_bytes()[..text.len().min(room)].to_vec();
    bytes.push(0);
    target.fill(&bytes, bytes.len())
}

/// A pointer through which an argument is read; the same promise as with [`Out`].
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T> Clone for In<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<T> {}

impl<T: Copy> In<T> {
    /// The address, for an argument that the interface describes by another.
    pub fn at(address: u64) -> In<T> {
        In(address as usize as *const T)
    }

    /// Whether there is no argument.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// The argument; a null pointer is an invalid value.
    pub fn get(self) -> Outcome<T> {
        if self.0.is_null() {
            return Err(Code::INVALID_VALUE);
        }
        // SAFETY: not null, so valid for one read by the promise of the entry point's caller.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// A list of `count` arguments.
    pub fn list(self, count: usize) -> Outcome<Vec<T>> {
        if self.0.is_null() && count > 0 {
            return Err(Code::INVALID_VALUE);
        }
        (0..count).map(|index| In(self.0.wrapping_add(index)).get()).collect()
    }
}

/// A C string; the same promise as with [`Out`].
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text(*const c_char);

impl Text {
    /// The address, for text that the interface describes by another argument.
    pub fn at(address: u64) -> Text {
        Text(address as usize as *const c_char)
    }

    /// The bytes before the final zero.
    pub fn bytes(self) -> Outcome<Vec<u8>> {
        if self.0.is_null() {
            return Err(Code::INVALID_VALUE);
        }
        // SAFETY: not null, so a C string by the promise of the entry point's caller.
        Ok(unsafe { CStr::from_ptr(self.0) }.to_bytes().to_vec())
    }

    /// The text, if it is UTF-8.
    pub fn get(self) -> Outcome<String> {
        String::from_utf8(self.bytes()?).map_err(|_| Code::INVALID_VALUE)
    }
}

/// The address of an entry point.
pub struct Address(pub *const ());

// SAFETY: the address of a function is the same for every thread and is never written through.
unsafe impl Sync for Address {}

/// One function of the interface.
pub struct Entry {
    /// Its exported name.
    pub name: &'static str,
    /// Where it begins.
    pub address: Address,
    /// How often it was called.
    pub calls: &'static AtomicU64,
}

impl Entry {
    /// The calls so far.
    pub fn count(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

thread_local! {
    static PER_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, the null stream means the thread's own default stream.
pub struct PerThreadDefault(());

impl PerThreadDefault {
    /// Begins such a call.
    pub fn enter() -> PerThreadDefault {
        PER_THREAD.set(true);
        PerThreadDefault(())
    }

    /// Whether this call is such a one.
    pub fn is_active() -> bool {
        PER_THREAD.get()
    }
}

impl Drop for PerThreadDefault {
    fn drop(&mut self) {
        PER_THREAD.set(false);
    }
}

/// Declares entry points: `name: (arguments) => outcome;`, with `/ name_ptsz` behind the name where a second name means the same for the
/// thread's own default stream. Makes the table `ENTRIES` of them all; a call is counted before anything else happens.
macro_rules! api {
    ($($name:ident $(/ $per_thread:ident)?: $arguments:tt => $body:expr;)*) => {
        /// The entry points that are declared here.
        pub static ENTRIES: &[$crate::driver::abi::Entry] = &[$(
            $crate::driver::abi::Entry {
                name: stringify!($name),
                address: $crate::driver::abi::Address($name as *const ()),
                calls: &$name::CALLS,
            },
            $($crate::driver::abi::Entry {
                name: stringify!($per_thread),
                address: $crate::driver::abi::Address($per_thread as *const ()),
                calls: &$per_thread::CALLS,
            },)?
        )*];
        $(
            $crate::driver::abi::entry!($name $arguments $body);
            $($crate::driver::abi::per_thread!($name $per_thread $arguments);)?
        )*
    };
}

/// One function of [`api`].
macro_rules! entry {
    ($name:ident ($($argument:ident: $kind:ty),*) $body:expr) => {
        #[allow(non_snake_case, reason = "it goes with the function, whose name the interface gives")]
        mod $name {
            pub static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        }

        #[allow(non_snake_case, clippy::too_many_arguments, reason = "the interface gives name and arguments")]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> $crate::driver::code::Code {
            $name::CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            $crate::driver::code::Code::of($body)
        }
    };
}

/// The variant of a function of [`api`] for the thread's own default stream.
macro_rules! per_thread {
    ($name:ident $per_thread:ident ($($argument:ident: $kind:ty),*)) => {
        #[allow(non_snake_case, reason = "it goes with the function, whose name the interface gives")]
        mod $per_thread {
            pub static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        }

        #[allow(non_snake_case, clippy::too_many_arguments, reason = "the interface gives name and arguments")]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $per_thread($($argument: $kind),*) -> $crate::driver::code::Code {
            $per_thread::CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let _default = $crate::driver::abi::PerThreadDefault::enter();
            // The plain function counts itself, though it was not called by that name.
            $name::CALLS.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            // SAFETY: the same arguments under the same promise of the caller.
            unsafe { $name($($argument),*) }
        }
    };
}

pub(in crate::driver) use {api, entry, per_thread};
