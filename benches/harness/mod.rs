//! What the benchmarks share: options, clock, figures, the machine they depend on, and the report that each leaves.
//!
//! A group verifies each of its rows against f64 before it measures it, works on random data, warms up, repeats until a budget of
//! time is spent, and reports the median with min and max, with hot and with cold caches. What comes of it is a table on the
//! terminal and `target/bench/GROUP.json`; `cargo run --release --example bench_tables` renders such files into
//! `docs/benchmarks.md`.
//!
//! ```text
//! cargo bench --bench GROUP                 # some minutes on an idle machine
//! cargo bench --bench GROUP -- --quick      # a few seconds: that it works, not how fast it is
//! cargo bench --bench GROUP -- --counts     # no times: verifies and counts alone
//! cargo bench --bench GROUP -- --json PATH  # writes the report there
//! ```

#![allow(dead_code, unused_imports, reason = "every benchmark takes what it needs")]

mod cache;
mod clock;
pub mod figure;
pub mod machine;
mod options;
pub mod report;
pub mod setting;
pub mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use clock::Clock;
pub use figure::{Counts, Quantity, Spread, Unit, Verified, counted};
pub use machine::Machine;
pub use options::Options;
pub use report::{Report, Row};
pub use setting::Setting;

/// Why a benchmark cannot go on; the message is all that matters.
pub type Failure = Box<dyn std::error::Error>;

/// Threads that the processor runs at once: what every group computes with.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A group under way.
pub struct Bench {
    /// How it was called.
    pub options: Options,
    clock: Clock,
    report: Report,
}

impl Bench {
    /// Runs a group: `measure` adds the rows, the report is shown and written. The exit code is 2 where something failed, a row that
    /// is off its bound among it.
    pub fn main(group: &'static str, measure: impl FnOnce(&mut Self) -> Result<(), Failure>) -> ExitCode {
        match Options::of_this_process().and_then(|options| Self::run(group, options, measure)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn run(
        group: &'static str,
        options: Options,
        measure: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = match &options.json {
            Some(path) => path.clone(),
            None => target_folder()?.join("bench").join(format!("{group}.json")),
        };
        let report = Report::new(group, Setting::here(&options));
        let mut bench = Self { clock: Clock::new(&options), options, report };
        measure(&mut bench)?;
        println!("\n{}\n\n{}", bench.report.setting, bench.report.tables());
        bench.report.write(&path)?;
        println!("{}", path.display());
        Ok(())
    }

    /// Adds the times of `body`, which was found right and does `work` at each call, on the processor.
    ///
    /// # Errors
    /// `body` failed.
    pub fn time(
        &mut self,
        name: impl Into<String>,
        work: Quantity,
        verified: Verified,
        mut body: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let hot = self.clock.hot(&mut body)?;
        let cold = self.clock.cold(&mut body)?;
        self.add(Row { verified: Some(verified), hot, cold, ..Row::new(name, work) }.with_rate());
        Ok(())
    }

    /// Adds a row, and shows on the terminal that there is one more.
    pub fn add(&mut self, row: Row) {
        println!("{}", row.name);
        self.report.rows.push(row);
    }

    /// Adds a line that belongs to the report: what was left out and why.
    pub fn note(&mut self, line: impl Into<String>) {
        let line = line.into();
        println!("note: {line}");
        self.report.notes.push(line);
    }

    /// Notes the device that rows of this report come from.
    pub fn set_device(&mut self, device: setting::Device) {
        self.report.setting.device = Some(device);
    }
}

/// Cargo's target folder.
fn target_folder() -> Result<PathBuf, Failure> {
    let temporary = option_env!("CARGO_TARGET_TMPDIR").map(Path::new);
    let target = temporary.and_then(Path::parent).ok_or("cargo told no target folder: name a file with --json PATH")?;
    Ok(target.to_owned())
}
