//! Launches, and how many blocks fit.

use super::abi::{In, Out, api};
use super::code::{Code, Outcome};
use super::context::current;
use super::module::Function;
use super::operation::{KernelCall, Operation};
use super::state::{Driver, Handle};
use super::stream;
use crate::chip::{BLOCK, Chip, GRID, THREADS_PER_BLOCK};
use std::sync::Arc;

/// A launch as the client describes it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Blocks of the grid.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Whether all blocks are to be alive together.
    pub cooperative: bool,
    /// Where the addresses of the parameters stand.
    pub parameters: u64,
    /// Where the list for a whole parameter block stands.
    pub extra: u64,
}

/// A launch as `cuLaunchKernelEx` describes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    stream: Handle,
    attributes: u64,
    count: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Attribute {
    id: u32,
    pad: u32,
    value: [u32; 16],
}

impl Request {
    /// The operation that is described, if the device can do it.
    pub fn resolve(&self, driver: &Driver, function: Arc<Function>) -> Outcome<KernelCall> {
        self.check_shape(&function)?;
        self.check_resources(driver, &function)?;
        let parameters = self.read_parameters(&function)?;
        let Request { grid, block, shared_bytes, cooperative, .. } = *self;
        Ok(KernelCall { function, grid, block, shared_bytes, cooperative, parameters })
    }

    fn threads(&self) -> u32 {
        self.block.iter().fold(1, |product, side| product.saturating_mul(*side))
    }

    fn check_shape(&self, function: &Function) -> Outcome {
        let fits =
            |sides: [u32; 3], most: [u32; 3]| sides.iter().zip(most).all(|(side, most)| (1..=most).contains(side));
        if !fits(self.grid, GRID) || !fits(self.block, BLOCK) || self.threads() > THREADS_PER_BLOCK {
            return Err(Code::INVALID_VALUE);
        }
        if function.kernel().required_block.is_some_and(|block| block != self.block) {
            return Err(Code::INVALID_VALUE);
        }
        Ok(())
    }

    fn check_resources(&self, driver: &Driver, function: &Function) -> Outcome {
        let kernel = function.kernel();
        if self.shared_bytes > function.dynamic_limit() {
            return Err(Code::INVALID_VALUE);
        }
        if self.threads() > kernel.max_threads {
            return Err(Code::INVALID_VALUE);
        }
        let chip = Chip::of(driver.machine.settings.compute_capability);
        let resident = resident(&chip, function, self.threads(), self.shared_bytes);
        if resident == 0 {
            return Err(Code::LAUNCH_OUT_OF_RESOURCES);
        }
        let blocks = self.grid.iter().fold(1u64, |product, side| product.saturating_mul((*side).into()));
        if self.cooperative && blocks > u64::from(resident) * u64::from(chip.multiprocessors) {
            return Err(Code::COOPERATIVE_LAUNCH_TOO_LARGE);
        }
        Ok(())
    }

    /// The parameter block, from the addresses of the parameters or as a whole.
    fn read_parameters(&self, function: &Function) -> Outcome<Vec<u8>> {
        let kernel = function.kernel();
        if self.extra != 0 {
            return self.read_extra(kernel.parameter_bytes);
        }
        let mut block = vec![0; kernel.parameter_bytes];
        let addresses = In::<u64>::at(self.parameters).list(kernel.parameters.len())?;
        for (parameter, address) in kernel.parameters.iter().zip(addresses) {
            let bytes = In::<u8>::at(address).list(parameter.bytes)?;
            let place = block.get_mut(parameter.offset..parameter.offset + parameter.bytes);
            place.ok_or(Code::INVALID_VALUE)?.copy_from_slice(&bytes);
        }
        Ok(block)
    }

