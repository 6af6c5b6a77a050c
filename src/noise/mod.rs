//! Random numbers that have an address instead of a state.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011) maps a 128-bit counter and
//! a 64-bit key to 128 random bits. The key is the seed; the counter is the address (stream, step, element). Whoever asks
//! for an address gets the same number: any backend, thread count, batch split, or run resumed in the middle.

mod normal;
mod philox;
mod stream;

pub use normal::{box_muller, fill_standard_normal, standard_normal_block};
pub use philox::philox4x32_10;
pub use stream::{Address, PhiloxRng, Stream};
