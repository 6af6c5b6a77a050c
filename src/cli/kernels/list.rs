//! `kernels list`: a line for each kernel.

use clap::Args;
use serde_json::{Value, json};

use super::text::{Align, fitted, table};
use crate::cli::{Error, display};
use crate::lab::catalogue::{ENTRIES, Entry, STAIRCASES, Staircase};

/// Options of `kernels list`.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// Width of the columns: name, what, cost, bound.
const WIDTHS: [usize; 4] = [23, 40, 38, 13];

impl List {
    /// Lists the kernels.
    ///
    /// # Errors
    /// None.
    pub fn run(&self) -> Result<(), Error> {
        if self.json {
            display::line(&Value::from(ENTRIES.iter().map(as_json).collect::<Vec<_>>()).to_string());
        } else {
            lines().iter().for_each(|line| display::line(line));
        }
        Ok(())
    }
}

/// The staircase that an entry is a step of.
pub fn staircase_of(entry: &Entry) -> Option<&'static Staircase> {
    STAIRCASES.iter().find(|staircase| staircase.steps.contains(&entry.name))
}

fn as_json(entry: &Entry) -> Value {
    let header = entry.header();
    let axes = entry.axes.iter().zip(entry.counted);
    let axes =
        axes.map(|(axis, counted)| json!({"axis": axis.name(), "counts": counted, "usual": axis.of(entry.usual)}));
    json!({
        "name": entry.name,
        "what": header.what,
        "cost": header.section("Cost"),
        "bound": header.section("Bound"),
        "staircase": staircase_of(entry).map(|staircase| staircase.name),
        "files": entry.files,
        "needs": format!("{}.{}", entry.needs.0, entry.needs.1),
        "axes": axes.collect::<Vec<_>>(),
    })
}

/// The staircases, each beneath a title, then the other kernels.
fn lines() -> Vec<String> {
    let groups = STAIRCASES.iter().map(|staircase| {
        let title = format!("{}, step by step: {}", staircase.name, staircase.what);
        (title, ENTRIES.iter().filter(|entry| staircase.steps.contains(&entry.name)).collect::<Vec<_>>())
    });
    let others = ENTRIES.iter().filter(|entry| staircase_of(entry).is_none()).collect();
    let groups: Vec<_> = groups.chain([("the other kernels of a training step".to_owned(), others)]).collect();
    let rows: Vec<[String; 4]> =
        groups.iter().flat_map(|(_, entries)| entries.iter().map(|entry| row(entry))).collect();
    let mut rows = table([Align::Left; 4], &rows).into_iter();
    let group = |(title, entries): &(String, Vec<&Entry>)| {
        let rows: Vec<String> = rows.by_ref().take(entries.len()).collect();
        [title.clone()].into_iter().chain(rows).chain([String::new()]).collect::<Vec<_>>()
    };
    let lines: Vec<String> = groups.iter().flat_map(group).collect();
    let advice =
        "`latent kernels show NAME` tells all of one; `run NAME` runs it; `compare gemm` compares a staircase.";
    lines.into_iter().chain([advice.to_owned()]).collect()
}

fn row(entry: &Entry) -> [String; 4] {
    let header = entry.header();
    let what = header.what.trim_end_matches('.');
    // What the steps of a staircase have in common stands in its title.
    let what = staircase_of(entry).and_then(|_| what.split_once(", ")).map_or(what, |(_, idea)| idea);
    let (cost, bound) = (header.section("Cost").unwrap_or_default(), header.section("Bound").unwrap_or_default());
    let cells = [entry.name.to_owned(), what.to_owned(), cost_in_short(cost), bound_in_short(bound)];
    std::array::from_fn(|column| fitted(&cells[column], WIDTHS[column]))
}

/// A cost's first clause, without the words that are the same in all.
fn cost_in_short(cost: &str) -> String {
    let first = cost.split([';', ',']).next().unwrap_or_default();
    first.replace(" of global memory", "").replace("about ", "~")
}

/// What a kernel is bound by, without the reason.
fn bound_in_short(bound: &str) -> String {
    let ends = [";", ":", ",", " where ", " from ", " at ", " of "];
    let end = ends.iter().filter_map(|end| bound.find(end)).min().unwrap_or(bound.len());
    bound[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_a_line_that_fits() {
        let lines = lines();
        for entry in ENTRIES {
            let its: Vec<_> = lines.iter().filter(|line| line.split(' ').next() == Some(entry.name)).collect();
            assert_eq!(its.len(), 1, "{}", entry.name);
        }
        assert!(lines.iter().all(|line| line.chars().count() <= 120), "{lines:#?}");
    }

    #[test]
    fn costs_and_bounds_are_told_in_short() {
        assert_eq!(cost_in_short("2MNK FLOP; (5MNK + 4MN) bytes of global memory"), "2MNK FLOP");
        assert_eq!(cost_in_short("28 bytes of global memory and about 11 operations"), "28 bytes and ~11 operations");
        assert_eq!(bound_in_short("L1: 33 sectors for each FMA"), "L1");
        assert_eq!(bound_in_short("latency at a batch of 100; memory where it is large"), "latency");
        assert_eq!(bound_in_short("memory"), "memory");
    }
}
