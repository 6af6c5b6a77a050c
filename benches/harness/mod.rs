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
//! cargo bench --bench GROUP -- --emulated   # the software driver even where there is a GPU
//! cargo bench --bench GROUP -- --large      # the largest sizes on the software driver too, where the group has any
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

use nvrtc::Nvrtc;

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
    /// Runs a group: `measure` adds the rows, the report is shown and written. The exit code is that of `latent`: 2 where an option
    /// is at fault, 1 where something failed, a row that is off its bound among it.
    pub fn main(group: &'static str, measure: impl FnOnce(&mut Self) -> Result<(), Failure>) -> ExitCode {
        let failed = |code: u8, error: Failure| {
            eprintln!("error: {error}");
            ExitCode::from(code)
        };
        match Options::of_this_process() {
            Ok(options) => {
                Self::run(group, options, measure).map_or_else(|error| failed(1, error), |()| ExitCode::SUCCESS)
            }
            Err(error) => failed(2, error),
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

    /// The CUDA device that rows of this report come from; nothing, and a note, where no kernel can be compiled.
    ///
    /// # Errors
    /// There is a driver and no usable device.
    pub fn cuda_machine(&mut self) -> Result<Option<Machine>, Failure> {
        let nvrtc = match Nvrtc::find() {
            Ok(nvrtc) => nvrtc,
            Err(error) => {
                self.note(format!("nothing on CUDA: {error}"));
                return Ok(None);
            }
        };
        let machine = Machine::find(self.options.emulated)?;
        self.report.setting.device = Some(setting::Device::new(&machine, nvrtc.version()));
        if machine.software.is_some() {
            self.note("the rows of CUDA are counts of the software driver, which has no time to tell");
        }
        Ok(Some(machine))
    }
}

/// Cargo's target folder.
fn target_folder() -> Result<PathBuf, Failure> {
    let temporary = option_env!("CARGO_TARGET_TMPDIR").map(Path::new);
    let target = temporary.and_then(Path::parent).ok_or("cargo told no target folder: name a file with --json PATH")?;
    Ok(target.to_owned())
}
