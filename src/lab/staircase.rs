//! The staircase of `kernels/gemm/`: ten kernels that multiply the same matrices, each with one idea more than the one before.
//!
//! All steps multiply C `[m, n]` = A `[m, k]` B `[k, n]`, row-major and dense, and take one argument, a
//! [`Product`](crate::backend::cuda::gemm::Product). The first five are pages to read; the others are what the engine launches.

use crate::backend::cuda::compile::Source;
use crate::backend::cuda::gemm::{Epilogue, Family, Layout, Plan, Size, Variant};

/// A step of the staircase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A thread for each element of C, lanes along its columns.
    Naive,
    /// The same with lanes along C's rows.
    Coalesced,
    /// Tiles of both operands in shared memory.
    SharedTile,
    /// A column of 8 elements of C in each thread's registers.
    Tile1d,
    /// 8 x 8 elements of C in each thread's registers.
    Tile2d,
    /// Accesses of 16 bytes.
    Vectorised,
    /// Copies to shared memory that pass no register.
    AsyncCopy,
    /// Several blocks share the sum of a tile.
    SplitK,
    /// Tensor cores, operands rounded to tf32.
    Tf32,
    /// Tensor cores, operands rounded to bf16.
    Bf16,
}

/// What a step is launched with for a size: one block index, one thread index, no dynamic shared memory.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLaunch {
    /// What is compiled.
    pub source: Source,
    /// The kernel's name in it.
    pub entry: &'static str,
    /// Blocks.
    pub grid: u32,
    /// Threads of a block.
    pub block: u32,
    /// How the step cuts the product up, where it is one that the engine launches.
    pub plan: Option<Plan>,
    /// Whether all addresses must be multiples of 16 bytes.
    pub aligned: bool,
    /// Blocks that share the sum of one tile: `Product::splits`.
    pub splits: u32,
    /// Floats of `Product::workspace`.
    pub workspace: usize,
    /// Numbers of `Product::tickets`, 0 before and after.
    pub tickets: usize,
}

/// What a page to read has as constants: the side of its square tile of C, and its threads.
struct Page {
    entry: &'static str,
    tile: usize,
    block: u32,
}

/// How the step is told: by a page of its own, or as a family of the engine's products.
enum Kind {
    Page(Page),
    Family(Family),
}

impl Step {
    /// All of them, from the bottom up.
    pub const ALL: [Step; 10] = [
        Step::Naive,
        Step::Coalesced,
        Step::SharedTile,
        Step::Tile1d,
        Step::Tile2d,
        Step::Vectorised,
        Step::AsyncCopy,
        Step::SplitK,
        Step::Tf32,
        Step::Bf16,
    ];

    /// Its number, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Its name, as its header tells it.
    pub fn name(self) -> &'static str {
        self.file().trim_end_matches(".cu")
    }

    /// Its file, relative to `kernels/`.
    pub fn file(self) -> &'static str {
        match self {
            Step::Naive => "gemm/1_naive.cu",
            Step::Coalesced => "gemm/2_coalesced.cu",
            Step::SharedTile => "gemm/3_shared_tile.cu",
            Step::Tile1d => "gemm/4_tile1d.cu",
            Step::Tile2d => "gemm/5_tile2d.cu",
            Step::Vectorised => "gemm/6_vectorised.cu",
            Step::AsyncCopy => "gemm/7_async_copy.cu",
            Step::SplitK => "gemm/8_split_k.cu",
            Step::Tf32 => "gemm/9_tf32.cu",
            Step::Bf16 => "gemm/10_bf16.cu",
        }
    }

    /// The oldest compute capability that runs it.
    pub fn oldest_capability(self) -> (u32, u32) {
        if self < Step::AsyncCopy { (7, 5) } else { (8, 0) }
    }

    /// What it is launched with for a product of this size whose operands begin at multiples of 16 bytes.
    pub fn launch(self, size: Size) -> StepLaunch {
        match self.kind() {
            Kind::Page(page) => self.launch_page(page, size),
            Kind::Family(family) => self.launch_family(family, size),
        }
    }

    fn kind(self) -> Kind {
        let page = |entry, tile, block| Kind::Page(Page { entry, tile, block });
        match self {
            Step::Naive => page("gemm_naive", 32, 1024),
            Step::Coalesced => page("gemm_coalesced", 32, 1024),
            Step::SharedTile => page("gemm_shared_tile", 32, 1024),
            Step::Tile1d => page("gemm_tile1d", 64, 512),
            Step::Tile2d => page("gemm_tile2d", 128, 256),
            Step::Vectorised => Kind::Family(Family::Vectorised),
            Step::AsyncCopy => Kind::Family(Family::AsyncCopy),
            Step::SplitK => Kind::Family(Family::SplitK),
            Step::Tf32 => Kind::Family(Family::Tf32),
            Step::Bf16 => Kind::Family(Family::Bf16),
        }
    }

    fn launch_page(self, Page { entry, tile, block }: Page, size: Size) -> StepLaunch {
        StepLaunch {
            source: Source { file: self.file(), defines: Vec::new() },
            entry,
            grid: (size.m.div_ceil(tile) * size.n.div_ceil(tile)) as u32,
            block,
            plan: None,
            aligned: false,
            splits: 1,
            workspace: 0,
            tickets: 0,
        }
    }

    fn launch_family(self, family: Family, size: Size) -> StepLaunch {
        let plan = Plan::new(family, size, Layout::Nn, Epilogue::Plain);
        let variant = Variant { family, aligned: size.is_aligned(Layout::Nn), first: plan.form, second: None };
        StepLaunch {
            source: Source { file: variant.file(), defines: variant.defines() },
            entry: variant.entry(),
            grid: plan.blocks,
            block: variant.block(),
            plan: Some(plan),
            aligned: variant.aligned,
            splits: plan.splits,
            workspace: plan.workspace(),
            tickets: plan.tickets(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::cuda::sources;

    #[test]
    fn a_steps_number_begins_its_files_name() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step.number(), index + 1);
            assert!(step.name().starts_with(&format!("gemm/{}_", index + 1)), "{step:?}");
        }
    }

    #[test]
    fn the_pages_are_launched_as_their_headers_say() {
        let size = Size { m: 1000, n: 300, k: 7 };
        for step in Step::ALL {
            let Kind::Page(page) = step.kind() else { continue };
            let text = sources::text(step.file()).unwrap();
            let Page { entry, tile, block } = page;
            let launch = format!("grid ceil(M/{tile}) * ceil(N/{tile}), tiles of C row by row; block {block}");
            assert!(text.lines().any(|line| line.starts_with(&format!("// Launch    {launch}"))), "{step:?}: {launch}");
            assert!(text.contains(&format!(" {entry}(Product p)")), "{step:?}: {entry}");
            assert!(text.contains(&format!("constexpr int TILE = {tile};")), "{step:?}: {tile}");
            assert_eq!(step.launch(size).grid as usize, size.m.div_ceil(tile) * size.n.div_ceil(tile), "{step:?}");
        }
    }

    #[test]
    fn the_engines_steps_are_launched_as_it_launches_them() {
        let size = Size { m: 100, n: 400, k: 784 };
        let launch = Step::SplitK.launch(size);
        let plan = Plan::new(Family::SplitK, size, Layout::Nn, Epilogue::Plain);
        assert_eq!((launch.plan, launch.grid, launch.workspace), (Some(plan), plan.blocks, plan.workspace()));
        assert!(launch.aligned && launch.splits > 1 && launch.tickets > 0);
        assert!(!Step::SplitK.launch(Size { m: 100, n: 401, k: 784 }).aligned);
    }
}
