//! Same input, any number of host threads: the same bits and the same counts.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;

use device::Argument::{self, Bytes, Float, Floats, Int, Zeros};
use device::{Device, integers, order};
use softcuda::settings::{Checks, Settings};

/// A launch of a kernel of the snapshot.
struct Case {
    ptx: &'static str,
    kernel: &'static str,
    grid: [u32; 3],
    block: [u32; 3],
    arguments: Vec<Argument>,
    cooperative: bool,
}

macro_rules! ptx {
    ($name:literal) => {
        include_str!(concat!("ptx/", $name, ".sm_80.ptx"))
    };
}

fn case(ptx: &'static str, kernel: &'static str, grid: [u32; 3], block: [u32; 3], arguments: Vec<Argument>) -> Case {
    Case { ptx, kernel, grid, block, arguments, cooperative: false }
}

fn uniform(seed: u32, count: usize) -> Vec<f32> {
    integers(seed, count).iter().zip(integers(seed + 1, count)).map(|(a, b)| (a + 5.0) / (b + 5.5)).collect()
}

fn product(side: usize) -> Vec<Argument> {
    let n = side as i32;
    vec![Floats(uniform(1, side * side)), Floats(uniform(2, side * side)), Zeros(side * side), Int(n), Int(n), Int(n)]
}

fn deterministic() -> Vec<Case> {
    let bytes: Vec<u8> = (0..5000u32).map(|index| (index * 7 % 251) as u8).collect();
    let words: Vec<u8> = (0..1200i32).flat_map(|index| (index % 17 - 5).to_le_bytes()).collect();
    let hyper = vec![Int(1000), Float(1e-3), Float(0.9), Float(0.999), Float(1e-8), Float(0.1), Float(0.001)];
    let adam = [vec![Floats(uniform(3, 1000)), Floats(uniform(4, 1000)), Zeros(1000), Zeros(1000)], hyper].concat();
    vec![
        case(ptx!("sgemm_naive"), "sgemm_naive", [6, 6, 1], [16, 16, 1], product(96)),
        case(ptx!("sgemm_tiled"), "sgemm_tiled", [3, 3, 1], [32, 32, 1], product(96)),
        case(ptx!("sgemm_blocked"), "sgemm_blocked", [2, 2, 1], [256, 1, 1], product(256)),
        case(ptx!("gemm_cp_async"), "gemm_cp_async", [2, 2, 1], [256, 1, 1], product(128)),
        case(ptx!("gemm_tf32"), "gemm_tf32", [4, 4, 1], [128, 1, 1], product(128)),
        case(
            ptx!("reduce"),
            "reduce_partial",
            [7, 1, 1],
            [128, 1, 1],
            vec![Floats(uniform(5, 5000)), Zeros(7), Int(5000)],
        ),
        case(
            ptx!("reduce"),
            "reduce_last_block",
            [7, 1, 1],
            [128, 1, 1],
            vec![Floats(uniform(5, 5000)), Zeros(7), Zeros(1), Zeros(1), Int(5000)],
        ),
        case(ptx!("histogram"), "histogram_shared", [5, 1, 1], [96, 1, 1], vec![Bytes(bytes), Zeros(256), Int(5000)]),
        case(
            ptx!("softmax"),
            "softmax_online",
            [40, 1, 1],
            [32, 1, 1],
            vec![Floats(uniform(7, 4000)), Zeros(4000), Int(100)],
        ),
        case(ptx!("scan"), "scan", [10, 1, 1], [128, 1, 1], vec![Bytes(words), Zeros(1200), Zeros(10), Int(1200)]),
        case(ptx!("adam"), "adam", [4, 1, 1], [64, 1, 1], adam),
    ]
}

/// Contents of all buffers, counts, and reports, as text and bytes.
fn outcome(case: &Case, checks: Checks, threads: usize) -> (Vec<Vec<u8>>, String, usize) {
    let device = Device::new(Settings { checks, threads, ..Settings::default() }, case.ptx);
    let (parameters, buffers) = device.pack(&case.arguments);
    device.launch_as(case.kernel, case.grid, case.block, parameters, order(0, 1), case.cooperative).unwrap();
    let contents = buffers.into_iter().flatten().map(|buffer| device.read(buffer)).collect();
    (contents, serde_json::to_string(&device.machine.counts.summary()).unwrap(), device.machine.reporter.take().len())
}

#[test]
fn results_and_counts_do_not_depend_on_the_number_of_threads() {
    for case in deterministic() {
        for checks in [Checks::NONE, Checks::ALL] {
            let (contents, counts, reports) = outcome(&case, checks, 1);
            assert!(contents.iter().any(|bytes| bytes.iter().any(|byte| *byte != 0)), "{} has no results", case.kernel);
            assert_eq!(reports, 0, "{}", case.kernel);
            for threads in [2, 3, 8] {
                let other = outcome(&case, checks, threads);
                assert!(other.0 == contents, "{} differs in its results with {threads} threads", case.kernel);
                assert_eq!(other.1, counts, "{} differs in its counts with {threads} threads", case.kernel);
            }
        }
    }
}

#[test]
fn one_thread_repeats_spin_waits_to_the_bit() {
    let arguments = vec![Floats(uniform(9, 500)), Zeros(500), Zeros(1), Int(500), Int(4)];
    let case =
        Case { cooperative: true, ..case(ptx!("grid_barrier"), "grid_barrier", [6, 1, 1], [64, 1, 1], arguments) };
    let first = outcome(&case, Checks::ALL, 1);
    assert_eq!(first.2, 0);
    assert!(outcome(&case, Checks::ALL, 1) == first);
    // With more threads the number of turns that a block waits varies, but not what it computes.
    assert!(outcome(&case, Checks::ALL, 3).0 == first.0);
}
