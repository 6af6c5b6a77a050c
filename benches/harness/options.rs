//! How a benchmark was called.

use std::path::PathBuf;

use super::Failure;

/// The options of every group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A few repetitions are enough.
    pub quick: bool,
    /// No times at all.
    pub counts: bool,
    /// The software driver even where there is a GPU.
    pub emulated: bool,
    /// The largest sizes on the software driver as well, which takes minutes for them.
    pub large: bool,
    /// Where the report goes.
    pub json: Option<PathBuf>,
}

impl Options {
    /// Those of this process.
    ///
    /// # Errors
    /// An option is unknown or lacks its value.
    pub fn of_this_process() -> Result<Self, Failure> {
        let (mut options, mut arguments) = (Self::default(), std::env::args_os().skip(1));
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--quick") => options.quick = true,
                Some("--counts") => options.counts = true,
                Some("--emulated") => options.emulated = true,
                Some("--large") => options.large = true,
                Some("--json") => options.json = Some(arguments.next().ok_or("--json takes a path")?.into()),
                // Cargo's own.
                Some("--bench") => (),
                _ => {
                    let argument = argument.to_string_lossy();
                    return Err(format!(
                        "unknown option {argument}; there are --quick, --counts, --emulated, --large and --json PATH"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}
