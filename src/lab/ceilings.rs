//! What the device at hand does at most, measured: a copy for its memory, chains of multiply-adds for its units of float32.

use super::case::{Case, Compared, Contents, Expected, Launch, Number, Work};
use super::{Bench, Error};
use crate::backend::cuda::Argument;
use crate::backend::cuda::compile::Source;

/// Threads of a block of both kernels.
const BLOCK: u32 = 256;

/// Chains of a thread of `ceiling/fma.cu`.
const CHAINS: usize = 16;

/// Blocks for each multiprocessor, which fill it.
const BLOCKS: u32 = 8;

/// Quads of floats that are copied to measure: 256 MiB read and as many written, more than any cache holds.
const COPIED: usize = 16 << 20;

/// Turns of the chains to measure.
const TURNS: i32 = 4096;

/// Runs that are timed, after some that are not.
const REPETITIONS: usize = 20;
const WARM_UP: usize = 3;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Ceilings {
    /// GB/s, read and written.
    pub memory: f64,
    /// GFLOP/s in float32.
    pub fp32: f64,
}

/// Measures both on a GPU, after a look that the kernels do what they should.
///
/// # Errors
/// A kernel computed something else, or the device failed.
pub fn measure(bench: &mut Bench) -> Result<Ceilings, Error> {
    let blocks = BLOCKS * bench.info().multiprocessors;
    for case in [copy(1 << 18, blocks, true), chains(TURNS, blocks)] {
        let placed = bench.place(&case)?;
        bench.verify(&placed)?;
    }
    let (copy, chains) = (copy(COPIED, blocks, false), chains(TURNS, blocks));
    let memory = copy.work.bytes / least_seconds(bench, &copy)? / 1e9;
    let fp32 = chains.work.flop / least_seconds(bench, &chains)? / 1e9;
    Ok(Ceilings { memory, fp32 })
}

/// The shortest of some runs: a ceiling is what the device does when nothing disturbs it.
fn least_seconds(bench: &mut Bench, case: &Case) -> Result<f64, Error> {
    let placed = bench.place(case)?;
    let seconds = bench.time(&placed, WARM_UP + REPETITIONS, || Ok(()))?;
    Ok(seconds.into_iter().skip(WARM_UP).fold(f64::INFINITY, f64::min))
}

/// Blocks that copy so many quads, one a thread.
pub fn blocks_of(quads: usize) -> u32 {
    // Extents are checked to be small enough for that many blocks.
    quads.div_ceil(BLOCK as usize) as u32
}

/// A copy of `quads` of four floats; what arrives is compared where `is_checked`.
pub fn copy(quads: usize, blocks: u32, is_checked: bool) -> Case {
    let values: Vec<f32> = (0..4 * quads).map(|i| (i % 8191) as f32).collect();
    let expected = |values: &[f32]| Expected {
        what: "to",
        buffer: 1,
        offset: 0,
        number: Number::F32,
        compared: Compared::Each,
        values: values.iter().map(|value| f64::from(*value)).collect(),
        allowed: vec![0.0; values.len()],
    };
    let arguments = move |addresses: &[u64]| {
        let pointers = addresses.iter().map(Argument::new);
        pointers.chain([Argument::new(&(quads as u64))]).collect()
    };
    Case {
        name: "ceiling/copy",
        expected: if is_checked { vec![expected(&values)] } else { Vec::new() },
        buffers: vec![Contents::of(&values), Contents::room::<f32>(4 * quads)],
        launches: vec![Launch {
            source: Source { file: "ceiling/copy.cu", defines: Vec::new() },
            entry: "copy",
            grid: blocks,
            block: BLOCK,
            arguments: Box::new(arguments),
        }],
        work: Work { flop: 0.0, bytes: 32.0 * quads as f64 },
    }
}

/// `turns` of the chains in every thread of `blocks`. Each value stays 1: 1 * 0.5 + 0.5.
pub fn chains(turns: i32, blocks: u32) -> Case {
    let threads = blocks as usize * BLOCK as usize;
    let arguments = move |addresses: &[u64]| {
        let half = Argument::new(&0.5f32);
        vec![Argument::new(&addresses[0]), half, half, Argument::new(&turns)]
    };
    Case {
        name: "ceiling/fma",
        buffers: vec![Contents::room::<f32>(threads)],
        launches: vec![Launch {
            source: Source { file: "ceiling/fma.cu", defines: Vec::new() },
            entry: "fma_chains",
            grid: blocks,
            block: BLOCK,
            arguments: Box::new(arguments),
        }],
        expected: vec![Expected {
            what: "out",
            buffer: 0,
            offset: 0,
            number: Number::F32,
            compared: Compared::Each,
            values: vec![CHAINS as f64; threads],
            allowed: vec![0.0; threads],
        }],
        work: Work { flop: 2.0 * (CHAINS * threads) as f64 * f64::from(turns), bytes: 4.0 * threads as f64 },
    }
}
