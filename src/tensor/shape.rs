//! The shape of a row-major array.

use std::fmt;

/// The shape of a vector or of a row-major matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[n]`
    Vector(usize),
    /// `[rows, columns]`
    Matrix(usize, usize),
}

impl Shape {
    /// The number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::Vector(n) => n,
            Self::Matrix(rows, columns) => rows * columns,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The dimensions, outermost first.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Self::Vector(n) => vec![n],
            Self::Matrix(rows, columns) => vec![rows, columns],
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vector(n) => write!(f, "[{n}]"),
            Self::Matrix(rows, columns) => write!(f, "[{rows}, {columns}]"),
        }
    }
}
