//! The kernels that the engine does not launch by themselves, at a batch's real sizes.

use std::sync::Arc;

use cudarc::driver::{CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use latent::backend::cuda::compile::{Compiler, Source};
use latent::backend::cuda::device::{self, Opened};

use crate::Result;
use crate::executed::{BATCH, DIMS, Recorder};

const BLOCK: usize = 256;
const STEP: &str = "by themselves";

/// Floats of the largest buffer: a batch of images.
const ROOM: usize = BATCH * DIMS.input;

/// Launches each of them once.
pub fn run(recorder: &mut Recorder) -> Result<()> {
    let opened = device::open()?;
    let mut compiler = Compiler::new(opened.info.compute_capability);
    let mut kernels = Kernels { recorder, opened: &opened, compiler: &mut compiler };
    let hidden = BATCH * DIMS.hidden;
    kernels.on_elements("leaky_relu.cu", "leaky_relu_forward", 2, hidden)?;
    kernels.on_elements("leaky_relu.cu", "leaky_relu_backward", 3, hidden)?;
    kernels.on_elements("sigmoid.cu", "sigmoid_forward", 2, ROOM)?;
    kernels.on_elements("sigmoid.cu", "sigmoid_backward", 3, ROOM)?;
    kernels.launch("bce/1_one_thread.cu", "bce_one_thread", [1, 1], &on_elements(3, ROOM))?;
    for (file, entry) in [("bce/2_shared_memory.cu", "bce_shared_memory"), ("bce/3_shuffle.cu", "bce_shuffle")] {
        kernels.launch(file, entry, [ROOM.div_ceil(BLOCK), BLOCK], &on_elements(3, ROOM))?;
    }
    kernels.on_elements("bce/4_vectorised.cu", "bce_vectorised", 3, ROOM)?;
    kernels.on_elements("bce/gradient.cu", "bce_gradient", 3, ROOM)?;
    kernels.add_bias()?;
    kernels.on_posterior("kl_loss", None)?;
    kernels.on_posterior("kl_gradient", Some(1.0))?;
    kernels.sum(ROOM.div_ceil(4 * BLOCK))
}

struct Kernels<'a> {
    recorder: &'a mut Recorder,
    opened: &'a Opened,
    compiler: &'a mut Compiler,
}

/// An argument of a kernel.
enum Argument {
    Buffer,
    Size(i32),
    Length(u64),
    Factor(f32),
}

/// What a kernel of the form (buffers, length) takes.
fn on_elements(buffers: usize, length: usize) -> Vec<Argument> {
    let buffers = (0..buffers).map(|_| Argument::Buffer);
    buffers.chain([Argument::Length(length as u64)]).collect()
}

impl Kernels<'_> {
    /// A kernel of the form (buffers, length), a quad a thread.
    fn on_elements(&mut self, file: &'static str, entry: &str, buffers: usize, length: usize) -> Result<()> {
        self.launch(file, entry, [length.div_ceil(4 * BLOCK), BLOCK], &on_elements(buffers, length))
    }

    fn add_bias(&mut self) -> Result<()> {
        let sizes = [Argument::Size(BATCH as i32), Argument::Size(DIMS.hidden as i32)];
        let arguments: Vec<Argument> = [Argument::Buffer, Argument::Buffer].into_iter().chain(sizes).collect();
        self.launch("add_bias.cu", "add_bias", [(BATCH * DIMS.hidden).div_ceil(BLOCK), BLOCK], &arguments)
    }

    /// A kernel of the form (posterior, out, beta where it has one, rows, latent).
    fn on_posterior(&mut self, entry: &str, beta: Option<f32>) -> Result<()> {
        let buffers = [Argument::Buffer, Argument::Buffer];
        let sizes = [Argument::Size(BATCH as i32), Argument::Size(DIMS.latent as i32)];
        let arguments: Vec<Argument> = buffers.into_iter().chain(beta.map(Argument::Factor)).chain(sizes).collect();
        self.launch("kl.cu", entry, [(BATCH * DIMS.latent).div_ceil(BLOCK), BLOCK], &arguments)
    }

    fn sum(&mut self, parts: usize) -> Result<()> {
        self.launch("sum.cu", "sum", [1, BLOCK], &[Argument::Buffer, Argument::Buffer, Argument::Size(parts as i32)])
    }

    /// Launches a grid of so many blocks of so many threads.
    fn launch(
        &mut self,
        file: &'static str,
        entry: &str,
        [grid, block]: [usize; 2],
        arguments: &[Argument],
    ) -> Result<()> {
        let image = self.compiler.image(&Source { file, defines: Vec::new() })?;
        let stream: &Arc<CudaStream> = &self.opened.stream;
        let function = stream.context().load_module(Ptx::from_src(image.ptx))?.load_function(entry)?;
        let is_buffer = |argument: &&Argument| matches!(argument, Argument::Buffer);
        let count = arguments.iter().filter(is_buffer).count();
        let buffers =
            (0..count).map(|_| stream.alloc_zeros::<f32>(ROOM)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mut next_buffer = buffers.iter();
        let mut builder = stream.launch_builder(&function);
        for argument in arguments {
            match argument {
                Argument::Buffer => next_buffer.next().map(|buffer| builder.arg(buffer)),
                Argument::Size(size) => Some(builder.arg(size)),
                Argument::Length(length) => Some(builder.arg(length)),
                Argument::Factor(factor) => Some(builder.arg(factor)),
            };
        }
        let config =
            LaunchConfig { grid_dim: (grid as u32, 1, 1), block_dim: (block as u32, 1, 1), shared_mem_bytes: 0 };
        self.recorder.begin()?;
        // SAFETY: the callers above give each kernel the arguments that it declares, and every buffer has room for a batch.
        unsafe { builder.launch(config) }?;
        stream.synchronize()?;
        self.recorder.take(STEP, false, &[(file, &[], Vec::new())])
    }
}
