//! Launches as values: what a step's body enqueues, compared with what was recorded, and recorded as a graph.

use std::sync::Arc;

use bytemuck::Pod;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaFunction, CudaGraph, CudaStream, DeviceRepr, DriverError, LaunchConfig, PushKernelArg};

use super::Cuda;
use super::gemm::{Product, Size};
use super::kernel::Kernel;

/// Words of 8 bytes that the largest argument of a kernel takes.
const WORDS: usize = 14;

/// One argument: a struct, passed by value. A kernel takes as many of its bytes as it declares.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct Argument([u64; WORDS]);

// SAFETY: plain words without padding.
unsafe impl DeviceRepr for Argument {}

impl Argument {
    /// An argument of at most 112 bytes.
    pub fn new(value: &impl Pod) -> Self {
        let mut words = [0; WORDS];
        let bytes = bytemuck::bytes_of(value);
        bytemuck::bytes_of_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(words)
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(&self.0)
    }
}

/// A launch of a kernel on a grid of one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    grid: u32,
    block: u32,
    first: Argument,
    second: Option<Argument>,
}

impl Launch {
    /// A launch with one argument.
    pub fn new(kernel: Kernel, grid: u32, block: u32, argument: &impl Pod) -> Self {
        Self { kernel, grid, block, first: Argument::new(argument), second: None }
    }

    /// The same with a second argument.
    pub fn with(self, second: &impl Pod) -> Self {
        Self { second: Some(Argument::new(second)), ..self }
    }

    /// Blocks of the grid.
    pub fn grid(&self) -> u32 {
        self.grid
    }

    /// Threads of a block.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// The extents of the products that it multiplies: none, one or two.
    pub fn products(&self) -> Vec<Size> {
        let arguments = match self.kernel {
            Kernel::Gemm(_) => [Some(self.first), self.second],
            _ => [None, None],
        };
        let size = |argument: Argument| {
            bytemuck::pod_read_unaligned::<Product>(&argument.bytes()[..size_of::<Product>()]).size()
        };
        arguments.into_iter().flatten().map(size).collect()
    }

    /// Puts it into the stream.
    ///
    /// # Safety
    /// `function` is the launch's kernel, its arguments are what that kernel declares, and the addresses in them are those of
    /// live allocations as large as the kernel takes them to be.
    pub unsafe fn enqueue(&self, stream: &Arc<CudaStream>, function: &CudaFunction) -> Result<(), DriverError> {
        let config = LaunchConfig { grid_dim: (self.grid, 1, 1), block_dim: (self.block, 1, 1), shared_mem_bytes: 0 };
        let mut builder = stream.launch_builder(function);
        builder.arg(&self.first);
        if let Some(second) = &self.second {
            builder.arg(second);
        }
        // SAFETY: as promised by the caller.
        unsafe { builder.launch(config) }.map(drop)
    }
}

impl Cuda {
    /// The launches of the last step, in their order.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }
}

/// A step's launches and the graph that carries them all out.
pub struct Recording {
    launches: Vec<Launch>,
    graph: CudaGraph,
}

impl Recording {
    /// Records what `enqueue` puts into the stream for `launches`.
    ///
    /// # Errors
    /// The driver refuses to record.
    pub fn new(
        stream: &Arc<CudaStream>,
        launches: &[Launch],
        enqueue: impl FnOnce() -> Result<(), DriverError>,
    ) -> Result<Self, DriverError> {
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let enqueued = enqueue();
        // A capture must end, also one that failed.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        enqueued?;
        let graph = graph?.ok_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED))?;
        Ok(Self { launches: launches.to_vec(), graph })
    }

    // ANCHOR: is_of
    /// Whether it stands for `launches`: the same kernels, sizes and addresses.
    pub fn is_of(&self, launches: &[Launch]) -> bool {
        self.launches == launches
    }
    // ANCHOR_END: is_of

    /// Carries out the step.
    ///
    /// # Errors
    /// The driver failed.
    pub fn launch(&self) -> Result<(), DriverError> {
        self.graph.launch()
    }
}
