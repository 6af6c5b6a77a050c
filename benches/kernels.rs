//! Each kernel by itself, and each step of the staircases: `cargo bench --bench kernels`.
//!
//! At the sizes of a training step, products at the VAE's other shapes and at squares as well. Every kernel is held against f64
//! first. On a GPU the times are those of the device's own clock: hot, as the run before left the L2 cache, and cold, with a
//! buffer larger than it written in between. Without one, or with `-- --emulated`, the software driver takes its place and the rows
//! hold counts, no times; it takes minutes for the larger squares, and leaves them out unless they are asked for with `-- --large`.
//! `-- --quick` is for products at one small square alone. See `benches/harness/mod.rs` for the other options.

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use latent::lab::case::Work;
use latent::lab::catalogue::{Axis, ENTRIES, Entry, Size};
use latent::lab::measure::{self, Seconds};
use latent::lab::{Bench as Bed, Error};

use harness::{Bench, Counts, Failure, Machine, Quantity, Row, Spread, Unit, Verified, counted};

/// Products of the VAE's steps at a batch of 100 beside the usual one: the decoder's last layer and the hidden ones forward, the
/// gradients of the first layer's weights and of the hidden ones'.
const SHAPES: [Size; 4] = [
    Size { m: 100, n: 784, k: 400 },
    Size { m: 100, n: 400, k: 400 },
    Size { m: 400, n: 784, k: 100 },
    Size { m: 400, n: 400, k: 100 },
];

/// Sides of square products.
const SQUARES: [usize; 4] = [512, 1024, 2048, 4096];

/// The largest of them that the software driver multiplies without being asked to.
const LARGEST_IN_SOFTWARE: usize = 512;

/// The one that is enough to see that a kernel works.
const QUICK: Size = square(128);

const fn square(side: usize) -> Size {
    Size { m: side, n: side, k: side }
}

fn main() -> ExitCode {
    Bench::main("kernels", |bench| {
        let Some(machine) = bench.cuda_machine()? else { return Ok(()) };
        let largest = match &machine.software {
            Some(_) if !bench.options.large => LARGEST_IN_SOFTWARE,
            _ => usize::MAX,
        };
        if largest < usize::MAX && !bench.options.quick {
            bench.note(format!("squares beyond {largest} take the software driver minutes: add -- --large for them"));
        }
        bench.note("off by: the worst element, as a part of what rounding explains");
        let mut bed = Bed::open()?;
        ENTRIES.iter().try_for_each(|entry| {
            let sizes = sizes(entry, bench.options.quick, largest);
            sizes.into_iter().try_for_each(|size| measure(bench, &machine, &mut bed, entry, size))
        })
    })
}

/// The sizes at which a kernel is measured.
fn sizes(entry: &Entry, is_quick: bool, largest: usize) -> Vec<Size> {
    let is_product = entry.axes.contains(&Axis::K);
    match (is_product, is_quick) {
        (false, _) => vec![entry.usual],
        (true, true) => vec![QUICK],
        (true, false) => {
            let squares = SQUARES.into_iter().filter(|side| *side <= largest).map(square);
            [entry.usual].into_iter().chain(SHAPES).chain(squares).collect()
        }
    }
}

/// Adds a kernel's row at a size: verified, then counted or timed. A kernel for newer devices is noted.
fn measure(
    bench: &mut Bench,
    machine: &Machine,
    bed: &mut Bed,
    entry: &'static Entry,
    size: Size,
) -> Result<(), Failure> {
    let case = match entry.case(machine.info.compute_capability, size) {
        Ok(case) => case,
        Err(error @ Error::TooOld { .. }) => {
            bench.note(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let placed = bed.place(&case)?;
    let agreement = bed.verify(&placed)?;
    let extents: Vec<String> = entry.axes.iter().map(|axis| axis.of(size).to_string()).collect();
    let name = format!("{}, {}", entry.name, extents.join(" x "));
    let verified = Some(Verified::new(&name, &[agreement.worst_share], 1.0)?);
    let row = Row { verified, ..Row::new(name, quantity(case.work)) };
    bench.add(match &machine.software {
        Some(library) => {
            let launches = counted(library, || Ok(bed.enqueue(&placed).and_then(|()| bed.synchronize())?))?;
            Row { counts: Some(Counts::of(&launches)), ..row }
        }
        None if bench.options.counts => row,
        None => {
            let Seconds { hot, cold } = measure::seconds(bed, &placed)?;
            Row { hot: Some(Spread::of(hot)?), cold: Some(Spread::of(cold)?), ..row }.with_rate()
        }
    });
    Ok(())
}

/// What a rate is told in: arithmetic, or bytes where there is less than one operation for each.
fn quantity(work: Work) -> Quantity {
    if work.intensity() >= 1.0 { Quantity::new(work.flop, Unit::Flop) } else { Quantity::new(work.bytes, Unit::Byte) }
}
