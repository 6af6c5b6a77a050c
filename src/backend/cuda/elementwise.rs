//! The arguments of the kernels that work on elements, each struct as its file in `kernels/` declares it.
//!
//! Addresses are those of the device. Fields called `_padding` are the gaps that C leaves.

use bytemuck::{Pod, Zeroable};

/// Threads of a block of every kernel here but [`Reparameterise`].
pub const BLOCK: u32 = 256;

/// Threads of a block of [`Reparameterise`], whose grid is small at a batch of 100.
pub const SAMPLING_BLOCK: u32 = 128;

/// Elements of a thread where it takes a quad.
pub const QUAD: usize = 4;

/// Arguments of `gather.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Gather {
    pub pixels: u64,
    pub order: u64,
    pub position: u64,
    pub batch: u64,
    pub rows: i32,
    pub size: i32,
}

/// Arguments of `standard_normal.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct StandardNormal {
    pub out: u64,
    pub control: u64,
    pub length: u64,
    pub stream: i32,
    pub _padding: i32,
}

/// Arguments of `reparameterise.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Reparameterise {
    pub posterior: u64,
    pub eps: u64,
    pub z: u64,
    pub partial: u64,
    pub sum: u64,
    pub squares: u64,
    pub control: u64,
    pub rows: i32,
    pub latent: i32,
    pub stream: i32,
    pub noise: i32,
    pub sampling_blocks: i32,
    pub _padding: i32,
}

/// Arguments of `reparameterise_backward.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct ReparameteriseBackward {
    pub posterior: u64,
    pub eps: u64,
    pub dz: u64,
    pub dposterior: u64,
    pub control: u64,
    pub rows: i32,
    pub latent: i32,
}

/// Arguments of `importance_weights.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct ImportanceWeights {
    pub logits: u64,
    pub target: u64,
    pub posterior: u64,
    pub eps: u64,
    pub z: u64,
    pub weights: u64,
    pub bce: u64,
    pub bound: u64,
    pub control: u64,
    pub rows: i32,
    pub draws: i32,
    pub latent: i32,
    pub pixels: i32,
}

/// Arguments of `importance_backward.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct ImportanceBackward {
    pub posterior: u64,
    pub eps: u64,
    pub z: u64,
    pub weights: u64,
    pub dz: u64,
    pub dposterior: u64,
    pub control: u64,
    pub rows: i32,
    pub latent: i32,
}

/// Arguments of `finish.cu`, and a part of those of `adam.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Finish {
    pub control: u64,
    pub bce: u64,
    pub kl: u64,
    pub bound: u64,
    pub position: u64,
    pub bce_parts: i32,
    pub kl_parts: i32,
    pub bound_parts: i32,
    pub rows: i32,
    pub stream: i32,
    pub advances: i32,
}

/// Arguments of `adam.cu`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Adam {
    pub parameters: u64,
    pub gradients: u64,
    pub first: u64,
    pub second: u64,
    pub length: u64,
    pub end: Finish,
    pub ends_step: i32,
    pub _padding: i32,
}

// The kernels hold the same assertion.
const _: () = assert!(size_of::<Finish>() == 64);
