//! Why a command failed.

use crate::{lab, train};

/// Why a command failed; its message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run of training or evaluating, or a setting.
    #[error(transparent)]
    Run(#[from] train::Error),
    /// A kernel by itself.
    #[error(transparent)]
    Lab(#[from] lab::Error),
    /// softcuda.
    #[error(transparent)]
    Softcuda(#[from] softcuda::LibraryError),
    /// softcuda's checks found something.
    #[error("softcuda found {0} faults in what was launched, shown above; each names its kernel and line")]
    Findings(usize),
}

impl Error {
    /// Whether the user's input is at fault, rather than the program or what it ran.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Self::Run(error) => error.is_input_fault(),
            Self::Lab(error) => error.is_input_fault(),
            Self::Softcuda(_) => true,
            Self::Findings(_) => false,
        }
    }
}
