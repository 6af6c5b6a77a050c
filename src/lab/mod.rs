//! Kernels one by one: what each is given, what must come of it, what it costs, what the compiler makes of it.
//!
//! The [`catalogue`] has them by name. A [`Case`] is a kernel, or a few of them in sequence, on a problem of some size; a [`Bench`]
//! launches it on the device at hand, holds what it leaves against float64, and times it. The kernels are the files of `kernels/`.

pub mod bench;
pub mod case;
mod cases;
pub mod catalogue;
pub mod ceilings;
mod error;
pub mod facts;
pub mod gpus;
pub mod header;
pub mod measure;
mod products;
pub mod staircase;

pub use bench::Bench;
pub use case::Case;
pub use error::Error;
