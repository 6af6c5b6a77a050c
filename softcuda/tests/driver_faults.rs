//! Faults of kernels reach the client as the driver's error codes, and stay until the context is reset.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg, sys};
use cudarc::nvrtc::Ptx;
use softcuda::settings::{Checks, Settings};
use sys::CUresult::{
    self, CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_TIMEOUT,
    CUDA_ERROR_MISALIGNED_ADDRESS,
};

#[test]
fn a_fault_is_an_error_of_every_later_call_until_the_context_is_reset() {
    let settings = Settings { checks: Checks::ALL, limit: Some(100_000), ..Settings::default() };
    let library = softcuda::preload(&settings).unwrap();
    for (kernel, number, expected) in [
        ("bounds_global", 1 << 20, CUDA_ERROR_ILLEGAL_ADDRESS),
        ("misaligned_global", 2, CUDA_ERROR_MISALIGNED_ADDRESS),
        ("trapped", 0, CUDA_ERROR_LAUNCH_FAILED),
        ("endless", 0, CUDA_ERROR_LAUNCH_TIMEOUT),
    ] {
        assert_eq!(code_after(kernel, number), expected, "{kernel}");
        // SAFETY: device 0 exists, and nothing of its context is used any more.
        assert_eq!(unsafe { sys::cuDevicePrimaryCtxReset_v2(0) }, CUresult::CUDA_SUCCESS);
    }
    // After the last reset the device works.
    let stream = CudaContext::new(0).unwrap().default_stream();
    assert_eq!(stream.clone_dtoh(&stream.clone_htod(&[5u8; 9]).unwrap()).unwrap(), [5; 9]);
    assert!(library.reports().unwrap().len() >= 4);
}

/// Launches a planted kernel on one buffer and a number; gives the error that the client gets, twice the same.
fn code_after(kernel: &str, number: i32) -> CUresult {
    let context = CudaContext::new(0).unwrap();
    let module = context.load_module(Ptx::from_src(include_str!("ptx/planted.sm_80.ptx"))).unwrap();
    let function = module.load_function(kernel).unwrap();
    let stream = context.default_stream();
    let mut data = stream.alloc_zeros::<i32>(64).unwrap();
    let mut launch = stream.launch_builder(&function);
    launch.arg(&mut data);
    // Only two of the kernels have the number.
    if number != 0 {
        launch.arg(&number);
    }
    let config = LaunchConfig { grid_dim: (8, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are those of the kernel; its fault is what the test is about.
    unsafe { launch.launch(config) }.unwrap();
    let first = stream.synchronize().unwrap_err().0;
    assert_eq!(stream.alloc_zeros::<i32>(1).unwrap_err().0, first, "the error stays");
    first
}
