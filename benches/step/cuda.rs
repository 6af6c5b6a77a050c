//! The same steps on CUDA: times on a GPU, counts on the software driver.

use std::time::{Duration, Instant};

use latent::backend::Precision;
use latent::backend::cuda::Cuda;
use latent::nn::{Autoencoder, VanillaAE, VariationalAE};

use crate::bed::{Bed, Part, SEED};
use crate::harness::work::{BATCH, DIMS};
use crate::harness::{Bench, Counts, Failure, Machine, Row, Spread, counted};

/// Steps before the first that counts: the first find out how much room is needed and record the graph, and a GPU's clock rises.
const WARM_UP: [usize; 2] = [100, 2];
/// Steps between two looks at the clock.
const ROUND: usize = 50;

/// Adds the rows of both models, or a note where no kernel can be compiled.
///
/// # Errors
/// A step is off its bound, or the device failed.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let Some(machine) = bench.cuda_machine()? else { return Ok(()) };
    let mut backend = machine.cuda(Precision::Fp32)?;
    let model = VanillaAE::new(&mut backend, DIMS, BATCH, SEED)?;
    rows(bench, &machine, Bed::new(backend, model)?)?;
    let mut backend = machine.cuda(Precision::Fp32)?;
    let model = VariationalAE::new(&mut backend, DIMS, BATCH, SEED)?;
    rows(bench, &machine, Bed::new(backend, model)?)
}

fn rows<M: Autoencoder<Cuda>>(bench: &mut Bench, machine: &Machine, mut bed: Bed<Cuda, M>) -> Result<(), Failure> {
    for part in Part::of(bed.kind()) {
        let verified = Some(bed.verify(part)?);
        let (counts, hot) = match &machine.software {
            Some(library) => (Some(count(library, &mut bed, part)?), None),
            None if bench.options.counts => (None, None),
            None => (None, Some(times(&mut bed, part, bench.options.quick)?)),
        };
        let row = Row::new(bed.name("CUDA", part), part.work(bed.kind()));
        bench.add(Row { verified, counts, hot, ..row }.with_rate());
    }
    Ok(())
}

fn count<M: Autoencoder<Cuda>>(
    library: &softcuda::Library,
    bed: &mut Bed<Cuda, M>,
    part: Part,
) -> Result<Counts, Failure> {
    (0..WARM_UP[1]).try_for_each(|_| bed.step(part))?;
    bed.backend.synchronize()?;
    let launches = counted(library, || {
        bed.step(part)?;
        Ok(bed.backend.synchronize()?)
    })?;
    Ok(Counts::of(&launches))
}

/// Times from the end of a step to that of the next, each one launch of a graph, by the device's clock.
fn times<M: Autoencoder<Cuda>>(bed: &mut Bed<Cuda, M>, part: Part, quick: bool) -> Result<Spread, Failure> {
    let budget = Duration::from_millis(if quick { 20 } else { 1500 });
    (0..WARM_UP[0]).try_for_each(|_| bed.step(part))?;
    let (mut seconds, start) = (Vec::new(), Instant::now());
    while seconds.is_empty() || start.elapsed() < budget {
        let mut marks = vec![bed.backend.mark()?];
        for _ in 0..ROUND {
            bed.step(part)?;
            marks.push(bed.backend.mark()?);
        }
        for pair in marks.windows(2) {
            seconds.push(bed.backend.seconds_between(&pair[0], &pair[1])?);
        }
    }
    Spread::of(seconds)
}
