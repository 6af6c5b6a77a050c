//! Kernels compiled for each architecture, and launches of them through cudarc on one device that checks everything.

use cudarc::driver::{
    CudaContext, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;
use nvrtc::Nvrtc;
use softcuda::settings::{Checks, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// The architectures compiled for; the device takes all of them.
const ARCHITECTURES: [u32; 5] = [75, 80, 86, 89, 90];

fn library() -> &'static softcuda::Library {
    static LIBRARY: OnceLock<softcuda::Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let settings = Settings {
            compute_capability: (9, 0),
            memory: 256 << 20,
            threads: 2,
            checks: Checks::ALL,
            limit: Some(100_000_000),
            ..Settings::default()
        };
        softcuda::preload(&settings).unwrap()
    })
}

/// The compiler, if there is one; without it, which is said once, the snapshot for sm_80 has to do.
fn compiler() -> Option<&'static Nvrtc> {
    static COMPILER: OnceLock<Option<Nvrtc>> = OnceLock::new();
    let found = COMPILER
        .get_or_init(|| Nvrtc::find().inspect_err(|error| println!("only the snapshot for sm_80 runs: {error}")).ok());
    found.as_ref()
}

/// A number as device memory holds it.
pub trait Element: Copy {
    /// Bytes of `values`, one after the other.
    fn pack(values: &[Self]) -> Vec<u8>;
    /// The values that lie in `bytes`.
    fn unpack(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! element {
    ($($t:ty)*) => {
        $(impl Element for $t {
            fn pack(values: &[Self]) -> Vec<u8> {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
            fn unpack(bytes: &[u8]) -> Vec<Self> {
                let value = |chunk: &[u8]| <$t>::from_le_bytes(chunk.try_into().unwrap());
                bytes.chunks_exact(size_of::<$t>()).map(value).collect()
            }
        })*
    };
}
element!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);

/// A structure that a kernel takes by value.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Structure {
    pub scale: f32,
    pub shift: i16,
    pub bias: f64,
    pub weights: [i32; 3],
}

// SAFETY: its layout is that of C, which the kernel shares.
unsafe impl DeviceRepr for Structure {}

/// An argument of a launch.
pub enum Argument {
    Int(i32),
    Float(f32),
    Long(u64),
    Structure(Structure),
    /// A buffer with contents.
    Data(Vec<u8>),
    /// A buffer of so many bytes that nothing has written.
    Output(usize),
}

/// A buffer that holds `values`.
pub fn data<T: Element>(values: &[T]) -> Argument {
    Argument::Data(T::pack(values))
}

/// A buffer for `count` values, unwritten.
pub fn output<T: Element>(count: usize) -> Argument {
    Argument::Output(count * size_of::<T>())
}

/// The contents of the launch's buffers after it, in the order of its arguments.
pub struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// The values of one of them.
    pub fn get<T: Element>(&self, index: usize) -> Vec<T> {
        T::unpack(&self.0[index])
    }
}

/// A file of kernels, compiled for one architecture and loaded.
pub struct Target {
    pub architecture: u32,
    module: Arc<CudaModule>,
    stream: Arc<CudaStream>,
}

/// Runs `test` on the kernels of a file for each architecture; nothing may have been reported in the end.
pub fn for_each_target(file: &str, test: impl Fn(&Target)) {
    library();
    let context = CudaContext::new(0).unwrap();
    for (architecture, ptx) in compiled(file).iter().cloned() {
        let module = context.load_module(Ptx::from_src(ptx)).unwrap();
        test(&Target { architecture, module, stream: context.new_stream().unwrap() });
        let reports = library().reports().unwrap();
        assert!(reports.is_empty(), "{file} for sm_{architecture}: {reports:#?}");
    }
}

/// PTX by architecture.
type Compiled = Arc<[(u32, String)]>;

/// The PTX of a file for each architecture, compiled once: several tests run kernels of the same file.
fn compiled(file: &str) -> Compiled {
    static COMPILED: Mutex<BTreeMap<String, Compiled>> = Mutex::new(BTreeMap::new());
    let mut known = COMPILED.lock().unwrap();
    known.entry(file.to_owned()).or_insert_with(|| compile(file).into()).clone()
}

