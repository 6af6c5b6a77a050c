//! The two autoencoders: layers, losses, the backward pass and the optimiser's step, written once over [`Backend`].
//!
//! The backward pass is the chain rule, layer by layer, from the loss down. The derivation of each operation stands with the
//! operation in [`Backend`]; that of the composition with [`perceptron::Perceptron::backward`], [`vanilla_loss`] and
//! [`variational_loss`].

mod initialisation;
mod models;
mod parameters;
pub mod perceptron;
mod plan;
pub mod weights;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use models::{Autoencoder, Common, VanillaAE, VariationalAE, vanilla_loss, variational_loss};
pub use parameters::Parameters;
pub use perceptron::{Decoder, Encoder, VariationalEncoder};
pub use plan::MemoryPlan;
pub use weights::{Weights, WeightsError};

#[cfg(doc)]
use crate::backend::Backend;

/// Which of the two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The vanilla autoencoder, [`VanillaAE`].
    #[serde(rename = "ae")]
    Vanilla,
    /// The variational autoencoder, [`VariationalAE`].
    #[serde(rename = "vae")]
    Variational,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vanilla => "ae",
            Self::Variational => "vae",
        })
    }
}

/// The sizes of a model's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dims {
    /// Pixels of an image.
    pub input: usize,
    /// Units of each hidden layer.
    pub hidden: usize,
    /// Units of the code.
    pub latent: usize,
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.input, self.hidden, self.hidden, self.latent)
    }
}
