//! `softcuda exec`: another program on the software device.

use crate::library;
use crate::settings::Settings;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

const FAILURE: u8 = 2;

/// Runs a CUDA program on the software device instead of a real one.
///
/// Options go before environment variables of the same meaning (SOFTCUDA_CHECK and so on).
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Checks to make: all, none, or some of memory,init,race,sync
    #[arg(long, value_name = "CHECKS")]
    check: Option<String>,
    /// Host threads that run the blocks of a launch
    #[arg(long, value_name = "N")]
    threads: Option<String>,
    /// Compute capability of the device, such as 8.0
    #[arg(long, value_name = "X.Y")]
    cc: Option<String>,
    /// Memory of the device, such as 2GiB
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// File to which findings are added, a JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<String>,
    /// File to which counts are added, a JSON object a line
    #[arg(long, value_name = "FILE")]
    counts: Option<String>,
    /// Warp instructions after which a launch is stopped
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// The program
    command: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Arguments {
    /// The value of an option by the variable of the same meaning.
    fn option(&self, variable: &str) -> Option<String> {
        let option = match variable {
            "SOFTCUDA_CHECK" => &self.check,
            "SOFTCUDA_THREADS" => &self.threads,
            "SOFTCUDA_CC" => &self.cc,
            "SOFTCUDA_MEMORY" => &self.memory,
            "SOFTCUDA_REPORT" => &self.report,
            "SOFTCUDA_COUNTS" => &self.counts,
            "SOFTCUDA_LIMIT" => &self.limit,
            _ => &None,
        };
        option.clone()
    }
}

/// Becomes the program; comes back only if that fails.
pub fn run(arguments: &Arguments) -> ExitCode {
    let read = Settings::from_lookup(|name| arguments.option(name).or_else(|| std::env::var(name).ok()));
    let settings = match read {
        Ok(settings) => settings,
        Err(error) => return fail(&error.to_string()),
    };
    let mut command = match library::command(&arguments.command, &settings) {
        Ok(command) => command,
        Err(error) => return fail(&error.to_string()),
    };
    let error = command.args(&arguments.arguments).exec();
    let program = arguments.command.to_string_lossy();
    fail(&format!("{program} cannot be run ({error}): give a program on PATH, or its path"))
}

fn fail(message: &str) -> ExitCode {
    eprintln!("softcuda: {message}");
    ExitCode::from(FAILURE)
}
