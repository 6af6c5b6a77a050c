//! A trained model on a backend, used in batches.

use super::Codes;
use crate::backend::{Activation, Backend, Error, Hyperparameters};
use crate::nn::{Autoencoder, Dims, Kind, VanillaAE, VariationalAE, Weights};

/// Images that are encoded or decoded at a time.
const BATCH: usize = 500;

/// A trained model, whichever it is and wherever it computes.
pub trait Codec {
    /// Which model this is.
    fn kind(&self) -> Kind;

    /// The sizes of its layers.
    fn dims(&self) -> Dims;

    /// The codes of `images` `[n, pixels]`, values from 0 to 1.
    ///
    /// # Errors
    /// The device failed.
    fn encode(&mut self, images: &[f32]) -> Result<Codes, Error>;

    /// The codes of `images` `[n, pixels]` of one byte a pixel.
    ///
    /// # Errors
    /// The device failed.
    fn encode_bytes(&mut self, images: &[u8]) -> Result<Codes, Error> {
        let mut codes = Codes::none(self.kind(), self.dims().latent);
        for batch in images.chunks(BATCH * self.dims().input) {
            let values: Vec<f32> = batch.iter().map(|byte| f32::from(*byte) / 255.0).collect();
            codes.append(self.encode(&values)?);
        }
        Ok(codes)
    }

    /// The logits `[n, pixels]` of `codes` `[n, latent]`.
    ///
    /// # Errors
    /// The device failed.
    fn logits(&mut self, codes: &[f32]) -> Result<Vec<f32>, Error>;

    /// The images `[n, pixels]` of `codes` `[n, latent]`: the logits' sigmoid.
    ///
    /// # Errors
    /// The device failed.
    fn decode(&mut self, codes: &[f32]) -> Result<Vec<f32>, Error>;
}

/// A model with its backend.
pub struct Trained<'a, B: Backend, M> {
    backend: &'a mut B,
    model: M,
}

impl<'a, B: Backend> Trained<'a, B, VanillaAE<B>> {
    /// The vanilla model with these weights.
    ///
    /// # Errors
    /// Out of memory, or the device failed.
    pub fn vanilla(backend: &'a mut B, weights: &Weights) -> Result<Self, Error> {
        let model = VanillaAE::new(backend, weights.dims, BATCH, 0)?;
        Self::with(backend, model, weights)
    }
}

impl<'a, B: Backend> Trained<'a, B, VariationalAE<B>> {
    /// The variational model with these weights.
    ///
    /// # Errors
    /// Out of memory, or the device failed.
    pub fn variational(backend: &'a mut B, weights: &Weights) -> Result<Self, Error> {
        let model = VariationalAE::new(backend, weights.dims, BATCH, 0)?;
        Self::with(backend, model, weights)
    }
}

impl<'a, B: Backend, M: Autoencoder<B>> Trained<'a, B, M> {
    fn with(backend: &'a mut B, mut model: M, weights: &Weights) -> Result<Self, Error> {
        backend.set_hyperparameters(Hyperparameters { learning_rate: 0.0, beta: 1.0, seed: 0, free_bits: 0.0 });
        backend.write(&mut model.parameters_mut().values.storage, &weights.values)?;
        Ok(Self { backend, model })
    }

    fn decoded(&mut self, codes: &[f32], activation: Activation) -> Result<Vec<f32>, Error> {
        let Dims { latent, input, .. } = self.model.dims();
        let mut out = Vec::with_capacity(codes.len() / latent * input);
        for batch in codes.chunks(BATCH * latent) {
            out.append(&mut self.model.decode(self.backend, batch, activation)?);
        }
        Ok(out)
    }
}

impl<B: Backend, M: Autoencoder<B>> Codec for Trained<'_, B, M> {
    fn kind(&self) -> Kind {
        self.model.kind()
    }

    fn dims(&self) -> Dims {
        self.model.dims()
    }

    fn encode(&mut self, images: &[f32]) -> Result<Codes, Error> {
        let Dims { latent, input, .. } = self.model.dims();
        let mut codes = Codes::none(self.model.kind(), latent);
        for batch in images.chunks(BATCH * input) {
            let encoded = self.model.encode(self.backend, batch)?;
            codes.append(Codes::of_model(self.model.kind(), latent, encoded));
        }
        Ok(codes)
    }

    fn logits(&mut self, codes: &[f32]) -> Result<Vec<f32>, Error> {
        self.decoded(codes, Activation::Identity)
    }

    fn decode(&mut self, codes: &[f32]) -> Result<Vec<f32>, Error> {
        self.decoded(codes, Activation::Sigmoid)
    }
}
