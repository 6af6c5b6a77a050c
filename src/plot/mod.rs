//! Pictures: image grids and line charts.
