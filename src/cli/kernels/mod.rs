//! `kernels`: the kernels one by one. A GPU measures them; without one softcuda counts what they execute and move.

mod compare;
mod counted;
mod list;
mod machine;
mod roofline;
mod run;
mod show;
mod text;

use clap::{Args, Subcommand};

use super::Error;

/// Options of `kernels`.
#[derive(Args, Clone, Debug)]
pub struct Kernels {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// List the kernels: what each does, what it costs, what bounds it
    List(list::List),
    /// Show what a kernel is and what the compiler makes of it
    Show(show::Show),
    /// Hold a kernel against float64, then measure it on a GPU or count it on softcuda
    Run(run::Run),
    /// Run every step of a staircase on one problem: gemm, bce or epilogue
    Compare(compare::Compare),
    /// Hold every kernel against the ceilings of a GPU: what binds it, and the least time that implies
    Roofline(roofline::Roof),
}

impl Kernels {
    /// Does what the command line says.
    ///
    /// # Errors
    /// The input is at fault, or the kernel or its device.
    pub fn run(&self) -> Result<(), Error> {
        match &self.command {
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Run(run) => run.run(),
            Command::Compare(compare) => compare.run(),
            Command::Roofline(roof) => roof.run(),
        }
    }
}
