//! Instances of the kernels, compiled and launched on a device in software that checks every access.

use crate::problem::{Output, Problem};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use latent::backend::cuda::gemm::{Epilogue, Family, Plan, Product, Variant};
use nvrtc::Nvrtc;
use softcuda::counts::LaunchCounts;
use softcuda::settings::{Checks, Settings};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of the kernels' Control, and where in it the place of the first non-finite number lies.
const CONTROL: usize = 192;
const SUSPECT: usize = 136;

/// The device, and what was loaded on it.
pub struct Device {
    library: softcuda::Library,
    nvrtc: Nvrtc,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    functions: HashMap<Variant, CudaFunction>,
}

/// The device, for one test at a time: counts and reports are the process's. `None`, and a line that says so, without NVRTC.
pub fn device() -> Option<MutexGuard<'static, Device>> {
    static DEVICE: OnceLock<Option<Mutex<Device>>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| match Nvrtc::find() {
        Ok(nvrtc) => Some(Mutex::new(Device::new(nvrtc))),
        Err(error) => {
            println!("skipped, no kernel can be compiled: {error}");
            None
        }
    });
    device.as_ref().map(|device| device.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The virtual architecture that a family is compiled for here.
fn architecture(family: Family) -> &'static str {
    match family {
        Family::Vectorised => "compute_75",
        Family::AsyncCopy | Family::SplitK | Family::Tf32 | Family::Bf16 => "compute_80",
    }
}

/// What every kernel of the program is compiled with, for an architecture.
pub fn options(architecture: &str, variant: &Variant) -> Vec<String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut options = vec![
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
        "--fmad=false".to_owned(),
        "-lineinfo".to_owned(),
        format!("-I{}", kernels.display()),
    ];
    options.extend(variant.defines().iter().map(|define| format!("-D{define}")));
    options
}

/// The text of a variant's file.
pub fn source(variant: &Variant) -> String {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    std::fs::read_to_string(kernels.join(variant.file())).unwrap()
}

/// The buffers of one product.
struct Buffers {
    product: Product,
    c: CudaSlice<f32>,
    partial: CudaSlice<f64>,
    bias_gradient: CudaSlice<f32>,
    tickets: CudaSlice<u32>,
    control: CudaSlice<u8>,
    _inputs: Vec<CudaSlice<f32>>,
}

impl Device {
    fn new(nvrtc: Nvrtc) -> Device {
        let settings = Settings {
            compute_capability: (8, 0),
            memory: 1 << 30,
            threads: 2,
            checks: Checks::ALL,
            ..Settings::default()
        };
        let library = softcuda::preload(&settings).unwrap();
        let context = CudaContext::new(0).unwrap();
        // SAFETY: all work is on one stream.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().unwrap();
        Device { library, nvrtc, context, stream, functions: HashMap::new() }
    }

    /// The compiler.
    pub fn nvrtc(&self) -> &Nvrtc {
        &self.nvrtc
    }

    fn function(&mut self, variant: Variant) -> CudaFunction {
        let (nvrtc, context) = (&self.nvrtc, &self.context);
        let load = || {
            let options = options(architecture(variant.family), &variant);
            let program = nvrtc.compile(&source(&variant), variant.file(), &options).unwrap();
            assert_eq!(program.log().trim(), "", "{variant:?}");
            let module = context.load_module(Ptx::from_src(program.ptx())).unwrap();
            module.load_function(variant.entry()).unwrap()
        };
        self.functions.entry(variant).or_insert_with(load).clone()
    }

    fn upload(&self, values: &[f32], shift: usize) -> (CudaSlice<f32>, u64) {
        let shifted: Vec<f32> = std::iter::repeat_n(f32::NAN, shift).chain(values.iter().copied()).collect();
        let slice = self.stream.clone_htod(&shifted).unwrap();
        let address = slice.device_ptr(&self.stream).0 + 4 * shift as u64;
        (slice, address)
    }

    fn unwritten<T: cudarc::driver::DeviceRepr>(&self, count: usize) -> CudaSlice<T> {
        // SAFETY: numbers have no invalid bits; that nothing reads them unwritten is what the checks see to.
        unsafe { self.stream.alloc(count.max(1)) }.unwrap()
    }