    fn read_extra(&self, wanted: usize) -> Outcome<Vec<u8>> {
        const END: u64 = 0;
        const BUFFER: u64 = 1;
        const BYTES: u64 = 2;
        /// The two known entries, each at most once.
        const ENTRIES: usize = 2;
        let (mut buffer, mut bytes) = (0, 0);
        if self.parameters != 0 {
            return Err(Code::INVALID_VALUE);
        }
        for entry in 0..=ENTRIES as u64 {
            let [key, value] = In::<[u64; 2]>::at(self.extra + entry * 16).get().or(Err(Code::INVALID_VALUE))?;
            match key {
                END => break,
                BUFFER => buffer = value,
                BYTES => bytes = In::<usize>::at(value).get()?,
                _ => return Err(Code::INVALID_VALUE),
            }
        }
        if bytes < wanted {
            return Err(Code::INVALID_VALUE);
        }
        In::<u8>::at(buffer).list(wanted)
    }
}

/// Blocks of a kernel that fit on one multiprocessor.
fn resident(chip: &Chip, function: &Function, threads: u32, dynamic_bytes: u32) -> u32 {
    let kernel = function.kernel();
    chip.occupancy(threads, kernel.registers, kernel.shared_bytes.saturating_add(dynamic_bytes))
}

fn launch(function: Handle, request: Request, stream: Handle) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    let call = request.resolve(driver, driver.functions.get(function)?)?;
    context.submit(driver, &stream, Operation::Kernel(call))
}

/// What the attributes of a launch ask for: only that it be cooperative changes what happens. The others are hints, or
/// order launches more loosely than this driver ever does; clusters and events of a launch's middle are refused.
fn launch_configured(config: In<Config>, function: Handle, parameters: u64, extra: u64) -> Outcome {
    const COOPERATIVE: u32 = 2;
    const CLUSTER: u32 = 4;
    const UNSUPPORTED: [u32; 3] = [7, 12, 13];
    let Config { grid, block, shared_bytes, stream, attributes, count } = config.get()?;
    let mut request = Request { grid, block, shared_bytes, cooperative: false, parameters, extra };
    for attribute in In::<Attribute>::at(attributes).list(count as usize)? {
        match attribute.id {
            COOPERATIVE => request.cooperative = attribute.value[0] != 0,
            CLUSTER if attribute.value[..3].iter().any(|side| *side > 1) => return Err(Code::INVALID_CLUSTER_SIZE),
            id if UNSUPPORTED.contains(&id) => return Err(Code::NOT_SUPPORTED),
            id if id > 16 => return Err(Code::INVALID_VALUE),
            _ => {}
        }
    }
    launch(function, request, stream)
}

fn known(function: Handle) -> Outcome<(Chip, Arc<Function>)> {
    let (driver, _) = current()?;
    Ok((Chip::of(driver.machine.settings.compute_capability), driver.functions.get(function)?))
}

fn active_blocks(target: Out<i32>, function: Handle, threads: i32, dynamic_bytes: usize) -> Outcome {
    let (chip, function) = known(function)?;
    let threads = u32::try_from(threads).ok().filter(|threads| *threads > 0).ok_or(Code::INVALID_VALUE)?;
    let fits = threads <= function.kernel().max_threads;
    let dynamic_bytes = u32::try_from(dynamic_bytes).unwrap_or(u32::MAX);
    target.set(if fits { resident(&chip, &function, threads, dynamic_bytes) as i32 } else { 0 })
}

/// The block size with the most threads alive at a time, the largest among equals.
fn best_block(
    grid: Out<i32>,
    block: Out<i32>,
    function: Handle,
    shared: u64,
    dynamic_bytes: usize,
    limit: i32,
) -> Outcome {
    let (chip, function) = known(function)?;
    let most = function.kernel().max_threads.min(if limit > 0 { limit as u32 } else { u32::MAX });
    let sizes = (1..=most / 32).rev().map(|warps| warps * 32).chain([most]).filter(|threads| *threads > 0);
    let occupied = |threads: u32| {
        let bytes = if shared == 0 { dynamic_bytes } else { ask_shared(shared, threads) };
        resident(&chip, &function, threads, u32::try_from(bytes).unwrap_or(u32::MAX))
    };
    let mut best = (0, 0, 0);
    for threads in sizes {
        let blocks = occupied(threads);
        if blocks * threads > best.0 {
            best = (blocks * threads, threads, blocks);
        }
    }
    block.set(best.1 as i32)?;
    grid.set((best.2 * chip.multiprocessors) as i32)
}

