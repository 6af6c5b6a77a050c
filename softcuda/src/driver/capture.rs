//! Capture: streams whose work becomes the nodes of a graph instead of being done.

use super::abi::{In, Out, answer_list, api};
use super::code::{Code, Outcome};
use super::context::{Context, current, thread};
use super::event::Mark;
use super::graph::Graph;
use super::operation::Operation;
use super::state::{Driver, Handle, driver, lock};
use super::stream::{self, Stream};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;

/// A capture under way.
pub struct Capture {
    /// Its number.
    pub handle: Handle,
    graph: Arc<Graph>,
    mode: u32,
    thread: u64,
    context: Handle,
    /// The number of the stream in which it began.
    origin: u32,
    invalid: AtomicBool,
}

/// A stream's part in a capture.
#[derive(Clone)]
pub struct Capturing {
    /// The capture.
    pub capture: Arc<Capture>,
    /// The nodes that the next one comes after.
    frontier: Vec<Handle>,
}

thread_local! {
    static MODE: Cell<u32> = const { Cell::new(GLOBAL) };
    /// What `cuStreamGetCaptureInfo` pointed the client to last.
    static ANSWER: Cell<Vec<Handle>> = const { Cell::new(Vec::new()) };
}

impl Capture {
    /// Makes every further call of the capture fail.
    pub fn invalidate(&self) {
        self.invalid.store(true, Ordering::Release);
    }

    fn check(&self) -> Outcome {
        if self.invalid.load(Ordering::Acquire) { Err(Code::STREAM_CAPTURE_INVALIDATED) } else { Ok(()) }
    }

    /// Whether the mode of this capture forbids the calling thread what is unsafe.
    fn forbids(&self, mode: u32) -> bool {
        match self.mode {
            RELAXED => false,
            GLOBAL => self.thread == thread() || mode == GLOBAL,
            _ => self.thread == thread(),
        }
    }
}

/// Invalidates the capture that a stream takes part in.
pub fn invalidate(stream: &Stream) {
    if let Some(capturing) = lock(&stream.capturing).as_ref() {
        capturing.capture.invalidate();
    }
}

/// Refuses work in the legacy default stream that would have to wait for a stream that is capturing.
pub fn check_legacy(driver: &Driver, context: &Context, stream: &Stream) -> Outcome {
    if !stream.is_legacy() || driver.captures.is_empty() {
        return Ok(());
    }
    let implied = lock(&context.streams).implied(stream);
    let capturing: Vec<_> = implied.iter().filter(|other| lock(&other.capturing).is_some()).collect();
    capturing.iter().for_each(|other| invalidate(other));
    if capturing.is_empty() { Ok(()) } else { Err(Code::STREAM_CAPTURE_IMPLICIT) }
}

/// Refuses calls that may wait for the device while a capture forbids that.
pub fn forbid_unsafe(driver: &Driver) -> Outcome {
    let mode = MODE.get();
    if mode == RELAXED || driver.captures.is_empty() {
        return Ok(());
    }
    let forbidding: Vec<_> = driver.captures.all().into_iter().filter(|capture| capture.forbids(mode)).collect();
    forbidding.iter().for_each(|capture| capture.invalidate());
    if forbidding.is_empty() { Ok(()) } else { Err(Code::STREAM_CAPTURE_UNSUPPORTED) }
}

/// Refuses to wait for a stream that is capturing.
pub fn forbid_waiting(driver: &Driver, context: &Context, stream: &Stream) -> Outcome {
    check_legacy(driver, context, stream)?;
    let Some(capturing) = lock(&stream.capturing).clone() else { return Ok(()) };
    capturing.capture.check()?;
    capturing.capture.invalidate();
    Err(Code::STREAM_CAPTURE_UNSUPPORTED)
}

/// Refuses to wait for a context of which a stream is capturing.
pub fn forbid_context(context: &Context) -> Outcome {
    let streams = lock(&context.streams).all();
    let capturing: Vec<_> = streams.iter().filter(|stream| lock(&stream.capturing).is_some()).collect();
    capturing.iter().for_each(|stream| invalidate(stream));
    if capturing.is_empty() { Ok(()) } else { Err(Code::STREAM_CAPTURE_UNSUPPORTED) }
}

/// Adds an operation to the graph that a stream captures; false if it captures none.
pub fn record(driver: &Driver, stream: &Stream, operation: &Operation) -> Outcome<bool> {
    let mut capturing = lock(&stream.capturing);
    let Some(part) = capturing.as_mut() else { return Ok(false) };
    part.capture.check()?;
    let node = part.capture.graph.add(driver, operation.clone(), part.frontier.clone());
    part.frontier = vec![node];
    Ok(true)
}

