//! Which backend a command runs on. The one place that knows the software driver.

use super::display::note;
use crate::backend::cpu::Cpu;
use crate::backend::cuda::compile::Compiler;
use crate::backend::cuda::{self, Cuda, device};
use crate::backend::{self, Backend, Precision};
use crate::train::{Config, Device, Error};

/// What a command does with whichever backend was chosen.
pub trait OnBackend {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// Its own.
    fn run<B: Backend>(self, backend: &mut B) -> Result<Self::Output, Error>;
}

/// Does `task` on the backend that the settings ask for.
///
/// # Errors
/// There is no such device, or those of the task.
pub fn with_backend<T: OnBackend>(config: &Config, task: T) -> Result<T::Output, Error> {
    match config.device {
        Device::Cpu => task.run(&mut cpu(config)?),
        Device::Cuda => task.run(&mut usable(cuda(config.precision).map_err(backend::Error::from)?)),
        Device::Emulated => {
            emulate()?;
            task.run(&mut usable(cuda(config.precision).map_err(backend::Error::from)?))
        }
        Device::Auto => match cuda(config.precision) {
            Ok(backend) => task.run(&mut usable(backend)),
            Err(reason) => {
                note(&format!("auto: the CPU computes, because {}", first_line(&reason.to_string())));
                task.run(&mut cpu(config)?)
            }
        },
    }
}

/// The GPU, with a kernel loaded, so that what is missing is known before anything begins.
///
/// # Errors
/// There is no driver, no device or no compiler, or they do not fit each other.
pub fn cuda(precision: Precision) -> Result<Cuda, cuda::Error> {
    let device = device::open()?;
    let compiler = Compiler::new(device.info.compute_capability);
    Cuda::new(device, compiler, precision)
}

/// Puts the software driver in the place of NVIDIA's, with the settings that its variables give.
///
/// # Errors
/// A variable makes no sense, or the driver cannot be set up.
pub fn emulate() -> Result<(), Error> {
    let fault = |problem: String| Error::Setting { setting: "--device", value: "emulated".to_owned(), problem };
    let settings = softcuda::settings::Settings::from_environment().map_err(|error| fault(error.to_string()))?;
    // The library stays for as long as the process does.
    softcuda::preload(&settings).map(drop).map_err(|error| fault(error.to_string()))
}

/// Up to where a message goes on with a compiler's log.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The same backend, after a word about what a person should know of its cache.
fn usable(backend: Cuda) -> Cuda {
    if let Some(text) = backend.note() {
        note(text);
    }
    backend
}

fn cpu(config: &Config) -> Result<Cpu, Error> {
    if config.precision != Precision::Fp32 {
        let problem = "is for GPUs and the CPU computes; leave it out".to_owned();
        return Err(Error::Setting { setting: "--precision", value: config.precision.to_string(), problem });
    }
    Cpu::new(config.threads).map_err(|error: backend::Error| error.into())
}
