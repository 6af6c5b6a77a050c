//! Modules, libraries and kernels.

use super::abi::{In, Out, Text, api};
use super::code::{Code, Outcome};
use super::context::{Context, current, device};
use super::state::{Driver, Handle, driver, lock};
use crate::chip::{Chip, SHARED_PER_BLOCK};
use crate::program::{Kernel, LoadError, Program};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

/// A loaded module.
pub struct Module {
    /// Its handle.
    pub handle: Handle,
    /// The context that it belongs to.
    pub context: Handle,
    /// Its code.
    pub program: Arc<Program>,
    functions: Mutex<BTreeMap<usize, Handle>>,
    unloaded: AtomicBool,
}

/// A kernel of a module.
pub struct Function {
    /// The module.
    pub module: Arc<Module>,
    /// Its number in the module.
    pub kernel: usize,
    name: CString,
    /// Dynamic shared memory that a launch may ask for.
    dynamic_limit: AtomicI32,
    carveout: AtomicI32,
}

/// A module that belongs to no context: it is loaded into the one it is first used in.
pub struct Library {
    module: Handle,
}

/// A link under way: the one text that it may hold.
#[derive(Default)]
pub struct Linker {
    text: Mutex<Option<CString>>,
}

impl Module {
    /// Gives the device memory of its variables back.
    pub fn unload(&self, driver: &Driver) {
        if !self.unloaded.swap(true, Ordering::AcqRel) {
            self.program.unload(&driver.machine);
        }
    }

    /// The handle of a kernel.
    pub fn function(self: &Arc<Module>, driver: &Driver, kernel: usize) -> Outcome<Handle> {
        let mut functions = lock(&self.functions);
        if let Some(handle) = functions.get(&kernel) {
            return Ok(*handle);
        }
        let found = self.program.kernels().get(kernel).ok_or(Code::NOT_FOUND)?;
        let name = CString::new(&*found.name).map_err(|_| Code::INVALID_PTX)?;
        let free = SHARED_PER_BLOCK.saturating_sub(found.shared_bytes) as i32;
        let (handle, _) = driver.functions.create(|_| Function {
            module: self.clone(),
            kernel,
            name,
            dynamic_limit: AtomicI32::new(free),
            carveout: AtomicI32::new(-1),
        });
        functions.insert(kernel, handle);
        Ok(handle)
    }
}

impl Function {
    /// What is known of the kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.module.program.kernels()[self.kernel]
    }

    /// Dynamic shared memory that a launch may ask for.
    pub fn dynamic_limit(&self) -> u32 {
        self.dynamic_limit.load(Ordering::Relaxed).max(0) as u32
    }
}

/// Why an image cannot be loaded: the code, and text for the client's log.
struct Refusal {
    code: Code,
    text: String,
    /// Whether programs ask in order to find out, with something else to load where the answer is no: nothing to tell a person.
    expected: bool,
}

impl Refusal {
    fn new(code: Code, text: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into(), expected: false }
    }

    fn of(error: &LoadError) -> Refusal {
        let code = match error {
            LoadError::Ptx(_) => Code::INVALID_PTX,
            LoadError::Memory(_) => Code::OUT_OF_MEMORY,
            LoadError::Version { .. } => Code::UNSUPPORTED_PTX_VERSION,
            LoadError::Target { .. } => Code::NO_BINARY_FOR_GPU,
        };
        Refusal::new(code, error.to_string())
    }
}

/// What an image is, by its first bytes.
fn text_of(image: &[u8]) -> Result<String, Refusal> {
    const BINARIES: [&[u8]; 3] = [b"\x7fELF", &[0x50, 0xed, 0x55, 0xba], &[0xb1, 0x43, 0x62, 0x46]];
    if BINARIES.iter().any(|magic| image.starts_with(magic)) {
        let text = "the image is machine code for a real device: this driver runs PTX only, so load the PTX instead";
        return Err(Refusal { expected: true, ..Refusal::new(Code::NO_BINARY_FOR_GPU, text) });
    }
    if image.is_empty() {
        return Err(Refusal::new(Code::INVALID_IMAGE, "the image is empty: load PTX"));
    }
    String::from_utf8(image.to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Refusal::new(Code::INVALID_IMAGE, format!("the image is not text from byte {at} on: load PTX"))
    })
}

