//! What can stand between a kernel and its figures.

use cudarc::driver::DriverError;

use crate::backend::cuda;

/// Why a kernel was not run, or what it computed instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An extent that the kernel cannot be run at.
    #[error("--{axis} {value} {problem}")]
    Size {
        /// The extent, as the command line spells it.
        axis: &'static str,
        /// Its value.
        value: usize,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// No kernel has this name.
    #[error("there is no kernel {name}{near}; `latent kernels list` names them all")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Names that are like it.
        near: String,
    },
    /// The compiler does not know the architecture.
    #[error("sm_{architecture} is none that NVRTC {}.{} compiles for; choose from {known}", nvrtc.0, nvrtc.1)]
    Architecture {
        /// What was asked for, as in 81 for `sm_81`.
        architecture: u32,
        /// The compiler's version.
        nvrtc: (u32, u32),
        /// What it knows.
        known: String,
    },
    /// The kernel needs a newer device.
    #[error("{name} needs compute capability {}.{} or newer and this device has {}.{}; choose another kernel or --arch",
        needs.0, needs.1, has.0, has.1)]
    TooOld {
        /// The kernel.
        name: &'static str,
        /// What it needs.
        needs: (u32, u32),
        /// What the device has.
        has: (u32, u32),
    },
    /// The kernel computed something else.
    #[error(
        "{name} is wrong: {what}[{index}] is {actual}, not {expected} (off by more than the {allowed:e} that rounding explains)"
    )]
    Wrong {
        /// The kernel.
        name: &'static str,
        /// The result.
        what: &'static str,
        /// The first element that is wrong.
        index: usize,
        /// What it is.
        actual: f64,
        /// What it should be.
        expected: f64,
        /// How far off it may be.
        allowed: f64,
    },
    /// The problem does not fit into the device's memory.
    #[error("the device is out of memory: {} MiB asked for, {} MiB of {} MiB free; choose smaller extents with --m, --n and --k",
        asked.div_ceil(1 << 20), free >> 20, total >> 20)]
    Memory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes free.
        free: usize,
        /// Bytes in all.
        total: usize,
    },
    /// A call of the driver failed, often because of a kernel that was launched before it.
    #[error("the device failed while {doing}: {source}; on softcuda, SOFTCUDA_CHECK=all names the kernel and its line")]
    Fault {
        /// What was being done.
        doing: &'static str,
        /// What the driver said.
        source: DriverError,
    },
    /// The device, its driver or its compiler. Where training would go on with the processor, kernels do on softcuda.
    #[error("{}", .0.to_string().replace("--device cpu", "--device emulated"))]
    Cuda(cuda::Error),
}

impl From<cuda::Error> for Error {
    /// What the backend tells of training is told of a kernel here.
    fn from(error: cuda::Error) -> Self {
        match error {
            cuda::Error::OutOfMemory { asked, free, total } => Self::Memory { asked, free, total },
            cuda::Error::Fault { doing, source } => Self::Fault { doing, source },
            other => Self::Cuda(other),
        }
    }
}

impl Error {
    /// Whether the user can mend it by asking for something else.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Self::Size { .. } | Self::Unknown { .. } | Self::Architecture { .. } => true,
            Self::TooOld { .. } | Self::Memory { .. } => true,
            Self::Wrong { .. } | Self::Fault { .. } => false,
            Self::Cuda(error) => error.is_input_fault(),
        }
    }
}
