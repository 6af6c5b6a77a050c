//! What a step keeps on the device between launches, as `kernels/control.cuh` lays it out.

use bytemuck::{Pod, Zeroable};

use crate::backend::{Hyperparameters, NonFinite, adam};
use crate::noise::Stream;

/// Streams that count steps on the device.
pub const STREAMS: usize = 8;

/// No element of any tensor.
const NOWHERE: u64 = u64::MAX;

/// The tensors that losses are computed from, in the order of the kernels' `Tensor`.
const TENSORS: [&str; 3] = ["mean", "log_var", "logits"];

/// Settings, written by the host between steps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Settings {
    /// The number of the next step of each stream.
    pub steps: [u64; STREAMS],
    seed: u64,
    learning_rate: f64,
    beta: f32,
    step_size: f32,
    root_scale: f32,
    blocks_done: u32,
    free_bits: f32,
    _padding: u32,
}

impl Settings {
    /// What the steps to come need to know.
    pub fn new(hyperparameters: Hyperparameters, steps: [u64; STREAMS]) -> Self {
        let Hyperparameters { learning_rate, beta, free_bits, seed } = hyperparameters;
        let (step_size, root_scale) = adam::corrections(learning_rate, steps[Stream::Training as usize]);
        Self {
            steps,
            seed,
            learning_rate,
            beta: beta as f32,
            step_size,
            root_scale,
            blocks_done: 0,
            free_bits: free_bits as f32,
            _padding: 0,
        }
    }
}

/// Sums over the images since the host set them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Losses {
    pub bce: f64,
    pub kl: f64,
    pub bound: f64,
    pub images: u64,
}

/// The first number that was not finite.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Found {
    suspect: u64,
    sources: [u64; TENSORS.len()],
    step: u64,
    element: u64,
    value: f32,
    found: u32,
}

impl Found {
    /// None so far.
    pub fn nothing() -> Self {
        Self { suspect: NOWHERE, ..Self::zeroed() }
    }

    /// Where it is, for a posterior of `latent` units and logits of `pixels` columns.
    pub fn non_finite(&self, latent: usize, pixels: usize) -> Option<NonFinite> {
        let number = (self.found as usize).checked_sub(1)?;
        let (stride, first) = [(2 * latent, 0), (2 * latent, latent), (pixels, 0)][number];
        let (row, column) = (self.element as usize / stride.max(1), self.element as usize % stride.max(1));
        Some(NonFinite { step: self.step, tensor: TENSORS[number], row, column: column - first, value: self.value })
    }
}

/// The whole of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Control {
    pub settings: Settings,
    pub losses: Losses,
    pub found: Found,
}

// The kernels hold the same assertion.
const _: () = assert!(size_of::<Control>() == 192);