/// The nodes that the next one of a stream comes after, if it is capturing.
pub fn frontier(stream: &Stream) -> Outcome<Option<(Arc<Capture>, Vec<Handle>)>> {
    let Some(part) = lock(&stream.capturing).clone() else { return Ok(None) };
    part.capture.check()?;
    Ok(Some((part.capture, part.frontier)))
}

/// Lets a stream's further work come after an event, where one of them is of a capture.
pub fn join(driver: &Driver, stream: &Stream, mark: &Mark) -> Outcome {
    let mut part = lock(&stream.capturing);
    match (part.as_mut(), mark) {
        (Some(part), Mark::Captured { capture, nodes }) => {
            part.capture.check()?;
            if !Arc::ptr_eq(&part.capture, capture) {
                part.capture.invalidate();
                capture.invalidate();
                return Err(Code::STREAM_CAPTURE_MERGE);
            }
            let fresh: Vec<Handle> = nodes.iter().filter(|node| !part.frontier.contains(node)).copied().collect();
            part.frontier.extend(fresh);
            Ok(())
        }
        (Some(part), Mark::Recorded { .. }) => {
            part.capture.invalidate();
            Err(Code::STREAM_CAPTURE_ISOLATION)
        }
        (None, Mark::Captured { capture, nodes }) => {
            driver.captures.get(capture.handle).map_err(|_| Code::CAPTURED_EVENT)?;
            capture.check()?;
            if stream.is_legacy() || stream.context != capture.context {
                capture.invalidate();
                return Err(Code::STREAM_CAPTURE_IMPLICIT);
            }
            *part = Some(Capturing { capture: capture.clone(), frontier: nodes.clone() });
            Ok(())
        }
        (_, Mark::None) | (None, Mark::Recorded { .. }) => Ok(()),
    }
}

fn begin(handle: Handle, mode: u32, into: Option<(Handle, Vec<Handle>)>) -> Outcome {
    let (driver, context, stream) = stream::at(handle)?;
    if mode > RELAXED {
        return Err(Code::INVALID_VALUE);
    }
    if stream.is_legacy() {
        return Err(Code::STREAM_CAPTURE_UNSUPPORTED);
    }
    let mut part = lock(&stream.capturing);
    if part.is_some() {
        return Err(Code::ILLEGAL_STATE);
    }
    let (graph, frontier) = match into {
        Some((graph, nodes)) => (driver.graphs.get(graph)?, nodes),
        None => (Graph::create(driver), Vec::new()),
    };
    let (thread, origin, context) = (thread(), stream.number, context.handle);
    let invalid = AtomicBool::new(false);
    let (_, capture) =
        driver.captures.create(|handle| Capture { handle, graph, mode, thread, context, origin, invalid });
    *part = Some(Capturing { capture, frontier });
    Ok(())
}

fn end(handle: Handle, target: Out<Handle>) -> Outcome {
    let (driver, context, stream) = stream::at(handle)?;
    let part = lock(&stream.capturing).clone().ok_or(Code::ILLEGAL_STATE)?;
    let capture = &part.capture;
    target.set(0)?;
    if capture.origin != stream.number {
        capture.invalidate();
        return Err(Code::STREAM_CAPTURE_UNMATCHED);
    }
    if capture.mode != RELAXED && capture.thread != thread() {
        return Err(Code::STREAM_CAPTURE_WRONG_THREAD);
    }
    let others = leave(&context, capture);
    let _ = driver.captures.remove(capture.handle);
    let joined = capture.graph.before(&part.frontier);
    let unjoined = others.iter().any(|other| other.frontier.iter().any(|node| !joined.contains(node)));
    let ended = capture.check().and(if unjoined { Err(Code::STREAM_CAPTURE_UNJOINED) } else { Ok(()) });
    if let Err(code) = ended {
        capture.graph.destroy(driver);
        return Err(code);
    }
    target.set(capture.graph.handle)
}

/// Takes all streams out of a capture; returns the parts that they had.
fn leave(context: &Context, capture: &Arc<Capture>) -> Vec<Capturing> {
    let takes_part = |part: &mut Capturing| Arc::ptr_eq(&part.capture, capture);
    lock(&context.streams).all().iter().filter_map(|stream| lock(&stream.capturing).take_if(takes_part)).collect()
}

fn status(part: Option<&Capturing>) -> u32 {
    const NONE: u32 = 0;
    const ACTIVE: u32 = 1;
    const INVALIDATED: u32 = 2;
    part.map_or(NONE, |part| if part.capture.check().is_ok() { ACTIVE } else { INVALIDATED })
}

fn is_capturing(handle: Handle, target: Out<u32>) -> Outcome {
    let (driver, context, stream) = stream::at(handle)?;
    check_legacy(driver, &context, &stream)?;
    target.set(status(lock(&stream.capturing).as_ref()))
}

