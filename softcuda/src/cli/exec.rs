//! `softcuda exec`: another program on the software device.

use super::device::DeviceOptions;
use crate::library;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

const FAILURE: u8 = 2;

/// Runs a CUDA program on the software device instead of a real one.
///
/// Options go before environment variables of the same meaning (SOFTCUDA_CHECK and so on).
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    device: DeviceOptions,
    /// The program
    command: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the program; comes back only if that fails.
pub fn run(arguments: &Arguments) -> ExitCode {
    let settings = match arguments.device.settings("none") {
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
