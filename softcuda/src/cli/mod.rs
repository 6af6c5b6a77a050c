//! The command line.

pub mod device;
pub mod exec;
pub mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A CUDA driver in software: runs, checks and counts every kernel on a machine without a GPU.
#[derive(Debug, Parser)]
#[command(name = "softcuda", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(exec::Arguments),
    Run(run::RunArguments),
}

/// Does what the command line says.
pub fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Exec(arguments) => exec::run(arguments),
        Command::Run(arguments) => run::run(arguments),
    }
}
