//! Pictures: image grids and line charts.

pub mod grid;
