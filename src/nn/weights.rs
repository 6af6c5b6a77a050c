//! A model's parameters under the tutorial's names, as PyTorch's `state_dict` has them.

use std::collections::BTreeMap;

use super::perceptron::{Decoder, Encoder, VariationalEncoder};
use super::{Autoencoder, Dims, Kind};
use crate::backend::{self, Backend};
use crate::tensor::{Layout, Tensor};

/// Why tensors are not the parameters of a model.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A tensor is missing.
    #[error(
        "tensor `{0}` is missing; expected the parameters of the tutorial's AE or VAE, such as encoder.FC_input.weight"
    )]
    Missing(String),
    /// A tensor has another shape.
    #[error(
        "tensor `{name}` has shape {found:?} where the others imply {expected:?}; take a file of this architecture"
    )]
    Shape {
        /// Its name.
        name: String,
        /// What it has.
        found: Vec<usize>,
        /// What the model needs.
        expected: Vec<usize>,
    },
    /// A parameter that is not finite.
    #[error("tensor `{name}` holds {value} at element {index}: the model had diverged; take an earlier checkpoint")]
    NonFinite {
        /// The tensor.
        name: String,
        /// The element.
        index: usize,
        /// Its value.
        value: f32,
    },
}

/// The parameters of one model, in the order of its layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Which model.
    pub kind: Kind,
    /// The sizes of its layers.
    pub dims: Dims,
    /// The values of the whole arena.
    pub values: Vec<f32>,
}

/// The layout of a model's arena.
pub fn layout_of(kind: Kind, dims: Dims) -> Layout {
    let mut layout = Layout::default();
    match kind {
        Kind::Vanilla => drop(Encoder::new(&mut layout, dims)),
        Kind::Variational => drop(VariationalEncoder::new(&mut layout, dims)),
    }
    Decoder::new(&mut layout, dims);
    layout
}

/// Cuts the values of an arena into named tensors; `prefix` goes before each name.
pub fn to_tensors(layout: &Layout, prefix: &str, values: &[f32]) -> BTreeMap<String, Tensor> {
    let tensor = |slot: &crate::tensor::Slot| (slot.shape.dims(), values[slot.range()].to_vec());
    layout.slots().iter().map(|slot| (format!("{prefix}{}", slot.name), tensor(slot))).collect()
}

/// Puts named tensors together as the values of an arena.
///
/// # Errors
/// A tensor is missing, has another shape, or holds a number that is not finite.
pub fn from_tensors(
    layout: &Layout,
    prefix: &str,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Vec<f32>, WeightsError> {
    let mut arena = Vec::with_capacity(layout.len());
    for slot in layout.slots() {
        let name = format!("{prefix}{}", slot.name);
        let (found, values) = tensors.get(&name).ok_or_else(|| WeightsError::Missing(name.clone()))?;
        let expected = slot.shape.dims();
        if *found != expected {
            return Err(WeightsError::Shape { name, found: found.clone(), expected });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(WeightsError::NonFinite { name, index, value: values[index] });
        }
        arena.extend_from_slice(values);
    }
    Ok(arena)
}

impl Weights {
    /// The parameters of a model on a device.
    ///
    /// # Errors
    /// The device failed.
    pub fn of<B: Backend>(backend: &mut B, model: &impl Autoencoder<B>) -> Result<Self, backend::Error> {
        let parameters = &model.parameters().values;
        let values = backend.read(&parameters.storage, parameters.layout().len())?;
        Ok(Self { kind: model.kind(), dims: model.dims(), values })
    }

    /// Takes over the decoder of another model with the same sizes.
    pub fn take_decoder(&mut self, other: &Self) {
        let (own, others) = (layout_of(self.kind, self.dims), layout_of(other.kind, other.dims));
        for slot in others.slots().iter().filter(|slot| slot.name.starts_with("decoder.")) {
            if let Some(target) = own.get(&slot.name).filter(|target| target.shape == slot.shape) {
                self.values[target.range()].copy_from_slice(&other.values[slot.range()]);
            }
        }
    }

    /// The named tensors.
    pub fn to_tensors(&self) -> BTreeMap<String, Tensor> {
        to_tensors(&layout_of(self.kind, self.dims), "", &self.values)
    }

    /// Recognises the model by its tensors' names and its sizes by their shapes.
    ///
    /// # Errors
    /// The tensors are not those of one of the two models.
    pub fn from_tensors(tensors: &BTreeMap<String, Tensor>) -> Result<Self, WeightsError> {
        let kind = if tensors.contains_key("encoder.FC_latent.weight") { Kind::Vanilla } else { Kind::Variational };
        let matrix = |name: &str| match tensors.get(name) {
            None => Err(WeightsError::Missing(name.to_owned())),
            Some((dims, _)) => <[usize; 2]>::try_from(dims.as_slice()).map_err(|_| WeightsError::Shape {
                name: name.to_owned(),
                found: dims.clone(),
                expected: vec![0, 0],
            }),
        };
        let [hidden, input] = matrix("encoder.FC_input.weight")?;
        let [_, latent] = matrix("decoder.FC_hidden.weight")?;
        let dims = Dims { input, hidden, latent };
        Ok(Self { kind, dims, values: from_tensors(&layout_of(kind, dims), "", tensors)? })
    }
}
