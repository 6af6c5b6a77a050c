//! temp
use super::compile::Image;
use cudarc::driver::{CudaContext, CudaModule, CudaStream, DriverError};
use cudarc::nvrtc::Ptx;
use std::sync::Arc;
/// x
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// x
    #[error("{0}")]
    X(DriverError),
}
/// x
pub struct DeviceInfo {
    /// x
    pub name: String,
    /// x
    pub compute_capability: (u32, u32),
}
/// x
pub struct Opened {
    /// x
    pub info: DeviceInfo,
    /// x
    pub stream: Arc<CudaStream>,
}
/// x
pub fn open() -> Result<Opened, DeviceError> {
    let c = CudaContext::new(0).map_err(DeviceError::X)?;
    unsafe { c.disable_event_tracking() };
    let stream = c.new_stream().map_err(DeviceError::X)?;
    let (a, b) = c.compute_capability().map_err(DeviceError::X)?;
    Ok(Opened {
        info: DeviceInfo { name: c.name().map_err(DeviceError::X)?, compute_capability: (a as u32, b as u32) },
        stream,
    })
}
/// x
pub fn load(d: &Opened, image: &Image) -> Result<Arc<CudaModule>, DeviceError> {
    d.stream.context().load_module(Ptx::from_src(&image.ptx)).map_err(DeviceError::X)
}
