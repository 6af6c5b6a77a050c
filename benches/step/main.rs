//! A training step, an evaluation step and sampling, of both models, on the processor and on CUDA: `cargo bench --bench step`.
//!
//! On a GPU the times are those of the device's own clock, between events around each step. Without one, or with `-- --emulated`, the
//! software driver takes its place and the rows hold counts, no times: launches, instructions, the share of fused multiply-adds,
//! bytes. Every step is verified against f64 first: its loss, every gradient, every sampled pixel. See `benches/harness/mod.rs` for the
//! other options.

mod bed;
mod cuda;
#[path = "../harness/mod.rs"]
mod harness;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use std::process::ExitCode;

use latent::backend::cpu::Cpu;
use latent::nn::{Autoencoder, Kind, VanillaAE, VariationalAE};

use bed::{Bed, Part, SEED};
use harness::work::{BATCH, DIMS};
use harness::{Bench, Failure};

fn main() -> ExitCode {
    Bench::main("step", |bench| {
        let cpu = || Cpu::new(harness::threads());
        let mut backend = cpu()?;
        let model = VanillaAE::new(&mut backend, DIMS, BATCH, SEED)?;
        on_cpu(bench, Bed::new(backend, model)?)?;
        let mut backend = cpu()?;
        let model = VariationalAE::new(&mut backend, DIMS, BATCH, SEED)?;
        on_cpu(bench, Bed::new(backend, model)?)?;
        bench.note("the AE has no prior, so there is nothing to sample");
        cuda::measure(bench)
    })
}

fn on_cpu<M: Autoencoder<Cpu>>(bench: &mut Bench, mut bed: Bed<Cpu, M>) -> Result<(), Failure> {
    for part in Part::of(bed.kind()) {
        let verified = bed.verify(part)?;
        bench.time(bed.name("CPU", part), part.work(bed.kind()), verified, || bed.step(part))?;
    }
    Ok(())
}

impl Part {
    /// The parts that a model has.
    fn of(kind: Kind) -> impl Iterator<Item = Self> {
        let all = [Self::Training, Self::Evaluation, Self::Sampling];
        all.into_iter().filter(move |part| *part != Self::Sampling || kind == Kind::Variational)
    }
}