/// Where the client wants to know about a capture; null for what it does not ask.
struct Question {
    status: Out<u32>,
    id: Out<u64>,
    graph: Out<Handle>,
    nodes: Out<u64>,
    edges: Out<u64>,
    count: Out<usize>,
}

impl Question {
    fn answer(self, handle: Handle) -> Outcome {
        let (driver, context, stream) = stream::at(handle)?;
        check_legacy(driver, &context, &stream)?;
        let part = lock(&stream.capturing).clone();
        self.status.set(status(part.as_ref()))?;
        let Some(part) = part.filter(|part| part.capture.check().is_ok()) else { return Ok(()) };
        self.id.offer(part.capture.handle);
        self.graph.offer(part.capture.graph.handle);
        self.edges.offer(0);
        self.count.offer(part.frontier.len());
        self.nodes.offer(part.frontier.as_ptr() as u64);
        // The list stays until this thread asks again; the moved vector keeps its place.
        ANSWER.set(part.frontier);
        Ok(())
    }
}

fn update(handle: Handle, nodes: In<Handle>, count: usize, flags: u32) -> Outcome {
    const SET: u32 = 1;
    let (_, _, stream) = stream::at(handle)?;
    let nodes = nodes.list(count)?;
    let mut part = lock(&stream.capturing);
    let part = part.as_mut().ok_or(Code::ILLEGAL_STATE)?;
    part.capture.check()?;
    if flags > SET || !part.capture.graph.has_all(&nodes) {
        return Err(Code::INVALID_VALUE);
    }
    let kept = if flags == SET { Vec::new() } else { std::mem::take(&mut part.frontier) };
    part.frontier = kept.into_iter().chain(nodes).collect::<BTreeSet<_>>().into_iter().collect();
    Ok(())
}

fn exchange_mode(mode: Out<u32>) -> Outcome {
    driver()?;
    let wanted = mode.get()?;
    if !(GLOBAL..=RELAXED).contains(&wanted) {
        return Err(Code::INVALID_VALUE);
    }
    mode.set(MODE.replace(wanted))
}

fn root_nodes(graph: Handle, nodes: Out<Handle>, count: Out<usize>) -> Outcome {
    current()?;
    answer_list(nodes, count, &driver()?.graphs.get(graph)?.roots())
}

api! {
    cuStreamBeginCapture_v2 / cuStreamBeginCapture_v2_ptsz: (stream: Handle, mode: u32) => begin(stream, mode, None);
    cuStreamBeginCaptureToGraph / cuStreamBeginCaptureToGraph_ptsz: (stream: Handle, graph: Handle, nodes: In<Handle>,
        _edges: u64, count: usize, mode: u32) => nodes.list(count).and_then(|nodes| begin(stream, mode, Some((graph, nodes))));
    cuStreamEndCapture / cuStreamEndCapture_ptsz: (stream: Handle, graph: Out<Handle>) => end(stream, graph);
    cuStreamIsCapturing / cuStreamIsCapturing_ptsz: (stream: Handle, status: Out<u32>) => is_capturing(stream, status);
    cuStreamGetCaptureInfo / cuStreamGetCaptureInfo_ptsz: (stream: Handle, status: Out<u32>, id: Out<u64>) =>
        Question { status, id, graph: Out::at(0), nodes: Out::at(0), edges: Out::at(0), count: Out::at(0) }.answer(stream);
    cuStreamGetCaptureInfo_v2 / cuStreamGetCaptureInfo_v2_ptsz: (stream: Handle, status: Out<u32>, id: Out<u64>,
        graph: Out<Handle>, nodes: Out<u64>, count: Out<usize>) =>
        Question { status, id, graph, nodes, edges: Out::at(0), count }.answer(stream);
    cuStreamGetCaptureInfo_v3 / cuStreamGetCaptureInfo_v3_ptsz: (stream: Handle, status: Out<u32>, id: Out<u64>,
        graph: Out<Handle>, nodes: Out<u64>, edges: Out<u64>, count: Out<usize>) =>
        Question { status, id, graph, nodes, edges, count }.answer(stream);
    cuStreamUpdateCaptureDependencies / cuStreamUpdateCaptureDependencies_ptsz: (stream: Handle, nodes: In<Handle>,
        count: usize, flags: u32) => update(stream, nodes, count, flags);
    cuStreamUpdateCaptureDependencies_v2 / cuStreamUpdateCaptureDependencies_v2_ptsz: (stream: Handle, nodes: In<Handle>,
        _edges: u64, count: usize, flags: u32) => update(stream, nodes, count, flags);
    cuThreadExchangeStreamCaptureMode: (mode: Out<u32>) => exchange_mode(mode);
    cuGraphGetRootNodes: (graph: Handle, nodes: Out<Handle>, count: Out<usize>) => root_nodes(graph, nodes, count);
}
