//! Where a command computes: the choice between the processor, a GPU and the software device.
//!
//! This and [`super::kernels`], which shows what softcuda counts, are the only places that know it.

use softcuda::settings::Settings;

use super::display::note;
use crate::backend::cpu::Cpu;
use crate::backend::cuda::compile::{CompileError, Compiler};
use crate::backend::cuda::{self, Cuda, device};
use crate::backend::{self, Backend, Precision};
use crate::train::{Config, Device, Error};

/// Findings of the software device's checks that are shown.
const MOST_SHOWN: usize = 10;

/// What is done on a backend, whichever it is.
pub trait OnBackend {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// It failed.
    fn run<B: Backend>(self, backend: &mut B) -> Result<Self::Output, Error>;
}

/// A device that was settled on.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice<T, E> {
    /// The processor; and why not a GPU, where one would have been preferred.
    Cpu(Option<E>),
    /// A GPU, or the software device in its place.
    Cuda(T),
}

/// Does `task` on the device that `config` asks for, or on the best one for `auto`.
///
/// # Errors
/// The device cannot be used, or the task failed.
pub fn with_backend<T: OnBackend>(config: &Config, task: T) -> Result<T::Output, Error> {
    let emulator = Emulator::for_device(config.device)?;
    let choice = choose(config.device, || open(config.precision));
    let result = match choice.map_err(backend::Error::from)? {
        Choice::Cpu(obstacle) => on_cpu(config, obstacle, task),
        Choice::Cuda(backend) => on_cuda(backend, task),
    };
    if let Some(emulator) = emulator {
        emulator.tell_findings();
    }
    result
}

/// The device to compute on, for one that is asked for. `open` makes a GPU ready, or says why none can be used.
///
/// # Errors
/// A GPU was asked for and cannot be used.
pub fn choose<T, E>(asked: Device, open: impl FnOnce() -> Result<T, E>) -> Result<Choice<T, E>, E> {
    match asked {
        Device::Cpu => Ok(Choice::Cpu(None)),
        Device::Cuda | Device::Emulated => open().map(Choice::Cuda),
        Device::Auto => Ok(open().map_or_else(|obstacle| Choice::Cpu(Some(obstacle)), Choice::Cuda)),
    }
}

/// The backend on the first GPU. It loads a kernel at once, so that what is missing shows before anything begins.
///
/// # Errors
/// There is no usable device, nothing to compile with and nothing in the cache, or the driver does not take the code.
pub fn open(precision: Precision) -> Result<Cuda, cuda::Error> {
    let device = device::open()?;
    let compiler = Compiler::new(device.info.compute_capability);
    Cuda::new(device, compiler, precision)
}

/// Why no GPU can be used, short enough for a line. `latent doctor` gives the whole of it.
pub fn in_short(obstacle: &cuda::Error) -> String {
    match obstacle {
        cuda::Error::Compile(CompileError::NoCompiler { source, .. })
            if matches!(**source, nvrtc::Error::NotFound { .. }) =>
        {
            "NVRTC was not found, and there are no kernels in the cache".to_owned()
        }
        other => other.to_string().split("; ").next().unwrap_or_default().to_owned(),
    }
}

fn on_cpu<T: OnBackend>(config: &Config, obstacle: Option<cuda::Error>, task: T) -> Result<T::Output, Error> {
    if config.precision != Precision::Fp32 {
        let because = obstacle.map_or_else(String::new, |obstacle| format!(" ({})", in_short(&obstacle)));
        let problem = format!("needs a GPU, and the CPU computes{because}; leave it out, or use another --device");
        return Err(Error::Setting { setting: "--precision", value: config.precision.to_string(), problem });
    }
    if let Some(obstacle) = obstacle {
        note(&format!("computing on the CPU: {}; `latent doctor` says what to do", in_short(&obstacle)));
    }
    task.run(&mut Cpu::new(config.threads)?)
}

