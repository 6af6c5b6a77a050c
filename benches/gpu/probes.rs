//! The kernels that only measure: what the device can do at most, and what empties or occupies it between measurements.

use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg};
use latent::backend::cuda::Cuda;
use latent::backend::cuda::compile::Image;
use latent::backend::cuda::device::{self, Opened};
use nvrtc::Nvrtc;

use crate::Failure;
use crate::machine::Machine;

/// Threads of a block of every kernel here but the one that does nothing.
pub const BLOCK: u32 = 256;

/// Chains of a thread of `fma.cu`.
pub const FMA_CHAINS: usize = 16;

/// FLOP of a warp in one turn of `mma.cu`: 8 products of 16 x 8 x 8 in tf32.
pub const TF32_FLOP: usize = 8 * 2 * 16 * 8 * 8;

/// Bytes that the two halves of the buffer to be copied have at least.
const LEAST_COPY: usize = 512 << 20;

/// The kernels, loaded, and what they work on.
pub struct Probes {
    stream: Arc<CudaStream>,
    copy: CudaFunction,
    fma: CudaFunction,
    /// For tf32 and bf16, from compute capability 8.0.
    mma: Option<[CudaFunction; 2]>,
    nothing: CudaFunction,
    /// A buffer much larger than the L2 cache.
    memory: CudaSlice<f32>,
    out: CudaSlice<f32>,
    /// Blocks that fill the device.
    pub blocks: u32,
}

