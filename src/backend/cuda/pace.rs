//! Keeps the host from running ahead of the device.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream};

use super::Error;

/// Steps that the host enqueues before it waits for the first of them: enough that the device never idles, few enough that
/// Ctrl-C and an error are noticed soon.
pub const MOST_IN_FLIGHT: usize = 16;

const HALF: usize = MOST_IN_FLIGHT / 2;

/// An event that is recorded after every half of the steps in flight, and waited for a half later.
pub struct Pace {
    event: CudaEvent,
    steps: usize,
}

impl Pace {
    /// No step so far.
    ///
    /// # Errors
    /// The device failed.
    pub fn new(context: &Arc<CudaContext>) -> Result<Self, Error> {
        Ok(Self { event: context.new_event(None).map_err(Error::fault("making an event"))?, steps: 0 })
    }

    /// Counts a step, and waits where too many are under way.
    ///
    /// # Errors
    /// A step failed.
    pub fn count(&mut self, stream: &Arc<CudaStream>) -> Result<(), Error> {
        self.steps += 1;
        if self.steps < HALF {
            return Ok(());
        }
        self.steps = 0;
        // It was recorded a half before this: that half is done, and this one may be under way.
        self.event.synchronize().map_err(Error::fault("carrying out a step"))?;
        self.event.record(stream).map_err(Error::fault("carrying out a step"))
    }
}
