//! NVIDIA GPUs: the kernels of `kernels/`, compiled at run time and launched through the driver.

pub mod cache;
pub mod compile;
pub mod sources;
