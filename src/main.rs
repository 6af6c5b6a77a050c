//! The `latent` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    latent::cli::run()
}
