//! A look at the device's numbers that does not stop it.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, PinnedHostSlice};

use super::Error;

/// A copy of some words that is on its way to the host, or has come.
pub struct Snapshot {
    words: PinnedHostSlice<u64>,
    ready: CudaEvent,
    pending: bool,
    /// Whether the copy under way is of numbers that no longer count.
    forgotten: bool,
}

impl Snapshot {
    /// Room for `len` words.
    ///
    /// # Errors
    /// The device failed.
    pub fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self, Error> {
        // SAFETY: the words are read only after a copy has filled them all.
        let words = unsafe { context.alloc_pinned_with_flags(len, 0) }.map_err(Error::fault("allocating"))?;
        let ready = context.new_event(None).map_err(Error::fault("making an event"))?;
        Ok(Self { words, ready, pending: false, forgotten: false })
    }

    /// Enqueues a copy, unless one is under way.
    ///
    /// # Errors
    /// The device failed.
    pub fn begin(&mut self, stream: &Arc<CudaStream>, source: &CudaSlice<u64>) -> Result<(), Error> {
        if self.pending {
            return Ok(());
        }
        stream.memcpy_dtoh(source, &mut self.words).map_err(Error::fault("copying from the device"))?;
        self.ready.record(stream).map_err(Error::fault("copying from the device"))?;
        self.pending = true;
        Ok(())
    }

    /// Lets the copy under way come to nothing.
    pub fn forget(&mut self) {
        self.forgotten = self.pending;
    }

    /// The words, if a copy has come since the last call.
    ///
    /// # Errors
    /// A step failed.
    pub fn take(&mut self) -> Result<Option<&[u64]>, Error> {
        let come = self.pending && self.ready.try_is_complete().map_err(Error::fault("carrying out a step"))?;
        if !come {
            return Ok(None);
        }
        self.pending = false;
        if std::mem::take(&mut self.forgotten) {
            return Ok(None);
        }
        self.words.as_slice().map(Some).map_err(Error::fault("copying from the device"))
    }
}
