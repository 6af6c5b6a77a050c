//! What the whole process shares: the device, and all objects by their handles.

use super::capture::Capture;
use super::code::{Code, Outcome};
use super::context::{Context, Primary};
use super::event::Event;
use super::graph::{Executable, Graph};
use super::module::{Function, Library, Linker, Module};
use super::pool::Pool;
use super::stream::Stream;
use crate::machine::Machine;
use crate::settings::Settings;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A handle as the client holds it. It is never followed, so that any value is safe.
pub type Handle = u64;

static NEXT: AtomicU64 = AtomicU64::new(0x5000_0000_1000);

/// A handle that nothing else has.
pub fn new_handle() -> Handle {
    NEXT.fetch_add(0x40, Ordering::Relaxed)
}

/// Locks a mutex; a thread that died while it held it has left nothing half done.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Objects of one kind by their handles.
pub struct Registry<T> {
    objects: Mutex<BTreeMap<Handle, Arc<T>>>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Registry { objects: Mutex::new(BTreeMap::new()) }
    }
}

impl<T> Registry<T> {
    /// Makes an object that knows its handle.
    pub fn create(&self, make: impl FnOnce(Handle) -> T) -> (Handle, Arc<T>) {
        let handle = new_handle();
        let object = Arc::new(make(handle));
        self.insert(handle, object.clone());
        (handle, object)
    }

    /// Makes an object known by a handle.
    pub fn insert(&self, handle: Handle, object: Arc<T>) {
        lock(&self.objects).insert(handle, object);
    }

    /// The object of that handle.
    pub fn get(&self, handle: Handle) -> Outcome<Arc<T>> {
        lock(&self.objects).get(&handle).cloned().ok_or(Code::INVALID_HANDLE)
    }

    /// Forgets the object of that handle and returns it.
    pub fn remove(&self, handle: Handle) -> Outcome<Arc<T>> {
        lock(&self.objects).remove(&handle).ok_or(Code::INVALID_HANDLE)
    }

    /// Forgets the objects that are not `kept`.
    pub fn retain(&self, kept: impl Fn(&T) -> bool) {
        lock(&self.objects).retain(|_, object| kept(object));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        lock(&self.objects).is_empty()
    }

    /// The handle of the first object that is `meant`.
    pub fn handle_of(&self, meant: impl Fn(&T) -> bool) -> Outcome<Handle> {
        let objects = lock(&self.objects);
        objects.iter().find(|(_, object)| meant(object)).map(|(handle, _)| *handle).ok_or(Code::NOT_FOUND)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<T>> {
        lock(&self.objects).values().cloned().collect()
    }
}

/// Memory of the host that the driver gave out or was told of.
#[derive(Clone, Copy, Debug)]
pub struct HostMemory {
    /// Its bytes.
    pub bytes: u64,
    /// The flags it was made with.
    pub flags: u32,
    /// How it was allocated, if it is ours.
    pub layout: Option<Layout>,
    /// Whether it is managed memory, which device and host share.
    pub managed: bool,
    /// The context that it belongs to.
    pub context: Handle,
}

/// All state of the driver.
pub struct Driver {
    /// The device.
    pub machine: Machine,
    /// The device's own context.
    pub primary: Mutex<Primary>,
    /// Contexts.
    pub contexts: Registry<Context>,
    /// Streams that were created.
    pub streams: Registry<Stream>,
    /// Events.
    pub events: Registry<Event>,
    /// Modules.
    pub modules: Registry<Module>,
    /// Kernels of modules.
    pub functions: Registry<Function>,
    /// Modules that belong to no context.
    pub libraries: Registry<Library>,
    /// Links under way.
    pub linkers: Registry<Linker>,
    /// Memory pools.
    pub pools: Registry<Pool>,
    /// The pool that allocations come from unless another is named.
    pub default_pool: Handle,
    /// The pool that the client made the device's current one.
    pub current_pool: AtomicU64,
    /// Graphs.
    pub graphs: Registry<Graph>,
    /// The graph of each node.
    pub nodes: Registry<super::graph::NodeHome>,
    /// Instantiated graphs.
    pub executables: Registry<Executable>,
    /// Captures under way.
    pub captures: Registry<Capture>,
    /// Pinned, registered and managed memory by its first address.
    pub host: Mutex<BTreeMap<u64, HostMemory>>,
    /// What all host threads together know to be done: the number of the last such operation of each stream.
    pub known: Mutex<Arc<BTreeMap<u32, u64>>>,
}

static DRIVER: OnceLock<Driver> = OnceLock::new();
static SETUP: Mutex<()> = Mutex::new(());
static INITIALISED: AtomicBool = AtomicBool::new(false);
static COMPLAINED: AtomicBool = AtomicBool::new(false);

/// Why the device cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable of the environment.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// Addresses for the device's memory.
    #[error("the addresses for {bytes} bytes of device memory are not to be had: set SOFTCUDA_MEMORY lower ({source})")]
    Memory {
        /// Bytes asked for.
        bytes: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is there already, otherwise.
    #[error(
        "the software device is set up already, with other settings: set them up once, before the first call of the driver"
    )]
    Configured,
}

