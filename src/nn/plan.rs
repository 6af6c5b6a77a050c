//! What a run keeps in its device's memory, laid out before anything is allocated.

use super::perceptron::{Decoder, Encoder, VariationalEncoder};
use super::{Dims, Kind};
use crate::backend::{Backend, Linear};
use crate::tensor::Layout;

/// What a run keeps on its device: every buffer by name, with its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Names and bytes.
    pub buffers: Vec<(&'static str, u64)>,
}

impl MemoryPlan {
    /// The buffers of a model for batches of `rows` images, without images and scratch.
    pub fn of_model(kind: Kind, dims: Dims, rows: usize) -> Self {
        let Dims { input, hidden, latent } = dims;
        let parameters = super::weights::layout_of(kind, dims).len();
        let mut buffers = vec![
            ("parameters", parameters),
            ("gradients", parameters),
            ("first moments", parameters),
            ("second moments", parameters),
            ("batch", rows * input),
            ("encoder's hidden layers", 2 * rows * hidden),
            ("codes", rows * latent),
            ("decoder's hidden layers", 2 * rows * hidden),
            ("reconstructions", rows * input),
            ("gradients at the hidden layers", 2 * rows * hidden),
            ("gradients at the codes", rows * latent),
        ];
        if kind == Kind::Variational {
            buffers.extend([
                ("posteriors", 2 * rows * latent),
                ("noise", rows * latent),
                ("gradients at the posteriors", 2 * rows * latent),
            ]);
        }
        let bytes = |(name, len): (_, usize)| (name, (len * size_of::<f32>()) as u64);
        Self { buffers: buffers.into_iter().map(bytes).collect() }
    }

    /// The same with `images` images, of which some are trained on and others validated on, and what `backend` needs for itself.
    pub fn of_run<B: Backend>(backend: &B, kind: Kind, dims: Dims, rows: usize, images: usize) -> Self {
        let mut plan = Self::of_model(kind, dims, rows);
        plan.buffers.push(("images, a byte a pixel", (images * dims.input) as u64));
        plan.buffers.push(("order of the images", (images * size_of::<u32>()) as u64));
        plan.buffers.push(("scratch of the products", backend.scratch(&layers(kind, dims), rows)));
        plan
    }

    /// The same with targets that are not the inputs: of `images` images, and of a batch of `rows`.
    pub fn with_targets(mut self, dims: Dims, rows: usize, images: usize) -> Self {
        self.buffers.push(("targets, a byte a pixel", (images * dims.input) as u64));
        self.buffers.push(("targets of a batch", (rows * dims.input * size_of::<f32>()) as u64));
        self
    }

    /// The same for images of which each has several of the `rows` of a batch, and `draws` places in the order of `images` images.
    pub fn with_draws(mut self, rows: usize, images: usize, draws: usize) -> Self {
        self.buffers.push(("shares of the draws", (rows * size_of::<f32>()) as u64));
        self.buffers.push(("further places in the order", ((draws - 1) * images * size_of::<u32>()) as u64));
        self
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.buffers.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The layers of a model, from the image to the logits.
fn layers(kind: Kind, dims: Dims) -> [Linear; 6] {
    let mut layout = Layout::default();
    let encoder = match kind {
        Kind::Vanilla => Encoder::new(&mut layout, dims).0,
        Kind::Variational => VariationalEncoder::new(&mut layout, dims).0,
    };
    let decoder = Decoder::new(&mut layout, dims).0;
    let [[a, b, c], [d, e, f]] = [encoder.layers(), decoder.layers()];
    [a, b, c, d, e, f]
}
