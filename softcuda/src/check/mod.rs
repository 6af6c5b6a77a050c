//! What the sanitizer knows: the findings it reports, and the shadow state of memory in which it finds them.

pub mod global;
mod mapping;
mod releases;
pub mod report;
pub mod shared;
mod written;

pub use global::Order;
pub use report::{Batch, Check, Other, Report, Reporter, Site, Sites, Source};
