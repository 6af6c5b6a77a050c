//! Options that say what the device is like, for all commands.

use crate::settings::{Settings, SettingsError};

/// What the device is like.
#[derive(Debug, clap::Args)]
pub struct DeviceOptions {
    /// Compute capability of the device, such as 8.0
    #[arg(long, value_name = "X.Y")]
    cc: Option<String>,
    /// Memory of the device, such as 2GiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Checks to make: all, none, or some of memory,init,race,sync
    #[arg(long, value_name = "CHECKS")]
    check: Option<String>,
    /// Host threads that run the blocks of a launch
    #[arg(long, value_name = "N")]
    threads: Option<String>,
    /// Warp instructions after which a launch is stopped
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// File to which findings are added, a JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
    /// File to which counts are added, a JSON object a line
    #[arg(long, value_name = "FILE")]
    counts: Option<String>,
}

/// An option, or the variable of the same meaning, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// An option.
    #[error("{option} '{value}' is not {expected}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A variable.
    #[error("{0}")]
    Variable(SettingsError),
}

impl DeviceOptions {
    /// The option that means the same as a variable, and its value.
    fn option(&self, variable: &str) -> Option<(&'static str, &String)> {
        let (name, value) = match variable {
            "SOFTCUDA_CC" => ("--cc", &self.cc),
            "SOFTCUDA_MEMORY" => ("--memory", &self.memory),
            "SOFTCUDA_CHECK" => ("--check", &self.check),
            "SOFTCUDA_THREADS" => ("--threads", &self.threads),
            "SOFTCUDA_LIMIT" => ("--limit", &self.limit),
            "SOFTCUDA_REPORT" => ("--report", &self.report),
            "SOFTCUDA_COUNTS" => ("--counts", &self.counts),
            _ => return None,
        };
        value.as_ref().map(|value| (name, value))
    }

    /// The settings by options, then variables, then `checks`.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn settings(&self, checks: &str) -> Result<Settings, OptionError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let unset = |name: &str| (name == "SOFTCUDA_CHECK").then(|| checks.to_owned());
        let option = |name: &str| self.option(name).map(|(_, value)| value.clone());
        Settings::from_lookup(|name| option(name).or_else(|| set(name)).or_else(|| unset(name))).map_err(|error| {
            match self.option(error.variable) {
                Some((option, value)) => OptionError::Option { option, value: value.clone(), expected: error.expected },
                None => OptionError::Variable(error),
            }
        })
    }
}
