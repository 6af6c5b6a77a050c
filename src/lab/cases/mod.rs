//! Every kernel that does not multiply matrices, as a case.
//!
//! What must come out is the formula in float64, of the very f32 that the kernel reads. How far off a result may be follows from
//! the roundings on its way, in units of [`ULP`].

mod elementwise;
mod importance;
mod losses;
mod posterior;
mod step;

use rand_distr::{Distribution, Uniform};

pub use elementwise::{gather, leaky_relu, leaky_relu_launch, sigmoid, standard_normal};
pub use importance::{DRAWS, importance_backward, importance_weights};
pub use losses::{BCE_STEPS, bce_gradient, bce_loss, kl, sum};
pub use posterior::{reparameterise, reparameterise_backward};
pub use step::{adam, finish};

use super::case::{Compared, Expected, Launch, Number};
use crate::backend::Hyperparameters;
use crate::backend::cuda::Argument;
use crate::backend::cuda::compile::Source;
use crate::backend::cuda::control::{Control, Found, Losses, STREAMS, Settings};
use crate::backend::cuda::elementwise::{BLOCK, QUAD};
use crate::noise::{Address, PhiloxRng, Stream};

/// The largest relative error of one rounding to f32.
const ULP: f64 = 1.0 / (1u64 << 24) as f64;

/// What the cases train with: at step [`STEP`] of stream [`Stream::Training`].
const HYPERPARAMETERS: Hyperparameters = Hyperparameters { learning_rate: 1e-3, beta: 0.5, seed: 1, free_bits: 0.0 };
const STEP: u64 = 9;

/// `count` numbers, uniform in [-1, 1), the same for the same seed.
pub fn uniform(seed: u64, count: usize) -> Vec<f32> {
    let rng = PhiloxRng::new(address(seed));
    Uniform::new(-1.0f32, 1.0).map_or_else(|_| vec![0.0; count], |range| range.sample_iter(rng).take(count).collect())
}

/// `count` numbers, uniform in [0, `end`).
fn positive(seed: u64, count: usize, end: f32) -> Vec<f32> {
    uniform(seed, count).into_iter().map(|x| (0.5 + 0.5 * x) * end).collect()
}

/// `count` numbers, uniform in [-`end`, `end`).
fn within(seed: u64, count: usize, end: f32) -> Vec<f32> {
    uniform(seed, count).into_iter().map(|x| x * end).collect()
}

/// Where the numbers of a seed come from: a stream that no kernel here draws from.
fn address(seed: u64) -> Address {
    Address { seed, stream: Stream::Corruption, step: 0 }
}

/// The control at the beginning of a step of training.
fn control() -> Control {
    let mut steps = [0; STREAMS];
    steps[Stream::Training as usize] = STEP;
    Control { settings: Settings::new(HYPERPARAMETERS, steps), losses: Losses::default(), found: Found::nothing() }
}

/// A launch of `entry` in `file`.
fn launch(
    file: &'static str,
    entry: &'static str,
    (grid, block): (usize, u32),
    arguments: impl Fn(&[u64]) -> Vec<Argument> + Send + Sync + 'static,
) -> Launch {
    // Extents are checked to be small enough for that many blocks.
    let source = Source { file, defines: Vec::new() };
    Launch { source, entry, grid: grid as u32, block, arguments: Box::new(arguments) }
}

/// A launch of a kernel of the form (buffers, length), a quad a thread. `buffers` are numbers of the case's.
fn on_elements<const N: usize>(file: &'static str, entry: &'static str, buffers: [usize; N], length: usize) -> Launch {
    launch(file, entry, (blocks_of_quads(length, BLOCK), BLOCK), move |addresses| {
        on_elements_arguments(buffers, length, addresses)
    })
}

fn on_elements_arguments<const N: usize>(buffers: [usize; N], length: usize, addresses: &[u64]) -> Vec<Argument> {
    let addresses = buffers.iter().map(|buffer| Argument::new(&addresses[*buffer]));
    addresses.chain([Argument::new(&(length as u64))]).collect()
}

/// Blocks that `length` elements take, four a thread.
fn blocks_of_quads(length: usize, block: u32) -> usize {
    length.div_ceil(QUAD).div_ceil(block as usize)
}

/// Each f32 of a buffer is expected to be one of `values`, `ulps` roundings of its magnitude off at most.
fn each(what: &'static str, buffer: usize, values: Vec<f64>, ulps: f64) -> Expected {
    let allowed = values.iter().map(|value| ulps * ULP * value.abs()).collect();
    Expected { what, buffer, offset: 0, number: Number::F32, compared: Compared::Each, values, allowed }
}

/// The f64 of a buffer are expected to have this sum, `allowed` off at most.
fn total(what: &'static str, buffer: usize, value: f64, allowed: f64) -> Expected {
    let (values, allowed) = (vec![value], vec![allowed]);
    Expected { what, buffer, offset: 0, number: Number::F64, compared: Compared::Sum, values, allowed }
}

/// How far a sum of f32 gets off, each of whose terms is off by `ulps` of its magnitude either way: the root of the sum of squares;
/// and a hundredth of that always the same way, as approximations are.
fn walk(ulps: f64, magnitudes: impl Iterator<Item = f64>) -> f64 {
    let (squares, sum) =
        magnitudes.fold((0.0, 0.0), |(squares, sum), term| (squares + term * term, sum + f64::abs(term)));
    ulps * ULP * (squares.sqrt() + 0.01 * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_random_and_repeatable() {
        let values = uniform(1, 1000);
        assert_eq!(values, uniform(1, 1000));
        assert_ne!(values, uniform(2, 1000));
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)) && values.iter().any(|x| *x < 0.0));
        assert!(positive(1, 1000, 4.0).iter().all(|x| (0.0..4.0).contains(x)));
    }
}
