//! Contexts: what belongs together, which one a thread works in, and the error that stays.

use super::abi::{In, Out, api};
use super::capture;
use super::code::{Code, Outcome};
use super::state::{Driver, Handle, Registry, driver, lock};
use super::stream::Streams;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const FLAGS: u32 = 0xff;
const API_VERSION: u32 = 13000;
/// Stack, printf buffer, heap, depth and count of launches from the device, L2 fetch granularity, persisting L2.
const LIMITS: [usize; 7] = [1024, 1 << 20, 8 << 20, 2, 2048, 64, 0];

/// A context.
pub struct Context {
    /// Its handle.
    pub handle: Handle,
    /// Its number.
    pub number: u64,
    /// Its flags.
    pub flags: AtomicU32,
    /// Its streams.
    pub streams: Mutex<Streams>,
    /// The device memory that it allocated.
    pub allocations: Mutex<BTreeSet<u64>>,
    fault: AtomicU32,
    limits: Mutex<[usize; 7]>,
    cache: AtomicU32,
}

/// The device's own context.
#[derive(Default)]
pub struct Primary {
    handle: Option<Handle>,
    holders: u32,
    flags: u32,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static STACK: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// The number of the calling thread.
pub fn thread() -> u64 {
    if THREAD.get() == 0 {
        THREAD.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
    }
    THREAD.get()
}

impl Context {
    fn new(handle: Handle, flags: u32) -> Context {
        Context {
            handle,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            flags: AtomicU32::new(flags),
            streams: Mutex::new(Streams::new(handle)),
            allocations: Mutex::default(),
            fault: AtomicU32::new(0),
            limits: Mutex::new(LIMITS),
            cache: AtomicU32::new(0),
        }
    }

    /// The error that a kernel left, if one did.
    pub fn check(&self) -> Outcome {
        match self.fault.load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(Code(code)),
        }
    }

