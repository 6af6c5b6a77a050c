//! Pictures: image grids, line charts, scatter plots, bars, rooflines, and what a warp's load touches.

mod axis;
pub mod bars;
pub mod curves;
pub mod grid;
mod palette;
mod rect;
pub mod roofline;
pub mod scatter;
mod svg;
pub mod touched;
mod units;
