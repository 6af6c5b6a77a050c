//! The scalar arithmetic of PTX.
