//! Every step of the staircase, in one test of all tails and odd shapes on a device in software with all of its checks on; and
//! what each step improves over the one before, by the device's counts.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod compiled;
mod counts;
#[path = "../emulated/mod.rs"]
mod emulated;
#[allow(dead_code, reason = "the problems are those of the products with every epilogue")]
#[path = "../gemm/problem.rs"]
mod problem;
#[path = "../gemm/rounding.rs"]
mod rounding;
#[path = "device.rs"]
mod staircase_device;
mod tails;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::device as driver;
use latent::backend::cuda::gemm::{Epilogue, Layout, Size};
use latent::lab::staircase::Step;
use problem::Problem;
use staircase_device::Device;
use tails::{EXTENTS, sizes};

/// The device, for one test at a time: counts and reports are the process's. `None`, and a line that says so, without NVRTC.
fn device() -> Option<MutexGuard<'static, Device<'static>>> {
    static DEVICE: OnceLock<Option<Mutex<Device<'static>>>> = OnceLock::new();
    let open = || {
        let library = emulated::driver(&emulated::checked());
        let opened = driver::open().unwrap();
        let search = nvrtc::Search::of_this_process();
        let compiler = Compiler::with(opened.info.compute_capability, emulated::cache(), search);
        Mutex::new(Device::new(Some(library), opened, compiler))
    };
    let device = DEVICE.get_or_init(|| emulated::has_compiler().then(open));
    device.as_ref().map(|device| device.lock().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn every_extent_meets_every_other() {
    let sizes: Vec<Size> = sizes().collect();
    for (one, other) in EXTENTS.into_iter().flat_map(|one| EXTENTS.map(|other| (one, other))) {
        assert!(sizes.iter().any(|size| (size.m, size.n) == (one, other)), "m {one}, n {other}");
        assert!(sizes.iter().any(|size| (size.m, size.k) == (one, other)), "m {one}, k {other}");
        assert!(sizes.iter().any(|size| (size.n, size.k) == (one, other)), "n {one}, k {other}");
    }
}

#[test]
fn every_step_is_exact_on_integers_at_any_size() {
    let Some(mut device) = device() else { return };
    tails::exact_on_integers(&mut device, sizes());
}

#[test]
fn every_step_agrees_with_f64_at_any_size() {
    let Some(mut device) = device() else { return };
    tails::near_f64(&mut device, sizes());
}

#[test]
fn every_step_gives_the_same_bits_again() {
    let Some(mut device) = device() else { return };
    let problem = Problem::of_reals(Size { m: 100, n: 72, k: 784 }, Layout::Nn, Epilogue::Plain);
    for step in Step::ALL {
        let (once, again) = (device.multiply(step, &problem), device.multiply(step, &problem));
        assert!(once == again, "{step:?}");
    }
}
