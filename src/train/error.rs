//! What can stop a run.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::backend::{self, NonFinite};
use crate::nn::{Dims, Kind, WeightsError};
use crate::plot::{curves, grid};
use crate::tensor::FileError;
use crate::{data, files};

/// Why a run did not start or did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that makes no sense.
    #[error("{setting} = {value} {problem}")]
    Setting {
        /// The setting, as the command line spells it.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A configuration file that cannot be understood.
    #[error("{path}: {problem}; `config.toml` of any run shows the keys")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A run that cannot be resumed like this.
    #[error("{path}: {problem}")]
    Resume {
        /// The run's settings.
        path: PathBuf,
        /// What is in the way, and what to do.
        problem: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}; check that this is a file, or the folder of a run")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run's folder is there already.
    #[error("{0} exists; choose another --name, continue it with --resume {0}, or remove it")]
    RunExists(PathBuf),
    /// The run's folder cannot be made.
    #[error("cannot create {path}: {source}; choose a folder that you may write to with --out")]
    CreateRun {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no model or checkpoint.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// The tensors of a file are no model.
    #[error("{path}: {source}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: WeightsError,
    },
    /// A file of tensors that is no checkpoint.
    #[error("{path}: no checkpoint of this program ({problem}); give the folder of a run to --resume")]
    NoCheckpoint {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        problem: String,
    },
    /// A checkpoint of another model.
    #[error(
        "{path}: checkpoint of a {found_kind} {found}, but the settings ask for a {kind} {dims}; \
         resume with the settings that it was trained with"
    )]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// Its model.
        found_kind: Kind,
        /// Its sizes.
        found: Dims,
        /// The model asked for.
        kind: Kind,
        /// The sizes asked for.
        dims: Dims,
    },
    /// A checkpoint that was trained on other data.
    #[error(
        "{path}: trained on other data (digest {found}, now {now}); point --data-dir at the data it was trained on"
    )]
    OtherData {
        /// The checkpoint.
        path: PathBuf,
        /// The digest it was trained on.
        found: String,
        /// The digest of the data at hand.
        now: String,
    },
    /// A number was not finite.
    #[error(
        "the loss is not finite at step {}: {}[{}, {}] = {}; the last good checkpoint is {checkpoint}; \
         try a smaller --lr (now {learning_rate:e})",
        .at.step, .at.tensor, .at.row, .at.column, .at.value
    )]
    Diverged {
        /// Where it appeared first.
        at: NonFinite,
        /// The last checkpoint.
        checkpoint: PathBuf,
        /// The learning rate.
        learning_rate: f64,
    },
    /// The device's memory is too small.
    #[error(
        "{} MiB of the GPU's memory are needed with --batch-size {batch_size} and {} MiB are free; {}",
        needed.div_ceil(1 << 20), free >> 20,
        fits.map_or_else(
            || "not even one image at a time fits: choose a smaller --hidden-dim or --latent-dim, or --device cpu".to_owned(),
            |fits| format!("--batch-size {fits} would fit, or end other programs that use the GPU"),
        )
    )]
    DeviceMemory {
        /// Bytes that the run needs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// The batch size asked for.
        batch_size: usize,
        /// The largest batch size that fits.
        fits: Option<usize>,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The device.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Writing a file.
    #[error(transparent)]
    Write(#[from] files::Error),
    /// Drawing images.
    #[error(transparent)]
    Grid(#[from] grid::Error),
    /// Drawing curves.
    #[error(transparent)]
    Curves(#[from] curves::Error),
}

impl Error {
    /// Whether the user's input is at fault, rather than the run.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Self::Diverged { .. } | Self::Grid(_) | Self::Curves(_) => false,
            Self::Backend(error) => error.is_input_fault(),
            Self::Data(error) => error.is_input_fault(),
            Self::Write(error) => can_be_chosen_otherwise(error.cause.kind()),
            Self::CreateRun { source, .. } => can_be_chosen_otherwise(source.kind()),
            _ => true,
        }
    }
}

/// Whether another folder would do: not where the disk filled up or failed during the run.
fn can_be_chosen_otherwise(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
    )
}
