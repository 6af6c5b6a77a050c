//! Memory pools. All draw on the same device memory, so that a pool is only a name with settings.

use super::abi::{In, Out, api};
use super::code::{Code, Outcome};
use super::context::device;
use super::state::{Driver, Handle, driver, lock};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// A pool.
#[derive(Default)]
pub struct Pool {
    /// Values of the attributes from 1 to 4.
    settings: Mutex<[u64; 4]>,
}

/// What a pool is made from.
#[repr(C)]
#[derive(Clone, Copy)]
struct Properties {
    kind: u32,
    handles: u32,
    location: u32,
    device: i32,
    security: u64,
    maximum: u64,
    usage: u16,
    reserved: [u8; 54],
}

/// Checks that a handle is that of a pool.
pub fn check(pool: Handle) -> Outcome {
    driver()?.pools.get(pool).map(|_| ())
}

fn create(target: Out<Handle>, properties: In<Properties>) -> Outcome {
    const PINNED: u32 = 1;
    const DEVICE: u32 = 1;
    let driver = driver()?;
    let properties = properties.get()?;
    if properties.kind != PINNED || properties.location != DEVICE || properties.device != 0 || target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    if properties.handles != 0 {
        return Err(Code::NOT_SUPPORTED);
    }
    target.set(driver.pools.create(|_| Pool::default()).0)
}

fn destroy(pool: Handle) -> Outcome {
    let driver = driver()?;
    if pool == driver.default_pool {
        return Err(Code::INVALID_VALUE);
    }
    driver.pools.remove(pool)?;
    let _ = driver.current_pool.compare_exchange(pool, driver.default_pool, Ordering::Relaxed, Ordering::Relaxed);
    Ok(())
}

fn in_use(driver: &Driver) -> u64 {
    let (free, total) = driver.machine.memory.info();
    total - free
}

/// The first three attributes are 32 bits wide, the others 64.
fn get_attribute(pool: Handle, attribute: u32, target: u64) -> Outcome {
    let driver = driver()?;
    let pool = driver.pools.get(pool)?;
    match attribute {
        1..=3 => Out::at(target).set(lock(&pool.settings)[attribute as usize - 1] as u32),
        4 => Out::at(target).set(lock(&pool.settings)[3]),
        5..=8 => Out::at(target).set(in_use(driver)),
        _ => Err(Code::INVALID_VALUE),
    }
}

fn set_attribute(pool: Handle, attribute: u32, value: u64) -> Outcome {
    let pool = driver()?.pools.get(pool)?;
    let wide = match attribute {
        1..=3 => u64::from(In::<u32>::at(value).get()?),
        4 => In::<u64>::at(value).get()?,
        // The marks of the highest use can only be set back.
        6 | 8 => return if In::<u64>::at(value).get()? == 0 { Ok(()) } else { Err(Code::INVALID_VALUE) },
        _ => return Err(Code::INVALID_VALUE),
    };
    lock(&pool.settings)[attribute as usize - 1] = wide;
    Ok(())
}

fn set_current(number: i32, pool: Handle) -> Outcome {
    let driver = device(number)?;
    driver.pools.get(pool)?;
    driver.current_pool.store(pool, Ordering::Relaxed);
    Ok(())
}

fn access(flags: Out<u32>, pool: Handle) -> Outcome {
    const READ_WRITE: u32 = 3;
    check(pool)?;
    flags.set(READ_WRITE)
}

api! {
    cuMemPoolCreate: (pool: Out<Handle>, properties: In<Properties>) => create(pool, properties);
    cuMemPoolDestroy: (pool: Handle) => destroy(pool);
    cuMemPoolTrimTo: (pool: Handle, _bytes: usize) => check(pool);
    cuMemPoolGetAttribute: (pool: Handle, attribute: u32, value: u64) => get_attribute(pool, attribute, value);
    cuMemPoolSetAttribute: (pool: Handle, attribute: u32, value: u64) => set_attribute(pool, attribute, value);
    cuMemPoolGetAccess: (flags: Out<u32>, pool: Handle, _location: u64) => access(flags, pool);
    cuMemPoolSetAccess: (pool: Handle, _access: u64, _count: usize) => check(pool);
    cuDeviceGetDefaultMemPool: (pool: Out<Handle>, device_: i32) =>
        device(device_).and_then(|driver| pool.set(driver.default_pool));
    cuDeviceGetMemPool: (pool: Out<Handle>, device_: i32) =>
        device(device_).and_then(|driver| pool.set(driver.current_pool.load(Ordering::Relaxed)));
    cuDeviceSetMemPool: (device_: i32, pool: Handle) => set_current(device_, pool);
}
