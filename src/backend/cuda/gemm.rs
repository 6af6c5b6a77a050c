//! Products of matrices on the GPU: which instance of `kernels/gemm/` multiplies a given shape, and what it is launched with.
//!
//! Every choice follows from the shape alone, never from the device's size, so that every GPU sums in the same order and gives
//! the same bits.

use crate::backend::Precision;

/// What a kernel is told about a product C = A B; `kernels/gemm/product.cuh` has the same fields in the same order.
///
/// Addresses are the device's; 0 where an epilogue has no use for one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Product {
    /// The first operand.
    pub a: u64,
    /// The second operand.
    pub b: u64,
    /// The result, `[m, n]`.
    pub c: u64,
    /// `[n]`, added to every row.
    pub bias: u64,
    /// `[m, n]`: targets of [`Epilogue::BiasBce`], activations of [`Epilogue::Derivative`].
    pub other: u64,
    /// `[m]`, written by [`Epilogue::BiasGradient`].
    pub bias_gradient: u64,
    /// [`Epilogue::BiasBce`]: one f64 for each tile, the loss of its elements.
    pub partial: u64,
    /// [`Plan::workspace`] f32 for the partial sums of a split product.
    pub workspace: u64,
    /// [`Plan::tickets`] u32, 0 before and after a launch.
    pub tickets: u64,
    /// [`Epilogue::BiasBce`]: the backend's control, where a non-finite logit is noted.
    pub control: u64,
    /// Rows of C.
    pub m: i32,
    /// Columns of C.
    pub n: i32,
    /// Terms of each sum.
    pub k: i32,
    /// Blocks that share the sum of one tile.
    pub splits: i32,
}

// SAFETY: plain numbers in the layout of C, which the kernel shares.
unsafe impl cudarc::driver::DeviceRepr for Product {}

impl Product {
    /// Whether a product of this layout may be copied 16 bytes at a time: rows and addresses are multiples of that.
    pub fn is_aligned(&self, layout: Layout) -> bool {
        let addresses = [self.a, self.b, self.c, self.bias, self.other];
        addresses.iter().all(|address| address % 16 == 0) && self.size().is_aligned(layout)
    }

    /// The product's extent.
    pub fn size(&self) -> Size {
        // The kernel's sizes are those of a Size, which fit.
        Size { m: self.m as usize, n: self.n as usize, k: self.k as usize }
    }
}

/// How the operands lie in memory, row-major and dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A `[m, k]`, B `[n, k]`: x W^T, the forward pass.
    Nt,
    /// A `[m, k]`, B `[k, n]`: dY W, the gradient at a layer's input.
    Nn,
    /// A `[k, m]`, B `[k, n]`: dY^T x, the gradient at a layer's weight.
    Tn,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 3] = [Layout::Nt, Layout::Nn, Layout::Tn];

    fn macro_value(self) -> &'static str {
        match self {
            Layout::Nt => "NT",
            Layout::Nn => "NN",
            Layout::Tn => "TN",
        }
    }
}

/// What becomes of a sum s at row i, column j of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    /// s.
    Plain,
    /// s + bias_j.
    Bias,
    /// LeakyReLU(s + bias_j).
    BiasLeakyRelu,
    /// sigmoid(s + bias_j).
    BiasSigmoid,
    /// The gradient of the binary cross-entropy at the logit s + bias_j; the tile's loss goes to `partial`.
    BiasBce,
    /// s times LeakyReLU's derivative at other_ij.
    Derivative,
    /// s; beside it the sums of A's columns, the bias gradient. Layout [`Layout::Tn`] alone.
    BiasGradient,
}

impl Epilogue {
    fn macro_value(self) -> &'static str {
        match self {
            Epilogue::Plain => "PLAIN",
            Epilogue::Bias => "BIAS",
            Epilogue::BiasLeakyRelu => "BIAS_LEAKY_RELU",
            Epilogue::BiasSigmoid => "BIAS_SIGMOID",
            Epilogue::BiasBce => "BIAS_BCE",
            Epilogue::Derivative => "DERIVATIVE",
            Epilogue::BiasGradient => "BIAS_GRADIENT",
        }
    }
}