fn on_cuda<T: OnBackend>(mut backend: Cuda, task: T) -> Result<T::Output, Error> {
    let result = task.run(&mut backend);
    if let Some(text) = backend.note() {
        note(text);
    }
    result
}

/// The software device in place of a GPU.
pub struct Emulator {
    library: softcuda::Library,
}

impl Emulator {
    /// The software device, if that is what is asked for.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn for_device(asked: Device) -> Result<Option<Self>, Error> {
        (asked == Device::Emulated).then(|| Self::start(|_| ())).transpose()
    }

    /// Makes the software device the one that this process finds, set up as `SOFTCUDA_*` say and then as `adjust` does.
    ///
    /// # Errors
    /// Its library is missing, or a variable makes no sense.
    pub fn start(adjust: impl FnOnce(&mut Settings)) -> Result<Self, Error> {
        let fault = |problem: String| Error::Setting {
            setting: "--device",
            value: "emulated".to_owned(),
            problem: format!("cannot be had: {problem}"),
        };
        let mut settings = Settings::from_environment().map_err(|error| fault(error.to_string()))?;
        adjust(&mut settings);
        let library = softcuda::preload(&settings).map_err(|error| fault(error.to_string()))?;
        Ok(Self { library })
    }

    /// What the device counted and found.
    pub fn library(&self) -> &softcuda::Library {
        &self.library
    }

    /// Shows what the device's checks found, those that `SOFTCUDA_CHECK` asks for.
    pub fn tell_findings(&self) {
        match self.library.reports() {
            Ok(reports) => {
                reports.iter().take(MOST_SHOWN).for_each(|report| note(&report.to_string()));
                if reports.len() > MOST_SHOWN {
                    note(&format!("and {} more findings; SOFTCUDA_REPORT=FILE keeps all", reports.len() - MOST_SHOWN));
                }
            }
            Err(error) => note(&error.to_string()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::cuda::device::{DeviceError, Version};

    type Result = std::result::Result<&'static str, &'static str>;

    fn chosen(asked: Device, open: Result) -> std::result::Result<Choice<&'static str, &'static str>, &'static str> {
        choose(asked, || open)
    }

    #[test]
    fn a_gpu_that_can_be_used_is_used_by_auto() {
        for asked in [Device::Auto, Device::Cuda, Device::Emulated] {
            assert_eq!(chosen(asked, Ok("device")), Ok(Choice::Cuda("device")), "{asked:?}");
        }
    }

    #[test]
    fn without_one_auto_takes_the_cpu_and_says_why_and_others_fail() {
        assert_eq!(chosen(Device::Auto, Err("no driver")), Ok(Choice::Cpu(Some("no driver"))));
        for asked in [Device::Cuda, Device::Emulated] {
            assert_eq!(chosen(asked, Err("no driver")), Err("no driver"), "{asked:?}");
        }
    }

    #[test]
    fn the_cpu_is_taken_without_a_look_for_a_gpu() {
        let choice = choose(Device::Cpu, || -> Result { panic!("nobody asked for a GPU") });
        assert_eq!(choice, Ok(Choice::Cpu(None)));
    }

    #[test]
    fn an_obstacle_in_short_is_one_line_without_advice() {
        let not_found = nvrtc::Error::NotFound { tried: Vec::new(), failures: Vec::new() };
        let obstacles: [cuda::Error; 4] = [
            DeviceError::NoDriver.into(),
            DeviceError::DeviceTooOld { name: "Tesla V100".to_owned(), capability: Version(7, 0) }.into(),
            CompileError::DeviceTooOld { capability: Version(7, 0) }.into(),
            CompileError::NoCompiler { file: "kernels/finish.cu".to_owned(), source: Box::new(not_found) }.into(),
        ];
        for obstacle in obstacles {
            let text = in_short(&obstacle);
            assert!(text.len() < 100 && !text.contains(['\n', ';']) && !text.is_empty(), "{text}");
        }
    }
}