/// Asks the client how much shared memory a block of so many threads needs.
fn ask_shared(function: u64, threads: u32) -> usize {
    // SAFETY: the client gave this address as that of such a function, and it was checked not to be null.
    let function: unsafe extern "C" fn(i32) -> usize = unsafe { std::mem::transmute(function as usize) };
    // SAFETY: any block size is a valid argument.
    unsafe { function(threads as i32) }
}

fn available_shared(target: Out<usize>, function: Handle, blocks: i32, threads: i32) -> Outcome {
    let (chip, function) = known(function)?;
    let (blocks, threads) = (u32::try_from(blocks).unwrap_or(0), u32::try_from(threads).unwrap_or(0));
    if blocks == 0 || threads == 0 || resident(&chip, &function, threads, 0) < blocks {
        return Err(Code::INVALID_VALUE);
    }
    let kernel = function.kernel();
    let share = (chip.shared_bytes / blocks / 128 * 128).saturating_sub(chip.shared_reserved);
    target.set(share.min(chip.shared_opt_in).saturating_sub(kernel.shared_bytes) as usize)
}

api! {
    cuLaunchKernel / cuLaunchKernel_ptsz: (function: Handle, gx: u32, gy: u32, gz: u32, bx: u32, by: u32, bz: u32,
        shared_bytes: u32, stream: Handle, parameters: u64, extra: u64) =>
        launch(function, Request { grid: [gx, gy, gz], block: [bx, by, bz], shared_bytes, cooperative: false, parameters, extra },
            stream);
    cuLaunchCooperativeKernel / cuLaunchCooperativeKernel_ptsz: (function: Handle, gx: u32, gy: u32, gz: u32, bx: u32, by: u32,
        bz: u32, shared_bytes: u32, stream: Handle, parameters: u64) =>
        launch(function, Request { grid: [gx, gy, gz], block: [bx, by, bz], shared_bytes, cooperative: true, parameters, extra: 0 },
            stream);
    cuLaunchKernelEx / cuLaunchKernelEx_ptsz: (config: In<Config>, function: Handle, parameters: u64, extra: u64) =>
        launch_configured(config, function, parameters, extra);
    cuOccupancyMaxActiveBlocksPerMultiprocessor: (blocks: Out<i32>, function: Handle, threads: i32, dynamic_bytes: usize) =>
        active_blocks(blocks, function, threads, dynamic_bytes);
    cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags: (blocks: Out<i32>, function: Handle, threads: i32,
        dynamic_bytes: usize, _flags: u32) => active_blocks(blocks, function, threads, dynamic_bytes);
    cuOccupancyMaxPotentialBlockSize: (grid: Out<i32>, block: Out<i32>, function: Handle, shared: u64, dynamic_bytes: usize,
        limit: i32) => best_block(grid, block, function, shared, dynamic_bytes, limit);
    cuOccupancyMaxPotentialBlockSizeWithFlags: (grid: Out<i32>, block: Out<i32>, function: Handle, shared: u64,
        dynamic_bytes: usize, limit: i32, _flags: u32) => best_block(grid, block, function, shared, dynamic_bytes, limit);
    cuOccupancyAvailableDynamicSMemPerBlock: (bytes: Out<usize>, function: Handle, blocks: i32, threads: i32) =>
        available_shared(bytes, function, blocks, threads);
    cuOccupancyMaxPotentialClusterSize: (_size: Out<i32>, function: Handle, _config: u64) =>
        known(function).and(Err(Code::NOT_SUPPORTED));
    cuOccupancyMaxActiveClusters: (_clusters: Out<i32>, function: Handle, _config: u64) =>
        known(function).and(Err(Code::NOT_SUPPORTED));
}
