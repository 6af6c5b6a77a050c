//! The kernels that the engine does not launch by themselves, and the functions that all kernels share: on the software driver,
//! with all of its checks on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bce;
mod bits;
mod device;
mod elements;
#[path = "../emulated/mod.rs"]
mod emulated;
#[path = "../oracle/mod.rs"]
mod oracle;