    /// Does queued work unless earlier work failed; a failure stays.
    pub fn perform(&self, work: impl FnOnce() -> Outcome) {
        if let Err(code) = self.check().and_then(|()| work()) {
            let _ = self.fault.compare_exchange(0, code.0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Ends the context: waits for its work, reports what it still holds and frees it.
    fn end(&self, driver: &Driver) {
        self.finish(driver);
        for module in driver.modules.all().into_iter().filter(|module| module.context == self.handle) {
            module.unload(driver);
        }
        let mut allocations = std::mem::take(&mut *lock(&self.allocations));
        let pinned: Vec<u64> = {
            let host = lock(&driver.host);
            host.iter().filter(|(_, memory)| memory.context == self.handle).map(|(start, _)| *start).collect()
        };
        super::control::report_leaks(driver, allocations.iter().chain(&pinned).copied());
        while let Some(address) = allocations.pop_first() {
            let _ = driver.machine.free(address);
        }
        for address in pinned {
            let _ = super::memory::release_host(driver, address);
        }
        driver.streams.retain(|stream| stream.context != self.handle);
        driver.events.retain(|event| event.context != self.handle);
        driver.modules.retain(|module| module.context != self.handle);
        driver.functions.retain(|function| function.module.context != self.handle);
    }
}

fn top() -> Option<Handle> {
    STACK.try_with(|stack| stack.borrow().last().copied()).ok().flatten()
}

fn set_top(handle: Handle) {
    STACK.with(|stack| {
        let mut stack = stack.borrow_mut();
        stack.pop();
        if handle != 0 {
            stack.push(handle);
        }
    });
}

/// The current context, whatever its state.
fn selected() -> Outcome<(&'static Driver, Arc<Context>)> {
    let driver = driver()?;
    let handle = top().ok_or(Code::INVALID_CONTEXT)?;
    let context = driver.contexts.get(handle).map_err(|_| Code::CONTEXT_IS_DESTROYED)?;
    Ok((driver, context))
}

/// The current context, unless a kernel's error stays in it.
pub fn current() -> Outcome<(&'static Driver, Arc<Context>)> {
    let (driver, context) = selected()?;
    context.check()?;
    Ok((driver, context))
}

/// Checks the number of a device.
pub fn device(number: i32) -> Outcome<&'static Driver> {
    let driver = driver()?;
    if number == 0 { Ok(driver) } else { Err(Code::INVALID_DEVICE) }
}

fn create(target: Out<Handle>, flags: u32, number: i32) -> Outcome {
    let driver = device(number)?;
    if flags & !FLAGS != 0 || target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    let (handle, _) = driver.contexts.create(|handle| Context::new(handle, flags));
    STACK.with(|stack| stack.borrow_mut().push(handle));
    target.set(handle)
}

fn create_with_parameters(target: Out<Handle>, parameters: In<[u64; 3]>, flags: u32, number: i32) -> Outcome {
    if !parameters.is_null() && parameters.get()?.iter().any(|field| *field != 0) {
        return Err(Code::NOT_SUPPORTED);
    }
    create(target, flags, number)
}

fn create_with_affinity(target: Out<Handle>, count: i32, flags: u32, number: i32) -> Outcome {
    if count != 0 {
        return Err(Code::UNSUPPORTED_EXEC_AFFINITY);
    }
    create(target, flags, number)
}

fn destroy(handle: Handle) -> Outcome {
    let driver = driver()?;
    if lock(&driver.primary).handle == Some(handle) {
        return Err(Code::INVALID_CONTEXT);
    }
    let context = driver.contexts.get(handle).map_err(|_| Code::INVALID_CONTEXT)?;
    context.end(driver);
    forget(&driver.contexts, handle);
    if top() == Some(handle) {
        set_top(0);
    }
    Ok(())
}

fn forget(contexts: &Registry<Context>, handle: Handle) {
    let _ = contexts.remove(handle);
}

fn set_current(handle: Handle) -> Outcome {
    if handle != 0 {
        driver()?.contexts.get(handle).map_err(|_| Code::INVALID_CONTEXT)?;
    } else {
        driver()?;
    }
    set_top(handle);
    Ok(())
}

fn push(handle: Handle) -> Outcome {
    driver()?.contexts.get(handle).map_err(|_| Code::INVALID_CONTEXT)?;
    STACK.with(|stack| stack.borrow_mut().push(handle));
    Ok(())
}

fn pop(target: Out<Handle>) -> Outcome {
    driver()?;
    let popped = STACK.with(|stack| stack.borrow_mut().pop()).ok_or(Code::INVALID_CONTEXT)?;
    target.offer(popped);
    Ok(())
}

fn get_current(target: Out<Handle>) -> Outcome {
    driver()?;
    target.set(top().unwrap_or(0))
}

/// The context of a handle, or the current one for none.
fn given(handle: Handle) -> Outcome<(&'static Driver, Arc<Context>)> {
    if handle == 0 {
        return selected();
    }
    let driver = driver()?;
    Ok((driver, driver.contexts.get(handle).map_err(|_| Code::INVALID_CONTEXT)?))
}

fn synchronize(handle: Handle) -> Outcome {
    let (driver, context) = given(handle)?;
    context.check()?;
    capture::forbid_context(&context)?;
    context.finish(driver);
    context.check()
}

fn ask<T: Copy>(handle: Handle, target: Out<T>, answer: impl Fn(&Context) -> T) -> Outcome {
    target.set(answer(&given(handle)?.1))
}

fn set_flags(flags: u32) -> Outcome {
    let (_, context) = current()?;
    if flags & !FLAGS != 0 {
        return Err(Code::INVALID_VALUE);
    }
    context.flags.store(flags, Ordering::Relaxed);
    Ok(())
}

fn get_limit(target: Out<usize>, limit: u32) -> Outcome {
    let (_, context) = current()?;
    let value = lock(&context.limits).get(limit as usize).copied();
    target.set(value.ok_or(Code::UNSUPPORTED_LIMIT)?)
}

fn set_limit(limit: u32, value: usize) -> Outcome {
    let (_, context) = current()?;
    let mut limits = lock(&context.limits);
    *limits.get_mut(limit as usize).ok_or(Code::UNSUPPORTED_LIMIT)? = value;
    Ok(())
}

fn set_cache(config: u32) -> Outcome {
    let (_, context) = current()?;
    if config > 3 {
        return Err(Code::INVALID_VALUE);
    }
    context.cache.store(config, Ordering::Relaxed);
    Ok(())
}

fn retain(target: Out<Handle>, number: i32) -> Outcome {
    let driver = device(number)?;
    let mut primary = lock(&driver.primary);
    let active = primary.handle.is_some_and(|handle| driver.contexts.get(handle).is_ok());
    if !active {
        let handle = primary.handle.unwrap_or_else(super::state::new_handle);
        driver.contexts.insert(handle, Arc::new(Context::new(handle, primary.flags)));
        primary.handle = Some(handle);
    }
    primary.holders += 1;
    target.set(primary.handle.unwrap_or(0))
}

fn end_primary(driver: &Driver, handle: Option<Handle>) {
    let Some(handle) = handle else { return };
    if let Ok(context) = driver.contexts.get(handle) {
        context.end(driver);
        forget(&driver.contexts, handle);
    }
}

fn release(number: i32) -> Outcome {
    let driver = device(number)?;
    let ended = {
        let mut primary = lock(&driver.primary);
        primary.holders = primary.holders.checked_sub(1).ok_or(Code::INVALID_CONTEXT)?;
        primary.handle.filter(|_| primary.holders == 0)
    };
    end_primary(driver, ended);
    Ok(())
}

/// Ends the device's own context, whoever holds it; the holders go on holding the handle, whose next retain makes it anew.
fn reset(number: i32) -> Outcome {
    let driver = device(number)?;
    let handle = {
        let mut primary = lock(&driver.primary);
        primary.holders = 0;
        primary.handle
    };
    end_primary(driver, handle);
    Ok(())
}

fn set_primary_flags(number: i32, flags: u32) -> Outcome {
    let driver = device(number)?;
    if flags & !FLAGS != 0 {
        return Err(Code::INVALID_VALUE);
    }
    let mut primary = lock(&driver.primary);
    primary.flags = flags;
    if let Some(context) = primary.handle.and_then(|handle| driver.contexts.get(handle).ok()) {
        context.flags.store(flags, Ordering::Relaxed);
    }
    Ok(())
}

fn primary_state(number: i32, flags: Out<u32>, active: Out<i32>) -> Outcome {
    let driver = device(number)?;
    let primary = lock(&driver.primary);
    let is_active = primary.handle.is_some_and(|handle| driver.contexts.get(handle).is_ok());
    flags.set(primary.flags)?;
    active.set(i32::from(is_active))
}

api! {
    cuCtxCreate_v2: (context: Out<Handle>, flags: u32, device: i32) => create(context, flags, device);
    cuCtxCreate_v3: (context: Out<Handle>, _affinities: u64, count: i32, flags: u32, device: i32) =>
        create_with_affinity(context, count, flags, device);
    cuCtxCreate_v4: (context: Out<Handle>, parameters: In<[u64; 3]>, flags: u32, device: i32) =>
        create_with_parameters(context, parameters, flags, device);
    cuCtxDestroy_v2: (context: Handle) => destroy(context);
    cuCtxPushCurrent_v2: (context: Handle) => push(context);
    cuCtxPopCurrent_v2: (context: Out<Handle>) => pop(context);
    cuCtxSetCurrent: (context: Handle) => set_current(context);
    cuCtxGetCurrent: (context: Out<Handle>) => get_current(context);
    cuCtxGetDevice: (device: Out<i32>) => ask(0, device, |_| 0);
    cuCtxGetDevice_v2: (device: Out<i32>, context: Handle) => ask(context, device, |_| 0);
    cuCtxGetFlags: (flags: Out<u32>) => ask(0, flags, |context| context.flags.load(Ordering::Relaxed));
    cuCtxSetFlags: (flags: u32) => set_flags(flags);
    cuCtxGetId: (context: Handle, id: Out<u64>) => ask(context, id, |context| context.number);
    cuCtxGetApiVersion: (context: Handle, version: Out<u32>) => ask(context, version, |_| API_VERSION);
    cuCtxSynchronize: () => synchronize(0);
    cuCtxSynchronize_v2: (context: Handle) => synchronize(context);
    cuCtxGetLimit: (value: Out<usize>, limit: u32) => get_limit(value, limit);
    cuCtxSetLimit: (limit: u32, value: usize) => set_limit(limit, value);
    cuCtxGetCacheConfig: (config: Out<u32>) => ask(0, config, |context| context.cache.load(Ordering::Relaxed));
    cuCtxSetCacheConfig: (config: u32) => set_cache(config);
    cuCtxGetSharedMemConfig: (config: Out<u32>) => ask(0, config, |_| 1);
    cuCtxSetSharedMemConfig: (_config: u32) => current().map(|_| ());
    cuCtxResetPersistingL2Cache: () => current().map(|_| ());
    cuCtxEnablePeerAccess: (_context: Handle, _flags: u32) => current().and(Err(Code::PEER_ACCESS_UNSUPPORTED));
    cuCtxDisablePeerAccess: (_context: Handle) => current().and(Err(Code::PEER_ACCESS_NOT_ENABLED));
    cuDevicePrimaryCtxRetain: (context: Out<Handle>, device: i32) => retain(context, device);
    cuDevicePrimaryCtxRelease_v2: (device: i32) => release(device);
    cuDevicePrimaryCtxReset_v2: (device: i32) => reset(device);
    cuDevicePrimaryCtxSetFlags_v2: (device: i32, flags: u32) => set_primary_flags(device, flags);
    cuDevicePrimaryCtxGetState: (device: i32, flags: Out<u32>, active: Out<i32>) => primary_state(device, flags, active);
}
