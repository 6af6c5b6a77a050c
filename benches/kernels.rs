//! Each kernel by itself, and each step of the staircases: `cargo bench --bench kernels`.
//!
//! At the sizes of a training step, products at the VAE's other shapes and at squares as well. Every kernel is held against f64
//! first. On a GPU the times are those of the device's own clock: hot, as the run before left the L2 cache, and cold, with a
//! buffer larger than it written in between. Without one, or with `-- --emulated`, the software driver takes its place and the rows
//! hold counts, no times. See `benches/harness/mod.rs` for the other options.

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use latent::lab::catalogue::{Axis, ENTRIES, Entry, Size};
use latent::lab::measure::{self, measure};
use latent::lab::{self, Bench as Bed};
use nvrtc::Nvrtc;
use softcuda::Library;

use harness::setting::Device;
use harness::{Bench, Counts, Failure, Machine, Quantity, Row, Spread, Unit, Verified, counted};

/// Products of the VAE's steps at a batch of 100 beside the usual one: the last layer, the gradients at its weight and its input.
const SHAPES: [Size; 3] =
    [Size { m: 100, n: 784, k: 400 }, Size { m: 784, n: 400, k: 100 }, Size { m: 100, n: 400, k: 400 }];

/// Sides of square products: on a GPU, on the software driver, which takes minutes for the larger ones, and where it must be quick.
const ON_A_GPU: &[usize] = &[512, 1024, 2048, 4096];
const IN_SOFTWARE: &[usize] = &[512, 1024];
const QUICK: &[usize] = &[128];

fn main() -> ExitCode {
    Bench::main("kernels", |bench| {
        let nvrtc = match Nvrtc::find() {
            Ok(nvrtc) => nvrtc,
            Err(error) => {
                bench.note(format!("no kernel can be compiled: {error}"));
                return Ok(());
            }
        };
        let machine = Machine::find(bench.options.emulated)?;
        bench.set_device(Device::new(&machine, nvrtc.version()));
        let squares = match &machine.software {
            _ if bench.options.quick => QUICK,
            None => ON_A_GPU,
            Some(_) => IN_SOFTWARE,
        };
        if machine.software.is_some() {
            bench.note(
                "counts of the software driver, which has no time to tell; squares of 2048 and 4096 are for a GPU",
            );
        }
        bench.note("off by: the worst element, as a part of what rounding explains");
        let mut bed = Bed::open()?;
        for (entry, size) in
            ENTRIES.iter().flat_map(|entry| sizes(entry, squares).into_iter().map(move |size| (entry, size)))
        {
            match row(&mut bed, machine.software.as_ref(), bench.options.counts, entry, size) {
                Ok(row) => bench.add(row),
                Err(error) if is_too_old(&error) => bench.note(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
}

/// The sizes at which a kernel is measured.
fn sizes(entry: &Entry, squares: &[usize]) -> Vec<Size> {
    let is_product = entry.axes.contains(&Axis::K);
    let squares = squares.iter().map(|side| Size { m: *side, n: *side, k: *side });
    let others = SHAPES.into_iter().chain(squares).filter(|_| is_product);
    [entry.usual].into_iter().chain(others).collect()
}

/// Whether a kernel was left out because it is for a newer device.
fn is_too_old(error: &Failure) -> bool {
    matches!(error.downcast_ref(), Some(lab::Error::TooOld { .. }))
}

/// Verifies a kernel at a size, then counts or times it.
fn row(
    bed: &mut Bed,
    software: Option<&Library>,
    no_times: bool,
    entry: &'static Entry,
    size: Size,
) -> Result<Row, Failure> {
    let case = entry.case(bed.info().compute_capability, size)?;
    let placed = bed.place(&case)?;
    let agreement = bed.verify(&placed)?;
    let extents: Vec<String> = entry.axes.iter().map(|axis| axis.of(size).to_string()).collect();
    let row = Row {
        verified: Some(Verified::new(entry.name, &[agreement.worst_share], 1.0)?),
        ..Row::new(format!("{}, {}", entry.name, extents.join(" x ")), Quantity::new(case.work.flop, Unit::Flop))
    };
    if let Some(library) = software {
        let launches = counted(library, || {
            bed.enqueue(&placed)?;
            Ok(bed.synchronize()?)
        })?;
        return Ok(Row { counts: Some(Counts::of(&launches)), ..row });
    }
    if no_times {
        return Ok(row);
    }
    let measured = measure(bed, &placed, case.work)?;
    Ok(Row { hot: Some(spread(measured.hot)), cold: Some(spread(measured.cold)), ..row }.with_rate())
}

/// Seconds of the laboratory as the microseconds of a report.
fn spread(seconds: measure::Spread) -> Spread {
    let [median, min, max] = [seconds.median, seconds.min, seconds.max].map(|seconds| 1e6 * seconds);
    Spread { median, min, max, unit: Unit::Microsecond, repetitions: measure::REPETITIONS }
}