fn compile(file: &str) -> Vec<(u32, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let Some(nvrtc) = compiler() else {
        return vec![(80, read(folder.join(format!("ptx/{file}.sm_80.ptx"))))];
    };
    let source = read(folder.join(format!("kernels/{file}.cu")));
    let compile = |architecture| {
        let options = [format!("--gpu-architecture=compute_{architecture}"), "-lineinfo".to_owned()];
        (architecture, nvrtc.compile(&source, &format!("{file}.cu"), &options).unwrap().ptx().to_owned())
    };
    ARCHITECTURES.into_iter().map(compile).collect()
}

/// A launch of `grid` blocks of `block` threads.
pub fn shape(grid: impl Into<Extent>, block: impl Into<Extent>) -> LaunchConfig {
    LaunchConfig { grid_dim: grid.into().0, block_dim: block.into().0, shared_mem_bytes: 0 }
}

/// The extent of a grid or a block, in one to three dimensions.
pub struct Extent((u32, u32, u32));

impl From<u32> for Extent {
    fn from(x: u32) -> Self {
        Extent((x, 1, 1))
    }
}

impl From<(u32, u32)> for Extent {
    fn from((x, y): (u32, u32)) -> Self {
        Extent((x, y, 1))
    }
}

impl From<(u32, u32, u32)> for Extent {
    fn from(extent: (u32, u32, u32)) -> Self {
        Extent(extent)
    }
}

impl Target {
    /// Launches a kernel and waits for it.
    pub fn run(&self, kernel: &str, config: LaunchConfig, arguments: &[Argument]) -> Buffers {
        self.launch(kernel, config, arguments, false)
    }

    /// As [`Target::run`], with all blocks alive at once.
    pub fn run_cooperatively(&self, kernel: &str, config: LaunchConfig, arguments: &[Argument]) -> Buffers {
        self.launch(kernel, config, arguments, true)
    }

    /// Writes a variable of the module.
    pub fn set<T: Element>(&self, variable: &str, values: &[T]) {
        let mut variable = self.module.get_global(variable, &self.stream).unwrap();
        self.stream.memcpy_htod(&T::pack(values), &mut variable).unwrap();
    }

    fn buffer(&self, argument: &Argument) -> Option<CudaSlice<u8>> {
        match argument {
            Argument::Data(bytes) => Some(self.stream.clone_htod(bytes).unwrap()),
            // SAFETY: bytes of any value are bytes; that nothing reads them unwritten is what the checks see to.
            Argument::Output(bytes) => Some(unsafe { self.stream.alloc(*bytes) }.unwrap()),
            _ => None,
        }
    }

    fn launch(&self, kernel: &str, config: LaunchConfig, arguments: &[Argument], cooperative: bool) -> Buffers {
        let function = self.module.load_function(kernel).unwrap();
        let buffers: Vec<Option<CudaSlice<u8>>> = arguments.iter().map(|argument| self.buffer(argument)).collect();
        let address = |buffer: &CudaSlice<u8>| buffer.device_ptr(&self.stream).0;
        let addresses: Vec<u64> = buffers.iter().map(|buffer| buffer.as_ref().map_or(0, address)).collect();
        let mut builder = self.stream.launch_builder(&function);
        for (argument, address) in arguments.iter().zip(&addresses) {
            match argument {
                Argument::Int(value) => builder.arg(value),
                Argument::Float(value) => builder.arg(value),
                Argument::Long(value) => builder.arg(value),
                Argument::Structure(value) => builder.arg(value),
                Argument::Data(_) | Argument::Output(_) => builder.arg(address),
            };
        }
        // SAFETY: the tests give each kernel the arguments and the buffers that its source asks for.
        let launched = unsafe { if cooperative { builder.launch_cooperative(config) } else { builder.launch(config) } };
        launched.unwrap();
        self.stream.synchronize().unwrap_or_else(|error| {
            panic!("{kernel} for sm_{}: {error}; {:#?}", self.architecture, library().reports().unwrap())
        });
        Buffers(buffers.iter().flatten().map(|buffer| self.stream.clone_dtoh(buffer).unwrap()).collect())
    }
}
