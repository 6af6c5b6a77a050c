//! cudarc, unmodified, in this process: it finds the preloaded library by its bare name.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, CudaFunction, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use softcuda::settings::Settings;
use std::sync::{Arc, OnceLock};

/// A kernel without work, with a parameter of each size, static shared memory and a variable.
const MODULE: &str = ".version 8.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 answer = 42;
.visible .entry idle(.param .u64 pointer, .param .u32 count, .param .u8 flag) .maxntid 256, 1, 1
{
    .shared .align 4 .b8 tile[1024];
    ret;
}
";

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
fn more_memory_than_there_is_is_an_error_and_no_panic() {
    let stream = context().new_stream().unwrap();
    let error = stream.alloc_zeros::<u8>(65 << 20).unwrap_err();
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    assert!(error.to_string().contains("out of memory"), "{error}");
}

#[test]
fn machine_code_is_refused_and_an_unknown_kernel_is_not_found() {
    let context = context();
    let elf = Ptx::from_binary(b"\x7fELF\x02\x01\x01\x00".to_vec());
    assert_eq!(context.load_module(elf).unwrap_err().0, CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);
    let module = context.load_module(Ptx::from_src(MODULE)).unwrap();
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

fn idle(context: &Arc<CudaContext>) -> CudaFunction {
    context.load_module(Ptx::from_src(MODULE)).unwrap().load_function("idle").unwrap()
}

fn launch(
    context: &Arc<CudaContext>,
    grid: u32,
    block: u32,
    shared: u32,
    cooperative: bool,
) -> Result<(), DriverError> {
    let (stream, function) = (context.new_stream().unwrap(), idle(context));
    let (pointer, count, flag) = (0u64, 5u32, 1u8);
    let config = LaunchConfig { grid_dim: (grid, 1, 1), block_dim: (block, 1, 1), shared_mem_bytes: shared };
    let mut builder = stream.launch_builder(&function);
    builder.arg(&pointer).arg(&count).arg(&flag);
    // SAFETY: the arguments are those of the kernel, which does nothing with them.
    let launched = unsafe { if cooperative { builder.launch_cooperative(config) } else { builder.launch(config) } };
    launched?;
    stream.synchronize()
}

#[test]
fn launches_are_held_against_the_limits_of_kernel_and_device() {
    let context = context();
    let refused = |grid, block, shared| launch(&context, grid, block, shared, false).unwrap_err().0;
    launch(&context, 3, 256, 1024, false).unwrap();
    assert_eq!(refused(0, 32, 0), CUresult::CUDA_ERROR_INVALID_VALUE, "an empty grid");
    assert_eq!(refused(1, 0, 0), CUresult::CUDA_ERROR_INVALID_VALUE, "an empty block");
    assert_eq!(refused(1, 257, 0), CUresult::CUDA_ERROR_INVALID_VALUE, "more than .maxntid");
    assert_eq!(refused(1, 1025, 0), CUresult::CUDA_ERROR_INVALID_VALUE, "more than the device has");
    assert_eq!(refused(1, 32, 48 << 10), CUresult::CUDA_ERROR_INVALID_VALUE, "shared memory beyond 48 KiB");
}

#[test]
fn a_cooperative_launch_must_fit_on_the_device() {
    let context = context();
    let per_multiprocessor = idle(&context).occupancy_max_active_blocks_per_multiprocessor(256, 0, None).unwrap();
    assert_eq!(per_multiprocessor, 6, "1536 threads in blocks of 256");
    let most = per_multiprocessor * 84;
    launch(&context, most, 256, 0, true).unwrap();
    let error = launch(&context, most + 1, 256, 0, true).unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

#[test]
fn more_shared_memory_is_had_for_the_asking() {
    use sys::CUfunction_attribute_enum as Attribute;
    let function = idle(&context());
    let set = |bytes| function.set_attribute(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
    set((99 << 10) - 1024).unwrap();
    assert_eq!(set(99 << 10).unwrap_err().0, CUresult::CUDA_ERROR_INVALID_VALUE, "1 KiB is taken already");
    let get = |kind| function.get_attribute(kind).unwrap();
    assert_eq!(get(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), 1024);
    assert_eq!(get(Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 256);
    assert_eq!(get(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), (99 << 10) - 1024);
}

#[test]
fn a_module_variable_has_its_initial_value() {
    let context = context();
    let module = context.load_module(Ptx::from_src(MODULE)).unwrap();
    let stream = context.default_stream();
    let variable = module.get_global("answer", &stream).unwrap();
    assert_eq!(variable.len(), 4);
    assert_eq!(stream.clone_dtoh(&variable).unwrap(), [42, 0, 0, 0]);
}

#[test]
fn ptx_that_cannot_run_is_refused_for_its_reason() {
    let context = context();
    let refused = |text: &str| context.load_module(Ptx::from_src(text)).map(|_| ()).unwrap_err().0;
    assert_eq!(refused(&MODULE.replace("sm_80", "sm_90")), CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);
    assert_eq!(refused(&MODULE.replace("ret;", "conjure %r1;")), CUresult::CUDA_ERROR_INVALID_PTX);
    assert_eq!(refused("no PTX at all"), CUresult::CUDA_ERROR_INVALID_PTX);
}
