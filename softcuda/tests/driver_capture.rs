//! A capture by unmodified cudarc, in a process of its own: while a stream captures, no other thread may wait for the
//! whole context, as cudarc does for its first stream.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use cudarc::driver::CudaContext;
use cudarc::driver::sys::{self, CUstreamCaptureMode};
use softcuda::settings::Settings;

#[test]
fn a_captured_copy_is_replayed() {
    softcuda::preload(&Settings::default()).unwrap();
    let context = CudaContext::new(0).unwrap();
    // SAFETY: everything here happens in one stream.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().unwrap();
    let source = stream.clone_htod(&[3i32; 16]).unwrap();
    let mut target = stream.alloc_zeros::<i32>(16).unwrap();
    stream.synchronize().unwrap();
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    stream.memcpy_dtod(&source, &mut target).unwrap();
    let graph = stream.end_capture(sys::CUgraphInstantiate_flags(0)).unwrap().unwrap();
    assert_eq!(stream.clone_dtoh(&target).unwrap(), [0; 16], "a capture does nothing yet");
    graph.upload().unwrap();
    graph.launch().unwrap();
    assert_eq!(stream.clone_dtoh(&target).unwrap(), [3; 16]);
}
