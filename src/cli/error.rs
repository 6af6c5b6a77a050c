//! Why a command failed.

use crate::plot::{bars, curves, grid, roofline, scatter};
use crate::{backend, data, files, lab, stats, train};

/// Why a command failed; its message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run of training or evaluating, or a setting.
    #[error(transparent)]
    Run(#[from] train::Error),
    /// The device.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Images of one's own.
    #[error(transparent)]
    Own(#[from] data::OwnError),
    /// A statistic that cannot be computed.
    #[error(transparent)]
    Stats(#[from] stats::Error),
    /// Curves that cannot be drawn.
    #[error(transparent)]
    Curves(#[from] curves::Error),
    /// Points that cannot be drawn.
    #[error(transparent)]
    Scatter(#[from] scatter::Error),
    /// Images that cannot be drawn.
    #[error(transparent)]
    Grid(#[from] grid::Error),
    /// A kernel by itself.
    #[error(transparent)]
    Lab(#[from] lab::Error),
    /// softcuda.
    #[error(transparent)]
    Softcuda(#[from] softcuda::LibraryError),
    /// Bars that cannot be drawn.
    #[error(transparent)]
    Bars(#[from] bars::Error),
    /// A roofline that cannot be drawn.
    #[error(transparent)]
    Roofline(#[from] roofline::Error),
    /// A picture that cannot be written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// softcuda's checks found something.
    #[error("softcuda found {0} faults in what was launched, shown above; each names its kernel and line")]
    Findings(usize),
}

impl Error {
    /// Whether the user's input is at fault, rather than the program or what it ran.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Self::Run(error) => error.is_input_fault(),
            Self::Backend(error) => error.is_input_fault(),
            Self::Lab(error) => error.is_input_fault(),
            Self::Own(_)
            | Self::Softcuda(_)
            | Self::File(_)
            | Self::Grid(_)
            | Self::Stats(_)
            | Self::Curves(_)
            | Self::Scatter(_) => true,
            Self::Bars(_) | Self::Roofline(_) | Self::Findings(_) => false,
        }
    }
}
