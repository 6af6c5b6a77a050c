//! The device to measure: a real one where there is a driver, else the software one, on which everything is rehearsed.

use latent::backend::Precision;
use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::device::{self, DeviceError, DeviceInfo};
use latent::backend::cuda::{self, Cuda};
use softcuda::Library;
use softcuda::settings::Settings;

use crate::Failure;

/// A driver of this process and its device.
pub struct Machine {
    /// What there is to know of the device.
    pub info: DeviceInfo,
    /// The software driver, where it stands in for a real one. It counts; it has no time to tell.
    pub software: Option<Library>,
}

impl Machine {
    /// The real device; the software one where there is no driver at all, or where it is asked for.
    ///
    /// # Errors
    /// There is a driver and it has no usable device, or the software one cannot be set up.
    pub fn find(emulated: bool) -> Result<Self, Failure> {
        if emulated {
            return Self::software();
        }
        match device::open() {
            Ok(opened) => Ok(Self { info: opened.info, software: None }),
            Err(DeviceError::NoDriver) => {
                println!("There is no NVIDIA driver here: this is a rehearsal on the software driver.");
                Self::software()
            }
            Err(error) => Err(format!("{error}. For a rehearsal: cargo bench --bench gpu -- --emulated").into()),
        }
    }

    fn software() -> Result<Self, Failure> {
        let library = softcuda::preload(&Settings::from_environment()?)?;
        Ok(Self { info: device::open()?.info, software: Some(library) })
    }

    /// A fresh backend on the device.
    ///
    /// # Errors
    /// The device cannot do `precision`, or there is no compiler.
    pub fn cuda(&self, precision: Precision) -> Result<Cuda, cuda::Error> {
        Cuda::new(device::open()?, Compiler::new(self.info.compute_capability), precision)
    }
}
