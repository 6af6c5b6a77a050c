//! Trained models in the formats of other programs.

mod explorer;
pub mod onnx;

pub use explorer::Explorer;
