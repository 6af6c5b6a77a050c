//! Images and labels: IDX files, drawn digits, sets.
//!
//! [`DatasetName::load`] gives a [`Dataset`] by its name: MNIST and Fashion-MNIST from IDX files, which `data-fetch.sh`
//! fetches, or [digits](DatasetName::Digits) that are drawn on the spot and need no file.

mod digits;
mod error;
mod idx;
mod images;
mod set;

pub use error::{Error, Fault};
pub use images::{Images, Split};
pub use set::{Dataset, DatasetName};
