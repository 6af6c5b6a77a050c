//! The CUDA backend: an NVIDIA GPU through its driver, with the kernels of `kernels/` compiled at run time.

pub mod gemm;
