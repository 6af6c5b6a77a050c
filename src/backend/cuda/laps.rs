//! How long the launches of a step take by the device's own clock, for benchmarks.

use std::sync::Arc;

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaStream, DriverError};

use super::{Cuda, Error, Kernel, Launch, device};
use crate::backend::{self, Step};

/// One launch of a step and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lap {
    /// What was launched.
    pub kernel: Kernel,
    /// Seconds from the event before the launch to the one after it.
    pub seconds: f64,
}

impl Cuda {
    /// The stream in which everything is enqueued.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Enqueues an event that notes the time.
    ///
    /// # Errors
    /// The device failed.
    pub fn mark(&self) -> Result<CudaEvent, Error> {
        self.event()
            .and_then(|event| event.record(&self.stream).map(|()| event))
            .map_err(Error::fault("noting the time"))
    }

    /// Seconds between two events that were recorded. Waits for both.
    ///
    /// # Errors
    /// The driver is too old to tell, or the device failed.
    pub fn seconds_between(&self, start: &CudaEvent, end: &CudaEvent) -> Result<f64, Error> {
        device::seconds_between(&self.device.info, start, end)
    }

    /// Carries out `body` as the next step of its stream, launch by launch instead of as a graph, each between two events. Ahead of
    /// each launch `before` may enqueue work that is not timed: it decides what the caches hold, and keeps the device busy while
    /// the host enqueues the rest, so that no time of the host enters.
    ///
    /// # Errors
    /// Those of [`Backend::run`](backend::Backend::run) and of [`Cuda::seconds_between`].
    pub fn laps(
        &mut self,
        step: Step,
        body: impl FnOnce(&mut Self),
        before: impl FnMut() -> Result<(), DriverError>,
    ) -> Result<Vec<Lap>, backend::Error> {
        self.collect(step, body)?;
        let events = self.enqueue_between_events(before).map_err(Error::fault("launching a kernel"))?;
        self.complete(step)?;
        let lap = |(launch, [start, end]): (&Launch, &[CudaEvent; 2])| -> Result<Lap, backend::Error> {
            Ok(Lap { kernel: launch.kernel, seconds: self.seconds_between(start, end)? })
        };
        self.launches.iter().zip(&events).map(lap).collect()
    }

    fn event(&self) -> Result<CudaEvent, DriverError> {
        self.stream.context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
    }

    fn enqueue_between_events(
        &self,
        mut before: impl FnMut() -> Result<(), DriverError>,
    ) -> Result<Vec<[CudaEvent; 2]>, DriverError> {
        let mut enqueue = |launch: &Launch| {
            let events = [self.event()?, self.event()?];
            before()?;
            events[0].record(&self.stream)?;
            self.enqueue_launch(launch)?;
            events[1].record(&self.stream)?;
            Ok(events)
        };
        self.launches.iter().map(&mut enqueue).collect()
    }
}
