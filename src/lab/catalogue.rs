//! The kernels by name.

use super::products::{self, Launched};
use super::staircase::Step;
use super::{Case, Error};
use crate::backend::Precision;
use crate::backend::cuda::gemm::Size;

/// A kernel.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    step: Step,
}

/// A staircase.
pub struct Staircase {
    /// Its name.
    pub name: &'static str,
    /// What it computes.
    pub what: &'static str,
    /// Its steps.
    pub steps: &'static [&'static str],
}

/// All staircases.
pub const STAIRCASES: &[Staircase] = &[Staircase {
    name: "gemm",
    what: "C = A B",
    steps: &[
        "gemm/1_naive",
        "gemm/2_coalesced",
        "gemm/3_shared_tile",
        "gemm/4_tile1d",
        "gemm/5_tile2d",
        "gemm/6_vectorised",
        "gemm/7_async_copy",
        "gemm/8_split_k",
        "gemm/9_tf32",
        "gemm/10_bf16",
    ],
}];

/// By name.
pub fn find(name: &str) -> Option<Entry> {
    Step::ALL.into_iter().find(|step| step.name() == name).map(|step| Entry { name: step.name(), step })
}

impl Entry {
    /// A case.
    ///
    /// # Errors
    /// Too old.
    pub fn case(&self, capability: (u32, u32), size: Size) -> Result<Case, Error> {
        let needs = self.step.oldest_capability();
        if capability < needs {
            return Err(Error::TooOld { name: self.name, needs, has: capability });
        }
        let launch = self.step.launch(size);
        let precision = match self.step {
            Step::Tf32 => Precision::Tf32,
            Step::Bf16 => Precision::Bf16,
            _ => Precision::Fp32,
        };
        let launched = Launched {
            source: launch.source,
            entry: launch.entry,
            grid: launch.grid,
            block: launch.block,
            plan: launch.plan,
            precision,
        };
        Ok(products::case(self.name, launched, size))
    }
    /// Usual size.
    pub fn usual(&self) -> Size {
        Size { m: 512, n: 512, k: 512 }
    }
}
