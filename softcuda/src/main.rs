//! The command `softcuda`: runs programs, or a single kernel, under the software driver.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    softcuda::cli::run(&softcuda::cli::Arguments::parse())
}
