//! `kernels run`: one kernel, verified, then measured or counted.

use clap::Args;

use super::machine::{Machine, Where};
use crate::cli::{Error, display};
use crate::lab::catalogue::{self, Size};

/// Options of `kernels run`.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// Rows
    #[arg(long, default_value_t = 512)]
    m: usize,
    /// Columns
    #[arg(long, default_value_t = 512)]
    n: usize,
    /// Terms of each sum
    #[arg(long, default_value_t = 512)]
    k: usize,
    #[command(flatten)]
    place: Where,
}

impl Run {
    /// Runs the kernel.
    ///
    /// # Errors
    /// The input is at fault, or the kernel or its device.
    pub fn run(&self) -> Result<(), Error> {
        let mut machine = Machine::open(self.place)?;
        let size = Size { m: self.m, n: self.n, k: self.k };
        let entry = catalogue::find("gemm/8_split_k").expect("it is in the catalogue");
        let case = entry.case(machine.bench.info().compute_capability, size)?;
        let (agreement, counts) = machine.counted(|bench| {
            let placed = bench.place(&case)?;
            Ok(bench.verify(&placed)?)
        })?;
        display::line(&format!("{agreement:?}"));
        for counts in counts {
            display::line(&format!("{counts:#?}"));
        }
        Ok(())
    }
}
