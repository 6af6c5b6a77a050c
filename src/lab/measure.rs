//! How long a case takes on a GPU.

use super::Error;
use super::bench::{Bench, Placed};
use super::case::Work;
use crate::backend::cuda::Error as CudaError;

/// Runs before the first that is timed.
const WARM_UP: usize = 10;
/// Runs that are timed, hot and cold.
const REPETITIONS: usize = 50;

/// Bytes that are written ahead of each cold run: more than any L2 cache holds.
const FLUSHED: usize = 256 << 20;

/// Seconds of a number of runs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// That of some seconds; all 0 where there are none.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        let middle = seconds.len() / 2;
        let median =
            if seconds.len() % 2 == 1 { at(middle) } else { 0.5 * (at(middle.saturating_sub(1)) + at(middle)) };
        Self { median, min: at(0), max: at(seconds.len().saturating_sub(1)) }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Measured {
    /// With what the run before left in the L2 cache.
    pub hot: Spread,
    /// With nothing of the case there.
    pub cold: Spread,
    /// The least FLOP, in 10^9 a second of the median hot run.
    pub gflop_per_second: f64,
    /// The least bytes, in 10^9 a second of the median cold run.
    pub gb_per_second: f64,
}

/// Seconds of every run that was timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Seconds {
    /// With what the run before left in the L2 cache.
    pub hot: Vec<f64>,
    /// With nothing of the case there.
    pub cold: Vec<f64>,
}

/// Measures a case whose results were held against float64 before.
///
/// # Errors
/// The device failed.
pub fn measure(bench: &Bench, placed: &Placed<'_>, work: Work) -> Result<Measured, Error> {
    let Seconds { hot, cold } = seconds(bench, placed)?;
    let (hot, cold) = (Spread::of(hot), Spread::of(cold));
    let (gflop_per_second, gb_per_second) = (work.flop / hot.median * 1e-9, work.bytes / cold.median * 1e-9);
    Ok(Measured { hot, cold, gflop_per_second, gb_per_second })
}

/// Times such a case after a warm-up.
///
/// # Errors
/// The device failed.
pub fn seconds(bench: &Bench, placed: &Placed<'_>) -> Result<Seconds, Error> {
    bench.time(placed, WARM_UP, || Ok(()))?;
    let hot = bench.time(placed, REPETITIONS, || Ok(()))?;
    let stream = bench.stream();
    let other = stream.alloc_zeros::<u8>(FLUSHED).map_err(|error| CudaError::allocation(stream, FLUSHED, error));
    let mut other = other?;
    let flush = || Ok(stream.memset_zeros(&mut other).map_err(CudaError::fault("emptying the cache"))?);
    let cold = bench.time(placed, REPETITIONS, flush)?;
    Ok(Seconds { hot, cold })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_both_ends_are_told() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(Vec::new()), Spread { median: 0.0, min: 0.0, max: 0.0 });
    }
}
