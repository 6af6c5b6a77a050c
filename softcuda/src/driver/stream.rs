//! Streams: order of work, and how it reaches the queues.

use super::abi::{In, Out, PerThreadDefault, api};
use super::capture::{self, Capturing};
use super::code::{Code, Outcome};
use super::context::{Context, current};
use super::operation::{HostFunction, Operation};
use super::queue::{Queue, Task, Ticket};
use super::state::{Driver, Handle, driver, lock, merge, new_handle};
use crate::check::Order;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// The handle of the legacy default stream.
pub const LEGACY: Handle = 1;
/// The handle of the thread's own default stream.
pub const PER_THREAD: Handle = 2;
/// The flag of a stream that the legacy default stream does not wait for.
const NON_BLOCKING: u32 = 1;
const GREATEST_PRIORITY: i32 = -5;

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);

/// A number for a line of operations that follow each other.
pub fn new_number() -> u32 {
    NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// What the next operation of a stream comes after.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Operations of other streams.
    pub after: Arc<BTreeMap<u32, u64>>,
    /// The last operation of this one.
    pub issued: u64,
}

/// A stream.
pub struct Stream {
    /// Its handle; that of a default stream is not registered.
    pub handle: Handle,
    /// Its number in the clocks.
    pub number: u32,
    /// Its flags.
    pub flags: u32,
    /// Its priority.
    pub priority: i32,
    /// The context it belongs to.
    pub context: Handle,
    /// Its work.
    pub queue: Arc<Queue>,
    /// Its place in time.
    pub clock: Mutex<Clock>,
    /// Whether the client destroyed it; it stays until its work is done.
    destroyed: AtomicBool,
    /// The capture that it takes part in.
    pub capturing: Mutex<Option<Capturing>>,
}

impl Stream {
    /// A stream without work.
    pub fn new(handle: Handle, context: Handle, flags: u32, priority: i32) -> Stream {
        Stream {
            handle,
            number: new_number(),
            flags,
            priority,
            context,
            queue: Arc::default(),
            clock: Mutex::default(),
            destroyed: AtomicBool::new(false),
            capturing: Mutex::default(),
        }
    }

    /// Whether it is the legacy default stream.
    pub fn is_legacy(&self) -> bool {
        self.handle == LEGACY
    }

    /// Whether it and the legacy default stream wait for each other.
    pub fn is_blocking(&self) -> bool {
        self.flags & NON_BLOCKING == 0
    }

