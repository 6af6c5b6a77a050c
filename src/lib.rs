//! **latent**: a compute engine that trains autoencoders, written to be read.
//!
//! The rooms, from the top down; a room imports only from those below it:
//! [`data`] and [`plot`] stand beside the others and know no model.

pub mod data;
pub mod files;
pub mod math;
pub mod noise;
pub mod plot;
