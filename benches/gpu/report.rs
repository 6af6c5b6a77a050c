//! What a run leaves: one JSON and one table in Markdown.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use latent::backend::Precision;
use serde::Serialize;
use serde_json::Value;

use crate::Failure;
use crate::bench::{Counts, Quantity, Setting, Spread, Unit};
use crate::checks::Check;
use crate::epochs::Training;
use crate::operations::Row;
use crate::peaks::{Peak, Peaks};

/// Everything that was checked and measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it depends on.
    pub setting: Setting,
    /// What holds.
    pub checks: Vec<Check>,
    /// What the device does at most.
    pub peaks: Peaks,
    /// Operations at their real shapes.
    pub operations: Vec<Row>,
    /// Steps and epochs.
    pub training: Vec<Training>,
    /// The same in PyTorch.
    pub pytorch: Option<Value>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

impl Report {
    /// Nothing so far.
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            checks: Vec::new(),
            peaks: Peaks { all: Vec::new() },
            operations: Vec::new(),
            training: Vec::new(),
            pytorch: None,
            skipped: Vec::new(),
        }
    }

    /// Writes `results.json` and `results.md` into `folder` and returns their paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2], Failure> {
        let paths = ["results.json", "results.md"].map(|name| folder.join(name));
        let fault = |error| format!("{}: {error}; choose another folder with CARGO_TARGET_DIR", folder.display());
        std::fs::create_dir_all(folder).map_err(fault)?;
        std::fs::write(&paths[0], serde_json::to_string_pretty(self)? + "\n").map_err(fault)?;
        std::fs::write(&paths[1], self.table()).map_err(fault)?;
        Ok(paths)
    }

    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let name = self.setting.device.as_ref().map_or("no device", |device| &device.name);
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        let figures = if self.counts_only() { "counts, on the software driver" } else { "times" };
        let checks = self.checks.len();
        let mut text = format!(
            "# latent on {name}\n\n{}\n\nFigures are **{figures}**. {checks} checks, {failed} failed.\n\n",
            self.setting
        );
        for line in &self.skipped {
            text += &format!("- {line}\n");
        }
        text += if self.counts_only() { COUNTS_HEAD } else { TIMES_HEAD };
        for peak in &self.peaks.all {
            line(&mut text, peak.name, None, "benches/gpu", peak.figures());
        }
        for row in &self.operations {
            line(&mut text, &row.operation, Some(row.precision), &row.kernel, row.figures());
        }
        for training in &self.training {
            line(&mut text, "a step of the VAE", Some(training.precision), "all", training.step_figures());
        }
        text + &self.training_table()
    }

    fn counts_only(&self) -> bool {
        self.setting.device.as_ref().is_some_and(|device| device.software)
    }

    /// Steps and epochs beside PyTorch's; nothing without times.
    fn training_table(&self) -> String {
        let mut text = String::new();
        for Training { precision, step, epoch, images_per_second, steps_per_epoch, .. } in &self.training {
            if let (Some(step), Some(epoch), Some(images)) = (step, epoch, images_per_second) {
                let epoch = epoch.median / 1e3;
                let rate = images.value;
                let epoch = format!("{epoch:.1} ms for {steps_per_epoch} steps, {rate:.0} images/s");
                text += &format!("| latent | {precision} | {} | {epoch} |\n", time(step));
            }
        }
        for row in self.pytorch.iter().flat_map(|pytorch| pytorch["rows"].as_array().into_iter().flatten()) {
            let (mode, precision) = (row["mode"].as_str().unwrap_or("?"), row["precision"].as_str().unwrap_or("?"));
            let of = |name: &str| row["step"][name].as_f64().unwrap_or(f64::NAN);
            let step = format!("{:.1} ({:.1} .. {:.1})", of("median"), of("min"), of("max"));
            text += &format!("| PyTorch, {mode} | {precision} | {step} | |\n");
        }
        if text.is_empty() { text } else { format!("{TRAINING_HEAD}{text}") }
    }
}

const TIMES_HEAD: &str = "
Median (min .. max) in us. Arithmetic at the median with hot cache, memory at that with cold cache, each with its part of the
peak of this run. The empty kernel's time is in every other.

| operation | precision | kernel | hot | cold | GFLOP/s | GB/s |
|---|---|---|---|---|---|---|
";

const COUNTS_HEAD: &str = "
These are counts of what the software driver executed and moved, not times: a rehearsal tells nothing of speed.

| operation | precision | kernel | warp instructions | FLOP | bytes moved | sectors a request |
|---|---|---|---|---|---|---|
";

const TRAINING_HEAD: &str = "
A step's median (min .. max) in us, an epoch's median.

| program | precision | step | epoch |
|---|---|---|---|
";

fn line(text: &mut String, name: &str, precision: Option<Precision>, kernel: &str, figures: [String; 4]) {
    let precision = precision.map(|precision| precision.to_string()).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {name} | {precision} | {kernel} | {} |", figures.join(" | "));
}

fn time(Spread { median, min, max, .. }: &Spread) -> String {
    format!("{median:.1} ({min:.1} .. {max:.1})")
}

fn rate(rate: Option<Quantity>, part: Option<Quantity>) -> String {
    let part = part.map(|part| format!(" ({:.0} %)", part.value)).unwrap_or_default();
    rate.filter(|rate| rate.value > 0.0).map(|rate| format!("{:.0}{part}", rate.value)).unwrap_or_default()
}

fn of_counts(counts: &Counts) -> [String; 4] {
    let Counts { warp_instructions, flop, bytes, sectors_per_request, .. } = counts;
    [warp_instructions.to_string(), flop.to_string(), bytes.to_string(), format!("{sectors_per_request:.2}")]
}

impl Peak {
    fn figures(&self) -> [String; 4] {
        if let Some(counts) = &self.counts {
            return of_counts(counts);
        }
        let shown = self.time.as_ref().map(time).unwrap_or_default();
        let of = |unit| rate(self.rate.filter(|rate| rate.unit == unit), None);
        [shown, String::new(), of(Unit::GigaFlop), of(Unit::GigaByte)]
    }
}

impl Row {
    fn figures(&self) -> [String; 4] {
        if let Some(counts) = &self.counts {
            return of_counts(counts);
        }
        let [hot, cold] = [&self.hot, &self.cold].map(|spread| spread.as_ref().map(time).unwrap_or_default());
        let arithmetic = rate(self.arithmetic_rate, self.arithmetic_part);
        [hot, cold, arithmetic, rate(self.memory_rate, self.memory_part)]
    }
}

impl Training {
    fn step_figures(&self) -> [String; 4] {
        if let Some(counts) = &self.counts {
            return of_counts(counts);
        }
        let arithmetic = self.step.as_ref().map(|step| step.giga_rate(self.flop.value));
        let arithmetic = arithmetic.map(|rate| format!("{rate:.0}")).unwrap_or_default();
        [self.step.as_ref().map(time).unwrap_or_default(), String::new(), arithmetic, String::new()]
    }
}