impl Driver {
    fn new(settings: Settings) -> Result<Driver, SetupError> {
        let bytes = settings.memory;
        let machine = Machine::new(settings).map_err(|source| SetupError::Memory { bytes, source })?;
        let pools = Registry::default();
        let (default_pool, _) = pools.create(|_| Pool::default());
        Ok(Driver {
            machine,
            primary: Mutex::default(),
            contexts: Registry::default(),
            streams: Registry::default(),
            events: Registry::default(),
            modules: Registry::default(),
            functions: Registry::default(),
            libraries: Registry::default(),
            linkers: Registry::default(),
            pools,
            default_pool,
            current_pool: AtomicU64::new(default_pool),
            graphs: Registry::default(),
            nodes: Registry::default(),
            executables: Registry::default(),
            captures: Registry::default(),
            host: Mutex::default(),
            known: Mutex::default(),
        })
    }

    /// Notes that the host has waited until operation `sequence` of `stream`, and all in `after`, were done.
    pub fn learn(&self, after: &BTreeMap<u32, u64>, stream: u32, sequence: u64) {
        merge(&mut lock(&self.known), after, stream, sequence);
    }

    /// The pinned, registered or managed memory that holds `address`, with its first address.
    pub fn host_memory(&self, address: u64) -> Option<(u64, HostMemory)> {
        let host = lock(&self.host);
        let (start, memory) = host.range(..=address).next_back()?;
        (address < start + memory.bytes.max(1)).then_some((*start, *memory))
    }
}

/// Adds to `clock` what `after` knows, and operation `sequence` of `stream`.
pub fn merge(clock: &mut Arc<BTreeMap<u32, u64>>, after: &BTreeMap<u32, u64>, stream: u32, sequence: u64) {
    let news = |(number, value): &(u32, u64)| *value > clock.get(number).copied().unwrap_or(0);
    let own = [(stream, sequence)];
    let newer: Vec<(u32, u64)> = after.iter().map(|(n, v)| (*n, *v)).chain(own).filter(news).collect();
    if !newer.is_empty() {
        Arc::make_mut(clock).extend(newer);
    }
}

/// Sets the device up with `settings`, once; again with equal settings is no error.
///
/// # Errors
/// See [`SetupError`].
pub fn configure(settings: Settings) -> Result<&'static Driver, SetupError> {
    let _setup = lock(&SETUP);
    if let Some(driver) = DRIVER.get() {
        return if driver.machine.settings == settings { Ok(driver) } else { Err(SetupError::Configured) };
    }
    let driver = Driver::new(settings)?;
    super::control::at_exit();
    Ok(DRIVER.get_or_init(|| driver))
}

/// The device, if it is set up.
pub fn configured() -> Option<&'static Driver> {
    DRIVER.get()
}

/// `cuInit`.
pub fn initialise(flags: u32) -> Outcome {
    if flags != 0 {
        return Err(Code::INVALID_VALUE);
    }
    let set_up = match configured() {
        Some(driver) => Ok(driver),
        None => Settings::from_environment().map_err(SetupError::from).and_then(configure),
    };
    let driver = set_up.map_err(|error| {
        if !COMPLAINED.swap(true, Ordering::Relaxed) {
            eprintln!("softcuda: {error}");
        }
        Code::INVALID_VALUE
    })?;
    if driver.machine.settings.devices == 0 {
        return Err(Code::NO_DEVICE);
    }
    INITIALISED.store(true, Ordering::Release);
    Ok(())
}

/// The driver, once the client has initialised it.
pub fn driver() -> Outcome<&'static Driver> {
    if !INITIALISED.load(Ordering::Acquire) {
        return Err(Code::NOT_INITIALIZED);
    }
    configured().ok_or(Code::NOT_INITIALIZED)
}
