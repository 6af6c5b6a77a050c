//! A model in a file: its parameters under PyTorch's names.

use std::path::Path;

use super::Error;
use crate::files::write_atomically;
use crate::nn::Weights;
use crate::tensor::TensorFile;

/// The parameters in a `.safetensors` file, `model.safetensors` of a run or one that PyTorch saved.
///
/// # Errors
/// The file cannot be read, or holds other tensors than those of one of the two models.
pub fn read_model(path: &Path) -> Result<Weights, Error> {
    let at = || path.to_owned();
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: at(), source })?;
    let file = TensorFile::from_bytes(&bytes).map_err(|source| Error::File { path: at(), source })?;
    Weights::from_tensors(&file.tensors).map_err(|source| Error::Weights { path: at(), source })
}

/// Writes the parameters to a `.safetensors` file, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write_model(path: &Path, weights: &Weights) -> Result<(), Error> {
    let file = TensorFile { note: Some(String::new()), tensors: weights.to_tensors() };
    let bytes = file.to_bytes().map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(write_atomically(path, &bytes)?)
}
