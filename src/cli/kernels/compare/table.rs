//! The staircase as a table, for a terminal or in Markdown.

use super::figures::{Counted, Step, Widest};
use super::gains::short;
use crate::lab::measure::Measured;

/// A column: its heading, and what stands in it for a step that ran.
struct Column {
    heading: String,
    value: Box<dyn Fn(&Step) -> String>,
}

/// Rows of text under headings; a row is a step, or the reason for which it was not run.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Row>,
}

enum Row {
    Cells(Vec<String>),
    Reason(String, String),
}

impl Table {
    /// The table of these steps: counts where they were counted, times where they were timed.
    pub fn of(steps: &[Step]) -> Self {
        let columns = columns(steps);
        let row = |step: &Step| match &step.unavailable {
            Some(reason) => Row::Reason(step.short().to_owned(), reason.clone()),
            None => Row::Cells(columns.iter().map(|column| (column.value)(step)).collect()),
        };
        Self { rows: steps.iter().map(row).collect(), headings: columns.into_iter().map(|c| c.heading).collect() }
    }

    /// For a terminal: aligned, numbers to the right, headings in as many lines as they have words for.
    pub fn plain(&self) -> String {
        let heads: Vec<Vec<&str>> = self.headings.iter().map(|heading| heading.split('\n').collect()).collect();
        let widths: Vec<usize> = (0..heads.len()).map(|i| self.width(i, &heads[i])).collect();
        let height = heads.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = String::new();
        for line in 0..height {
            // Headings stand at the bottom of their lines.
            let cells = heads.iter().map(|head| (line + head.len()).checked_sub(height).map_or("", |i| head[i]));
            text += &aligned(cells, &widths);
        }
        text += &"-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        text.push('\n');
        for row in &self.rows {
            text += &match row {
                Row::Cells(cells) => aligned(cells.iter().map(String::as_str), &widths),
                Row::Reason(name, reason) => format!("{name:<0$}  {reason}\n", widths[0]),
            };
        }
        text
    }

    fn width(&self, column: usize, head: &[&str]) -> usize {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells[column].chars().count()),
            Row::Reason(name, _) => (column == 0).then(|| name.chars().count()),
        });
        cells.chain(head.iter().map(|word| word.chars().count())).max().unwrap_or(0)
    }

    /// In Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        let mut text = line(&mut self.headings.iter().map(|heading| heading.replace('\n', " ")));
        text += &line(&mut (0..self.headings.len()).map(|i| if i == 0 { "---" } else { "---:" }.to_owned()));
        for row in &self.rows {
            text += &match row {
                Row::Cells(cells) => line(&mut cells.iter().cloned()),
                Row::Reason(name, reason) => {
                    let empty = (2..self.headings.len()).map(|_| String::new());
                    line(&mut [name.clone(), reason.clone()].into_iter().chain(empty))
                }
            };
        }
        text
    }
}

/// One line: the first cell to the left, the others to the right.
fn aligned<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let padded = cells.zip(widths).enumerate().map(|(i, (cell, width))| match i {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
}

/// The heading of the number of launches.
const LAUNCHES: &str = "launches";

fn columns(steps: &[Step]) -> Vec<Column> {
    let plain =
        |heading: &str, value: fn(&Step) -> String| Column { heading: heading.to_owned(), value: Box::new(value) };
    let mut columns = vec![plain("step", |step| step.short().to_owned())];
    if let Some(counted) = steps.iter().find_map(|step| step.counts.as_ref()) {
        columns.extend(of_counts(counted));
        // A column that tells steps apart by nothing has no place in a narrow terminal.
        let launches = |step: &Step| step.counts.as_ref().map_or(1, |counted| counted.launches);
        if steps.iter().all(|step| launches(step) == 1) {
            columns.retain(|column| column.heading != LAUNCHES);
        }
    }
    if steps.iter().any(|step| step.times.is_some()) {
        columns.extend(of_times());
    }
    columns.push(plain("worst error\nof allowed", |step| {
        step.agreement.map_or_else(String::new, |agreement| percent(agreement.worst_share))
    }));
    columns
}

fn of_counts(first: &Counted) -> Vec<Column> {
    let column = |heading: &str, value: fn(&Counted) -> String| Column {
        heading: heading.to_owned(),
        value: Box::new(move |step| step.counts.as_ref().map_or_else(String::new, value)),
    };
    let unit = first.unit;
    vec![
        column(LAUNCHES, |counted| counted.launches.to_string()),
        column("sectors\nwidest load\n(would do)", |counted| widest(counted.widest_load)),
        column("sectors\nwidest store\n(would do)", |counted| widest(counted.widest_store)),
        column("bytes moved\n/ least", |counted| short(counted.moved_of_least)),
        column(&format!("shared req.\n/ {unit}"), |counted| short(counted.shared_requests)),
        column("bank\nconflicts", |counted| counted.bank_conflicts.to_string()),
        column("FMA\nshare", |counted| percent(counted.fma_share)),
        column(&format!("instr.\n/ {unit}"), |counted| short(counted.instructions)),
        column("blocks", |counted| counted.blocks.to_string()),
        column("occupancy", |counted| percent(counted.occupancy)),
    ]
}

fn of_times() -> Vec<Column> {
    let column = |heading: &str, value: fn(&Measured) -> String| Column {
        heading: heading.to_owned(),
        value: Box::new(move |step| step.times.as_ref().map_or_else(String::new, value)),
    };
    vec![
        column("hot, us", |measured| format!("{:.1}", 1e6 * measured.hot.median)),
        column("min .. max", |measured| format!("{:.1} .. {:.1}", 1e6 * measured.hot.min, 1e6 * measured.hot.max)),
        column("cold, us", |measured| format!("{:.1}", 1e6 * measured.cold.median)),
        column("GFLOP/s\nhot", |measured| format!("{:.0}", measured.gflop_per_second)),
        column("GB/s\ncold", |measured| format!("{:.0}", measured.gb_per_second)),
    ]
}

/// "32 (4)".
pub fn widest(Widest { sectors, least }: Widest) -> String {
    format!("{} ({})", short(sectors), short(least))
}

/// "46 %".
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: &[&str]| Row::Cells(cells.iter().map(|cell| (*cell).to_owned()).collect());
        Table {
            headings: vec!["step".to_owned(), "sectors\nwidest load".to_owned(), "FMA".to_owned()],
            rows: vec![
                cells(&["1_naive", "32", "12 %"]),
                cells(&["2_coalesced", "4", "12 %"]),
                Row::Reason("9_tf32".to_owned(), "needs sm_80".to_owned()),
            ],
        }
    }

    #[test]
    fn a_plain_table_is_aligned_and_tells_why_a_step_is_missing() {
        let want = "                 sectors\nstep         widest load   FMA\n------------------------------\n\
                    1_naive               32  12 %\n2_coalesced            4  12 %\n9_tf32       needs sm_80\n";
        assert_eq!(table().plain(), want);
    }

    #[test]
    fn a_markdown_table_has_as_many_cells_in_each_row() {
        let text = table().markdown();
        assert!(
            text.starts_with("| step | sectors widest load | FMA |\n| --- | ---: | ---: |\n| 1_naive | 32 | 12 % |\n")
        );
        assert!(text.lines().all(|line| line.matches('|').count() == 4), "{text}");
    }
}
