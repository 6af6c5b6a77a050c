//! What can go wrong on a GPU.

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaStream, DriverError};

use super::compile::CompileError;
use super::device::DeviceError;
use crate::backend::Precision;

/// Why the CUDA backend could not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable device, or it takes no kernel.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A kernel could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The device's memory is used up.
    #[error(
        "the GPU is out of memory: {} MiB asked for, {} MiB of {} MiB free; choose a smaller --batch-size or end other \
         programs that use the GPU (`nvidia-smi` lists them)",
        asked.div_ceil(1 << 20), free >> 20, total >> 20
    )]
    OutOfMemory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes free.
        free: usize,
        /// Bytes in all.
        total: usize,
    },
    /// The precision needs a newer device.
    #[error(
        "--precision {precision} needs tensor cores of compute capability 8.0 or newer and this device has {}.{}; \
         use --precision fp32", capability.0, capability.1
    )]
    Precision {
        /// The precision asked for.
        precision: Precision,
        /// The device's compute capability.
        capability: (u32, u32),
    },
    /// A call of the driver failed, often because of a kernel that was launched before it.
    #[error(
        "the GPU failed while {doing}: {source}; what was being trained is lost, the last checkpoint is whole. If it happens \
         again, run with `--device emulated` and SOFTCUDA_CHECK=all, which names the kernel and its line"
    )]
    Fault {
        /// What the backend was doing.
        doing: &'static str,
        /// What the driver said.
        source: DriverError,
    },
}

impl Error {
    /// Turns what the driver said into an error of what was being done.
    pub fn fault(doing: &'static str) -> impl Fn(DriverError) -> Self {
        move |source| Self::Fault { doing, source }
    }

    /// Why `bytes` could not be allocated in the stream's device.
    pub fn allocation(stream: &CudaStream, bytes: usize, source: DriverError) -> Self {
        if source.0 != CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return Self::Fault { doing: "allocating", source };
        }
        let (free, total) = stream.context().mem_get_info().unwrap_or_default();
        Self::OutOfMemory { asked: bytes, free, total }
    }

    /// Whether the user can mend it by asking for something else.
    pub fn is_input_fault(&self) -> bool {
        !matches!(self, Self::Fault { .. })
    }
}