fn load_program(driver: &Driver, image: &[u8]) -> Result<Program, Refusal> {
    let text = text_of(image)?;
    Program::load(&driver.machine, &text).map_err(|error| Refusal::of(&error))
}

/// The client's options of a load: where to write the log of errors.
#[derive(Default)]
struct Log {
    buffer: u64,
    capacity: u64,
}

impl Log {
    fn of(count: u32, options: In<u32>, values: In<u64>) -> Outcome<Log> {
        const ERROR_BUFFER: u32 = 5;
        const ERROR_BYTES: u32 = 6;
        let count = count as usize;
        let mut log = Log::default();
        for (option, value) in options.list(count)?.into_iter().zip(values.list(count)?) {
            match option {
                ERROR_BUFFER => log.buffer = value,
                ERROR_BYTES => log.capacity = value & 0xffff_ffff,
                _ => {}
            }
        }
        Ok(log)
    }

    fn write(&self, text: &str) {
        if self.buffer != 0 {
            let _ = super::abi::answer_text(Out::at(self.buffer), self.capacity as usize, text);
        }
    }
}

fn load_module(driver: &Driver, context: &Context, image: &[u8], log: &Log) -> Outcome<Handle> {
    let program = load_program(driver, image).map_err(|refusal| {
        log.write(&refusal.text);
        if log.buffer == 0 && !refusal.expected {
            eprintln!("softcuda: the module cannot be loaded: {}", refusal.text);
        }
        refusal.code
    })?;
    let (handle, _) = driver.modules.create(|handle| Module {
        handle,
        context: context.handle,
        program: Arc::new(program),
        functions: Mutex::default(),
        unloaded: AtomicBool::new(false),
    });
    Ok(handle)
}

/// The bytes of an image whose length nothing tells: text ends with a zero; of a binary only the first word is read.
fn image_bytes(image: u64) -> Outcome<Vec<u8>> {
    let first: [u8; 1] = In::at(image).get()?;
    if matches!(first, [0x7f | 0x50 | 0xb1]) {
        return In::<[u8; 4]>::at(image).get().map(|word| word.to_vec());
    }
    Text::at(image).bytes()
}

fn load(target: Out<Handle>, image: u64, log: &Log) -> Outcome {
    let (driver, context) = current()?;
    if target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    target.set(load_module(driver, &context, &image_bytes(image)?, log)?)
}

fn read(path: Text) -> Outcome<Vec<u8>> {
    std::fs::read(path.get()?).map_err(|_| Code::FILE_NOT_FOUND)
}

fn load_file(target: Out<Handle>, path: Text) -> Outcome {
    let (driver, context) = current()?;
    let mut image = read(path)?;
    image.truncate(image.iter().position(|byte| *byte == 0).filter(|_| image[0] != 0x7f).unwrap_or(image.len()));
    target.set(load_module(driver, &context, &image, &Log::default())?)
}

fn unload(handle: Handle) -> Outcome {
    let (driver, context) = current()?;
    let module = driver.modules.get(handle)?;
    context.finish(driver);
    driver.modules.remove(handle)?;
    driver.functions.retain(|function| function.module.handle != handle);
    module.unload(driver);
    context.check()
}

fn get_function(target: Out<Handle>, module: Handle, name: Text) -> Outcome {
    let (driver, _) = current()?;
    let module = driver.modules.get(module)?;
    let kernel = module.program.kernel(&name.get()?).ok_or(Code::NOT_FOUND)?;
    target.set(module.function(driver, kernel)?)
}

