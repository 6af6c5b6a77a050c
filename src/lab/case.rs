//! A kernel on a problem: what it is given, how it is launched, and what must come of it.

use crate::backend::cuda::Argument;
use crate::backend::cuda::compile::Source;

/// What a buffer of the device holds before the launch.
#[derive(Clone, Debug)]
pub enum Contents {
    /// These bytes.
    Given(Vec<u8>),
    /// So many bytes of 0.
    Zeros(usize),
    /// So many bytes that nothing has written.
    Unwritten(usize),
}

impl Contents {
    /// These numbers.
    pub fn of<T: bytemuck::NoUninit>(values: &[T]) -> Self {
        Self::Given(bytemuck::cast_slice(values).to_vec())
    }

    /// Room for so many numbers.
    pub fn room<T>(count: usize) -> Self {
        Self::Unwritten(count * size_of::<T>())
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Given(bytes) => bytes.len(),
            Self::Zeros(len) | Self::Unwritten(len) => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes a kernel's arguments of the addresses of the case's buffers.
type Arguments = Box<dyn Fn(&[u64]) -> Vec<Argument> + Send + Sync>;

/// A launch on a grid of one dimension.
pub struct Launch {
    /// The file and what it is compiled with.
    pub source: Source,
    /// The kernel in it.
    pub entry: &'static str,
    /// Blocks of the grid.
    pub grid: u32,
    /// Threads of a block.
    pub block: u32,
    /// Its arguments, from the addresses of the buffers.
    pub arguments: Arguments,
}

/// How the numbers of a buffer are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// float32.
    F32,
    /// float64.
    F64,
    /// Unsigned, 64 bits; exact in float64 up to 2^53.
    U64,
}

/// Which numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Each.
    Each,
    /// The sum of all: parts of one result.
    Sum,
}

/// What a buffer must hold after the launches.
pub struct Expected {
    /// The result's name.
    pub what: &'static str,
    /// Which buffer.
    pub buffer: usize,
    /// The first of its bytes that is read.
    pub offset: usize,
    /// How it is read.
    pub number: Number,
    /// What is compared.
    pub compared: Compared,
    /// What must come out, computed in float64.
    pub values: Vec<f64>,
    /// How far off each may be; 0 for exact.
    pub allowed: Vec<f64>,
}

/// The least that must be done, however it is done.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Work {
    /// Floating-point operations; a fused multiply-add is two.
    pub flop: f64,
    /// Bytes of device memory if each input is read once and each result written once.
    pub bytes: f64,
}

impl Work {
    /// FLOP for each byte.
    pub fn intensity(&self) -> f64 {
        self.flop / self.bytes
    }
}

/// A kernel, or a few of them in sequence, on a problem.
pub struct Case {
    /// The name in the catalogue.
    pub name: &'static str,
    /// What lies on the device.
    pub buffers: Vec<Contents>,
    /// What is launched, in order.
    pub launches: Vec<Launch>,
    /// What must come of it.
    pub expected: Vec<Expected>,
    /// What it takes at least.
    pub work: Work,
}

/// How near the results came.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Agreement {
    /// Numbers compared.
    pub compared: usize,
    /// The largest difference.
    pub worst: f64,
    /// The largest difference as a share of what rounding explains; 0 where all is exact.
    pub worst_share: f64,
}

impl Agreement {
    /// Takes what another result's comparison gave.
    pub fn and(self, other: Self) -> Self {
        Self {
            compared: self.compared + other.compared,
            worst: self.worst.max(other.worst),
            worst_share: self.worst_share.max(other.worst_share),
        }
    }
}
