//! Shapes, arenas (one flat buffer with named, shaped parts) and files of named tensors.
//!
//! Nothing here knows where the numbers live. [`Arena`] is generic over its storage, which a backend supplies.

mod arena;
mod file;
mod npy;
mod shape;

pub use arena::{Arena, Layout, Slot};
pub use file::{FileError, Tensor, TensorFile};
pub use npy::{Array, NpyError};
pub use shape::Shape;
