//! A CUDA driver in software: it runs, checks and counts every kernel on a machine without a GPU.

pub mod check;
pub mod numeric;
pub mod ptx;
