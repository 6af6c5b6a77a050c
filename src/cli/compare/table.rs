//! The figures of several runs side by side: a column a run.

use super::subject::{Figures, Subject};
use crate::cli::plot::losses::Quantity;
use crate::train::Which;

/// What stands where a run has no such value, and where nobody knows it.
const NONE: &str = "-";
const UNKNOWN: &str = "?";

/// Rows that belong together.
pub struct Section {
    /// What they are about.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A quantity of every run.
pub struct Row {
    /// Its name and unit.
    pub name: String,
    /// Its value in each run.
    pub cells: Vec<String>,
    /// The runs that have the best value, where one can be named.
    pub best: Vec<usize>,
}

/// Which of two values is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
    Neither,
}

impl Row {
    /// Whether the runs of which it is known differ in it.
    pub fn differs(&self) -> bool {
        let mut known = self.cells.iter().filter(|cell| *cell != UNKNOWN);
        known.next().is_some_and(|first| known.any(|other| other != first))
    }
}

/// Model and sizes, and what was recorded at the end of the training.
pub fn training(subjects: &[Subject]) -> Section {
    let mut rows = vec![
        text("model", subjects, |s| s.model.weights.kind.to_string()),
        text("sizes", subjects, |s| s.model.weights.dims.to_string()),
        text("epochs trained", subjects, |s| {
            s.last(Which::Train).map_or_else(|| NONE.to_owned(), |record| record.epoch.to_string())
        }),
    ];
    for (which, name) in [(Which::Train, "training"), (Which::Validation, "validation")] {
        for quantity in [Quantity::Loss, Quantity::Bce, Quantity::Kl] {
            let of = |s: &Subject| quantity.of(s.last(which)?);
            rows.push(numbers(&format!("{}, {name}", quantity.name()), subjects, 2, Better::Neither, of));
        }
    }
    rows.push(text("active units, training", subjects, |s| {
        let units = s.last(Which::Train).and_then(|record| record.averages.active_units);
        units.map_or_else(|| NONE.to_owned(), |units| units.to_string())
    }));
    Section { title: "At the end of the training, in nats an image".to_owned(), rows }
}

/// What the models are worth on the test images; the best is marked if all are `comparable`.
pub fn test(subjects: &[Subject], title: String, comparable: bool) -> Section {
    let row = |name: &str, digits: usize, better: Better, value: fn(&Figures) -> Option<f64>| {
        let of = |s: &Subject| s.seen.as_ref().and_then(|seen| value(&seen.figures));
        numbers(name, subjects, digits, if comparable { better } else { Better::Neither }, of)
    };
    let rows = vec![
        row("BCE", 2, Better::Lower, |figures| Some(figures.bce)),
        row("KL", 2, Better::Neither, |figures| figures.kl),
        row("ELBO", 2, Better::Higher, |figures| figures.elbo),
        row("active units", 0, Better::Neither, |figures| figures.active_units.map(|units| units as f64)),
        row("MSE", 5, Better::Lower, |figures| Some(figures.mse)),
        row("PSNR, dB", 2, Better::Higher, |figures| Some(figures.psnr)),
    ];
    Section { title, rows }
}

/// Every setting of the runs that have any.
pub fn settings(subjects: &[Subject]) -> Section {
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in subjects.iter().flat_map(|subject| &subject.settings) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |s: &Subject, key: &str| {
        let missing = if s.settings.is_empty() { UNKNOWN } else { NONE };
        let found = s.settings.iter().find(|(own, _)| own == key);
        found.map_or_else(|| missing.to_owned(), |(_, value)| value.clone())
    };
    let rows = keys.into_iter().map(|key| text(key, subjects, |s| value(s, key))).collect();
    Section { title: "Settings".to_owned(), rows }
}

fn text(name: &str, subjects: &[Subject], value: impl Fn(&Subject) -> String) -> Row {
    Row { name: name.to_owned(), cells: subjects.iter().map(value).collect(), best: Vec::new() }
}

fn numbers(
    name: &str,
    subjects: &[Subject],
    digits: usize,
    better: Better,
    value: impl Fn(&Subject) -> Option<f64>,
) -> Row {
    let shown = |s: &Subject| value(s).map_or_else(|| NONE.to_owned(), |value| format!("{value:.digits$}"));
    let row = text(name, subjects, shown);
    let values: Vec<Option<f64>> = subjects.iter().map(value).collect();
    Row { best: best(&values, better), ..row }
}

/// The places of the best of `values`; none where there is nothing to choose.
fn best(values: &[Option<f64>], better: Better) -> Vec<usize> {
    let all = || values.iter().flatten().copied();
    let target = match better {
        Better::Higher => all().fold(f64::NEG_INFINITY, f64::max),
        Better::Lower => all().fold(f64::INFINITY, f64::min),
        Better::Neither => return Vec::new(),
    };
    if all().all(|value| value == target) {
        return Vec::new();
    }
    (0..values.len()).filter(|i| values[*i] == Some(target)).collect()
}

/// The sections for a terminal: names to the left, values to the right; of the settings those that differ.
pub fn plain(names: &[String], sections: &[Section]) -> String {
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let first = rows().map(|row| width(&row.name)).max().unwrap_or(0);
    let column = |i: usize| rows().map(|row| width(&row.cells[i])).chain([width(&names[i])]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(column).collect();
    let line = |name: &str, cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:>width$}"));
        format!("{name:<first$}{}\n", cells.collect::<String>())
    };
    let mut lines = line("", names);
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        lines += &format!("\n{}\n", section.title);
        section.rows.iter().for_each(|row| lines += &line(&row.name, &row.cells));
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_named_where_there_is_a_choice() {
        let values = [Some(2.0), None, Some(1.0), Some(2.0)];
        assert_eq!(best(&values, Better::Higher), [0, 3]);
        assert_eq!(best(&values, Better::Lower), [2]);
        for none in [best(&values, Better::Neither), best(&[Some(1.0), None], Better::Lower), best(&[], Better::Lower)]
        {
            assert!(none.is_empty(), "{none:?}");
        }
    }

    #[test]
    fn what_is_unknown_differs_from_nothing() {
        let differs = |cells: &[&str]| {
            Row { name: String::new(), cells: cells.iter().map(ToString::to_string).collect(), best: Vec::new() }
                .differs()
        };
        assert!(!differs(&["1", UNKNOWN, "1"]) && !differs(&[UNKNOWN, "1"]) && !differs(&[]));
        assert!(differs(&["1", UNKNOWN, "2"]) && differs(&["1", NONE]));
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let row = |name: &str, cells: [&str; 2]| Row {
            name: name.to_owned(),
            cells: cells.map(str::to_owned).to_vec(),
            best: Vec::new(),
        };
        let section =
            Section { title: "End".to_owned(), rows: vec![row("loss", ["1.5", "-"]), row("é", ["1", "100.25"])] };
        let text = plain(&["a-name".to_owned(), "b".to_owned()], &[section]);
        assert_eq!(text, "      a-name       b\n\nEnd\nloss     1.5       -\né          1  100.25\n");
    }
}