    /// Waits for all its work and lets the host know what that means.
    pub fn finish(&self, driver: &Driver) {
        let clock = lock(&self.clock).clone();
        self.queue.ticket().wait();
        driver.learn(&clock.after, self.number, clock.issued);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The streams of a context. Work is issued under the lock that this lies in.
pub struct Streams {
    /// The legacy default stream.
    pub legacy: Arc<Stream>,
    /// The threads' own default streams.
    pub per_thread: BTreeMap<u64, Arc<Stream>>,
    /// Those that were created.
    pub created: Vec<Arc<Stream>>,
}

impl Streams {
    /// The streams that a new context has.
    pub fn new(context: Handle) -> Streams {
        let legacy = Arc::new(Stream::new(LEGACY, context, 0, 0));
        Streams { legacy, per_thread: BTreeMap::new(), created: Vec::new() }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        [&self.legacy].into_iter().chain(self.per_thread.values()).chain(&self.created).cloned().collect()
    }

    /// The streams whose work so far comes before the next operation of `stream` by the rule of the legacy default stream.
    pub fn implied(&self, stream: &Stream) -> Vec<Arc<Stream>> {
        if stream.is_legacy() {
            return self.all().into_iter().filter(|other| !other.is_legacy() && other.is_blocking()).collect();
        }
        if stream.is_blocking() { vec![self.legacy.clone()] } else { Vec::new() }
    }
}

impl Context {
    /// The stream of a handle, for the context that is current.
    pub fn stream(self: &Arc<Context>, driver: &Driver, handle: Handle) -> Outcome<Arc<Stream>> {
        let default = if PerThreadDefault::is_active() { PER_THREAD } else { LEGACY };
        match if handle == 0 { default } else { handle } {
            LEGACY => Ok(lock(&self.streams).legacy.clone()),
            PER_THREAD => {
                let fresh = || Arc::new(Stream::new(PER_THREAD, self.handle, 0, 0));
                Ok(lock(&self.streams).per_thread.entry(super::context::thread()).or_insert_with(fresh).clone())
            }
            handle => {
                let stream = driver.streams.get(handle)?;
                if stream.context == self.handle { Ok(stream) } else { Err(Code::INVALID_HANDLE) }
            }
        }
    }

    /// Captures `operation`, or puts it into the stream's queue.
    pub fn submit(self: &Arc<Context>, driver: &'static Driver, stream: &Arc<Stream>, operation: Operation) -> Outcome {
        capture::check_legacy(driver, self, stream)?;
        if capture::record(driver, stream, &operation)? {
            return Ok(());
        }
        let context = self.clone();
        let steps = operation.steps();
        self.issue(driver, stream, Vec::new(), steps, move |order| {
            context.perform(|| operation.run(driver, &context, &order));
        });
        Ok(())
    }

    /// Puts work into the stream's queue, behind what it must come after by the rules of streams and by `waits`; the work
    /// is told when in time it is, and stands for `steps` operations. What is returned is the moment when it is done.
    pub fn issue(
        &self,
        driver: &Driver,
        stream: &Arc<Stream>,
        mut waits: Vec<Ticket>,
        steps: u64,
        work: impl FnOnce(Order) + Send + 'static,
    ) -> (Ticket, Clock) {
        let streams = lock(&self.streams);
        let known = lock(&driver.known).clone();
        let mut clock = lock(&stream.clock);
        merge(&mut clock.after, &known, 0, 0);
        for other in streams.implied(stream) {
            let theirs = lock(&other.clock).clone();
            merge(&mut clock.after, &theirs.after, other.number, theirs.issued);
            waits.push(other.queue.ticket());
        }
        let order = Order { stream: stream.number, sequence: clock.issued + 1, after: clock.after.clone() };
        clock.issued += steps.max(1);
        waits.retain(|ticket| !ticket.is_done());
        stream.queue.push(Task { sequence: clock.issued, waits, work: Box::new(move || work(order)) });
        (stream.queue.ticket(), clock.clone())
    }

    /// Waits for everything that the context was given.
    pub fn finish(&self, driver: &Driver) {
        let all = lock(&self.streams).all();
        all.iter().for_each(|stream| stream.finish(driver));
    }

    /// Waits for a stream; for the legacy default stream that includes those it waits for.
    pub fn finish_stream(&self, driver: &Driver, stream: &Stream) {
        let implied = if stream.is_legacy() { lock(&self.streams).implied(stream) } else { Vec::new() };
        implied.iter().for_each(|other| other.finish(driver));
        stream.finish(driver);
    }
}

/// The context, and the stream of a handle in it.
pub fn at(handle: Handle) -> Outcome<(&'static Driver, Arc<Context>, Arc<Stream>)> {
    let (driver, context) = current()?;
    let stream = context.stream(driver, handle)?;
    Ok((driver, context, stream))
}

fn create(target: Out<Handle>, flags: u32, priority: i32) -> Outcome {
    let (driver, context) = current()?;
    if flags & !NON_BLOCKING != 0 || target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    let handle = new_handle();
    let stream = Arc::new(Stream::new(handle, context.handle, flags, priority.clamp(GREATEST_PRIORITY, 0)));
    driver.streams.insert(handle, stream.clone());
    lock(&context.streams).created.push(stream);
    target.set(handle)
}

fn destroy(handle: Handle) -> Outcome {
    let driver = driver()?;
    if handle <= PER_THREAD {
        return Err(Code::INVALID_HANDLE);
    }
    let stream = driver.streams.remove(handle)?;
    stream.destroyed.store(true, Ordering::Release);
    if let Some(capturing) = lock(&stream.capturing).take() {
        capturing.capture.invalidate();
    }
    if let Ok(context) = driver.contexts.get(stream.context) {
        let gone = |other: &Stream| other.destroyed.load(Ordering::Acquire) && other.queue.ticket().is_done();
        lock(&context.streams).created.retain(|other| !gone(other));
    }
    Ok(())
}

fn synchronize(handle: Handle) -> Outcome {
    let (driver, context, stream) = at(handle)?;
    capture::forbid_waiting(driver, &context, &stream)?;
    context.finish_stream(driver, &stream);
    context.check()
}

fn query(handle: Handle) -> Outcome {
    let (driver, context, stream) = at(handle)?;
    capture::forbid_waiting(driver, &context, &stream)?;
    let implied = if stream.is_legacy() { lock(&context.streams).implied(&stream) } else { Vec::new() };
    let done = implied.iter().chain([&stream]).all(|other| other.queue.ticket().is_done());
    context.check()?;
    if !done {
        return Err(Code::NOT_READY);
    }
    context.finish_stream(driver, &stream);
    Ok(())
}

fn add_callback(handle: Handle, callback: u64, data: u64, flags: u32) -> Outcome {
    let (driver, context, stream) = at(handle)?;
    if callback == 0 || flags != 0 {
        return Err(Code::INVALID_VALUE);
    }
    if lock(&stream.capturing).is_some() {
        capture::invalidate(&stream);
        return Err(Code::STREAM_CAPTURE_UNSUPPORTED);
    }
    capture::check_legacy(driver, &context, &stream)?;
    let told = context.clone();
    context.issue(driver, &stream, Vec::new(), 1, move |_| {
        HostFunction { function: callback, data }.call_back(handle, Code::of(told.check()));
    });
    Ok(())
}

fn launch_host(handle: Handle, function: u64, data: u64) -> Outcome {
    let (driver, context, stream) = at(handle)?;
    if function == 0 {
        return Err(Code::INVALID_VALUE);
    }
    context.submit(driver, &stream, Operation::Host(HostFunction { function, data }))
}

fn wait_event(handle: Handle, event: Handle, flags: u32) -> Outcome {
    let (driver, context, stream) = at(handle)?;
    if flags > 1 {
        return Err(Code::INVALID_VALUE);
    }
    super::event::wait(driver, &context, &stream, &driver.events.get(event)?, flags == 1)
}

fn ask<T: Copy>(handle: Handle, target: Out<T>, answer: impl Fn(&Stream) -> T) -> Outcome {
    let (_, _, stream) = at(handle)?;
    target.set(answer(&stream))
}

fn copy_attributes(target: Handle, source: Handle) -> Outcome {
    at(target)?;
    at(source)?;
    Ok(())
}

/// The attributes of a stream: only the synchronisation policy, which changes nothing here, has a value.
fn attribute(handle: Handle, attribute: u32, target: Out<[u64; 8]>) -> Outcome {
    const SYNCHRONIZATION_POLICY: u32 = 3;
    const PRIORITY: u32 = 8;
    let (_, _, stream) = at(handle)?;
    match attribute {
        SYNCHRONIZATION_POLICY => target.set([1, 0, 0, 0, 0, 0, 0, 0]),
        PRIORITY => target.set([u64::from(stream.priority as u32), 0, 0, 0, 0, 0, 0, 0]),
        _ => Err(Code::INVALID_VALUE),
    }
}

fn set_attribute(handle: Handle, attribute: u32, value: In<u32>) -> Outcome {
    at(handle)?;
    value.get()?;
    if (1..=16).contains(&attribute) { Ok(()) } else { Err(Code::INVALID_VALUE) }
}

fn attach(handle: Handle, address: u64) -> Outcome {
    let (driver, _, _) = at(handle)?;
    driver.host_memory(address).filter(|(_, memory)| memory.managed).map(|_| ()).ok_or(Code::INVALID_VALUE)
}

fn priority_range(least: Out<i32>, greatest: Out<i32>) -> Outcome {
    current()?;
    least.offer(0);
    greatest.offer(GREATEST_PRIORITY);
    Ok(())
}

fn unsupported(handle: Handle) -> Outcome {
    at(handle)?;
    Err(Code::NOT_SUPPORTED)
}

api! {
    cuStreamCreate: (stream: Out<Handle>, flags: u32) => create(stream, flags, 0);
    cuStreamCreateWithPriority: (stream: Out<Handle>, flags: u32, priority: i32) => create(stream, flags, priority);
    cuStreamDestroy_v2: (stream: Handle) => destroy(stream);
    cuStreamSynchronize / cuStreamSynchronize_ptsz: (stream: Handle) => synchronize(stream);
    cuStreamQuery / cuStreamQuery_ptsz: (stream: Handle) => query(stream);
    cuStreamWaitEvent / cuStreamWaitEvent_ptsz: (stream: Handle, event: Handle, flags: u32) => wait_event(stream, event, flags);
    cuStreamAddCallback / cuStreamAddCallback_ptsz: (stream: Handle, callback: u64, data: u64, flags: u32) =>
        add_callback(stream, callback, data, flags);
    cuLaunchHostFunc / cuLaunchHostFunc_ptsz: (stream: Handle, function: u64, data: u64) => launch_host(stream, function, data);
    cuStreamGetFlags / cuStreamGetFlags_ptsz: (stream: Handle, flags: Out<u32>) => ask(stream, flags, |stream| stream.flags);
    cuStreamGetPriority / cuStreamGetPriority_ptsz: (stream: Handle, priority: Out<i32>) =>
        ask(stream, priority, |stream| stream.priority);
    cuStreamGetId / cuStreamGetId_ptsz: (stream: Handle, id: Out<u64>) => ask(stream, id, |stream| u64::from(stream.number));
    cuStreamGetCtx / cuStreamGetCtx_ptsz: (stream: Handle, context: Out<Handle>) => ask(stream, context, |stream| stream.context);
    cuStreamGetCtx_v2 / cuStreamGetCtx_v2_ptsz: (stream: Handle, context: Out<Handle>, green: Out<Handle>) =>
        ask(stream, context, |stream| stream.context).map(|()| green.offer(0));
    cuStreamGetDevice / cuStreamGetDevice_ptsz: (stream: Handle, device: Out<i32>) => ask(stream, device, |_| 0);
    cuStreamCopyAttributes / cuStreamCopyAttributes_ptsz: (target: Handle, source: Handle) => copy_attributes(target, source);
    cuStreamGetAttribute / cuStreamGetAttribute_ptsz: (stream: Handle, kind: u32, value: Out<[u64; 8]>) =>
        attribute(stream, kind, value);
    cuStreamSetAttribute / cuStreamSetAttribute_ptsz: (stream: Handle, kind: u32, value: In<u32>) =>
        set_attribute(stream, kind, value);
    cuStreamAttachMemAsync / cuStreamAttachMemAsync_ptsz: (stream: Handle, address: u64, _bytes: usize, _flags: u32) =>
        attach(stream, address);
    cuStreamWaitValue32_v2 / cuStreamWaitValue32_v2_ptsz: (stream: Handle, _address: u64, _value: u32, _flags: u32) =>
        unsupported(stream);
    cuStreamWaitValue64_v2 / cuStreamWaitValue64_v2_ptsz: (stream: Handle, _address: u64, _value: u64, _flags: u32) =>
        unsupported(stream);
    cuStreamWriteValue32_v2 / cuStreamWriteValue32_v2_ptsz: (stream: Handle, _address: u64, _value: u32, _flags: u32) =>
        unsupported(stream);
    cuStreamWriteValue64_v2 / cuStreamWriteValue64_v2_ptsz: (stream: Handle, _address: u64, _value: u64, _flags: u32) =>
        unsupported(stream);
    cuStreamBatchMemOp_v2 / cuStreamBatchMemOp_v2_ptsz: (stream: Handle, _count: u32, _operations: u64, _flags: u32) =>
        unsupported(stream);
    cuCtxGetStreamPriorityRange: (least: Out<i32>, greatest: Out<i32>) => priority_range(least, greatest);
}
