//! The device to measure: a real one where there is a driver, else the software one, which counts.

use latent::backend::Precision;
use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::device::{self, DeviceError, DeviceInfo};
use latent::backend::cuda::{self, Cuda};
use softcuda::Library;
use softcuda::settings::Settings;

use super::Failure;

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
            Ok(opened) if opened.info.name.starts_with("softcuda") => {
                Err("the software driver stands where NVIDIA's would, and it has no time to tell: add -- --emulated"
                    .into())
            }
            Ok(opened) => Ok(Self { info: opened.info, software: None }),
            Err(DeviceError::NoDriver) => {
                println!("There is no NVIDIA driver here: the software driver takes its place, and counts.");
                Self::software()
            }
            Err(error) => Err(format!("{error}. For the software driver in its place, add -- --emulated").into()),
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
