//! Pictures: image grids and line charts.

pub mod curves;
pub mod grid;
