//! Images and labels: IDX files, drawn digits, sets.
//!
//! [`DatasetName::load`] gives a [`Dataset`] by its name: MNIST and Fashion-MNIST from IDX files, which `data-fetch.sh`
//! fetches, or [digits](DatasetName::Digits) that are drawn on the spot and need no file.

mod corruption;
mod digits;
mod error;
mod idx;
mod images;
mod own;
mod preparation;
mod set;

pub use corruption::{Corruption, UnknownCorruption};
pub use error::{Error, Fault};
pub use images::{Images, Split};
pub use own::{OwnError, OwnImages};
pub use preparation::{Binarize, Preparation};
pub use set::{Dataset, DatasetName};
