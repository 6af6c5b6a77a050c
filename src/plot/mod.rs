//! Pictures: image grids, sheets of images with words, line charts, scatter plots, bars, rooflines, and what a warp's load
//! touches.

mod axis;
pub mod bars;
mod canvas;
pub mod curves;
pub mod grid;
mod palette;
mod rect;
pub mod roofline;
pub mod scatter;
pub mod sheet;
mod svg;
pub mod touched;
mod units;