fn get_global(address: Out<u64>, bytes: Out<usize>, module: Handle, name: Text) -> Outcome {
    let (driver, _) = current()?;
    let module = driver.modules.get(module)?;
    let (start, length) = module.program.variable(&name.get()?).ok_or(Code::NOT_FOUND)?;
    address.offer(start);
    bytes.offer(length as usize);
    Ok(())
}

fn count(target: Out<u32>, module: Handle) -> Outcome {
    target.set(driver()?.modules.get(module)?.program.kernels().len() as u32)
}

fn enumerate(target: Out<Handle>, capacity: u32, module: Handle) -> Outcome {
    let driver = driver()?;
    let module = driver.modules.get(module)?;
    let kernels = 0..module.program.kernels().len();
    let handles = kernels.map(|kernel| module.function(driver, kernel)).collect::<Outcome<Vec<_>>>()?;
    target.fill(&handles, capacity as usize)
}

fn get_attribute(target: Out<i32>, kind: u32, handle: Handle) -> Outcome {
    let driver = driver()?;
    let function = driver.functions.get(handle)?;
    let kernel = function.kernel();
    let (major, minor) = driver.machine.settings.compute_capability;
    target.set(match kind {
        0 => kernel.max_threads as i32,
        1 => kernel.shared_bytes as i32,
        2 => kernel.const_bytes as i32,
        3 => kernel.local_bytes as i32,
        4 => kernel.registers as i32,
        5 | 6 => (major * 10 + minor) as i32,
        7 | 10..=15 => 0,
        8 => function.dynamic_limit.load(Ordering::Relaxed),
        9 => function.carveout.load(Ordering::Relaxed),
        _ => return Err(Code::INVALID_VALUE),
    })
}

fn set_attribute(handle: Handle, kind: u32, value: i32) -> Outcome {
    const DYNAMIC_SHARED: u32 = 8;
    const CARVEOUT: u32 = 9;
    let (driver, _) = current()?;
    let function = driver.functions.get(handle)?;
    let most = Chip::of(driver.machine.settings.compute_capability).shared_opt_in;
    let room = most.saturating_sub(function.kernel().shared_bytes) as i32;
    match kind {
        DYNAMIC_SHARED if (0..=room).contains(&value) => function.dynamic_limit.store(value, Ordering::Relaxed),
        CARVEOUT if (-1..=100).contains(&value) => function.carveout.store(value, Ordering::Relaxed),
        _ => return Err(Code::INVALID_VALUE),
    }
    Ok(())
}

fn set_cache(handle: Handle, config: u32) -> Outcome {
    driver()?.functions.get(handle)?;
    if config <= 3 { Ok(()) } else { Err(Code::INVALID_VALUE) }
}

fn name(target: Out<u64>, handle: Handle) -> Outcome {
    target.set(driver()?.functions.get(handle)?.name.as_ptr() as u64)
}

fn parameter(handle: Handle, index: usize, offset: Out<usize>, bytes: Out<usize>) -> Outcome {
    let function = driver()?.functions.get(handle)?;
    let parameter = function.kernel().parameters.get(index).ok_or(Code::INVALID_VALUE)?;
    offset.set(parameter.offset)?;
    bytes.offer(parameter.bytes);
    Ok(())
}

fn parameter_count(handle: Handle, target: Out<usize>) -> Outcome {
    target.set(driver()?.functions.get(handle)?.kernel().parameters.len())
}

/// A library is loaded at once, into the current context or, without one, the device's own.
fn load_library(target: Out<Handle>, image: &[u8], log: &Log) -> Outcome {
    let (driver, context) = current()?;
    let module = load_module(driver, &context, image, log)?;
    target.set(driver.libraries.create(|_| Library { module }).0)
}

fn unload_library(handle: Handle) -> Outcome {
    unload(driver()?.libraries.remove(handle)?.module)
}

