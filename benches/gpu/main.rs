//! Everything about a GPU in one command: checks, then measurements: `cargo bench --bench gpu`.
//!
//! Without a driver, or with `-- --emulated`, it is a rehearsal on the software driver, whose figures are counts. Data are random;
//! times are those of the device's own clock, median with min and max, after a warm-up. A kernel's operands are hot, where the
//! repetition before left them, or cold: a buffer larger than the L2 cache was copied in between. Work ahead of each measurement
//! keeps the device busy until the host has enqueued all of it. Results: `gpu-bench/results.json` and `results.md` in the
//! target folder. The exit code is 1 after a failed check and 2 where nothing could be measured.

mod checks;
mod epochs;
mod operations;
mod peaks;
mod probes;
mod pytorch;
mod report;

#[path = "../harness/mod.rs"]
mod bench;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/operations/harness.rs"]
mod harness;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/operations/importance.rs"]
mod importance;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/operations/layers.rs"]
mod layers;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/oracle/mod.rs"]
mod oracle;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/operations/posterior.rs"]
mod posterior;
#[allow(clippy::unwrap_used, dead_code, reason = "test bodies may panic; the tests of products take more of it")]
#[path = "../../tests/gemm/problem.rs"]
mod problem;
#[path = "../../tests/gemm/rounding.rs"]
mod rounding;
#[allow(clippy::unwrap_used, dead_code, reason = "test bodies may panic; the tests on softcuda count as well")]
#[path = "../../tests/staircase/device.rs"]
mod staircase_device;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/operations/steps.rs"]
mod steps;
#[allow(dead_code, reason = "the tests on softcuda look at the extents as well")]
#[path = "../../tests/staircase/tails.rs"]
mod tails;

use std::path::Path;
use std::process::ExitCode;

use latent::backend::Precision;
use latent::data::DatasetName;
use nvrtc::Nvrtc;

use checks::Reference;

use bench::work::{BATCH, DIMS};
use bench::{Failure, Machine, Options, Setting, setting};
use harness::{UNTOUCHED, bits, input, output, result, some_sums, training};
use peaks::Peaks;
use probes::Probes;
use report::Report;

fn main() -> ExitCode {
    match options().and_then(|emulated| run(&Machine::find(emulated)?)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the software driver is asked for.
fn options() -> Result<bool, Failure> {
    let mut emulated = false;
    for option in std::env::args().skip(1) {
        match option.as_str() {
            "--emulated" => emulated = true,
            // Cargo's own.
            "--bench" => (),
            _ => return Err(format!("unknown option {option}; there is --emulated").into()),
        }
    }
    Ok(emulated)
}

/// Checks and measures all, and writes the report. Returns whether every check held.
fn run(machine: &Machine) -> Result<bool, Failure> {
    let (major, minor) = machine.info.compute_capability;
    println!("{}, compute capability {major}.{minor}", machine.info.name);
    let nvrtc = Nvrtc::find()?;
    let pixels = DatasetName::Digits.load("data".as_ref(), 1)?.train.images.into_pixels();
    let device = Some(setting::Device::new(machine, nvrtc.version()));
    let mut report = Report::new(Setting { device, ..Setting::here(&Options::default()) });
    let precisions = precisions(machine, &mut report)?;
    let reference = Reference::new(machine, &pixels)?;
    report.checks.extend(checks::staircase(machine));
    for precision in &precisions {
        report.checks.extend(checks::all(machine, *precision, &reference));
    }
    let passed = report.checks.iter().all(|check| check.passed);
    if passed {
        measure(machine, &nvrtc, &precisions, &pixels, &mut report)?;
    } else {
        report.skipped.push("all measurements: what computes something else is not worth its time".to_owned());
    }
    for line in &report.skipped {
        println!("skipped: {line}");
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target folder has no parent")?;
    let [json, table] = report.write(&target.join("gpu-bench"))?;
    println!("\n{}\n{} and {}", report.table(), json.display(), table.display());
    Ok(passed)
}

/// The precisions that the device can do.
fn precisions(machine: &Machine, report: &mut Report) -> Result<Vec<Precision>, Failure> {
    let mut possible = Vec::new();
    for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
        match machine.cuda(precision) {
            Ok(_) => possible.push(precision),
            Err(error @ latent::backend::cuda::Error::Precision { .. }) => report.skipped.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(possible)
}

fn measure(
    machine: &Machine,
    nvrtc: &Nvrtc,
    precisions: &[Precision],
    pixels: &[u8],
    report: &mut Report,
) -> Result<(), Failure> {
    let mut clock = machine.cuda(Precision::Fp32)?;
    let mut probes = Probes::new(machine, nvrtc, &clock)?;
    report.peaks = Peaks::measure(machine, &mut clock, &mut probes)?;
    for precision in precisions {
        let cuda = machine.cuda(*precision)?;
        report.operations.extend(operations::measure(machine, &report.peaks, &mut probes, cuda, *precision)?);
        report.training.push(epochs::measure(machine, machine.cuda(*precision)?, *precision, pixels)?);
    }
    match pytorch::measure(machine) {
        Ok(figures) => report.pytorch = Some(figures),
        Err(reason) => report.skipped.push(reason),
    }
    Ok(())
}
