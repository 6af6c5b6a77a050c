//! What the device does at most, measured in the same run: bytes of memory, FP32 and tensor-core operations in a second.

use latent::backend::Precision;
use latent::backend::cuda::Cuda;
use serde::Serialize;

use crate::Failure;
use crate::bench::{Counts, Machine, Quantity, Spread, Unit, counted};
use crate::probes::{BLOCK, FMA_CHAINS, Probes, TF32_FLOP};

const REPETITIONS: usize = 50;
const WARM_UP: usize = 5;

/// A kernel that does one thing only.
#[derive(Debug, Serialize)]
pub struct Peak {
    /// What it does at most.
    pub name: &'static str,
    /// Its work.
    pub work: Quantity,
    /// Its times, on a real device.
    pub time: Option<Spread>,
    /// The rate that the shortest of them makes.
    pub rate: Option<Quantity>,
    /// Its counts, on the software device.
    pub counts: Option<Counts>,
}

/// All peaks, and the least time of any launch.
#[derive(Debug, Serialize)]
pub struct Peaks {
    /// The floor and the peaks that the device has.
    pub all: Vec<Peak>,
}

/// Names by which rates are looked up again.
const MEMORY: &str = "memory, copy";
const FP32: &str = "fp32, chains of FMA";
const TF32: &str = "tf32, chains of mma.sync";
const BF16: &str = "bf16, chains of mma.sync";

impl Peaks {
    /// Measures them, after a look that each probe computes what it should.
    ///
    /// # Errors
    /// A probe computed something else, or the device failed.
    pub fn measure(machine: &Machine, cuda: &mut Cuda, probes: &mut Probes) -> Result<Self, Failure> {
        let turns = if machine.software.is_some() { 8 } else { 4096 };
        verify(probes, turns)?;
        let threads = (probes.blocks * BLOCK) as f64;
        let fma = 2.0 * (FMA_CHAINS * turns as usize) as f64 * threads;
        let mma = (TF32_FLOP * turns as usize) as f64 * threads / 32.0;
        let bytes = probes.copied() as f64;
        let mut all = Vec::new();
        let mut add = |name, value, unit, launch: &mut dyn FnMut(&mut Probes) -> _| -> Result<(), Failure> {
            all.push(peak(machine, cuda, probes, name, Quantity::new(value, unit), launch)?);
            Ok(())
        };
        add("an empty kernel", 0.0, Unit::Flop, &mut Probes::nothing)?;
        add(MEMORY, bytes, Unit::Byte, &mut Probes::copy)?;
        add(FP32, fma, Unit::Flop, &mut |probes| probes.fma(u32::MAX, turns))?;
        if machine.info.compute_capability >= (8, 0) {
            add(TF32, mma, Unit::Flop, &mut |probes| probes.mma(false, turns))?;
            add(BF16, 2.0 * mma, Unit::Flop, &mut |probes| probes.mma(true, turns))?;
        }
        Ok(Self { all })
    }

    /// Bytes a second in 10^9, where time was measured.
    pub fn memory(&self) -> Option<f64> {
        self.rate(MEMORY)
    }

    /// FLOP a second in 10^9 of the units that multiply in this precision, where time was measured.
    pub fn arithmetic(&self, precision: Precision) -> Option<f64> {
        self.rate(match precision {
            Precision::Fp32 => FP32,
            Precision::Tf32 => TF32,
            Precision::Bf16 => BF16,
        })
    }

    fn rate(&self, name: &str) -> Option<f64> {
        self.all.iter().find(|peak| peak.name == name)?.rate.map(|rate| rate.value)
    }
}

fn verify(probes: &mut Probes, turns: i32) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    if !probes.copies_faithfully()? {
        wrong.push("copy.cu");
    }
    let mut check = |name, sums: Vec<f32>, want: f32| {
        if !sums.iter().all(|sum| *sum == want) {
            wrong.push(name);
        }
    };
    probes.fma(u32::MAX, turns)?;
    check("fma.cu", probes.sums()?, FMA_CHAINS as f32);
    for (bf16, depth) in [(false, 8), (true, 16)] {
        if probes.has_mma() {
            probes.mma(bf16, turns)?;
            check("mma.cu", probes.sums()?, (8 * 4 * 2 * depth * turns) as f32);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:?} of benches/gpu compute something else").into()) }
}

fn peak(
    machine: &Machine,
    cuda: &mut Cuda,
    probes: &mut Probes,
    name: &'static str,
    work: Quantity,
    launch: &mut dyn FnMut(&mut Probes) -> Result<(), cudarc::driver::DriverError>,
) -> Result<Peak, Failure> {
    if let Some(library) = &machine.software {
        let launches = counted(library, || {
            launch(probes)?;
            Ok(cuda.synchronize()?)
        })?;
        return Ok(Peak { name, work, time: None, rate: None, counts: Some(Counts::of(&launches)) });
    }
    let mut seconds = Vec::new();
    for _ in 0..WARM_UP + REPETITIONS {
        probes.delay()?;
        let start = cuda.mark()?;
        launch(probes)?;
        let end = cuda.mark()?;
        seconds.push(cuda.seconds_between(&start, &end)?);
    }
    let time = Spread::of(seconds.split_off(WARM_UP))?;
    let unit = if work.unit == Unit::Byte { Unit::GigaByte } else { Unit::GigaFlop };
    let rate = (work.value > 0.0).then(|| Quantity::new(work.value / time.min / 1e3, unit));
    Ok(Peak { name, work, time: Some(time), rate, counts: None })
}
