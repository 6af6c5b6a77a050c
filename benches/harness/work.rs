//! The model that all groups are about, and the arithmetic of its steps.

use latent::nn::{Dims, Kind};

/// The tutorial's layers and batch.
pub const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
/// Images of a step.
pub const BATCH: usize = 100;

/// Weights of the encoder's first layer, of its others, and of the decoder.
fn weights(kind: Kind) -> [usize; 3] {
    let Dims { input, hidden, latent } = DIMS;
    let code = if kind == Kind::Variational { 2 * latent } else { latent };
    [input * hidden, hidden * hidden + hidden * code, latent * hidden + hidden * hidden + hidden * input]
}

/// Floating-point operations of the products of a training step: forward, weight gradients, and input gradients of all layers but
/// the first.
pub fn training_flop(kind: Kind) -> f64 {
    let [first, others, decoder] = weights(kind);
    (2 * BATCH * (2 * first + 3 * (others + decoder))) as f64
}

/// Those of a forward pass.
pub fn forward_flop(kind: Kind) -> f64 {
    (2 * BATCH * weights(kind).iter().sum::<usize>()) as f64
}

/// Those of decoding a batch of codes.
pub fn decoding_flop(kind: Kind) -> f64 {
    (2 * BATCH * weights(kind)[2]) as f64
}