fn library_module(handle: Handle) -> Outcome<Handle> {
    Ok(driver()?.libraries.get(handle)?.module)
}

fn library_of(target: Out<Handle>, kernel: Handle) -> Outcome {
    let driver = driver()?;
    let module = driver.functions.get(kernel)?.module.handle;
    target.set(driver.libraries.handle_of(|library| library.module == module)?)
}

fn link_create(target: Out<Handle>) -> Outcome {
    let (driver, _) = current()?;
    target.set(driver.linkers.create(|_| Linker::default()).0)
}

/// Links hold one PTX text: this driver has no code to resolve between several.
fn link_add(handle: Handle, kind: u32, image: Vec<u8>) -> Outcome {
    const PTX: u32 = 1;
    let linker = driver()?.linkers.get(handle)?;
    let mut text = lock(&linker.text);
    if kind != PTX || text.is_some() {
        return Err(Code::NOT_SUPPORTED);
    }
    let end = image.iter().position(|byte| *byte == 0).unwrap_or(image.len());
    *text = Some(CString::new(&image[..end]).map_err(|_| Code::INVALID_PTX)?);
    Ok(())
}

/// What a link gives is the text itself, which loads like a binary.
fn link_complete(handle: Handle, image: Out<u64>, bytes: Out<usize>) -> Outcome {
    let linker = driver()?.linkers.get(handle)?;
    let text = lock(&linker.text);
    let text = text.as_ref().ok_or(Code::INVALID_VALUE)?;
    image.set(text.as_ptr() as u64)?;
    bytes.offer(text.as_bytes_with_nul().len());
    Ok(())
}

