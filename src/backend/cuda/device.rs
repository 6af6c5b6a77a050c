//! Finding the driver and a device, and giving it code.
//!
//! cudarc panics where the driver's library is missing, and where a driver lacks a function. So the library is asked for
//! first, and the driver's version before all but the oldest of its functions.

use std::fmt;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, CudaEvent, CudaModule, CudaStream, DriverError, result};
use cudarc::nvrtc::Ptx;

use super::Error;
use super::compile::{Image, OLDEST_CAPABILITY};

/// The CUDA version of the oldest driver that has all functions that are called.
const OLDEST_DRIVER: Version = Version(12, 0);

/// The first driver with the function by which cudarc asks for the time between events; in an older one its call is a panic.
const OLDEST_CLOCK: Version = Version(12, 8);

/// A version: of CUDA, of NVRTC, or of what a device can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Why there is no device to compute on, or it takes no code.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No library of the driver.
    #[error(
        "no NVIDIA driver was found (libcuda.so.1); install it (Ubuntu: sudo ubuntu-drivers install; else \
         https://www.nvidia.com/drivers), or use --device cpu"
    )]
    NoDriver,
    /// A driver before CUDA 12.0.
    #[error(
        "the NVIDIA driver is of CUDA {found}, and {OLDEST_DRIVER} or newer is needed; update it, or use --device cpu"
    )]
    DriverTooOld {
        /// The CUDA version it tells.
        found: Version,
    },
    /// The driver does not start.
    #[error("the NVIDIA driver does not start ({code:?}); {}, or use --device cpu", start_advice(*.code))]
    Start {
        /// What `cuInit` returned.
        code: CUresult,
    },
    /// The driver has no device.
    #[error(
        "the NVIDIA driver has no device; see what `nvidia-smi` lists and whether CUDA_VISIBLE_DEVICES hides it, or use --device \
         cpu"
    )]
    NoDevice,
    /// The device is older than the kernels allow.
    #[error(
        "{name} has compute capability {capability}, and {OLDEST_CAPABILITY} (Turing) or newer is needed; use --device cpu"
    )]
    DeviceTooOld {
        /// The device's name.
        name: String,
        /// Its compute capability.
        capability: Version,
    },
    /// Another call failed.
    #[error("the NVIDIA driver failed while {doing} ({code:?}); see whether `nvidia-smi` works, or use --device cpu")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the driver returned.
        code: CUresult,
    },
    /// The compiler is newer than the driver.
    #[error(
        "the driver does not take code this new: driver CUDA {driver}, NVRTC {nvrtc}, device {device} with compute capability \
         {capability}; update the driver to CUDA {nvrtc} or newer, or use an older NVRTC: run ./data-fetch.sh nvrtc12 and set \
         LATENT_NVRTC=data/nvrtc12"
    )]
    CodeTooNew {
        /// The driver's CUDA version.
        driver: Version,
        /// The version of NVRTC that made the code.
        nvrtc: Version,
        /// The device's name.
        device: String,
        /// Its compute capability.
        capability: Version,
    },
    /// The driver refuses the code for another reason.
    #[error(
        "the driver refuses a kernel ({code:?}): driver CUDA {driver}, NVRTC {nvrtc}, device {device} with compute capability \
         {capability}; update the driver, or use --device cpu"
    )]
    CodeRefused {
        /// What the driver returned.
        code: CUresult,
        /// The driver's CUDA version.
        driver: Version,
        /// The version of NVRTC that made the code.
        nvrtc: Version,
        /// The device's name.
        device: String,
        /// Its compute capability.
        capability: Version,
    },
}

/// What helps against a driver that does not start.
fn start_advice(code: CUresult) -> &'static str {
    match code {
        CUresult::CUDA_ERROR_NO_DEVICE => {
            "no device is visible to it: see what `nvidia-smi` lists and whether CUDA_VISIBLE_DEVICES hides it"
        }
        CUresult::CUDA_ERROR_STUB_LIBRARY => {
            "a toolkit's stub stands in for the driver: take its folder off LD_LIBRARY_PATH and install the driver"
        }
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH | CUresult::CUDA_ERROR_UNKNOWN => {
            "it was perhaps updated under a running kernel module: restart the machine"
        }
        _ => "see whether `nvidia-smi` works",
    }
}

/// What a device is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub compute_capability: (u32, u32),
    /// Its number among the driver's devices.
    pub ordinal: usize,
    /// Bytes of its memory.
    pub memory: u64,
    /// Its streaming multiprocessors.
    pub multiprocessors: u32,
    /// The newest CUDA version that its driver knows.
    pub driver: Version,
}

impl DeviceInfo {
    fn capability(&self) -> Version {
        Version(self.compute_capability.0, self.compute_capability.1)
    }
}

/// A device that is ready to be used.
pub struct Opened {
    /// What it is like.
    pub info: DeviceInfo,
    /// The stream on which everything is enqueued.
    pub stream: Arc<CudaStream>,
}

impl Opened {
    /// Bytes of its memory that nothing uses.
    ///
    /// # Errors
    /// The driver failed.
    pub fn free_memory(&self) -> Result<u64, DeviceError> {
        let (free, _) = self.stream.context().mem_get_info().map_err(failed("asking for free memory"))?;
        Ok(free as u64)
    }
}

/// Turns what the driver returned into an error of what was being done.
fn failed(doing: &'static str) -> impl Fn(DriverError) -> DeviceError {
    move |error| DeviceError::Failed { doing, code: error.0 }
}

