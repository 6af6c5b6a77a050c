//! Kernels one by one, apart from any training.

pub mod staircase;