/// How a product is cut up: `m` x `n` of C a block, `k` of the sum a step, `thread_m` x `thread_n` of C a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of C a block.
    pub m: u32,
    /// Columns of C a block.
    pub n: u32,
    /// Terms of the sum that lie in shared memory at once.
    pub k: u32,
    /// Rows of C a thread.
    pub thread_m: u32,
    /// Columns of C a thread.
    pub thread_n: u32,
    /// Tiles of k in shared memory, the one that is multiplied among them.
    pub stages: u32,
}

impl Tile {
    /// Threads of a block.
    pub const fn threads(self) -> u32 {
        self.m / self.thread_m * (self.n / self.thread_n)
    }
}

/// One of the products that a kernel multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// How its operands lie.
    pub layout: Layout,
    /// How its sums end.
    pub epilogue: Epilogue,
    /// How it is cut up.
    pub tile: Tile,
}

/// The file of `kernels/gemm/` that an instance is compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `6_vectorised.cu`, for any device; products are never split.
    Vectorised,
    /// `7_async_copy.cu`, from compute capability 8.0; products are never split. A step of the staircase that no device is best
    /// served with.
    AsyncCopy,
    /// `8_split_k.cu`, from compute capability 8.0.
    SplitK,
    /// `9_tf32.cu`, from compute capability 8.0: operands are rounded to tf32.
    Tf32,
    /// `10_bf16.cu`, from compute capability 8.0: operands are rounded to bf16.
    Bf16,
}

impl Family {
    /// The fastest one of `precision` that a device of this compute capability runs; `None` where none does.
    pub fn of(compute_capability: (u32, u32), precision: Precision) -> Option<Family> {
        let is_ampere = compute_capability >= (8, 0);
        match precision {
            Precision::Fp32 => Some(if is_ampere { Family::SplitK } else { Family::Vectorised }),
            Precision::Tf32 => is_ampere.then_some(Family::Tf32),
            Precision::Bf16 => is_ampere.then_some(Family::Bf16),
        }
    }

    /// The tiles that plans choose among, from large to small.
    pub fn tiles(self) -> &'static [Tile] {
        match self {
            Family::Vectorised | Family::AsyncCopy | Family::SplitK => &TILES,
            Family::Tf32 | Family::Bf16 => &TENSOR_TILES,
        }
    }
}

/// An instance of a kernel: what distinguishes one compilation from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The file it is compiled from.
    pub family: Family,
    /// Copies of 16 bytes, which [`Product::is_aligned`] allows; of 4 otherwise.
    pub aligned: bool,
    /// The product, or the first of two.
    pub first: Form,
    /// The second product of the same launch; its blocks have as many threads.
    pub second: Option<Form>,
}

impl Variant {
    /// The file, relative to `kernels/`.
    pub fn file(&self) -> &'static str {
        match self.family {
            Family::Vectorised => "gemm/6_vectorised.cu",
            Family::AsyncCopy => "gemm/7_async_copy.cu",
            Family::SplitK => "gemm/8_split_k.cu",
            Family::Tf32 => "gemm/9_tf32.cu",
            Family::Bf16 => "gemm/10_bf16.cu",
        }
    }

    /// The kernel's name.
    pub fn entry(&self) -> &'static str {
        if self.second.is_some() {
            return "gemm_weights_and_inputs";
        }
        match self.first.epilogue {
            Epilogue::Plain => "gemm",
            Epilogue::Bias => "gemm_bias",
            Epilogue::BiasLeakyRelu => "gemm_bias_leaky_relu",
            Epilogue::BiasSigmoid => "gemm_bias_sigmoid",
            Epilogue::BiasBce => "gemm_bias_bce",
            Epilogue::Derivative => "gemm_derivative",
            Epilogue::BiasGradient => "gemm_weights",
        }
    }

    /// The compiler's options that make this instance of the file.
    pub fn defines(&self) -> Vec<String> {
        let vector = if self.aligned { 4 } else { 1 };
        let mut defines = vec![format!("KERNEL={}", self.entry()), format!("VECTOR={vector}")];
        defines.extend(self.first.defines(""));
        defines.extend(self.second.iter().flat_map(|second| second.defines("_2")));
        defines
    }

    /// Threads of a block.
    pub fn block(&self) -> u32 {
        self.first.tile.threads()
    }
}

