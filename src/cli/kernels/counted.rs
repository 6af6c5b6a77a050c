//! What softcuda counts of a case, for a terminal.

use softcuda::counts::{Access, AccessKind, LaunchCounts, Traffic};

use super::text::{Align, GLUE, kibibytes, quantity, table, wrapped};
use crate::lab::case::Case;

/// Classes of instructions that are told by name; the others are told together.
const MOST_CLASSES: usize = 4;

/// What was counted of a case's launches.
pub fn lines(counts: &[LaunchCounts], case: &Case) -> Vec<String> {
    let mut lines: Vec<String> = counts.iter().flat_map(launch).collect();
    let moved: u64 = counts.iter().map(LaunchCounts::bytes_moved).sum();
    let flops: u64 = counts.iter().map(|counts| counts.flops).sum();
    lines.push(String::new());
    lines.extend(against("Bytes moved", moved as f64, case.work.bytes, "B"));
    lines.extend(against("FLOP", flops as f64, case.work.flop, "FLOP"));
    lines
}

/// What all launches took beside what the case needs at least, unless that is nothing.
fn against(what: &str, counted: f64, least: f64, unit: &str) -> Option<String> {
    let (counted_text, least_text, times) = (quantity(counted, unit), quantity(least, unit), counted / least);
    (least > 0.0).then(|| format!("{what:<11}  {counted_text} in all, {times:.2} times the least, {least_text}"))
}

/// One launch: a heading, and what it executed and moved.
fn launch(counts: &LaunchCounts) -> Vec<String> {
    let (blocks, threads) = (counts.grid[0], counts.block[0]);
    let shared = match counts.shared_bytes {
        0 => "no shared memory".to_owned(),
        bytes => format!("{} of shared memory", kibibytes(bytes)),
    };
    let occupancy = 100.0 * counts.theoretical_occupancy;
    let heading =
        format!("{}: {blocks} blocks of {threads} threads, {shared}, occupancy {occupancy:.0} %", counts.kernel);
    let mut lines = vec![String::new(), heading];
    lines.extend(executed(counts));
    lines.extend(memory(counts));
    lines.extend(widest(counts));
    lines
}

/// Instructions by class, lanes, branches and barriers.
fn executed(counts: &LaunchCounts) -> Vec<String> {
    let all = counts.lane_instructions.max(1) as f64;
    let share = |count: u64| 100.0 * count as f64 / all;
    let mut classes: Vec<(&str, u64)> = counts.classes.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    classes.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let rest: u64 = classes.iter().skip(MOST_CLASSES).map(|(_, count)| count).sum();
    classes.truncate(MOST_CLASSES);
    classes.extend((rest > 0).then_some(("others", rest)));
    let classes: Vec<String> =
        classes.iter().map(|(name, count)| format!("{name}{GLUE}{:.1}{GLUE}%", share(*count))).collect();
    let executed = quantity(counts.lane_instructions as f64, "");
    let (lanes, fma) = (counts.active_lanes(), 100.0 * counts.fma_share());
    let (branches, parted, barriers) = (counts.branches, counts.divergent_branches, counts.barriers);
    let mut lines = wrapped("  instructions", 18, &format!("{executed}: {}", classes.join(", ")));
    lines.extend([
        format!("  FMA             {fma:.1} % of the instructions"),
        format!("  warps           {lanes:.2} of 32 lanes active; lanes part at {parted} of {branches} branches"),
        format!("  barriers        {barriers}, counted by warps"),
    ]);
    lines
}

/// Requests to both memories.
fn memory(counts: &LaunchCounts) -> Vec<String> {
    use Align::{Left, Right};
    let kinds = [
        ("global loads", counts.global_loads, "sectors"),
        ("global stores", counts.global_stores, "sectors"),
        ("global atomics", counts.global_atomics, "sectors"),
        ("shared loads", counts.shared_loads, "wavefronts"),
        ("shared stores", counts.shared_stores, "wavefronts"),
        ("shared atomics", counts.shared_atomics, "wavefronts"),
        ("local memory", counts.local, "sectors"),
    ];
    let row = |(name, traffic, unit): &(&str, Traffic, &str)| {
        let moved = if *unit == "sectors" { quantity((traffic.transactions * 32) as f64, "B") } else { String::new() };
        [
            format!("  {name}"),
            quantity(traffic.requests as f64, ""),
            quantity(traffic.bytes as f64, "B"),
            moved,
            format!("{:.2} {unit}", traffic.per_request()),
        ]
    };
    let head = ["", "requests", "asked for", "moved", "a request"].map(str::to_owned);
    let used = kinds.iter().filter(|(_, traffic, _)| traffic.requests > 0).map(row);
    let rows: Vec<[String; 5]> = [head].into_iter().chain(used).collect();
    let mut lines = vec![String::new()];
    lines.extend(table([Left, Right, Right, Right, Right], &rows));
    if counts.shared_loads.requests + counts.shared_stores.requests > 0 {
        let most = counts.most_conflicts().filter(|access| access.line > 0);
        let most = most.map_or_else(String::new, |access| format!(", most at {}", place(access)));
        lines.push(format!("  bank conflicts  {} wavefronts more than the bytes take{most}", counts.bank_conflicts()));
    }
    lines
}

/// A source line.
fn place(access: &Access) -> String {
    format!("line {} of {}", access.line, access.file)
}

/// The lines of the source whose requests are the widest.
fn widest(counts: &LaunchCounts) -> Vec<String> {
    let kinds = [
        ("load", AccessKind::GlobalLoad),
        ("store", AccessKind::GlobalStore),
        ("shared load", AccessKind::SharedLoad),
        ("shared store", AccessKind::SharedStore),
    ];
    let told = kinds.into_iter().filter_map(|(name, kind)| {
        let access = counts.widest(kind).filter(|access| access.line > 0)?;
        let (each, unit) = (access.widest.per_request(), kind.unit());
        Some(format!("  widest {name}: {}, {each:.2} {unit} a request", place(access)))
    });
    told.collect()
}
