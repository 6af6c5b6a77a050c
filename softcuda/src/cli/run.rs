//! `softcuda run`: one kernel, launched once.

pub mod argument;
pub mod buffers;
pub mod element;
pub mod fill;
pub mod kernel;
pub mod npy;
mod outcome;
mod source;

use super::device::{DeviceOptions, OptionError};
use crate::chip::Chip;
use crate::exec::{self, Launch};
use crate::machine::Machine;
use crate::program::{LoadError, Program};
use crate::settings::Settings;
use argument::Argument;
use buffers::{BufferError, Device, Placed};
use kernel::{KernelError, Shape, Value};
use npy::NpyError;
use outcome::Outcome;
use source::{Architecture, SourceError};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The exit code after a fault or a finding.
const FOUND: u8 = 1;
/// The exit code where nothing was launched.
const REFUSED: u8 = 2;

const HELP: &str = "\
Arguments of the kernel, in the order of its parameters (those of --arg come first):
  i32:7  u64:0x10  f32:1.5        a number of that type
  f32[1024]=zeros                 a buffer; also =1.5 or any other value
  f32[1024]=ramp                  0, 1, 2, ...
  f32[64,64]=random:SEED          uniform in [0, 1); all values of an integer type
  f32[64,64]=normal:SEED          mean 0, deviation 1
  f32[]=x.npy  f32[64,64]=@FILE   the content of a .npy file
  f32[1024]                       a buffer that nothing has written: reading it is a finding
Types: u8 i8 u16 i16 u32 i32 u64 i64 f16 bf16 f32 f64 (bf16 is u16 in a .npy file).

Exit code: 0 without a finding; 1 after a fault or a finding; 2 if nothing was launched or a result not saved.

Example:
  softcuda run saxpy.cu --grid 4 --block 256 --out 2=y.npy i32:1000 f32:2 f32[1000]=ramp f32[1000]=zeros";