impl Probes {
    /// Compiles and loads them; they are launched in the stream of `cuda`.
    ///
    /// # Errors
    /// No compiler, or the device failed.
    pub fn new(machine: &Machine, nvrtc: &Nvrtc, cuda: &Cuda) -> Result<Self, Failure> {
        let stream = cuda.stream();
        let device = device::open()?;
        let load = |name, text, entry, defines: &[&str]| load(&device, nvrtc, name, text, entry, defines);
        let mma = include_str!("mma.cu");
        let has_tensor_cores = machine.info.compute_capability >= (8, 0);
        let mma = |bf16| load("mma.cu", mma, "mma_chains", &[bf16]);
        let l2 = stream.context().attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE).unwrap_or(0).max(0) as usize;
        let bytes = if machine.software.is_some() { 1 << 20 } else { LEAST_COPY.max(4 * l2) };
        let blocks = if machine.software.is_some() { 2 } else { 8 * machine.info.multiprocessors };
        Ok(Self {
            copy: load("copy.cu", include_str!("../../kernels/ceiling/copy.cu"), "copy", &[])?,
            fma: load("fma.cu", include_str!("../../kernels/ceiling/fma.cu"), "fma_chains", &[])?,
            mma: if has_tensor_cores { Some([mma("-DBF16=0")?, mma("-DBF16=1")?]) } else { None },
            nothing: load("nothing.cu", include_str!("nothing.cu"), "nothing", &[])?,
            memory: stream.alloc_zeros(bytes / size_of::<f32>())?,
            out: stream.alloc_zeros((blocks * BLOCK) as usize)?,
            stream: Arc::clone(stream),
            blocks,
        })
    }

    /// Launches in the stream of `cuda` from now on, whose launches then come in between.
    ///
    /// # Errors
    /// Something launched before failed.
    pub fn follow(&mut self, cuda: &Cuda) -> Result<(), DriverError> {
        self.stream.synchronize()?;
        self.stream = Arc::clone(cuda.stream());
        Ok(())
    }

    /// Bytes that [`Probes::copy`] reads and writes.
    pub fn copied(&self) -> usize {
        self.memory.len() * size_of::<f32>()
    }

    /// Enqueues a copy of one half of the buffer to the other. What was in the L2 cache no longer is.
    ///
    /// # Errors
    /// The device failed.
    pub fn copy(&mut self) -> Result<(), DriverError> {
        let half = self.memory.len() / 2;
        let (mut from, mut to) = self.memory.split_at_mut(half);
        let length = (half / 4) as u64;
        let mut launch = self.stream.launch_builder(&self.copy);
        launch.arg(&mut from).arg(&mut to).arg(&length);
        // SAFETY: the arguments are those of `copy.cu`, and each half has 4 `length` elements.
        unsafe { launch.launch(config(self.blocks, BLOCK)) }.map(drop)
    }

    /// Enqueues `turns` of the chains of multiply-adds.
    ///
    /// # Errors
    /// The device failed.
    pub fn fma(&mut self, blocks: u32, turns: i32) -> Result<(), DriverError> {
        let half = 0.5_f32;
        let mut launch = self.stream.launch_builder(&self.fma);
        launch.arg(&mut self.out).arg(&half).arg(&half).arg(&turns);
        // SAFETY: the arguments are those of `fma.cu`, and `out` has an element for each thread of as many blocks.
        unsafe { launch.launch(config(blocks.min(self.blocks), BLOCK)) }.map(drop)
    }

    /// Whether the device has the tensor cores of `mma.cu`.
    pub fn has_mma(&self) -> bool {
        self.mma.is_some()
    }

    /// Enqueues `turns` of the chains of products, in bf16 or else in tf32; nothing where there are no tensor cores.
    ///
    /// # Errors
    /// The device failed.
    pub fn mma(&mut self, bf16: bool, turns: i32) -> Result<(), DriverError> {
        let Some(functions) = &self.mma else { return Ok(()) };
        let mut launch = self.stream.launch_builder(&functions[usize::from(bf16)]);
        launch.arg(&mut self.out).arg(&turns);
        // SAFETY: the arguments are those of `mma.cu`, and `out` has an element for each thread.
        unsafe { launch.launch(config(self.blocks, BLOCK)) }.map(drop)
    }

    /// Enqueues the kernel that does nothing.
    ///
    /// # Errors
    /// The device failed.
    pub fn nothing(&mut self) -> Result<(), DriverError> {
        let mut launch = self.stream.launch_builder(&self.nothing);
        // SAFETY: it takes no argument.
        unsafe { launch.launch(config(1, 32)) }.map(drop)
    }

    /// Keeps the device busy for some microseconds without touching its caches.
    ///
    /// # Errors
    /// The device failed.
    pub fn delay(&mut self) -> Result<(), DriverError> {
        self.fma(1, 2000)
    }

    /// What the last chains left, a sum for each thread.
    ///
    /// # Errors
    /// The device failed.
    pub fn sums(&self) -> Result<Vec<f32>, DriverError> {
        self.stream.clone_dtoh(&self.out)
    }

    /// Whether the halves are equal after the first was filled with other numbers than the second and copied.
    ///
    /// # Errors
    /// The device failed.
    pub fn copies_faithfully(&mut self) -> Result<bool, DriverError> {
        let half = self.memory.len() / 2;
        let values: Vec<f32> = (0..half).map(|i| (i % 8191) as f32).collect();
        self.stream.memcpy_htod(&values, &mut self.memory.slice_mut(..half))?;
        self.copy()?;
        Ok(self.stream.clone_dtoh(&self.memory.slice(half..))? == values)
    }
}

fn config(blocks: u32, block: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (block, 1, 1), shared_mem_bytes: 0 }
}

/// Compiles for the device's own architecture, or for the newest before it, and loads.
fn load(
    device: &Opened,
    nvrtc: &Nvrtc,
    name: &str,
    text: &str,
    entry: &str,
    defines: &[&str],
) -> Result<CudaFunction, Failure> {
    let (major, minor) = device.info.compute_capability;
    let own = 10 * major + minor;
    let known = nvrtc.supported_architectures().iter().rev().find(|known| **known <= own);
    let target = match known {
        Some(same) if *same == own => format!("sm_{own}"),
        Some(older) => format!("compute_{older}"),
        None => {
            return Err(format!("NVRTC compiles nothing as old as sm_{own}; set LATENT_NVRTC to an older one").into());
        }
    };
    let architecture = format!("--gpu-architecture={target}");
    let options = [&["--std=c++17", "--fmad=false", "-lineinfo", &architecture], defines].concat();
    let program = nvrtc.compile(text, name, &options)?;
    let image =
        Image { cubin: program.cubin().map(<[u8]>::to_vec), ptx: program.ptx().to_owned(), nvrtc: nvrtc.version() };
    Ok(device::load(device, &image)?.load_function(entry)?)
}
