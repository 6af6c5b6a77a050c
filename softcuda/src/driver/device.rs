//! The device: its name, size and attributes.

use super::abi::{Out, Text, answer_text, api};
use super::code::{Code, Outcome};
use super::context::device;
use super::state::{Driver, driver, initialise};
use crate::chip::{BLOCK, Chip, GRID, REGISTERS, SHARED_PER_BLOCK, THREADS_PER_BLOCK};

/// The version of the interface that is offered.
const VERSION: i32 = 13000;
const PCI: &str = "0000:00:00.0";
/// Tells the software device from every real one.
const UUID: [u8; 16] = *b"softcuda device0";

fn get(target: Out<i32>, ordinal: i32) -> Outcome {
    device(ordinal)?;
    target.set(ordinal)
}

fn name(target: Out<u8>, capacity: i32, number: i32) -> Outcome {
    let (major, minor) = device(number)?.machine.settings.compute_capability;
    let text = format!("softcuda (compute capability {major}.{minor})");
    answer_text(target, usize::try_from(capacity).map_err(|_| Code::INVALID_VALUE)?, &text)
}

fn attribute(driver: &Driver, kind: u32) -> Outcome<i32> {
    let settings = &driver.machine.settings;
    let (major, minor) = settings.compute_capability;
    let chip = Chip::of(settings.compute_capability);
    let value = match kind {
        1 => THREADS_PER_BLOCK,
        2..=4 => BLOCK[kind as usize - 2],
        5..=7 => GRID[kind as usize - 5],
        8 => SHARED_PER_BLOCK,
        9 => 64 << 10,
        10 => 32,
        11 => i32::MAX as u32,
        12 | 82 => REGISTERS,
        16 => chip.multiprocessors,
        38 => chip.l2_bytes,
        39 => chip.threads,
        75 => major,
        76 => minor,
        81 => chip.shared_bytes,
        87 => {
            if matches!((major, minor), (8, 0) | (9, 0)) {
                2
            } else {
                32
            }
        }
        97 => chip.shared_opt_in,
        106 => chip.blocks,
        111 => chip.shared_reserved,
        _ => return fixed_attribute(kind),
    };
    Ok(value as i32)
}

/// The attributes that are the same for every compute capability.
fn fixed_attribute(kind: u32) -> Outcome<i32> {
    Ok(match kind {
        // Nominal clocks (kHz) and bus width (bits): nothing here has a real clock.
        13 => 1_000_000,
        36 => 1_000_000,
        37 => 256,
        14 | 30 => 512,
        51 => 32,
        // Copies overlap with kernels in two engines; kernels with each other; the host's memory is reached by its
        // own addresses; L1 caches, priorities, managed memory, preemption and cooperative launches are there.
        40 => 2,
        15 | 19 | 31 | 41 | 78 | 79 | 80 | 83 | 89 | 90 | 91 | 95 | 99 | 115 => 1,
        // Textures, surfaces and arrays are not there, nor anything that needs a second device, a display, another
        // process or a memory mapping by handles.
        17 | 18 | 20..=29 | 32..=35 | 42..=50 | 52..=74 | 77 | 84..=86 | 88 | 92..=94 | 96 | 98 | 100..=105 => 0,
        107..=110 | 112..=114 | 116..=129 | 131..=133 | 135..=148 => 0,
        // Not a node of non-uniform memory; the host's node is not known.
        130 => 0,
        134 => -1,
        _ => return Err(Code::INVALID_VALUE),
    })
}

fn properties(target: Out<[i32; 14]>, number: i32) -> Outcome {
    let driver = device(number)?;
    let mut values = [0; 14];
    for (value, kind) in values.iter_mut().zip([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]) {
        *value = attribute(driver, kind)?;
    }
    target.set(values)
}

fn compute_capability(major: Out<i32>, minor: Out<i32>, number: i32) -> Outcome {
    let driver = device(number)?;
    major.set(attribute(driver, 75)?)?;
    minor.set(attribute(driver, 76)?)
}

fn by_bus(target: Out<i32>, text: Text) -> Outcome {
    driver()?;
    if text.get()? == PCI { target.set(0) } else { Err(Code::INVALID_DEVICE) }
}

fn bus(target: Out<u8>, capacity: i32, number: i32) -> Outcome {
    device(number)?;
    answer_text(target, usize::try_from(capacity).map_err(|_| Code::INVALID_VALUE)?, PCI)
}

fn can_access_peer(target: Out<i32>, number: i32, other: i32) -> Outcome {
    device(number)?;
    device(other)?;
    target.set(0)
}

/// A device has no peer relation with itself, and there is no other.
fn peer_attribute(number: i32, other: i32) -> Outcome {
    device(number)?;
    device(other)?;
    Err(Code::INVALID_DEVICE)
}

api! {
    cuInit: (flags: u32) => initialise(flags);
    cuDriverGetVersion: (version: Out<i32>) => version.set(VERSION);
    cuDeviceGet: (target: Out<i32>, ordinal: i32) => get(target, ordinal);
    cuDeviceGetCount: (count: Out<i32>) => driver().and_then(|_| count.set(1));
    cuDeviceGetName: (target: Out<u8>, capacity: i32, number: i32) => name(target, capacity, number);
    cuDeviceGetUuid: (uuid: Out<[u8; 16]>, number: i32) => device(number).and_then(|_| uuid.set(UUID));
    cuDeviceGetUuid_v2: (uuid: Out<[u8; 16]>, number: i32) => device(number).and_then(|_| uuid.set(UUID));
    cuDeviceTotalMem_v2: (bytes: Out<usize>, number: i32) =>
        device(number).and_then(|driver| bytes.set(driver.machine.settings.memory as usize));
    cuDeviceGetAttribute: (value: Out<i32>, kind: u32, number: i32) =>
        device(number).and_then(|driver| value.set(attribute(driver, kind)?));
    cuDeviceGetProperties: (target: Out<[i32; 14]>, number: i32) => properties(target, number);
    cuDeviceComputeCapability: (major: Out<i32>, minor: Out<i32>, number: i32) => compute_capability(major, minor, number);
    cuDeviceGetByPCIBusId: (target: Out<i32>, text: Text) => by_bus(target, text);
    cuDeviceGetPCIBusId: (target: Out<u8>, capacity: i32, number: i32) => bus(target, capacity, number);
    cuDeviceCanAccessPeer: (target: Out<i32>, number: i32, other: i32) => can_access_peer(target, number, other);
    cuDeviceGetP2PAttribute: (_value: Out<i32>, _kind: u32, number: i32, other: i32) => peer_attribute(number, other);
    cuDeviceGetExecAffinitySupport: (target: Out<i32>, _kind: u32, number: i32) => device(number).and_then(|_| target.set(0));
    cuDeviceGetLuid: (_luid: u64, _mask: u64, number: i32) => device(number).and(Err(Code::NOT_SUPPORTED));
    cuProfilerStart: () => driver().map(|_| ());
    cuProfilerStop: () => driver().map(|_| ());
}
