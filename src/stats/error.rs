//! What cannot be computed.

/// Why a statistic cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// All items belong to one class.
    #[error("all {0} items belong to one class: nothing to tell apart; take a set that holds both")]
    OneClass(usize),
    /// A number that is none.
    #[error("value {index} is not a number: the model has diverged, or the input is no image")]
    NotANumber {
        /// Where it stands.
        index: usize,
    },
    /// Two lists that should be as long as each other.
    #[error("{values} values for {labels} labels: give one of each")]
    LengthsDiffer {
        /// Number of values, or of rows.
        values: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Too few rows.
    #[error("{found} rows are too few: {needed} are needed")]
    TooFew {
        /// Rows given.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// More components than columns.
    #[error("{components} components of {columns} columns: choose at most {columns}")]
    Components {
        /// Components asked for.
        components: usize,
        /// Columns there are.
        columns: usize,
    },
    /// A decomposition or a minimisation that failed.
    #[error("{0}")]
    Numerical(String),
}

/// Refuses the first value that is not a number.
pub(super) fn all_numbers(values: impl IntoIterator<Item = f64>) -> Result<(), Error> {
    match values.into_iter().position(f64::is_nan) {
        Some(index) => Err(Error::NotANumber { index }),
        None => Ok(()),
    }
}
