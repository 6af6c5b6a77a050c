//! How fast kernels run: the register-blocked SGEMM of 512 x 512 x 512 without checks and with all of them, in lane
//! instructions a second. The two alternate, so that whatever else the machine does touches both.
//!
//! `cargo bench -p softcuda --bench speed`

use softcuda::check::global::Order;
use softcuda::exec::{Launch, run};
use softcuda::machine::Machine;
use softcuda::memory::Kind;
use softcuda::program::Program;
use softcuda::settings::{Checks, Settings};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const SIDE: usize = 512;
const RUNS: usize = 15;

/// A device with the product's operands in place.
struct Bench {
    machine: Machine,
    program: Arc<Program>,
    launch: Launch,
    runs: u64,
}

impl Bench {
    fn new(checks: Checks) -> Result<Bench, Box<dyn Error>> {
        let machine = Machine::new(Settings { checks, ..Settings::default() })?;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptx/sgemm_blocked.sm_80.ptx");
        let program = Arc::new(Program::load(&machine, &std::fs::read_to_string(path)?)?);
        let order = Order { stream: 0, sequence: 0, after: Arc::default() };
        let mut parameters = Vec::new();
        for operand in 0..3 {
            let values = (0..SIDE * SIDE).map(|index| ((index * (7 + operand) % 1013) as f32 / 1013.0).to_le_bytes());
            let address = machine.allocate(4 * (SIDE * SIDE) as u64, Kind::Device)?;
            machine.write(&order, "cuMemcpyHtoD", address, &values.flatten().collect::<Vec<u8>>())?;
            parameters.extend_from_slice(&address.to_le_bytes());
        }
        for _ in 0..3 {
            parameters.extend_from_slice(&(SIDE as u32).to_le_bytes());
        }
        let grid = [SIDE as u32 / 128, SIDE as u32 / 128, 1];
        let launch =
            Launch { kernel: 0, grid, block: [256, 1, 1], shared_bytes: 0, cooperative: false, parameters, order };
        Ok(Bench { machine, program, launch, runs: 0 })
    }

    /// Lane instructions a second of one launch.
    fn rate(&mut self) -> Result<f64, Box<dyn Error>> {
        self.runs += 1;
        self.launch.order.sequence = self.runs;
        self.machine.counts.reset();
        let start = Instant::now();
        run(&self.machine, &self.program, &self.launch)?;
        let seconds = start.elapsed().as_secs_f64();
        let counts = self.machine.counts.launches();
        Ok(counts.iter().map(|launch| launch.lane_instructions).sum::<u64>() as f64 / seconds)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut checked) = (Bench::new(Checks::NONE)?, Bench::new(Checks::ALL)?);
    let mut rates = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let pair = (plain.rate()?, checked.rate()?);
        // The first pair warms caches and touches pages.
        if run > 0 {
            rates.0.push(pair.0);
            rates.1.push(pair.1);
        }
    }
    let findings = checked.machine.reporter.snapshot();
    if !findings.is_empty() {
        return Err(format!("the product is right, yet there are {} findings", findings.len()).into());
    }
    println!("sgemm_blocked {SIDE} x {SIDE} x {SIDE}, {} threads, {RUNS} runs", plain.machine.settings.threads);
    let ratio = describe("checks off", &mut rates.0) / describe("all checks on", &mut rates.1);
    println!("all checks on: {ratio:.1} times slower");
    Ok(())
}

/// Prints and gives the median.
fn describe(name: &str, rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    let [low, median, high] = [rates[0], rates[rates.len() / 2], rates[rates.len() - 1]].map(|rate| rate / 1e9);
    println!("{name:<14} {median:.2} G lane instructions a second (median; {low:.2} to {high:.2})");
    median
}
