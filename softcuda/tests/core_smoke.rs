//! Kernels of the snapshot run on the core alone, without a driver.

use softcuda::check::global::Order;
use softcuda::exec::{Launch, run};
use softcuda::machine::Machine;
use softcuda::memory::Kind;
use softcuda::program::Program;
use softcuda::settings::{Checks, Settings};
use std::sync::Arc;

fn order() -> Order {
    Order { stream: 0, sequence: 0, after: Arc::default() }
}

fn upload(machine: &Machine, values: &[f32]) -> u64 {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let address = machine.allocate(bytes.len() as u64, Kind::Device).unwrap();
    machine.write(&order(), "cuMemcpyHtoD", address, &bytes).unwrap();
    address
}

fn download(machine: &Machine, address: u64, count: usize) -> Vec<f32> {
    let mut bytes = vec![0; count * 4];
    machine.read(&order(), "cuMemcpyDtoH", address, &mut bytes).unwrap();
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

fn gemm(name: &str, grid: [u32; 3], block: [u32; 3], n: usize, checks: Checks) {
    let machine = Machine::new(Settings { checks, ..Settings::default() }).unwrap();
    let text = std::fs::read_to_string(format!("{}/tests/ptx/{name}.sm_80.ptx", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let program = Arc::new(Program::load(&machine, &text).unwrap());
    let a: Vec<f32> = (0..n * n).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
    let b: Vec<f32> = (0..n * n).map(|i| ((i * 5) % 13) as f32 - 6.0).collect();
    let (da, db, dc) =
        (upload(&machine, &a), upload(&machine, &b), machine.allocate(4 * (n * n) as u64, Kind::Device).unwrap());
    let mut parameters = Vec::new();
    for address in [da, db, dc] {
        parameters.extend_from_slice(&address.to_le_bytes());
    }
    for _ in 0..3 {
        parameters.extend_from_slice(&(n as u32).to_le_bytes());
    }
    let launch = Launch {
        kernel: 0,
        grid,
        block,
        shared_bytes: 0,
        cooperative: false,
        parameters,
        order: Order { sequence: 1, ..order() },
    };
    let start = std::time::Instant::now();
    run(&machine, &program, &launch).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let summary = machine.counts.summary();
    println!("{summary}");
    let lanes: u64 = summary.kernels.values().map(|k| k.lane_instructions).sum();
    println!("{seconds} s, {} G lane instructions a second", lanes as f64 / seconds / 1e9);
    for report in machine.reporter.snapshot() {
        println!("{report}");
    }
    assert!(machine.reporter.snapshot().is_empty());
    let c = download(&machine, dc, n * n);
    for row in [0, 1, n / 2, n - 1] {
        for column in 0..n {
            let expected: f32 = (0..n).map(|k| a[row * n + k] * b[k * n + column]).sum();
            assert_eq!(c[row * n + column], expected, "row {row}, column {column}");
        }
    }
}

#[test]
fn naive() {
    gemm("sgemm_naive", [16, 16, 1], [16, 16, 1], 256, Checks::ALL);
}

#[test]
fn tiled() {
    gemm("sgemm_tiled", [8, 8, 1], [32, 32, 1], 256, Checks::ALL);
}

#[test]
fn blocked() {
    gemm("sgemm_blocked", [4, 4, 1], [256, 1, 1], 512, Checks::NONE);
    gemm("sgemm_blocked", [4, 4, 1], [256, 1, 1], 512, Checks::ALL);
}
