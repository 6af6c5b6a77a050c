//! The kernels by name.

use super::compile::Source;
use super::gemm;

/// A kernel that the engine launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// `gather.cu`.
    Gather,
    /// `standard_normal.cu`.
    StandardNormal,
    /// `reparameterise.cu`.
    Reparameterise,
    /// `reparameterise_backward.cu`.
    ReparameteriseBackward,
    /// `importance_weights.cu`.
    ImportanceWeights,
    /// `importance_backward.cu`.
    ImportanceBackward,
    /// `adam.cu`.
    Adam,
    /// `finish.cu`.
    Finish,
    /// A product, or two of them.
    Gemm(gemm::Variant),
}

impl Kernel {
    /// Those that do not multiply matrices.
    pub const ELEMENTWISE: [Self; 8] = [
        Self::Gather,
        Self::StandardNormal,
        Self::Reparameterise,
        Self::ReparameteriseBackward,
        Self::ImportanceWeights,
        Self::ImportanceBackward,
        Self::Adam,
        Self::Finish,
    ];

    /// The kernel's name in its file.
    pub fn entry(&self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::StandardNormal => "standard_normal",
            Self::Reparameterise => "reparameterise",
            Self::ReparameteriseBackward => "reparameterise_backward",
            Self::ImportanceWeights => "importance_weights",
            Self::ImportanceBackward => "importance_backward",
            Self::Adam => "adam",
            Self::Finish => "finish_step",
            Self::Gemm(variant) => variant.entry(),
        }
    }

    /// The file and what it is compiled with.
    pub fn source(&self) -> Source {
        let (file, defines) = match self {
            Self::Gather => ("gather.cu", Vec::new()),
            Self::StandardNormal => ("standard_normal.cu", Vec::new()),
            Self::Reparameterise => ("reparameterise.cu", Vec::new()),
            Self::ReparameteriseBackward => ("reparameterise_backward.cu", Vec::new()),
            Self::ImportanceWeights => ("importance_weights.cu", Vec::new()),
            Self::ImportanceBackward => ("importance_backward.cu", Vec::new()),
            Self::Adam => ("adam.cu", Vec::new()),
            Self::Finish => ("finish.cu", Vec::new()),
            Self::Gemm(variant) => (variant.file(), variant.defines()),
        };
        Source { file, defines }
    }
}
