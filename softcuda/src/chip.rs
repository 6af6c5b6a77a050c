//! What a device of a compute capability offers, and how many blocks of a kernel fit on a multiprocessor.

/// The resources of one multiprocessor and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Multiprocessors: those of a well-known device of this compute capability (T4, A100, RTX 3090 Ti, Orin, RTX 4090
    /// without its disabled ones, H100, B200, Thor, RTX 5090).
    pub multiprocessors: u32,
    /// Threads that a multiprocessor holds.
    pub threads: u32,
    /// Blocks that a multiprocessor holds.
    pub blocks: u32,
    /// Shared memory of a multiprocessor in bytes.
    pub shared_bytes: u32,
    /// Shared memory that a block may have if its kernel asks for more than 48 KiB.
    pub shared_opt_in: u32,
    /// Shared memory that the system takes from each block.
    pub shared_reserved: u32,
    /// L2 cache in bytes.
    pub l2_bytes: u32,
}

/// Shared memory that a block has without asking.
pub const SHARED_PER_BLOCK: u32 = 48 << 10;
/// Threads that a block may have.
pub const THREADS_PER_BLOCK: u32 = 1024;
/// Registers of a multiprocessor, and of a block.
pub const REGISTERS: u32 = 65536;
/// The largest grid.
pub const GRID: [u32; 3] = [0x7fff_ffff, 65535, 65535];
/// The largest block in each dimension.
pub const BLOCK: [u32; 3] = [1024, 1024, 64];
const WARP: u32 = 32;

impl Chip {
    /// The chip of a compute capability.
    pub fn of(compute_capability: (u32, u32)) -> Chip {
        const KIB: u32 = 1 << 10;
        let chip = |multiprocessors, threads, blocks, shared, opt_in, l2: u32| Chip {
            multiprocessors,
            threads,
            blocks,
            shared_bytes: shared * KIB,
            shared_opt_in: opt_in * KIB,
            shared_reserved: if compute_capability < (8, 0) { 0 } else { KIB },
            l2_bytes: l2 << 20,
        };
        match compute_capability {
            (5..=7, _) => chip(40, 1024, 16, 64, 64, 4),
            (8, 0) => chip(108, 2048, 32, 164, 163, 40),
            (8, 6) => chip(84, 1536, 16, 100, 99, 6),
            (8, 7) => chip(16, 1536, 16, 164, 163, 4),
            (8, _) => chip(128, 1536, 24, 100, 99, 72),
            (9, _) => chip(132, 2048, 32, 228, 227, 50),
            (10, _) => chip(148, 2048, 32, 228, 227, 126),
            (11, _) => chip(20, 1536, 24, 228, 227, 32),
            _ => chip(170, 1536, 24, 100, 99, 96),
        }
    }

    /// Blocks of so many threads, with so many registers a thread and bytes of shared memory a block, that fit on one
    /// multiprocessor at a time.
    pub fn occupancy(&self, threads: u32, registers: u32, shared_bytes: u32) -> u32 {
        self.limit(threads, registers, shared_bytes).1
    }

    /// The resource that is used up first, and the blocks that fit by then.
    pub fn limit(&self, threads: u32, registers: u32, shared_bytes: u32) -> (Limit, u32) {
        /// Registers are given to a warp in units of this many.
        const REGISTER_UNIT: u32 = 256;
        /// A multiprocessor has this many schedulers, each with its share of the registers.
        const SCHEDULERS: u32 = 4;
        const SHARED_UNIT: u32 = 128;
        if threads == 0 || threads > THREADS_PER_BLOCK {
            return (Limit::Threads, 0);
        }
        // ANCHOR: occupancy
        let warps = threads.div_ceil(WARP);
        let of_a_warp =
            registers.max(1).saturating_mul(WARP).checked_next_multiple_of(REGISTER_UNIT).unwrap_or(u32::MAX);
        let by_registers = REGISTERS / SCHEDULERS / of_a_warp * SCHEDULERS / warps;
        let shared = shared_bytes.saturating_add(self.shared_reserved).checked_next_multiple_of(SHARED_UNIT);
        let by_shared = shared.and_then(|bytes| self.shared_bytes.checked_div(bytes));
        let by_shared = if shared == Some(0) { u32::MAX } else { by_shared.unwrap_or(0) };
        let by_warps = self.threads / WARP / warps;
        let limits = [
            (Limit::Threads, by_warps),
            (Limit::Blocks, self.blocks),
            (Limit::Registers, by_registers),
            (Limit::SharedMemory, by_shared),
        ];
        limits.into_iter().fold(limits[0], |least, other| if other.1 < least.1 { other } else { least })
        // ANCHOR_END: occupancy
    }
}

/// A resource of a multiprocessor of which a kernel can take all. Where several would allow as few blocks, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Threads.
    Threads,
    /// Blocks, whatever their size.
    Blocks,
    /// Registers.
    Registers,
    /// Shared memory.
    SharedMemory,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Threads => "threads",
            Self::Blocks => "blocks",
            Self::Registers => "registers",
            Self::SharedMemory => "shared memory",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_can_be_the_one_that_limits() {
        let chip = Chip::of((8, 0));
        assert_eq!(chip.occupancy(1024, 32, 0), 2, "threads");
        assert_eq!(chip.occupancy(32, 16, 0), 32, "blocks");
        assert_eq!(chip.occupancy(256, 128, 0), 2, "registers");
        assert_eq!(chip.occupancy(256, 32, 48 << 10), 3, "shared memory, with its reserved part");
        let limits = [(1024, 32, 0), (32, 16, 0), (256, 128, 0), (256, 32, 48 << 10)];
        let limits = limits.map(|(threads, registers, shared)| chip.limit(threads, registers, shared).0);
        assert_eq!(limits, [Limit::Threads, Limit::Blocks, Limit::Registers, Limit::SharedMemory]);
        assert_eq!(chip.occupancy(0, 32, 0), 0);
        assert_eq!(chip.occupancy(1025, 32, 0), 0);
        assert_eq!(chip.occupancy(128, 32, 200 << 10), 0);
        assert_eq!(Chip::of((7, 5)).occupancy(128, 32, 0), 8, "nothing is reserved there");
    }
}
