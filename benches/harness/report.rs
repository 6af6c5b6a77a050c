//! What a group leaves: JSON for programs, tables in Markdown for people.

use std::path::Path;

use latent::files::write_atomically;
use serde::{Deserialize, Serialize};

use super::{Counts, Failure, Quantity, Setting, Spread, Unit, Verified};

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What, and of which size.
    pub name: String,
    /// What it does at each repetition, by formula.
    pub work: Quantity,
    /// How far its result is from that of f64.
    pub verified: Option<Verified>,
    /// Times with caches as the repetition before left them.
    pub hot: Option<Spread>,
    /// Times with operands in memory.
    pub cold: Option<Spread>,
    /// The work in the middle hot time.
    pub rate: Option<Quantity>,
    /// That as a part of the best rate of the same run, where the group measures one.
    pub part: Option<Quantity>,
    /// What was executed and moved, on the software driver.
    pub counts: Option<Counts>,
}

impl Row {
    /// A row without figures.
    pub fn new(name: impl Into<String>, work: Quantity) -> Self {
        let name = name.into();
        Self { name, work, verified: None, hot: None, cold: None, rate: None, part: None, counts: None }
    }

    /// The same with the rate that its times make.
    pub fn with_rate(self) -> Self {
        Self { rate: self.hot.as_ref().map(|hot| self.work.rate(hot)), ..self }
    }
}

/// Everything that a group found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The group.
    pub group: String,
    /// What its figures depend on.
    pub setting: Setting,
    /// The figures.
    pub rows: Vec<Row>,
    /// What was left out and why.
    pub notes: Vec<String>,
}

/// Cells without a figure.
const NONE: &str = "–";

impl Report {
    /// Nothing so far.
    pub fn new(group: &str, setting: Setting) -> Self {
        Self { group: group.to_owned(), setting, rows: Vec::new(), notes: Vec::new() }
    }

    /// Reads a file that [`Report::write`] wrote.
    ///
    /// # Errors
    /// It cannot be read, or is no report.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: no report ({error})", path.display()))?)
    }

    /// Writes the file whole or not at all, and its folder where that is missing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(write_atomically(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())?)
    }

    /// The tables and the notes in Markdown: one of times and one of counts, each where it has rows.
    pub fn tables(&self) -> String {
        let (counted, timed): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|row| row.counts.is_some());
        let times = table(&timed, &["what", "work", "off by", "hot", "cold", "rate"], Row::times);
        let head = [
            "what",
            "launches",
            "warp instructions",
            "FMA",
            "MFLOP",
            "MiB moved",
            "sectors a request",
            "widest load",
            "widest store",
            "bank conflicts",
            "off by",
        ];
        let counts = table(&counted, &head, Row::counts);
        let notes = self.notes.iter().map(|note| format!("- {note}\n")).collect();
        let parts: Vec<String> = [times, counts, notes].into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    }
}

impl Row {
    fn times(&self) -> Vec<String> {
        let rate = self.rate.map(|Quantity { value, unit }| {
            let part = self.part.map(|part| format!(" ({:.0} %)", part.value)).unwrap_or_default();
            format!("{value:.0} {unit}{part}")
        });
        let [hot, cold] = [&self.hot, &self.cold].map(|spread| spread.as_ref().map(time));
        let cells = [Some(self.name.clone()), Some(work(self.work)), self.error(), hot, cold, rate];
        cells.into_iter().map(|cell| cell.unwrap_or_else(|| NONE.to_owned())).collect()
    }

    fn counts(&self) -> Vec<String> {
        let counts = self.counts.unwrap_or_default();
        let Counts { launches, warp_instructions, fma_share, flop, bytes, .. } = counts;
        vec![
            self.name.clone(),
            launches.to_string(),
            warp_instructions.to_string(),
            format!("{:.1} %", 100.0 * fma_share),
            format!("{:.1}", flop as f64 / 1e6),
            format!("{:.1}", bytes as f64 / f64::from(1 << 20)),
            format!("{:.2}", counts.sectors_per_request),
            format!("{:.2}", counts.widest_load),
            format!("{:.2}", counts.widest_store),
            counts.bank_conflicts.to_string(),
            self.error().unwrap_or_else(|| NONE.to_owned()),
        ]
    }

    fn error(&self) -> Option<String> {
        self.verified
            .map(|Verified { error, .. }| if error > 0.0 { format!("{error:.1e}") } else { "exact".to_owned() })
    }
}

/// Work for a person: arithmetic in 10^6 or 10^9 operations.
fn work(Quantity { value, unit }: Quantity) -> String {
    match value {
        value if value >= 1e9 && unit == Unit::Flop => format!("{:.1} GFLOP", value / 1e9),
        value if value >= 1e6 && unit == Unit::Flop => format!("{:.1} MFLOP", value / 1e6),
        value => format!("{value:.0} {unit}"),
    }
}

/// Median, min and max with the unit that suits the median.
fn time(Spread { median, min, max, .. }: &Spread) -> String {
    let (scale, unit) = match *median {
        us if us >= 1e6 => (1e6, "s"),
        us if us >= 1e3 => (1e3, "ms"),
        _ => (1.0, "µs"),
    };
    format!("{:.2} {unit} ({:.2} .. {:.2})", median / scale, min / scale, max / scale)
}

/// A table whose columns are as wide as their widest cell, so that it can be read unrendered as well; nothing without rows.
fn table(rows: &[&Row], head: &[&str], cells: impl Fn(&Row) -> Vec<String>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let body: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|i| body.iter().chain([&head]).map(|row| row[i].chars().count()).max().unwrap_or_default())
        .collect();
    let line = |cells: &[String]| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    body.iter().fold(line(&head) + &line(&rule), |text, row| text + &line(row))
}