impl Form {
    fn defines(&self, suffix: &str) -> Vec<String> {
        let tile = self.tile;
        let words = [("LAYOUT", self.layout.macro_value()), ("EPILOGUE", self.epilogue.macro_value())];
        let numbers = [
            ("TILE_M", tile.m),
            ("TILE_N", tile.n),
            ("TILE_K", tile.k),
            ("THREAD_M", tile.thread_m),
            ("THREAD_N", tile.thread_n),
            ("STAGES", tile.stages),
        ];
        let words = words.iter().map(|(name, value)| format!("{name}{suffix}={value}"));
        words.chain(numbers.iter().map(|(name, value)| format!("{name}{suffix}={value}"))).collect()
    }
}

/// The extent of a product: C `[m, n]`, sums of `k` terms; each from 1 to `i32::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Terms of each sum.
    pub k: usize,
}

impl Size {
    /// Whether the rows of both operands and of C are multiples of what is moved in one piece: 16 bytes, or 8 of C where B's
    /// rows run along k.
    pub fn is_aligned(self, layout: Layout) -> bool {
        let Size { m, n, k } = self;
        match layout {
            Layout::Nt => k % 4 == 0 && n % 2 == 0,
            Layout::Nn => k % 4 == 0 && n % 4 == 0,
            Layout::Tn => m % 4 == 0 && n % 4 == 0,
        }
    }

    fn tiles(self, tile: Tile) -> usize {
        self.m.div_ceil(tile.m as usize) * self.n.div_ceil(tile.n as usize)
    }

    /// Elements of all tiles, those outside C among them.
    fn padded(self, tile: Tile) -> usize {
        self.tiles(tile) * tile.m as usize * tile.n as usize
    }
}

/// How one product is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Its form.
    pub form: Form,
    /// Blocks that share the sum of one tile.
    pub splits: u32,
    /// Tiles of C.
    pub tiles: u32,
    /// Blocks of the launch.
    pub blocks: u32,
}

/// The tiles that a plan chooses from, from large to small.
///
/// The first is for products that fill any device, as 4096^3 does; `tests/machine_code.rs` and `tests/staircase` hold what is said
/// of it for 8.0 and 9.0.
///
/// - **Device memory**: a step brings 4 k (m + n) bytes for 2 k m n FLOP: 1/32 byte a FLOP at 128 x 128, 1/16 at 64 x 64, 1/8 at
///   32 x 32. An A100 moves 1/12 byte for each f32 FLOP, an H100 1/20: the first tile needs no cache's help on either.
/// - **Shared memory**: with 8 x 8 sums a thread a warp reads 96 different floats for 2048 multiply-adds, 0.19 bytes each, where
///   a multiprocessor reads 1 byte or more; each read is one wavefront.
/// - **Registers**: 64 sums, up to 48 of fragments and a dozen of addresses fit in 128, so that 64 Ki registers hold two blocks of
///   256 threads, 16 warps: one block multiplies while the other waits at its barrier. Where both operands' rows run along k,
///   fragments take four k of both, 64 registers: such a block is alone (`two_blocks_fit` in `kernels/gemm/form.cuh`).
/// - **Room**: two stages of (128 x 20 + 16 x 128) floats are 36 KiB a block, 74 KiB for two with what each block costs: within
///   the 164 KiB of 8.0, the 228 of 9.0 and the 100 of 8.6. A third stage would pass the 48 KiB that a block may have unasked.
/// - **Depth**: beside its 64 k multiply-adds a step spends some 4 k instructions on reads, and 55 on copies, the barrier and addresses:
///   89 % of the main loop are FFMA at a depth of 16; at 8 they are 87 %, with twice the barriers.
///
/// The others are for products that would leave a large device idle: more blocks, each with fewer sums a thread and more stages, for
/// there are fewer warps to wait with.
pub const TILES: [Tile; 4] = [
    Tile { m: 128, n: 128, k: 16, thread_m: 8, thread_n: 8, stages: 2 },
    Tile { m: 64, n: 64, k: 16, thread_m: 8, thread_n: 4, stages: 3 },
    Tile { m: 64, n: 32, k: 16, thread_m: 8, thread_n: 4, stages: 4 },
    Tile { m: 32, n: 32, k: 16, thread_m: 4, thread_n: 4, stages: 4 },
];

