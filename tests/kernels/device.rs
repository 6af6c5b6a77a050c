//! Compiles, launches and reads back on the software driver.

use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, DeviceRepr, LaunchArgs, LaunchConfig};
use cudarc::nvrtc::Ptx;
use latent::backend::cuda::compile::{Compiler, Source};
use latent::backend::cuda::device::{self, Opened};
use latent::backend::cuda::sources;
use std::sync::Arc;

use crate::emulated;

/// Threads of a block of every kernel here.
pub const BLOCK: usize = 256;

/// The software device.
pub struct Device(Opened);

impl Device {
    /// The device; `None`, and a line that says so, where nothing can be compiled.
    pub fn open() -> Option<Self> {
        if !emulated::has_compiler() {
            return None;
        }
        emulated::driver(&emulated::checked());
        Some(Self(device::open().unwrap()))
    }

    /// Where everything is enqueued.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.0.stream
    }

    /// The kernel `entry` of a file of `kernels/`.
    pub fn kernel(&self, file: &'static str, entry: &str) -> CudaFunction {
        let mut compiler =
            Compiler::with(self.0.info.compute_capability, emulated::cache(), nvrtc::Search::of_this_process());
        let image = compiler.image(&Source { file, defines: Vec::new() }).unwrap();
        self.load(&image.ptx, entry)
    }

    /// The kernel `entry` of a text that may include the headers of `kernels/`.
    pub fn kernel_of(&self, text: &str, entry: &str) -> CudaFunction {
        let options = ["--std=c++17", "--fmad=false", "-lineinfo", "--gpu-architecture=compute_80"];
        let nvrtc = nvrtc::Nvrtc::find().unwrap();
        let program = nvrtc.compile_with_headers(text, "test.cu", &sources::headers(), &options).unwrap();
        assert_eq!(program.log().trim(), "", "the compiler warns");
        self.load(program.ptx(), entry)
    }

    fn load(&self, ptx: &str, entry: &str) -> CudaFunction {
        let module = self.stream().context().load_module(Ptx::from_src(ptx)).unwrap();
        module.load_function(entry).unwrap()
    }

    /// A copy of `values` on the device.
    pub fn upload<T: DeviceRepr>(&self, values: &[T]) -> CudaSlice<T> {
        self.stream().clone_htod(values).unwrap()
    }

    /// Room that nothing has written.
    pub fn room<T: DeviceRepr>(&self, len: usize) -> CudaSlice<T> {
        // SAFETY: the software driver reports what is read before it is written.
        unsafe { self.stream().alloc(len) }.unwrap()
    }

    /// What lies on the device.
    pub fn download<T: DeviceRepr>(&self, values: &CudaSlice<T>) -> Vec<T> {
        self.stream().clone_dtoh(values).unwrap()
    }

    /// Launches `kernel` with the arguments that `arguments` pushes, a thread for each of `threads`.
    pub fn launch<'a>(&'a self, kernel: &'a CudaFunction, threads: usize, arguments: impl FnOnce(&mut LaunchArgs<'a>)) {
        self.launch_blocks(kernel, threads.div_ceil(BLOCK), BLOCK, arguments);
    }

    /// Launches `blocks` of `block` threads.
    pub fn launch_blocks<'a>(
        &'a self,
        kernel: &'a CudaFunction,
        blocks: usize,
        block: usize,
        arguments: impl FnOnce(&mut LaunchArgs<'a>),
    ) {
        let (grid_dim, block_dim) = ((blocks as u32, 1, 1), (block as u32, 1, 1));
        let mut launch = self.stream().launch_builder(kernel);
        arguments(&mut launch);
        // SAFETY: the arguments are those that the kernel declares; the software driver checks every access.
        unsafe { launch.launch(LaunchConfig { grid_dim, block_dim, shared_mem_bytes: 0 }) }.unwrap();
        self.stream().synchronize().unwrap();
    }
}
