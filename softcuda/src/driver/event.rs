//! Events: marks in the work of a stream.

use super::abi::{Out, api};
use super::capture::{self, Capture};
use super::code::{Code, Outcome};
use super::context::{Context, current};
use super::operation::Operation;
use super::queue::Ticket;
use super::state::{Driver, Handle, driver, lock};
use super::stream::{self, Stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

const DISABLE_TIMING: u32 = 2;
const INTERPROCESS: u32 = 4;
const KNOWN_FLAGS: u32 = 7;

/// What an event stands for.
#[derive(Clone)]
pub enum Mark {
    /// It was never recorded.
    None,
    /// A moment of a stream.
    Recorded {
        /// The work before it.
        ticket: Ticket,
        /// What is done by then, in other streams.
        after: Arc<BTreeMap<u32, u64>>,
        /// The stream's number.
        stream: u32,
        /// The number of the record in the stream.
        sequence: u64,
        /// When it came to pass.
        time: Arc<OnceLock<Instant>>,
    },
    /// A place in a graph that is being captured.
    Captured {
        /// The capture.
        capture: Arc<Capture>,
        /// The nodes before it.
        nodes: Vec<Handle>,
    },
}

/// An event.
pub struct Event {
    /// Its flags.
    pub flags: u32,
    /// The context it belongs to.
    pub context: Handle,
    /// What it stands for.
    pub mark: Mutex<Mark>,
}

/// Records `event` in a stream, or in the graph that it captures. An `external` record becomes a node of the graph.
pub fn record(
    driver: &'static Driver,
    context: &Arc<Context>,
    stream: &Arc<Stream>,
    event: &Arc<Event>,
    external: bool,
) -> Outcome {
    if event.context != context.handle {
        return Err(Code::INVALID_HANDLE);
    }
    if let Some((capture, nodes)) = capture::frontier(stream)? {
        if external {
            return context.submit(driver, stream, Operation::Record(event.clone()));
        }
        *lock(&event.mark) = Mark::Captured { capture, nodes };
        return Ok(());
    }
    capture::check_legacy(driver, context, stream)?;
    let time = Arc::new(OnceLock::new());
    let stamp = time.clone();
    let (ticket, clock) = context.issue(driver, stream, Vec::new(), 1, move |_| {
        stamp.get_or_init(Instant::now);
    });
    *lock(&event.mark) =
        Mark::Recorded { ticket, after: clock.after, stream: stream.number, sequence: clock.issued, time };
    Ok(())
}

/// Lets the stream's further work wait for `event`.
pub fn wait(
    driver: &'static Driver,
    context: &Arc<Context>,
    stream: &Arc<Stream>,
    event: &Arc<Event>,
    external: bool,
) -> Outcome {
    let mark = lock(&event.mark).clone();
    if lock(&stream.capturing).is_some() || matches!(mark, Mark::Captured { .. }) {
        if external {
            return context.submit(driver, stream, Operation::Wait(event.clone()));
        }
        return capture::join(driver, stream, &mark);
    }
    if let Mark::Recorded { ticket, after, stream: number, sequence, .. } = mark {
        super::state::merge(&mut lock(&stream.clock).after, &after, number, sequence);
        context.issue(driver, stream, vec![ticket], 1, |_| {});
    }
    Ok(())
}

fn create(target: Out<Handle>, flags: u32) -> Outcome {
    let (driver, context) = current()?;
    if flags & !KNOWN_FLAGS != 0 || (flags & INTERPROCESS != 0 && flags & DISABLE_TIMING == 0) || target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    let (handle, _) = driver.events.create(|_| Event { flags, context: context.handle, mark: Mutex::new(Mark::None) });
    target.set(handle)
}

fn destroy(handle: Handle) -> Outcome {
    driver()?.events.remove(handle).map(|_| ())
}

fn record_by_handle(handle: Handle, stream: Handle, flags: u32) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    if flags > 1 {
        return Err(Code::INVALID_VALUE);
    }
    record(driver, &context, &stream, &driver.events.get(handle)?, flags == 1)
}

/// The event's mark and its context, unless it is one of a capture.
fn settled(handle: Handle) -> Outcome<(&'static Driver, Arc<Context>, Arc<Event>, Mark)> {
    let driver = driver()?;
    let event = driver.events.get(handle)?;
    let context = driver.contexts.get(event.context).map_err(|_| Code::CONTEXT_IS_DESTROYED)?;
    let mark = lock(&event.mark).clone();
    match mark {
        Mark::Captured { capture, .. } => {
            capture.invalidate();
            Err(Code::CAPTURED_EVENT)
        }
        mark => Ok((driver, context, event, mark)),
    }
}

fn synchronize(handle: Handle) -> Outcome {
    let (driver, context, _, mark) = settled(handle)?;
    context.check()?;
    capture::forbid_unsafe(driver)?;
    if let Mark::Recorded { ticket, after, stream, sequence, .. } = mark {
        ticket.wait();
        driver.learn(&after, stream, sequence);
    }
    context.check()
}

fn query(handle: Handle) -> Outcome {
    let (driver, context, _, mark) = settled(handle)?;
    context.check()?;
    capture::forbid_unsafe(driver)?;
    if let Mark::Recorded { ticket, after, stream, sequence, .. } = mark {
        let done = ticket.is_done();
        context.check()?;
        if !done {
            return Err(Code::NOT_READY);
        }
        driver.learn(&after, stream, sequence);
    }
    Ok(())
}

fn elapsed(target: Out<f32>, start: Handle, end: Handle) -> Outcome {
    let moment = |handle| match settled(handle)? {
        (_, context, event, Mark::Recorded { time, .. }) if event.flags & DISABLE_TIMING == 0 => {
            context.check()?;
            time.get().copied().ok_or(Code::NOT_READY)
        }
        _ => Err(Code::INVALID_HANDLE),
    };
    let (start, end): (Instant, Instant) = (moment(start)?, moment(end)?);
    let seconds =
        end.saturating_duration_since(start).as_secs_f64() - start.saturating_duration_since(end).as_secs_f64();
    target.set((seconds * 1e3) as f32)
}

api! {
    cuEventCreate: (event: Out<Handle>, flags: u32) => create(event, flags);
    cuEventDestroy_v2: (event: Handle) => destroy(event);
    cuEventRecord / cuEventRecord_ptsz: (event: Handle, stream: Handle) => record_by_handle(event, stream, 0);
    cuEventRecordWithFlags / cuEventRecordWithFlags_ptsz: (event: Handle, stream: Handle, flags: u32) =>
        record_by_handle(event, stream, flags);
    cuEventSynchronize: (event: Handle) => synchronize(event);
    cuEventQuery: (event: Handle) => query(event);
    cuEventElapsedTime: (milliseconds: Out<f32>, start: Handle, end: Handle) => elapsed(milliseconds, start, end);
    cuEventElapsedTime_v2: (milliseconds: Out<f32>, start: Handle, end: Handle) => elapsed(milliseconds, start, end);
}
