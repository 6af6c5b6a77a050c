//! A CUDA driver in software: it runs, checks and counts every kernel on a machine without a GPU.

pub mod check;
pub mod chip;
pub mod cli;
pub mod counts;
pub mod driver;
pub mod exec;
pub mod library;
pub mod machine;
pub mod memory;
pub mod numeric;
pub mod program;
pub mod ptx;
pub mod settings;

pub use library::{Library, LibraryError, command, preload};