api! {
    cuModuleLoad: (module: Out<Handle>, path: Text) => load_file(module, path);
    cuModuleLoadData: (module: Out<Handle>, image: u64) => load(module, image, &Log::default());
    cuModuleLoadDataEx: (module: Out<Handle>, image: u64, count: u32, options: In<u32>, values: In<u64>) =>
        Log::of(count, options, values).and_then(|log| load(module, image, &log));
    cuModuleLoadFatBinary: (_module: Out<Handle>, _image: u64) => current().and(Err(Code::NO_BINARY_FOR_GPU));
    cuModuleUnload: (module: Handle) => unload(module);
    cuModuleGetFunction: (function: Out<Handle>, module: Handle, name: Text) => get_function(function, module, name);
    cuModuleGetGlobal_v2: (address: Out<u64>, bytes: Out<usize>, module: Handle, name: Text) =>
        get_global(address, bytes, module, name);
    cuModuleGetLoadingMode: (mode: Out<u32>) => mode.set(1);
    cuModuleGetFunctionCount: (target: Out<u32>, module: Handle) => count(target, module);
    cuModuleEnumerateFunctions: (functions: Out<Handle>, capacity: u32, module: Handle) =>
        enumerate(functions, capacity, module);
    cuFuncGetAttribute: (value: Out<i32>, kind: u32, function: Handle) => get_attribute(value, kind, function);
    cuFuncSetAttribute: (function: Handle, kind: u32, value: i32) => set_attribute(function, kind, value);
    cuFuncSetCacheConfig: (function: Handle, config: u32) => set_cache(function, config);
    cuFuncSetSharedMemConfig: (function: Handle, config: u32) => set_cache(function, config);
    cuFuncGetModule: (module: Out<Handle>, function: Handle) =>
        driver().and_then(|driver| module.set(driver.functions.get(function)?.module.handle));
    cuFuncGetName: (target: Out<u64>, function: Handle) => name(target, function);
    cuFuncGetParamInfo: (function: Handle, index: usize, offset: Out<usize>, bytes: Out<usize>) =>
        parameter(function, index, offset, bytes);
    cuFuncGetParamCount: (function: Handle, target: Out<usize>) => parameter_count(function, target);
    cuFuncIsLoaded: (state: Out<u32>, function: Handle) =>
        driver().and_then(|driver| driver.functions.get(function)).and_then(|_| state.set(1));
    cuFuncLoad: (function: Handle) => driver().and_then(|driver| driver.functions.get(function)).map(|_| ());
    cuLibraryLoadData: (library: Out<Handle>, image: u64, options: In<u32>, values: In<u64>, count: u32, _library_options: u64,
        _library_values: u64, _library_count: u32) =>
        Log::of(count, options, values).and_then(|log| load_library(library, &image_bytes(image)?, &log));
    cuLibraryLoadFromFile: (library: Out<Handle>, path: Text, options: In<u32>, values: In<u64>, count: u32,
        _library_options: u64, _library_values: u64, _library_count: u32) =>
        Log::of(count, options, values).and_then(|log| load_library(library, &read(path)?, &log));
    cuLibraryUnload: (library: Handle) => unload_library(library);
    cuLibraryGetModule: (module: Out<Handle>, library: Handle) =>
        library_module(library).and_then(|handle| module.set(handle));
    cuLibraryGetKernel: (kernel: Out<Handle>, library: Handle, name: Text) =>
        library_module(library).and_then(|module| get_function(kernel, module, name));
    cuLibraryGetKernelCount: (target: Out<u32>, library: Handle) =>
        library_module(library).and_then(|module| count(target, module));
    cuLibraryEnumerateKernels: (kernels: Out<Handle>, capacity: u32, library: Handle) =>
        library_module(library).and_then(|module| enumerate(kernels, capacity, module));
    cuLibraryGetGlobal: (address: Out<u64>, bytes: Out<usize>, library: Handle, name: Text) =>
        library_module(library).and_then(|module| get_global(address, bytes, module, name));
    cuLibraryGetManaged: (_address: Out<u64>, _bytes: Out<usize>, library: Handle, _name: Text) =>
        library_module(library).and(Err(Code::NOT_FOUND));
    cuKernelGetFunction: (function: Out<Handle>, kernel: Handle) =>
        driver().and_then(|driver| driver.functions.get(kernel)).and_then(|_| function.set(kernel));
    cuKernelGetLibrary: (library: Out<Handle>, kernel: Handle) => library_of(library, kernel);
    cuKernelGetName: (target: Out<u64>, kernel: Handle) => name(target, kernel);
    cuKernelGetParamInfo: (kernel: Handle, index: usize, offset: Out<usize>, bytes: Out<usize>) =>
        parameter(kernel, index, offset, bytes);
    cuKernelGetParamCount: (kernel: Handle, target: Out<usize>) => parameter_count(kernel, target);
    cuKernelGetAttribute: (value: Out<i32>, kind: u32, kernel: Handle, number: i32) =>
        device(number).and_then(|_| get_attribute(value, kind, kernel));
    cuKernelSetAttribute: (kind: u32, value: i32, kernel: Handle, number: i32) =>
        device(number).and_then(|_| set_attribute(kernel, kind, value));
    cuKernelSetCacheConfig: (kernel: Handle, config: u32, number: i32) =>
        device(number).and_then(|_| set_cache(kernel, config));
    cuLinkCreate_v2: (_count: u32, _options: u64, _values: u64, target: Out<Handle>) => link_create(target);
    cuLinkAddData_v2: (linker: Handle, kind: u32, data: In<u8>, bytes: usize, _name: Text, _count: u32, _options: u64,
        _values: u64) => data.list(bytes).and_then(|image| link_add(linker, kind, image));
    cuLinkAddFile_v2: (linker: Handle, kind: u32, path: Text, _count: u32, _options: u64, _values: u64) =>
        read(path).and_then(|image| link_add(linker, kind, image));
    cuLinkComplete: (linker: Handle, image: Out<u64>, bytes: Out<usize>) => link_complete(linker, image, bytes);
    cuLinkDestroy: (linker: Handle) => driver().and_then(|driver| driver.linkers.remove(linker)).map(|_| ());
}
