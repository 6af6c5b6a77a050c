//! The executor: runs the blocks of a launch, warp by warp.

mod access;
mod atomic;
mod barrier;
mod block;
mod call;
mod context;
mod copy;
mod exchange;
pub mod frame;
mod matrix;
pub mod ops;
mod print;
mod transfer;
mod warp;
mod worker;

use crate::check::global::Order;
use crate::counts::Tally;
use crate::machine::Machine;
use crate::program::Program;
use context::Context;
use std::sync::Arc;
use worker::Worker;

/// One launch of a kernel.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Index of the kernel in its program.
    pub kernel: usize,
    /// Blocks of the grid.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Whether all blocks are alive together, for grid-wide barriers.
    pub cooperative: bool,
    /// The parameter block.
    pub parameters: Vec<u8>,
    /// When it runs, as the checks see it.
    pub order: Order,
}

/// Why a launch ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An address outside of all allocations.
    #[error("an illegal memory access was encountered")]
    IllegalAddress,
    /// An address that is not a multiple of the access's size.
    #[error("misaligned address")]
    MisalignedAddress,
    /// An address of the wrong state space.
    #[error("operation not supported on this address space")]
    InvalidAddressSpace,
    /// An indirect call or branch to somewhere else than code.
    #[error("invalid program counter")]
    InvalidPc,
    /// `assert` failed.
    #[error("device-side assert triggered")]
    Assert,
    /// `trap`, or recursion beyond the stack.
    #[error("unspecified launch failure")]
    LaunchFailed,
    /// The limit of instructions was reached.
    #[error("the launch was stopped by the limit of instructions")]
    Limit,
}

/// Runs a launch to its end.
///
/// # Errors
/// The first fault; memory is left as it was then.
pub fn run(machine: &Machine, program: &Arc<Program>, launch: &Launch) -> Result<(), Fault> {
    let context = Context::new(machine, program, launch);
    let threads = machine.settings.threads.max(1).min(usize::try_from(context.blocks).unwrap_or(usize::MAX).max(1));
    let mut tally = Tally::new(program);
    if threads == 1 {
        tally.merge(&Worker::new(&context).run(0, 1));
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|index| {
                    let context = &context;
                    scope.spawn(move || Worker::new(context).run(index, threads))
                })
                .collect();
            for worker in workers {
                // A worker that panicked has left its counts behind; the panic itself goes on.
                match worker.join() {
                    Ok(counts) => tally.merge(&counts),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    context.finish(tally)
}