/// Compiles a kernel, launches it once, and tells what was found and counted.
///
/// Options go before environment variables of the same meaning (SOFTCUDA_CC and so on). All checks are made unless --check
/// or SOFTCUDA_CHECK says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct RunArguments {
    /// A file of CUDA C++ (.cu, compiled by NVRTC) or PTX (.ptx)
    file: PathBuf,
    /// Arguments of the kernel, see below
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<Argument>,
    /// The kernel, where there are several: its name, or an instance of a template such as `scale<float>`
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Blocks of the grid
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = parse_sides)]
    grid: [u32; 3],
    /// Threads of a block
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = parse_sides)]
    block: [u32; 3],
    /// Bytes of dynamic shared memory
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    shared: u32,
    /// Keep all blocks alive together, for barriers of the whole grid
    #[arg(long)]
    cooperative: bool,
    /// An argument of the kernel, as below
    #[arg(long = "arg", value_name = "ARGUMENT")]
    more: Vec<Argument>,
    /// Save the buffer that is argument I (from 0) after the launch
    #[arg(long, value_name = "I=FILE.npy", value_parser = parse_output)]
    out: Vec<(usize, PathBuf)>,
    /// Define a macro for the compiler
    #[arg(long, value_name = "NAME=VALUE")]
    define: Vec<String>,
    /// Give an option to the compiler as it is, such as --option=--use_fast_math
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    option: Vec<String>,
    /// Architecture to compile for; that of the device unless given
    #[arg(long, value_name = "sm_XX")]
    arch: Option<Architecture>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// Why nothing was launched, or a result was not saved.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Device(#[from] OptionError),
    #[error("{path} cannot be written: {cause}; name another file", path = path.display())]
    Log { path: PathBuf, cause: io::Error },
    #[error("the device's addresses cannot be reserved: {0}; raise the limit of virtual memory (ulimit -v)")]
    Addresses(io::Error),
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{} cannot be loaded: {error}{advice}", path.display())]
    Load { path: PathBuf, error: LoadError, advice: &'static str },
    #[error("{0}")]
    Kernel(#[from] KernelError),
    #[error("argument {index}: {error}")]
    Buffer { index: usize, error: BufferError },
    #[error("--out {index}={}: {wrong}", path.display())]
    Output { index: usize, path: PathBuf, wrong: String },
    #[error("{0}")]
    Npy(#[from] NpyError),
}

/// Launches the kernel and prints what came of it.
pub fn run(arguments: &RunArguments) -> ExitCode {
    match attempt(arguments) {
        Ok(clean) => ExitCode::from(if clean { 0 } else { FOUND }),
        Err(failure) => {
            eprintln!("softcuda: {failure}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Whether nothing was found.
fn attempt(arguments: &RunArguments) -> Result<bool, Failure> {
    let settings = arguments.device.settings("all")?;
    check_logs(&settings)?;
    let given: Vec<&Argument> = arguments.more.iter().chain(&arguments.arguments).collect();
    check_outputs(&arguments.out, &given)?;
    let machine = Machine::new(settings).map_err(Failure::Addresses)?;
    let (program, index) = load(arguments, &machine)?;
    let kernel = &program.kernels()[index];
    let RunArguments { grid, block, shared, cooperative, .. } = *arguments;
    let shape = Shape { grid, block, shared_bytes: shared, cooperative };
    let scalars: Vec<Value> = given.iter().map(|argument| value(argument, None)).collect();
    kernel::check_arguments(kernel, &scalars)?;
    shape.check(kernel, &Chip::of(machine.settings.compute_capability))?;
    let mut device = Device::new(&machine);
    let buffers = place(&mut device, &given)?;
    let values: Vec<Value> = given.iter().zip(&buffers).map(|(a, buffer)| value(a, buffer.as_ref())).collect();
    let parameters = kernel::parameter_block(kernel, &values);
    let order = device.next_order();
    let launch = Launch { kernel: index, grid, block, shared_bytes: shared, cooperative, parameters, order };
    let fault = exec::run(&machine, &program, &launch).err();
    machine.counts.finish();
    let saved = if fault.is_none() { save(&mut device, &buffers, &arguments.out) } else { Ok(()) };
    let outcome = Outcome { kernel, shape, fault, buffers: &buffers, outputs: &arguments.out };
    let text = if arguments.json { outcome.json(&device) } else { outcome.text(&mut device) };
    print(&text);
    saved?;
    Ok(fault.is_none() && machine.reporter.snapshot().is_empty())
}

/// Files that lines are added to must be writable before anything is done.
fn check_logs(settings: &Settings) -> Result<(), Failure> {
    for path in settings.report.iter().chain(&settings.counts) {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|cause| Failure::Log { path: path.clone(), cause })?;
    }
    Ok(())
}

/// Each buffer to be saved must be one, and have a file of its own.
fn check_outputs(outputs: &[(usize, PathBuf)], given: &[&Argument]) -> Result<(), Failure> {
    for (place, (index, path)) in outputs.iter().enumerate() {
        let wrong = match given.get(*index) {
            None => format!("there are {} arguments: give a number below that", given.len()),
            Some(Argument::Scalar { .. }) => {
                "that argument is no buffer: give the number of one, counted from 0".to_owned()
            }
            Some(Argument::Buffer(_)) if outputs[..place].iter().any(|(_, other)| other == path) => {
                "another buffer goes to the same file: name one for each".to_owned()
            }
            Some(Argument::Buffer(_)) => {
                npy::check_target(path)?;
                continue;
            }
        };
        return Err(Failure::Output { index: *index, path: path.clone(), wrong });
    }
    Ok(())
}

/// The module, on the device, and the index of the kernel that is meant.
fn load(arguments: &RunArguments, machine: &Machine) -> Result<(Arc<Program>, usize), Failure> {
    let architecture = arguments.arch.clone();
    let options = source::Options {
        architecture: architecture.unwrap_or_else(|| Architecture::of(machine.settings.compute_capability)),
        defines: arguments.define.clone(),
        others: arguments.option.clone(),
    };
    let source = source::load(&arguments.file, arguments.kernel.as_deref(), &options)?;
    let program = Program::load(machine, &source.ptx).map_err(|error| {
        let advice = if matches!(error, LoadError::Target { .. }) { " (here --cc)" } else { "" };
        Failure::Load { path: arguments.file.clone(), error, advice }
    })?;
    let index = kernel::choose(program.kernels(), source.kernel.as_deref())?;
    Ok((Arc::new(program), index))
}

/// Makes the buffers among the arguments.
fn place(device: &mut Device, given: &[&Argument]) -> Result<Vec<Option<Placed>>, Failure> {
    let mut make = |argument: &Argument| match argument {
        Argument::Scalar { .. } => Ok(None),
        Argument::Buffer(buffer) => Placed::make(device, buffer).map(Some),
    };
    let placed = given.iter().enumerate();
    placed.map(|(index, argument)| make(argument).map_err(|error| Failure::Buffer { index, error })).collect()
}

fn value(argument: &Argument, buffer: Option<&Placed>) -> Value {
    match argument {
        Argument::Scalar { element, bits } => Value { element: Some(*element), bits: *bits },
        Argument::Buffer(_) => Value { element: None, bits: buffer.map_or(0, |buffer| buffer.address) },
    }
}

fn save(device: &mut Device, buffers: &[Option<Placed>], outputs: &[(usize, PathBuf)]) -> Result<(), Failure> {
    for (index, path) in outputs {
        if let Some(Some(buffer)) = buffers.get(*index) {
            buffer.save(device, path).map_err(|error| Failure::Buffer { index: *index, error })?;
        }
    }
    Ok(())
}

/// Prints to a reader that may have gone away.
fn print(text: &str) {
    if let Err(error) = io::stdout().lock().write_all(text.as_bytes())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("softcuda: the result cannot be printed: {error}");
    }
}

/// One to three positive numbers; those left out are 1.
fn parse_sides(text: &str) -> Result<[u32; 3], String> {
    let mut sides = [1; 3];
    let parts: Vec<&str> = text.split(',').collect();
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| part.trim().parse().ok().filter(|n| *n > 0)).collect();
    match numbers {
        Some(numbers) if numbers.len() <= sides.len() => {
            sides[..numbers.len()].copy_from_slice(&numbers);
            Ok(sides)
        }
        _ => Err("give one to three positive numbers separated by commas, such as 16,16".to_owned()),
    }
}

fn parse_output(text: &str) -> Result<(usize, PathBuf), String> {
    let (index, path) = text.split_once('=').filter(|(_, path)| !path.is_empty()).unwrap_or(("", ""));
    let index = index.parse().map_err(|_| "write the argument's number, = and a file, such as 2=y.npy".to_owned())?;
    Ok((index, path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_left_out_are_one() {
        assert_eq!(parse_sides("7"), Ok([7, 1, 1]));
        assert_eq!(parse_sides("7, 8"), Ok([7, 8, 1]));
        assert_eq!(parse_sides("7,8,9"), Ok([7, 8, 9]));
        for wrong in ["", "0", "7,", "1,2,3,4", "-1", "4294967296", "x"] {
            assert!(parse_sides(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn outputs_are_a_number_and_a_file() {
        assert_eq!(parse_output("2=a=b.npy"), Ok((2, "a=b.npy".into())));
        for wrong in ["", "2", "2=", "=y.npy", "x=y.npy", "-1=y.npy"] {
            assert!(parse_output(wrong).is_err(), "{wrong}");
        }
    }
}
