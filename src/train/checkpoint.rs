//! Checkpoints: all that a run needs to go on as if it had not stopped.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::backend::{Backend, Sums};
use crate::files;
use crate::nn::weights::{from_tensors, layout_of, to_tensors};
use crate::nn::{Autoencoder, Dims, Kind, Weights};
use crate::noise::Stream;
use crate::tensor::TensorFile;

/// What goes before a parameter's name in a checkpoint.
const VALUES: &str = "";
const FIRST_MOMENT: &str = "adam.first_moment.";
const SECOND_MOMENT: &str = "adam.second_moment.";

/// Where a run stands. The order of an epoch's images and all noise follow from the seed and these counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed.
    pub epochs: u32,
    /// Images of the epoch after those that are done.
    pub position: usize,
    /// Steps of the optimiser.
    pub steps: u64,
    /// The sums of the epoch that was begun.
    pub sums: Sums,
    /// Seconds spent on it.
    pub seconds: f64,
    /// The lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// Validations since then.
    #[serde(default)]
    pub validations_since_best: u32,
}

#[derive(Serialize, Deserialize)]
struct Note {
    kind: Kind,
    dims: Dims,
    data_digest: String,
    progress: Progress,
}

/// Parameters, Adam's moments, and where the run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The model.
    pub kind: Kind,
    /// The sizes of its layers.
    pub dims: Dims,
    /// The digest of the data it was trained on.
    pub data_digest: String,
    /// Where the run stands.
    pub progress: Progress,
    /// The parameters' arena.
    pub values: Vec<f32>,
    /// Adam's first moment.
    pub first_moment: Vec<f32>,
    /// Adam's second moment.
    pub second_moment: Vec<f32>,
}

impl Checkpoint {
    /// The state of a model in training.
    ///
    /// # Errors
    /// The device failed.
    pub fn of<B: Backend>(
        backend: &mut B,
        model: &impl Autoencoder<B>,
        data_digest: &str,
        progress: Progress,
    ) -> Result<Self, Error> {
        let parameters = model.parameters();
        let len = parameters.layout().len();
        Ok(Self {
            kind: model.kind(),
            dims: model.dims(),
            data_digest: data_digest.to_owned(),
            progress,
            values: backend.read(&parameters.values.storage, len)?,
            first_moment: backend.read(&parameters.first_moment.storage, len)?,
            second_moment: backend.read(&parameters.second_moment.storage, len)?,
        })
    }

    /// Puts this state into a model of the same sizes.
    ///
    /// # Errors
    /// The device failed.
    pub fn restore<B: Backend>(&self, backend: &mut B, model: &mut impl Autoencoder<B>) -> Result<(), Error> {
        let parameters = model.parameters_mut();
        backend.write(&mut parameters.values.storage, &self.values)?;
        backend.write(&mut parameters.first_moment.storage, &self.first_moment)?;
        backend.write(&mut parameters.second_moment.storage, &self.second_moment)?;
        backend.set_step(Stream::Training, self.progress.steps);
        Ok(())
    }

    /// Checks that it is of this model and was trained on this data; `path` is where it was read from.
    ///
    /// # Errors
    /// [`Error::OtherModel`] or [`Error::OtherData`].
    pub fn check(&self, path: &Path, kind: Kind, dims: Dims, data_digest: &str) -> Result<(), Error> {
        let path = path.to_owned();
        if (self.kind, self.dims) != (kind, dims) {
            return Err(Error::OtherModel { path, found_kind: self.kind, found: self.dims, kind, dims });
        }
        if self.data_digest != data_digest {
            return Err(Error::OtherData { path, found: self.data_digest.clone(), now: data_digest.to_owned() });
        }
        Ok(())
    }

    /// Its parameters alone.
    pub fn into_weights(self) -> Weights {
        Weights { kind: self.kind, dims: self.dims, values: self.values }
    }

    /// Writes it, in safetensors' format.
    ///
    /// # Errors
    /// The file cannot be written; what was there before is still there.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let layout = layout_of(self.kind, self.dims);
        let note = Note {
            kind: self.kind,
            dims: self.dims,
            data_digest: self.data_digest.clone(),
            progress: self.progress.clone(),
        };
        let note = serde_json::to_string(&note).map_err(safetensors::SafeTensorError::from);
        let write = || -> Result<Vec<u8>, crate::tensor::FileError> {
            let mut file = TensorFile { note: Some(note?), tensors: to_tensors(&layout, VALUES, &self.values) };
            file.tensors.extend(to_tensors(&layout, FIRST_MOMENT, &self.first_moment));
            file.tensors.extend(to_tensors(&layout, SECOND_MOMENT, &self.second_moment));
            file.to_bytes()
        };
        let bytes = write().map_err(|source| Error::File { path: path.to_owned(), source })?;
        Ok(files::write_atomically(path, &bytes)?)
    }

    /// Reads one.
    ///
    /// # Errors
    /// The file is missing, damaged, or something else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let at = || path.to_owned();
        let no_checkpoint = |problem: String| Error::NoCheckpoint { path: at(), problem };
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: at(), source })?;
        let file = TensorFile::from_bytes(&bytes).map_err(|source| Error::File { path: at(), source })?;
        let note = file.note.as_deref().ok_or_else(|| no_checkpoint("it has no state of a run".to_owned()))?;
        let note: Note =
            serde_json::from_str(note).map_err(|e| no_checkpoint(format!("its state is unreadable: {e}")))?;
        let Dims { input, hidden, latent } = note.dims;
        let elements: usize = file.tensors.values().map(|(_, values)| values.len()).sum();
        if input.max(hidden).max(latent) > elements {
            return Err(no_checkpoint(format!("its sizes {} are more than its tensors", note.dims)));
        }
        let layout = layout_of(note.kind, note.dims);
        let arena = |prefix| {
            from_tensors(&layout, prefix, &file.tensors).map_err(|source| Error::Weights { path: at(), source })
        };
        Ok(Self {
            kind: note.kind,
            dims: note.dims,
            data_digest: note.data_digest,
            progress: note.progress,
            values: arena(VALUES)?,
            first_moment: arena(FIRST_MOMENT)?,
            second_moment: arena(SECOND_MOMENT)?,
        })
    }
}
