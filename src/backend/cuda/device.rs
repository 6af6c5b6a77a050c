//! The driver and its device: finding them, and loading code.

use std::fmt;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, CudaModule, CudaStream, DriverError, result};
use cudarc::nvrtc::Ptx;

use super::compile::{Image, OLDEST_ARCHITECTURE};

/// Why there is no device to compute on, or why it does not take a kernel.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// No driver.
    #[error("there is no NVIDIA driver (libcuda) on this machine; install one, or use --device cpu")]
    NoDriver,
    /// The driver does not start.
    #[error("the NVIDIA driver does not start: {0}; `nvidia-smi` may tell more; use --device cpu meanwhile")]
    DriverFails(DriverError),
    /// The driver knows no device.
    #[error("the NVIDIA driver finds no GPU; check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use --device cpu")]
    NoDevice,
    /// The device is too old for the kernels.
    #[error("{name} has compute capability {capability} and 7.5 (Turing) or newer is needed; use --device cpu")]
    TooOld {
        /// The device's name.
        name: String,
        /// Its compute capability.
        capability: Version,
    },
    /// The compiler is newer than the driver.
    #[error(
        "the driver (CUDA {driver}) does not take what NVRTC {nvrtc} compiled for {name} (compute capability {capability}); \
         install a newer driver, or an older NVRTC: `./data-fetch.sh nvrtc12`, then LATENT_NVRTC=data/nvrtc12"
    )]
    PtxTooNew {
        /// The device's name.
        name: String,
        /// Its compute capability.
        capability: Version,
        /// The CUDA version of the driver.
        driver: Version,
        /// The compiler's version.
        nvrtc: Version,
    },
    /// The driver refuses a kernel.
    #[error(
        "the driver (CUDA {driver}) does not load what NVRTC {nvrtc} compiled for {name} (compute capability {capability}): \
         {source}; remove the cache that `latent doctor` names, or install a newer driver"
    )]
    Refused {
        /// The device's name.
        name: String,
        /// Its compute capability.
        capability: Version,
        /// The CUDA version of the driver.
        driver: Version,
        /// The compiler's version.
        nvrtc: Version,
        /// What the driver said.
        source: DriverError,
    },
    /// A call failed.
    #[error("the NVIDIA driver failed while {doing}: {source}; `nvidia-smi` may tell more; use --device cpu meanwhile")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// What the driver said.
        source: DriverError,
    },
}

/// Major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl From<(u32, u32)> for Version {
    fn from((major, minor): (u32, u32)) -> Self {
        Self(major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What there is to know of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub compute_capability: (u32, u32),
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of it that are free.
    pub free: u64,
    /// The CUDA version of the driver.
    pub driver: Version,
}

/// A device that is ready to compute.
pub struct Opened {
    /// What there is to know of it.
    pub info: DeviceInfo,
    /// Where its work is enqueued, in order.
    pub stream: Arc<CudaStream>,
}

/// Turns what the driver said into an error of what was being done.
fn call(doing: &'static str) -> impl Fn(DriverError) -> DeviceError {
    move |source| DeviceError::Call { doing, source }
}

/// The CUDA version of the driver.
///
/// # Errors
/// There is none.
pub fn driver() -> Result<Version, DeviceError> {
    // Without this question a missing driver is a panic.
    // SAFETY: it looks for the library and loads it.
    if !unsafe { sys::is_culib_present() } {
        return Err(DeviceError::NoDriver);
    }
    let mut number = 0;
    // SAFETY: the pointer is to an integer that lives across the call.
    unsafe { sys::cuDriverGetVersion(&mut number) }.result().map_err(call("asking for its version"))?;
    Ok(Version(number as u32 / 1000, number as u32 % 1000 / 10))
}

/// Opens the first device.
///
/// # Errors
/// There is no driver or no device, or the device is too old.
pub fn open() -> Result<Opened, DeviceError> {
    let driver = driver()?;
    result::init().map_err(|error| match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => DeviceError::NoDevice,
        _ => DeviceError::DriverFails(error),
    })?;
    if CudaContext::device_count().map_err(call("counting devices"))? == 0 {
        return Err(DeviceError::NoDevice);
    }
    let context = CudaContext::new(0).map_err(call("opening the device"))?;
    let info = info(&context, driver)?;
    let (major, minor) = info.compute_capability;
    if 10 * major + minor < OLDEST_ARCHITECTURE {
        return Err(DeviceError::TooOld { name: info.name, capability: info.compute_capability.into() });
    }
    // SAFETY: all work is enqueued on the one stream made here, in order, so nothing needs events to wait for; and a capture cannot
    // wait for events from before it.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().map_err(call("making a stream"))?;
    Ok(Opened { info, stream })
}

fn info(context: &Arc<CudaContext>, driver: Version) -> Result<DeviceInfo, DeviceError> {
    let asking = || call("asking for its properties");
    let (major, minor) = context.compute_capability().map_err(asking())?;
    let (free, total) = context.mem_get_info().map_err(asking())?;
    let multiprocessors =
        context.attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).map_err(asking())?;
    Ok(DeviceInfo {
        name: context.name().map_err(asking())?,
        compute_capability: (major as u32, minor as u32),
        multiprocessors: multiprocessors as u32,
        memory: total as u64,
        free: free as u64,
        driver,
    })
}

/// Loads compiled code: the machine code, or where the driver does not take that the PTX, which it compiles itself.
///
/// # Errors
/// The driver takes neither.
pub fn load(device: &Opened, image: &Image) -> Result<Arc<CudaModule>, DeviceError> {
    let context = device.stream.context();
    let machine_code = image.cubin.clone().map(|cubin| context.load_module(Ptx::from_binary(cubin)));
    let refusal = match machine_code {
        Some(Ok(module)) => return Ok(module),
        Some(Err(error)) if image.ptx.is_empty() => error,
        _ => match context.load_module(Ptx::from_src(&image.ptx)) {
            Ok(module) => return Ok(module),
            Err(error) => error,
        },
    };
    let DeviceInfo { name, compute_capability, driver, .. } = device.info.clone();
    let (capability, nvrtc) = (Version::from(compute_capability), Version::from(image.nvrtc));
    Err(match refusal.0 {
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => DeviceError::PtxTooNew { name, capability, driver, nvrtc },
        _ => DeviceError::Refused { name, capability, driver, nvrtc, source: refusal },
    })
}
