//! Trained models at work: images to codes, codes to images, and what both are worth.
//!
//! A [`Codec`] hides which model it is and where it computes; what is computed from codes and logits is the same for all and is done
//! here, on the processor, in f64.

mod anomaly;
mod axes;
mod codec;
mod codes;
pub mod geometry;
mod likelihood;
mod measure;

pub use anomaly::{Score, anomaly_scores};
pub use axes::Axes;
pub use codec::{Codec, Trained};
pub use codes::Codes;
pub use likelihood::{bce_of_rows, log_weights};
pub use measure::{Measured, log_weights_of_image};
