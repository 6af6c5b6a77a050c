//! **latent**: a compute engine that trains autoencoders, written to be read.
//!
//! The rooms, from the top down; a room imports only from those below it:
//! [`cli`] what a person types and sees, [`lab`] kernels one by one, [`train`] the loop and what it leaves, [`inference`] trained models at work, [`export`] other programs' formats, [`nn`] the two models, [`backend`] the operations
//! of a training step and the devices that carry them out, [`tensor`] shapes and arenas, [`noise`], [`math`], [`files`].
//! [`data`], [`plot`] and [`stats`] stand beside the others and know no model.

pub mod backend;
pub mod cli;
pub mod data;
pub mod export;
pub mod files;
pub mod inference;
pub mod lab;
pub mod math;
pub mod nn;
pub mod noise;
pub mod plot;
pub mod stats;
pub mod tensor;
pub mod train;
