//! What is measured: times on a real device, counts on the software one.

use serde::Serialize;
use softcuda::{Library, counts};

use crate::Failure;

/// A number and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantity {
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

impl Quantity {
    /// `value` of this unit.
    pub fn new(value: f64, unit: &'static str) -> Self {
        Self { value, unit }
    }
}

/// Times of the same work again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// Their unit: microseconds.
    pub unit: &'static str,
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
        match seconds[..] {
            [min, .., max] if min > 0.0 && max.is_finite() => {
                let median = 1e6 * seconds[seconds.len() / 2];
                Ok(Self { median, min: 1e6 * min, max: 1e6 * max, unit: "us", repetitions: seconds.len() })
            }
            _ => Err(format!("{seconds:?} are no times in seconds: the clock of the device cannot be trusted").into()),
        }
    }

    /// `amount` of work in the time of the middle, in 10^9 a second.
    pub fn giga_rate(&self, amount: f64) -> f64 {
        amount / self.median / 1e3
    }
}

/// What launches executed and moved, as the software device counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Launches of kernels.
    pub launches: u64,
    /// Instructions of warps.
    pub warp_instructions: u64,
    /// Instructions of lanes.
    pub lane_instructions: u64,
    /// Floating-point operations, a fused multiply-add being two.
    pub flop: u64,
    /// Bytes to and from global memory in whole sectors, as without caches.
    pub bytes: u64,
    /// Sectors of 32 bytes that a load or store of a warp touches.
    pub sectors_per_request: f64,
}

impl Counts {
    /// The sums over `launches`.
    pub fn of<'a>(launches: impl IntoIterator<Item = &'a counts::LaunchCounts>) -> Self {
        let mut sum = Self::default();
        let (mut sectors, mut requests) = (0, 0);
        for launch in launches {
            sum.launches += launch.launches;
            sum.warp_instructions += launch.warp_instructions;
            sum.lane_instructions += launch.lane_instructions;
            sum.flop += launch.flops;
            sum.bytes += launch.bytes_moved();
            sectors += launch.global_loads.transactions + launch.global_stores.transactions;
            requests += launch.global_loads.requests + launch.global_stores.requests;
        }
        Self { sectors_per_request: sectors as f64 / (requests as f64).max(1.0), ..sum }
    }
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