/// The newest CUDA version that the driver knows.
///
/// # Errors
/// [`DeviceError::NoDriver`], or it does not tell.
pub fn driver_version() -> Result<Version, DeviceError> {
    // SAFETY: loading a library of the driver's name runs its initialisers, as any use of the driver does.
    if !unsafe { sys::is_culib_present() } {
        return Err(DeviceError::NoDriver);
    }
    let mut version = 0;
    // SAFETY: the library is there; this is a function of all its versions, which writes an integer that outlives the call.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(failed("asking for its version"))?;
    let version = u32::try_from(version).unwrap_or_default();
    Ok(Version(version / 1000, version % 1000 / 10))
}

/// What the first device is like, which may be too old.
///
/// # Errors
/// There is no driver or no device, or the driver is too old or failed.
pub fn probe() -> Result<DeviceInfo, DeviceError> {
    let driver = driver_version()?;
    if driver < OLDEST_DRIVER {
        return Err(DeviceError::DriverTooOld { found: driver });
    }
    result::init().map_err(|error| DeviceError::Start { code: error.0 })?;
    if result::device::get_count().map_err(failed("counting devices"))? == 0 {
        return Err(DeviceError::NoDevice);
    }
    let asking = || failed("asking what the device is like");
    let ordinal = 0;
    let device = result::device::get(ordinal).map_err(asking())?;
    let attribute = |attribute| {
        // SAFETY: `device` is the driver's own.
        let value = unsafe { result::device::get_attribute(device, attribute) }.map_err(asking())?;
        Ok(u32::try_from(value).unwrap_or_default())
    };
    Ok(DeviceInfo {
        name: result::device::get_name(device).map_err(asking())?,
        compute_capability: (
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        ordinal: ordinal as usize,
        // SAFETY: as above.
        memory: unsafe { result::device::total_mem(device) }.map_err(asking())? as u64,
        multiprocessors: attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        driver,
    })
}

/// Opens the first device.
///
/// # Errors
/// As [`probe`]; or the device is too old, or others use it exclusively.
pub fn open() -> Result<Opened, DeviceError> {
    let info = probe()?;
    let capability = info.capability();
    if capability < OLDEST_CAPABILITY {
        return Err(DeviceError::DeviceTooOld { name: info.name, capability });
    }
    let context = CudaContext::new(info.ordinal).map_err(failed("opening the device"))?;
    // SAFETY: everything is used on the one stream below, in whose order nothing has to wait for anything else. Tracking would
    // record two events a buffer, which no recorded graph may contain.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().map_err(failed("making a stream"))?;
    Ok(Opened { info, stream })
}

/// Seconds between two events that were recorded on this device. Waits for both.
///
/// # Errors
/// The driver is too old to tell, or the device failed.
pub fn seconds_between(info: &DeviceInfo, start: &CudaEvent, end: &CudaEvent) -> Result<f64, Error> {
    if info.driver < OLDEST_CLOCK {
        let refused = DriverError(CUresult::CUDA_ERROR_NOT_SUPPORTED);
        return Err(Error::fault("telling the time, which takes a driver of CUDA 12.8 or newer")(refused));
    }
    let milliseconds = start.elapsed_ms(end).map_err(Error::fault("telling the time"))?;
    Ok(f64::from(milliseconds) / 1e3)
}

/// Loads code: the machine code where there is some and the driver takes it, the PTX elsewhere.
///
/// # Errors
/// The driver takes neither.
pub fn load(device: &Opened, image: &Image) -> Result<Arc<CudaModule>, DeviceError> {
    let context = device.stream.context();
    // Whatever the driver has against the machine code, it may be able to make its own of the PTX.
    let machine_code = image.cubin.clone().map(Ptx::from_binary).and_then(|cubin| context.load_module(cubin).ok());
    if let Some(module) = machine_code {
        return Ok(module);
    }
    // As bytes that end in zero, for cudarc panics at text with a zero in it.
    let text = [image.ptx.as_bytes(), &[0]].concat();
    context.load_module(Ptx::from_binary(text)).map_err(|error| refusal(&device.info, image, error.0))
}

fn refusal(device: &DeviceInfo, image: &Image, code: CUresult) -> DeviceError {
    let (driver, nvrtc) = (device.driver, Version(image.nvrtc.0, image.nvrtc.1));
    let (device, capability) = (device.name.clone(), device.capability());
    match code {
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => DeviceError::CodeTooNew { driver, nvrtc, device, capability },
        code => DeviceError::CodeRefused { code, driver, nvrtc, device, capability },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(Version(12, 10) > Version(12, 9) && Version(13, 0) > Version(12, 10));
    }

    #[test]
    fn each_failure_to_start_has_advice_of_its_own() {
        use CUresult::{CUDA_ERROR_NO_DEVICE, CUDA_ERROR_NOT_INITIALIZED, CUDA_ERROR_STUB_LIBRARY, CUDA_ERROR_UNKNOWN};
        let codes = [CUDA_ERROR_NO_DEVICE, CUDA_ERROR_STUB_LIBRARY, CUDA_ERROR_UNKNOWN, CUDA_ERROR_NOT_INITIALIZED];
        for (index, code) in codes.into_iter().enumerate() {
            assert!(codes[index + 1..].iter().all(|other| start_advice(*other) != start_advice(code)));
        }
        let message = DeviceError::Start { code: CUDA_ERROR_NO_DEVICE }.to_string();
        assert!(message.starts_with("the NVIDIA driver does not start (CUDA_ERROR_NO_DEVICE); "), "{message}");
    }
}