    fn buffers(&self, problem: &Problem, plan: &Plan, shift: usize) -> Buffers {
        let size = problem.size;
        let inputs = [&problem.a, &problem.b, &problem.bias, &problem.other].map(|values| self.upload(values, shift));
        let control: Vec<u8> =
            (0..CONTROL).map(|i| if (SUSPECT..SUSPECT + 8).contains(&i) { 0xff } else { 0 }).collect();
        let control = self.stream.clone_htod(&control).unwrap();
        let (c, partial) = (self.unwritten::<f32>(size.m * size.n), self.unwritten::<f64>(plan.tiles as usize));
        let bias_gradient = self.unwritten::<f32>(size.m);
        let workspace = self.unwritten::<f32>(plan.workspace());
        let tickets = self.stream.alloc_zeros::<u32>(plan.tickets().max(1)).unwrap();
        let product = Product {
            a: inputs[0].1,
            b: inputs[1].1,
            bias: inputs[2].1,
            other: inputs[3].1,
            c: c.device_ptr(&self.stream).0,
            bias_gradient: bias_gradient.device_ptr(&self.stream).0,
            partial: partial.device_ptr(&self.stream).0,
            workspace: workspace.device_ptr(&self.stream).0,
            tickets: tickets.device_ptr(&self.stream).0,
            control: control.device_ptr(&self.stream).0,
            m: size.m as i32,
            n: size.n as i32,
            k: size.k as i32,
            splits: plan.splits as i32,
        };
        let mut kept: Vec<_> = inputs.into_iter().map(|(slice, _)| slice).collect();
        kept.push(workspace);
        Buffers { product, c, partial, bias_gradient, tickets, control, _inputs: kept }
    }

    fn output(&self, problem: &Problem, buffers: &Buffers) -> Output {
        let epilogue = problem.epilogue;
        let when = |used: bool, read: &dyn Fn() -> Vec<f64>| if used { read() } else { Vec::new() };
        let f64s = |slice: &CudaSlice<f32>| self.stream.clone_dtoh(slice).unwrap().into_iter().map(f64::from).collect();
        let control = self.stream.clone_dtoh(&buffers.control).unwrap();
        let suspect = u64::from_le_bytes(control[SUSPECT..SUSPECT + 8].try_into().unwrap());
        let tickets = self.stream.clone_dtoh(&buffers.tickets).unwrap();
        assert!(tickets.iter().all(|ticket| *ticket == 0), "tickets are ready for the next launch");
        Output {
            c: self.stream.clone_dtoh(&buffers.c).unwrap(),
            partial: when(epilogue == Epilogue::BiasBce, &|| self.stream.clone_dtoh(&buffers.partial).unwrap()),
            bias_gradient: when(epilogue == Epilogue::BiasGradient, &|| f64s(&buffers.bias_gradient)),
            suspect: (suspect != u64::MAX).then_some(suspect),
        }
    }

    /// Multiplies one or two problems in one launch; operands start `shift` floats after an address of 16 bytes.
    pub fn multiply(&mut self, family: Family, aligned: bool, work: &[(&Problem, Plan)], shift: usize) -> Vec<Output> {
        let variant =
            Variant { family, aligned, first: work[0].1.form, second: work.get(1).map(|(_, plan)| plan.form) };
        let function = self.function(variant);
        let buffers: Vec<Buffers> = work.iter().map(|(problem, plan)| self.buffers(problem, plan, shift)).collect();
        let mut builder = self.stream.launch_builder(&function);
        for buffers in &buffers {
            builder.arg(&buffers.product);
        }
        let blocks: u32 = work.iter().map(|(_, plan)| plan.blocks).sum();
        let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (variant.block(), 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the kernel takes these products, whose buffers have the sizes that it is told.
        unsafe { builder.launch(config) }.unwrap();
        let done = self.stream.synchronize();
        let reports = self.library.reports().unwrap();
        let sizes: Vec<_> = work.iter().map(|(problem, plan)| (problem.size, plan)).collect();
        assert!(done.is_ok() && reports.is_empty(), "{variant:?} {sizes:?}: {done:?} {reports:#?}");
        work.iter().zip(&buffers).map(|((problem, _), buffers)| self.output(problem, buffers)).collect()
    }

    /// As [`Device::multiply`], with the counts of the launch.
    pub fn count(&mut self, family: Family, work: &[(&Problem, Plan)]) -> (Vec<Output>, LaunchCounts) {
        self.library.reset_counts().unwrap();
        let outputs = self.multiply(family, true, work, 0);
        (outputs, self.library.launches().unwrap().pop().unwrap())
    }
}
