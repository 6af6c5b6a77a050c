//! The CUDA backend on the software driver, with all of its checks on.

#![allow(dead_code, reason = "every test takes what it needs")]

use std::sync::OnceLock;

use latent::backend::Precision;
use latent::backend::cuda::Cuda;
use latent::backend::cuda::cache::Cache;
use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::device;
use softcuda::Library;
use softcuda::settings::{Checks, Settings};

/// The software driver of this process, set up at the first call. Every test of a process gives the same settings.
pub fn driver(settings: &Settings) -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| softcuda::preload(settings).unwrap())
}

/// A device of compute capability 8.0 on which every access is checked.
pub fn checked() -> Settings {
    Settings { checks: Checks::ALL, ..Settings::default() }
}

/// The same without checks, which is three times as fast.
pub fn unchecked() -> Settings {
    Settings { checks: Checks::NONE, ..Settings::default() }
}

/// Whether kernels can be compiled here; a line on standard output says so where they cannot.
pub fn has_compiler() -> bool {
    let found = nvrtc::Nvrtc::find();
    if let Err(error) = &found {
        println!("skipped on CUDA: {error}");
    }
    found.is_ok()
}

/// A cache of the tests' own, so that kernels are compiled once.
pub fn cache() -> Cache {
    Cache::at(concat!(env!("CARGO_TARGET_TMPDIR"), "/kernels"))
}

/// A backend on the driver's device.
pub fn backend(settings: &Settings, precision: Precision) -> Cuda {
    driver(settings);
    let device = device::open().unwrap();
    let compiler = Compiler::with(device.info.compute_capability, cache(), nvrtc::Search::of_this_process());
    Cuda::new(device, compiler, precision).unwrap()
}

/// Panics with what the driver's checks found.
#[track_caller]
pub fn assert_no_report(settings: &Settings) {
    let reports = driver(settings).reports().unwrap();
    let text: Vec<String> = reports.iter().take(3).map(ToString::to_string).collect();
    assert!(reports.is_empty(), "{} reports, the first of them:\n{}", reports.len(), text.join("\n"));
}
