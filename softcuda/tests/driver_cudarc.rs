//! cudarc, unmodified, in this process: it finds the preloaded library by its bare name.

use cudarc::driver::sys::{self, CUdevice_attribute, CUresult, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, DriverError};
use softcuda::settings::Settings;
use std::sync::{Arc, OnceLock};

fn settings() -> Settings {
    Settings { memory: 64 << 20, threads: 2, compute_capability: (8, 6), ..Settings::default() }
}

fn library() -> &'static softcuda::Library {
    static LIBRARY: OnceLock<softcuda::Library> = OnceLock::new();
    LIBRARY.get_or_init(|| softcuda::preload(&settings()).unwrap())
}

fn context() -> Arc<CudaContext> {
    library();
    CudaContext::new(0).unwrap()
}

#[test]
fn a_second_preload_must_have_the_same_settings() {
    library();
    softcuda::preload(&settings()).unwrap();
    let error = softcuda::preload(&Settings { memory: 32 << 20, ..settings() }).unwrap_err();
    assert!(error.to_string().contains("set up already"), "{error}");
}

#[test]
fn the_device_is_described_as_it_was_set_up() {
    let context = context();
    assert_eq!(context.compute_capability().unwrap(), (8, 6));
    assert_eq!(context.name().unwrap(), "softcuda (compute capability 8.6)");
    assert_eq!(context.total_mem().unwrap(), 64 << 20);
    let attribute = |kind| context.attribute(kind).unwrap();
    assert_eq!(attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), 99 << 10);
    assert_eq!(attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32);
    assert_eq!(attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH), 1);
}

#[test]
fn values_survive_the_way_to_the_device_and_back() {
    let context = context();
    let stream = context.new_stream().unwrap();
    let values: Vec<f32> = (0..1000).map(|n| n as f32 * 0.5).collect();
    let device = stream.clone_htod(&values).unwrap();
    let copy = stream.clone_dtod(&device).unwrap();
    assert_eq!(stream.clone_dtoh(&copy).unwrap(), values);
    let zeros = stream.alloc_zeros::<u64>(33).unwrap();
    assert_eq!(stream.clone_dtoh(&zeros).unwrap(), [0; 33]);
}

#[test]
fn streams_are_joined_by_events() {
    let context = context();
    let (first, second) = (context.new_stream().unwrap(), context.new_stream().unwrap());
    let values = first.clone_htod(&[7u32; 256]).unwrap();
    second.join(&first).unwrap();
    assert_eq!(second.clone_dtoh(&values).unwrap(), [7; 256]);
    let start = first.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT)).unwrap();
    let end = first.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT)).unwrap();
    assert!(start.elapsed_ms(&end).unwrap() >= 0.0);
}

#[test]
fn a_captured_copy_is_replayed() {
    let context = context();
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

#[test]
fn more_memory_than_there_is_is_an_error_and_no_panic() {
    let stream = context().new_stream().unwrap();
    let error = stream.alloc_zeros::<u8>(65 << 20).unwrap_err();
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    assert!(error.to_string().contains("out of memory"), "{error}");
}

#[test]
fn machine_code_is_refused_and_an_unknown_kernel_is_not_found() {
    let context = context();
    let elf = cudarc::nvrtc::Ptx::from_binary(b"\x7fELF\x02\x01\x01\x00".to_vec());
    assert_eq!(context.load_module(elf).unwrap_err().0, CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);
    let ptx = cudarc::nvrtc::Ptx::from_src(".version 8.0\n.target sm_80\n.address_size 64\n");
    let module = context.load_module(ptx).unwrap();
    assert_eq!(module.load_function("missing").unwrap_err().0, CUresult::CUDA_ERROR_NOT_FOUND);
}

#[test]
fn every_call_is_counted_by_name() {
    let context = context();
    let before = library().calls().unwrap().get("cuMemGetInfo_v2").copied().unwrap_or(0);
    context.mem_get_info().unwrap();
    context.mem_get_info().unwrap();
    assert_eq!(library().calls().unwrap()["cuMemGetInfo_v2"], before + 2);
}

#[test]
fn threads_may_call_at_the_same_time() {
    let context = context();
    std::thread::scope(|scope| {
        for seed in 0..4u32 {
            let context = context.clone();
            scope.spawn(move || {
                let stream = context.new_stream().unwrap();
                for round in 0..50 {
                    let values = [seed * 1000 + round; 64];
                    let device = stream.clone_htod(&values).unwrap();
                    assert_eq!(stream.clone_dtoh(&device).unwrap(), values);
                }
            });
        }
    });
}
