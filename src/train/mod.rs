//! Training: the loop, what it records, and what it leaves on disk.

mod checkpoint;
mod config;
mod error;
mod evaluation;
mod events;
mod metrics;
mod model_file;
mod run;
mod schedule;
mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{Config, Device};
pub use error::Error;
pub use evaluation::{DeviceImages, evaluate};
pub use events::EventFile;
pub use metrics::{Averages, Record, Which};
pub use model_file::{read_model, write_model};
pub use run::{Environment, Run};
pub use schedule::Schedule;
pub use trainer::{Observer, Outcome, Session, is_over, train};