/// The same on tensor cores, where a warp is eight rows of four threads.
const TENSOR_TILES: [Tile; 3] = [
    Tile { m: 128, n: 64, k: 16, thread_m: 8, thread_n: 8, stages: 2 },
    Tile { m: 64, n: 64, k: 16, thread_m: 4, thread_n: 8, stages: 3 },
    Tile { m: 32, n: 32, k: 32, thread_m: 2, thread_n: 4, stages: 4 },
];

/// Tiles of k in shared memory where one is multiplied while the next one comes.
const DOUBLE_BUFFER: u32 = 2;

/// Rows of a tile that lies across k: the gradient at a weight sums over a batch, of which 100 has no use for a tile of 16.
const BATCH_DEPTH: u32 = 20;

/// Blocks without which a large GPU idles, and blocks beyond which splitting gains nothing.
const FEW_BLOCKS: usize = 200;
const MANY_BLOCKS: usize = 400;

/// Terms below which a part of a sum is not worth a block of its own.
const LEAST_PART: usize = 96;

/// Parts that a sum may be split into.
fn parts(family: Family, size: Size) -> usize {
    match family {
        Family::Vectorised | Family::AsyncCopy => 1,
        Family::SplitK | Family::Tf32 | Family::Bf16 => (size.k / LEAST_PART).max(1),
    }
}

impl Plan {
    /// The plan for a product, from its shape alone: the largest tile that leaves enough blocks and wastes little at the edges.
    pub fn new(family: Family, size: Size, layout: Layout, epilogue: Epilogue) -> Plan {
        let tiles = family.tiles();
        let smallest = tiles[tiles.len() - 1];
        let wastes_little = |tile| size.padded(tile) * 8 <= size.padded(smallest) * 9;
        let leaves_enough = |tile| size.tiles(tile) * parts(family, size) >= FEW_BLOCKS;
        let tile = tiles.iter().copied().find(|tile| wastes_little(*tile) && leaves_enough(*tile)).unwrap_or(smallest);
        Plan::with_tile(family, size, Form { layout, epilogue, tile })
    }

    /// The plans for two products of one launch, whose blocks have the same number of threads.
    pub fn pair(family: Family, sizes: [Size; 2], layouts: [Layout; 2], epilogues: [Epilogue; 2]) -> [Plan; 2] {
        let plan = |index: usize| Plan::new(family, sizes[index], layouts[index], epilogues[index]);
        let [first, second] = [plan(0), plan(1)];
        let [few, many] = [first, second].map(|plan| plan.form.tile.threads());
        if few == many {
            return [first, second];
        }
        let tile = if few < many { first.form.tile } else { second.form.tile };
        [(first, sizes[0]), (second, sizes[1])]
            .map(|(plan, size)| Plan::with_tile(family, size, Form { tile, ..plan.form }))
    }

    /// The plan with a tile of choice, whose depth and stages are fitted to layout and family.
    pub fn with_tile(family: Family, size: Size, mut form: Form) -> Plan {
        let tiles = size.tiles(form.tile);
        let splits = (MANY_BLOCKS / tiles).clamp(1, parts(family, size));
        let is_fp32 = matches!(family, Family::Vectorised | Family::AsyncCopy | Family::SplitK);
        if matches!(family, Family::Vectorised | Family::AsyncCopy) {
            form.tile.stages = DOUBLE_BUFFER;
        }
        if is_fp32 && form.layout == Layout::Tn {
            form.tile.k = BATCH_DEPTH;
        }
        Plan { form, splits: splits as u32, tiles: tiles as u32, blocks: (tiles * splits) as u32 }
    }

    /// Floats of workspace that the product's partial sums take.
    pub fn workspace(&self) -> usize {
        let Tile { m, n, .. } = self.form.tile;
        let column_sums = if self.form.epilogue == Epilogue::BiasGradient { m } else { 0 };
        if self.splits > 1 { self.blocks as usize * (m * n + column_sums) as usize } else { 0 }
    }

    /// Tickets that the product takes.
    pub fn tickets(&self) -> usize {
        if self.splits > 1 { self.tiles as usize } else { 0 }
    }
}
