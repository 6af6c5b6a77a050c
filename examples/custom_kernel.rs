//! A CUDA kernel of one's own on latent's buffers, in latent's stream, held against plain Rust: the softmax of each row.
//!
//! ```text
//! ./data-fetch.sh nvrtc                              # the compiler, once; any installed NVRTC 12 or 13 does as well
//! cargo run --release --example custom_kernel
//! ```
//!
//! It takes the GPU where there is a driver, and softcuda, a CUDA driver in software that checks every access, where there is none.
//! Exit codes: 0 the kernel is right, 1 it is wrong or something failed, 2 there is no NVRTC to compile it with.

use std::error::Error;
use std::process::ExitCode;

use cudarc::driver::{LaunchConfig, PushKernelArg};
use latent::backend::cuda::compile::{CompileError, Compiler};
use latent::backend::cuda::device::{self, DeviceError};
use latent::backend::cuda::{self, Cuda};
use latent::backend::{Backend, Precision, Step};
use latent::noise::Stream;
use softcuda::settings::{Checks, Settings};

/// Odd on purpose: a kernel that is right at whole multiples alone is wrong.
const ROWS: usize = 37;
const COLUMNS: usize = 203;

/// The name under which the compiler and a debugger know the kernel.
const NAME: &str = "softmax.cu";
const SOFTMAX: &str = r#"
// One warp a row. Each lane takes every 32nd element; the maximum and the sum are then passed around by shuffles.
extern "C" __global__ void softmax(const float *x, float *y, int rows, int columns) {
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) {
        return; // the whole warp: no lane is missed below
    }
    x += (long long)row * columns;
    y += (long long)row * columns;
    float most = -3.4e38f;
    for (int i = lane; i < columns; i += 32) {
        most = fmaxf(most, x[i]);
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, distance));
    }
    float sum = 0;
    for (int i = lane; i < columns; i += 32) {
        sum += y[i] = expf(x[i] - most); // at most 1, so that nothing overflows
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(0xffffffff, sum, distance);
    }
    for (int i = lane; i < columns; i += 32) {
        y[i] /= sum;
    }
}
"#;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let error = error.downcast_ref();
            let no_compiler = matches!(error, Some(cuda::Error::Compile(CompileError::NoCompiler { .. })));
            ExitCode::from(if no_compiler { 2 } else { 1 })
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let driver = match device::driver_version() {
        Err(DeviceError::NoDriver) => {
            Some(softcuda::preload(&Settings { checks: Checks::ALL, ..Settings::default() })?)
        }
        _ => None,
    };
    let device = device::open().map_err(cuda::Error::from)?;
    let kind = if driver.is_some() { "no GPU here: softcuda in its place" } else { "a GPU" };
    println!("{kind}, {}", device.info.name);
    let compiler = Compiler::new(device.info.compute_capability);
    let mut backend = Cuda::new(device, compiler, Precision::Fp32)?;
    let softmax = backend.function(NAME, SOFTMAX, "softmax")?;

    // An operation of the backend fills the input; the kernel comes after it in the same stream.
    let (mut x, y) = (backend.zeros(ROWS * COLUMNS)?, backend.zeros(ROWS * COLUMNS)?);
    backend.run(Step::once(Stream::Sampling, ROWS), |backend| backend.standard_normal(&mut x, COLUMNS))?;
    let (warps, stream) = (4, backend.stream().clone());
    let config = LaunchConfig {
        grid_dim: ((ROWS as u32).div_ceil(warps), 1, 1),
        block_dim: (32 * warps, 1, 1),
        shared_mem_bytes: 0,
    };
    let (from, to, rows, columns) = (x.at(0), y.at(0), ROWS as i32, COLUMNS as i32);
    // SAFETY: the arguments are those that the kernel declares, and both buffers hold `rows * columns` values.
    unsafe { stream.launch_builder(&softmax).arg(&from).arg(&to).arg(&rows).arg(&columns).launch(config) }?;
    let (x, y) = (backend.read(&x, ROWS * COLUMNS)?, backend.read(&y, ROWS * COLUMNS)?);

    if let Some(driver) = driver {
        let reports = driver.reports()?;
        reports.iter().take(3).for_each(|report| println!("{report}"));
        println!("softcuda checked every access: {} findings", reports.len());
    }
    let error = x.chunks(COLUMNS).zip(y.chunks(COLUMNS)).map(|(x, y)| worst(x, y)).fold(0.0, f64::max);
    println!("softmax of {ROWS} x {COLUMNS}: no element is off by more than {error:.1e} of its value in f64");
    // Written so that NaN fails.
    if error <= 1e-5 { Ok(()) } else { Err("the kernel is wrong: more than 1e-5".into()) }
}

/// The largest relative error of a row's softmax; infinite where an element is no number.
fn worst(x: &[f32], y: &[f32]) -> f64 {
    let sum: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
    let error = |(x, y): (&f32, &f32)| (f64::from(*y) * sum / f64::from(*x).exp() - 1.0).abs();
    x.iter().zip(y).map(error).fold(0.0, |worst, error| if error <= worst { worst } else { error.max(worst) })
}
