//! Steps of the staircase, compiled and launched on a device in software that checks every access.

use crate::emulated;
use crate::problem::{Output, Problem};
use cudarc::driver::{CudaFunction, CudaSlice, DevicePtr, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use latent::backend::cuda::compile::{Compiler, Source};
use latent::backend::cuda::device::{self, Opened};
use latent::backend::cuda::gemm::Product;
use latent::lab::staircase::{Step, StepLaunch};
use softcuda::counts::LaunchCounts;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Floats on either side of C that no kernel may write: a sector.
const GUARD: usize = 8;

/// The device, and what was loaded on it.
pub struct Device {
    opened: Opened,
    compiler: Compiler,
    functions: HashMap<Source, CudaFunction>,
}

/// The device, for one test at a time: counts and reports are the process's. `None`, and a line that says so, without NVRTC.
pub fn device() -> Option<MutexGuard<'static, Device>> {
    static DEVICE: OnceLock<Option<Mutex<Device>>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| emulated::has_compiler().then(|| Mutex::new(Device::open())));
    device.as_ref().map(|device| device.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Device {
    fn open() -> Device {
        emulated::driver(&emulated::checked());
        let opened = device::open().unwrap();
        let search = nvrtc::Search::of_this_process();
        let compiler = Compiler::with(opened.info.compute_capability, emulated::cache(), search);
        Device { opened, compiler, functions: HashMap::new() }
    }

    fn function(&mut self, source: &Source, entry: &str) -> CudaFunction {
        let load = || {
            let ptx = self.compiler.image(source).unwrap().ptx;
            let module = self.opened.stream.context().load_module(Ptx::from_src(ptx)).unwrap();
            module.load_function(entry).unwrap()
        };
        self.functions.entry(source.clone()).or_insert_with(load).clone()
    }

    /// A copy of `values`, `shift` floats after an address of 16 bytes.
    fn upload(&self, values: &[f32], shift: usize) -> (CudaSlice<f32>, u64) {
        let shifted: Vec<f32> = std::iter::repeat_n(f32::NAN, shift).chain(values.iter().copied()).collect();
        let slice = self.opened.stream.clone_htod(&shifted).unwrap();
        let address = slice.device_ptr(&self.opened.stream).0 + 4 * shift as u64;
        (slice, address)
    }

    fn unwritten<T: cudarc::driver::DeviceRepr>(&self, count: usize) -> CudaSlice<T> {
        // SAFETY: numbers have no invalid bits; that nothing reads them unwritten is what the checks see to.
        unsafe { self.opened.stream.alloc(count.max(1)) }.unwrap()
    }

    /// What a step makes of a problem, at odd addresses where it allows them.
    pub fn multiply(&mut self, step: Step, problem: &Problem) -> Output {
        let launch = step.launch(problem.size);
        self.launch(&launch, problem, usize::from(!launch.aligned)).0
    }

    /// Carries out a launch on a problem; operands start `shift` floats after an address of 16 bytes.
    pub fn launch(&mut self, launch: &StepLaunch, problem: &Problem, shift: usize) -> (Output, LaunchCounts) {
        let function = self.function(&launch.source, launch.entry);
        let size = problem.size;
        let ((_a, a), (_b, b)) = (self.upload(&problem.a, shift), self.upload(&problem.b, shift));
        // Not a number, so that what is not written is wrong, and what is written around it is seen.
        let (c_room, c) = self.upload(&vec![f32::NAN; size.m * size.n + 2 * GUARD], shift);
        let workspace = self.unwritten::<f32>(launch.workspace);
        let tickets = self.opened.stream.alloc_zeros::<u32>(launch.tickets.max(1)).unwrap();
        let product = Product {
            a,
            b,
            c: c + 4 * GUARD as u64,
            workspace: workspace.device_ptr(&self.opened.stream).0,
            tickets: tickets.device_ptr(&self.opened.stream).0,
            m: size.m as i32,
            n: size.n as i32,
            k: size.k as i32,
            splits: launch.splits as i32,
            ..Product::default()
        };
        let counts = self.enqueue(launch, &function, &product);
        let written = self.opened.stream.clone_dtoh(&c_room).unwrap().split_off(shift);
        let (before, rest) = written.split_at(GUARD);
        let (c, after) = rest.split_at(size.m * size.n);
        assert!(before.iter().chain(after).all(|guard| guard.is_nan()), "{launch:?} writes around C of {size:?}");
        let tickets = self.opened.stream.clone_dtoh(&tickets).unwrap();
        assert!(tickets.iter().all(|ticket| *ticket == 0), "tickets are ready for the next launch");
        (Output { c: c.to_vec(), partial: Vec::new(), bias_gradient: Vec::new(), suspect: None }, counts)
    }

    fn enqueue(&self, launch: &StepLaunch, function: &CudaFunction, product: &Product) -> LaunchCounts {
        let library = emulated::driver(&emulated::checked());
        library.reset_counts().unwrap();
        let (grid_dim, block_dim) = ((launch.grid, 1, 1), (launch.block, 1, 1));
        let mut builder = self.opened.stream.launch_builder(function);
        builder.arg(product);
        // SAFETY: the kernel takes this product, whose buffers have the sizes that it is told.
        unsafe { builder.launch(LaunchConfig { grid_dim, block_dim, shared_mem_bytes: 0 }) }.unwrap();
        let done = self.opened.stream.synchronize();
        let reports = library.reports().unwrap();
        assert!(done.is_ok() && reports.is_empty(), "{launch:?} {:?}: {done:?} {reports:#?}", product.size());
        library.launches().unwrap().pop().unwrap()
    }
}
