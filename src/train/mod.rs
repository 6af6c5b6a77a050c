//! Training: the loop, what it records, and what it leaves on disk.

mod checkpoint;
mod config;
mod error;
mod evaluation;
mod metrics;
mod run;
mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{Config, Device};
pub use error::Error;
pub use evaluation::{DeviceImages, evaluate};
pub use metrics::{Averages, Record, Which};
pub use run::{Environment, Run};
pub use trainer::{Observer, Outcome, Session, train};
