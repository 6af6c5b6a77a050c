//! What is measured: times on a real device, counts on the software one.

use std::fmt;

use serde::{Deserialize, Serialize};
use softcuda::Library;
use softcuda::counts::{self, AccessKind};

use super::Failure;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Floating-point operations.
    #[serde(rename = "FLOP")]
    Flop,
    /// Bytes.
    #[serde(rename = "byte")]
    Byte,
    /// Images.
    #[serde(rename = "images")]
    Image,
    /// Elements of an array.
    #[serde(rename = "elements")]
    Element,
    /// 10^-6 seconds.
    #[serde(rename = "us")]
    Microsecond,
    /// 10^9 floating-point operations a second.
    #[serde(rename = "GFLOP/s")]
    GigaFlop,
    /// 10^9 bytes a second.
    #[serde(rename = "GB/s")]
    GigaByte,
    /// Images a second.
    #[serde(rename = "images/s")]
    ImageRate,
    /// 10^6 elements a second.
    #[serde(rename = "M/s")]
    MegaElement,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A number and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
}

impl Quantity {
    /// `value` of this unit.
    pub fn new(value: f64, unit: Unit) -> Self {
        Self { value, unit }
    }

    /// The rate at which this much work is done in the time of the middle.
    pub fn rate(self, time: &Spread) -> Self {
        let a_second = 1e6 * self.value / time.median;
        match self.unit {
            Unit::Flop => Self::new(a_second / 1e9, Unit::GigaFlop),
            Unit::Byte => Self::new(a_second / 1e9, Unit::GigaByte),
            Unit::Image => Self::new(a_second, Unit::ImageRate),
            _ => Self::new(a_second / 1e6, Unit::MegaElement),
        }
    }
}

/// Times of the same work again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// Their unit: microseconds.
    pub unit: Unit,
    /// How many there are.
    pub repetitions: usize,
}

impl Spread {
    /// The spread of some times in seconds.
    ///
    /// # Errors
    /// There are none, or one is no time.
    pub fn of(mut seconds: Vec<f64>) -> Result<Self, Failure> {
        seconds.sort_by(f64::total_cmp);
        match (seconds.first().copied(), seconds.last().copied()) {
            (Some(min), Some(max)) if min > 0.0 && max.is_finite() => {
                let median = 1e6 * seconds[seconds.len() / 2];
                Ok(Self { median, min: 1e6 * min, max: 1e6 * max, unit: Unit::Microsecond, repetitions: seconds.len() })
            }
            _ => Err(format!("{seconds:?} are no times in seconds: the clock of the device cannot be trusted").into()),
        }
    }

    /// `amount` of work in the time of the middle, in 10^9 a second.
    pub fn giga_rate(&self, amount: f64) -> f64 {
        amount / self.median / 1e3
    }
}

/// How far a row's result is from that of f64: as the norm of the difference over that of what is wanted, or, where each number has
/// a bound of its own, as the part of it that the worst takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// The largest error of its results.
    pub error: f64,
    /// What is allowed.
    pub bound: f64,
}

impl Verified {
    /// Errors that keep their bound.
    ///
    /// # Errors
    /// One does not; NaN does not.
    pub fn new(what: &str, errors: &[f64], bound: f64) -> Result<Self, Failure> {
        match errors.iter().find(|error| !(0.0..=bound).contains(*error)) {
            None => Ok(Self { error: errors.iter().copied().fold(0.0, f64::max), bound }),
            Some(error) => {
                let advice = "what computes something else is not worth its time";
                Err(format!("{what} is off by {error:.2e}, allowed {bound:.0e}: {advice}").into())
            }
        }
    }
}

/// What launches executed and moved, as the software device counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Launches of kernels.
    pub launches: u64,
    /// Instructions of warps.
    pub warp_instructions: u64,
    /// Instructions of lanes.
    pub lane_instructions: u64,
    /// Floating-point operations, a fused multiply-add being two.
    pub flop: u64,
    /// Fused multiply-adds in f32 among all instructions of lanes, from 0 to 1. Tensor cores multiply otherwise.
    pub fma_share: f64,
    /// Bytes to and from global memory in whole sectors, as without caches.
    pub bytes: u64,
    /// Sectors of 32 bytes that a load or store of a warp touches.
    pub sectors_per_request: f64,
    /// The same of the instruction that loads most sectors at each request.
    pub widest_load: f64,
    /// The same of the instruction that stores most.
    pub widest_store: f64,
    /// Wavefronts of shared memory beyond those that the bytes take.
    pub bank_conflicts: u64,
}

impl Counts {
    /// The sums over `launches`.
    pub fn of<'a>(launches: impl IntoIterator<Item = &'a counts::LaunchCounts>) -> Self {
        let mut sum = Self::default();
        let (mut sectors, mut requests, mut fmas) = (0, 0, 0);
        for launch in launches {
            sum.launches += launch.launches;
            sum.warp_instructions += launch.warp_instructions;
            sum.lane_instructions += launch.lane_instructions;
            sum.flop += launch.flops;
            fmas += launch.fmas;
            sum.bytes += launch.bytes_moved();
            sectors += launch.global_loads.transactions + launch.global_stores.transactions;
            requests += launch.global_loads.requests + launch.global_stores.requests;
            sum.widest_load = sum.widest_load.max(widest(launch, AccessKind::GlobalLoad));
            sum.widest_store = sum.widest_store.max(widest(launch, AccessKind::GlobalStore));
            sum.bank_conflicts += launch.bank_conflicts();
        }
        sum.fma_share = fmas as f64 / (sum.lane_instructions as f64).max(1.0);
        Self { sectors_per_request: sectors as f64 / (requests as f64).max(1.0), ..sum }
    }
}

/// Sectors of each request of the launch's widest instruction of a kind; 0 where it has none.
fn widest(launch: &counts::LaunchCounts, kind: AccessKind) -> f64 {
    launch.widest(kind).map_or(0.0, |access| access.widest.per_request())
}

/// The launches that `work` leads to, as the software driver counts them; `work` waits for their end.
///
/// # Errors
/// Those of `work`, or the library is of another build.
pub fn counted(
    library: &Library,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<Vec<counts::LaunchCounts>, Failure> {
    library.reset_counts()?;
    work()?;
    Ok(library.launches()?)
}
