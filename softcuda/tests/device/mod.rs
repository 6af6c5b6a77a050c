//! A device with a loaded program, on the core alone: for tests that need no driver.

#![allow(dead_code, reason = "each test program uses its part")]

use softcuda::check::Report;
use softcuda::check::global::Order;
use softcuda::exec::{Fault, Launch, run};
use softcuda::machine::Machine;
use softcuda::memory::Kind;
use softcuda::program::Program;
use softcuda::settings::Settings;
use std::sync::Arc;

/// An argument of a kernel.
#[derive(Clone, Debug)]
pub enum Argument {
    /// A buffer of so many words of 4 bytes, all zero.
    Zeros(usize),
    /// A buffer of so many words, of which only the first so many are written.
    Unwritten(usize, usize),
    /// A buffer that was freed.
    Freed,
    /// A buffer of bytes.
    Bytes(Vec<u8>),
    /// A buffer of numbers.
    Floats(Vec<f32>),
    /// A number of 32 bits.
    Int(i32),
    /// A number of 32 bits.
    Float(f32),
}

/// A device with a loaded program.
pub struct Device {
    pub machine: Machine,
    pub program: Arc<Program>,
}

impl Device {
    /// Loads PTX.
    pub fn new(settings: Settings, ptx: &str) -> Device {
        let machine = Machine::new(settings).unwrap();
        let program = Arc::new(Program::load(&machine, ptx).unwrap());
        Device { machine, program }
    }

    /// Allocates and fills a buffer.
    pub fn buffer(&self, bytes: &[u8], size: usize) -> u64 {
        let address = self.machine.allocate(size as u64, Kind::Device).unwrap();
        self.machine.write(&order(0, 0), "cuMemcpyHtoD", address, bytes).unwrap();
        address
    }

    /// Packs arguments; also gives the addresses and sizes of buffers, by argument.
    pub fn pack(&self, arguments: &[Argument]) -> (Vec<u8>, Vec<Option<(u64, usize)>>) {
        let (mut packed, mut buffers) = (Vec::new(), Vec::new());
        for argument in arguments {
            let (bytes, size) = match argument {
                Argument::Zeros(count) => (vec![0; 4 * count], 4 * count),
                Argument::Unwritten(count, written) => (vec![0; 4 * written], 4 * count),
                Argument::Freed => (vec![0; 16], 16),
                Argument::Bytes(bytes) => (bytes.clone(), bytes.len()),
                Argument::Floats(values) => {
                    (values.iter().flat_map(|value| value.to_le_bytes()).collect(), 4 * values.len())
                }
                Argument::Int(number) => {
                    packed.extend(number.to_le_bytes());
                    buffers.push(None);
                    continue;
                }
                Argument::Float(number) => {
                    packed.extend(number.to_le_bytes());
                    buffers.push(None);
                    continue;
                }
            };
            let address = self.buffer(&bytes, size);
            if matches!(argument, Argument::Freed) {
                self.machine.free(address).unwrap();
            }
            packed.resize(packed.len().next_multiple_of(8), 0);
            packed.extend(address.to_le_bytes());
            buffers.push(Some((address, size)));
        }
        (packed, buffers)
    }

    /// The packed arguments alone.
    pub fn parameters(&self, arguments: &[Argument]) -> Vec<u8> {
        self.pack(arguments).0
    }

    /// What a buffer holds.
    pub fn read(&self, (address, size): (u64, usize)) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.machine.read(&order(0, u64::MAX), "cuMemcpyDtoH", address, &mut bytes).unwrap();
        bytes
    }

    /// What a buffer of f32 holds.
    pub fn floats(&self, buffer: (u64, usize)) -> Vec<f32> {
        self.read(buffer).chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
    }

    /// Launches a kernel by name.
    pub fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        parameters: Vec<u8>,
        order: Order,
    ) -> Result<(), Fault> {
        self.launch_as(kernel, grid, block, parameters, order, false)
    }

    /// Launches a kernel by name, perhaps cooperatively.
    pub fn launch_as(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        parameters: Vec<u8>,
        order: Order,
        cooperative: bool,
    ) -> Result<(), Fault> {
        let kernel = self.program.kernel(kernel).unwrap_or_else(|| panic!("no kernel {kernel}"));
        run(
            &self.machine,
            &self.program,
            &Launch { kernel, grid, block, shared_bytes: 0, cooperative, parameters, order },
        )
    }

    /// Launches a kernel with rows of blocks and threads; gives what came of it, and the reports.
    pub fn run(
        &self,
        kernel: &str,
        blocks: u32,
        threads: u32,
        arguments: &[Argument],
    ) -> (Result<(), Fault>, Vec<Report>) {
        let result = self.launch(kernel, [blocks, 1, 1], [threads, 1, 1], self.parameters(arguments), order(0, 1));
        (result, self.machine.reporter.take())
    }
}

/// The place of an operation that comes after no other stream's.
pub fn order(stream: u32, sequence: u64) -> Order {
    Order { stream, sequence, after: Arc::default() }
}

/// Numbers from a seed, small integers as f32 so that sums of products are exact.
pub fn integers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32 % 9.0 - 4.0
        })
        .collect()
}
