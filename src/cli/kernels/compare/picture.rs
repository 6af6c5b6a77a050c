//! The staircase as a picture: bars for a file, and the two that tell most for a terminal.

use super::figures::{Counted, Step, Unit};
use super::gains::short;
use super::table::{percent, widest as widest_label};
use crate::lab::measure::Measured;
use crate::plot::bars::{Bar, Bars, Panel, Row};
use crate::plot::curves::{Colour, Scale};
use crate::plot::touched::{Load, Touched};

/// Characters that the longest bar on a terminal takes, and the eighths of one.
const LONGEST: f64 = 32.0;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// What one panel shows of a step.
struct Quantity<T> {
    title: String,
    note: &'static str,
    scale: Scale,
    colour: Colour,
    value: fn(&T) -> f64,
    /// The part of the value that is of use, where the rest is in vain.
    useful: Option<fn(&T) -> f64>,
    label: fn(&T) -> String,
}

/// The picture of a staircase, with what was compared in its title.
pub fn bars(title: String, steps: &[Step], touched: Option<Touched>) -> Bars {
    let row = |step: &Step| Row { name: step.short().to_owned(), missing: step.unavailable.clone() };
    let mut panels = Vec::new();
    let mut sentences = Vec::new();
    if let Some(counted) = steps.iter().find_map(|step| step.counts.as_ref()) {
        sentences.push(
            "Memory moves in sectors of 32 bytes: the more of them the 32 lanes of a warp touch at once, the more bytes move \
             for the same numbers, and the longer the warp waits for them. Where each lane asks for 16 bytes, 16 sectors \
             are as few as can be."
                .to_owned(),
        );
        panels.extend(of_counts(counted).iter().map(|quantity| panel(quantity, steps, |step| step.counts.as_ref())));
    }
    // The second step is the first that has something to say.
    let second = steps.iter().find_map(|step| Some(format!("{}: {}.", step.short(), step.gain.as_ref()?)));
    sentences.extend(second);
    if steps.iter().any(|step| step.times.is_some()) {
        panels.extend(of_times().iter().map(|quantity| panel(quantity, steps, |step| step.times.as_ref())));
    }
    Bars { title, sentences, touched, rows: steps.iter().map(row).collect(), panels }
}

fn panel<T>(quantity: &Quantity<T>, steps: &[Step], of: impl Fn(&Step) -> Option<&T>) -> Panel {
    let bar = |figures: &T| {
        let useful = quantity.useful.map(|useful| useful(figures));
        Bar { value: (quantity.value)(figures), useful, label: (quantity.label)(figures) }
    };
    Panel {
        title: quantity.title.clone(),
        note: quantity.note.to_owned(),
        scale: quantity.scale,
        bars: steps.iter().map(|step| of(step).map(bar)).collect(),
        colour: quantity.colour,
    }
}

fn of_counts(first: &Counted) -> Vec<Quantity<Counted>> {
    let mut all = vec![
        Quantity {
            title: "sectors a request".to_owned(),
            note: "widest load; pale: in vain",
            scale: Scale::Linear,
            colour: Colour::Blue,
            value: |counted: &Counted| counted.widest_load.sectors,
            useful: Some(|counted| counted.widest_load.least),
            label: |counted| short(counted.widest_load.sectors),
        },
        Quantity {
            title: "bytes moved / least".to_owned(),
            note: "log scale; less is better",
            scale: Scale::Log,
            colour: Colour::SkyBlue,
            value: |counted| counted.moved_of_least,
            useful: None,
            label: |counted| short(counted.moved_of_least),
        },
        Quantity {
            title: format!("instructions / {}", first.unit),
            note: "log scale; less is better",
            scale: Scale::Log,
            colour: Colour::Orange,
            value: |counted| counted.instructions,
            useful: None,
            label: |counted| match counted.unit {
                Unit::Product => format!("{} a product", short(counted.instructions)),
                Unit::Fma | Unit::Element => short(counted.instructions),
            },
        },
    ];
    if first.unit == Unit::Fma {
        all.push(Quantity {
            title: "FMA share".to_owned(),
            note: "of instructions; more is better",
            scale: Scale::Linear,
            colour: Colour::Green,
            value: |counted| counted.fma_share,
            useful: None,
            label: |counted| match counted.unit {
                Unit::Product => "tensor cores instead".to_owned(),
                Unit::Fma | Unit::Element => percent(counted.fma_share),
            },
        });
    }
    all
}

fn of_times() -> Vec<Quantity<Measured>> {
    vec![
        Quantity {
            title: "time".to_owned(),
            note: "us, median, log scale; less is better",
            scale: Scale::Log,
            colour: Colour::Blue,
            value: |measured| 1e6 * measured.hot.median,
            useful: None,
            label: |measured| short(1e6 * measured.hot.median),
        },
        Quantity {
            title: "GFLOP/s".to_owned(),
            note: "at the median; more is better",
            scale: Scale::Linear,
            colour: Colour::Green,
            value: |measured| measured.gflop_per_second,
            useful: None,
            label: |measured| format!("{:.0}", measured.gflop_per_second),
        },
    ]
}

/// What a load of A touches in the first two steps of `gemm`, by how they lay their lanes, for rows of `k` floats; None where
/// the counts of these steps say otherwise.
pub fn first_two_steps(steps: &[Step], k: usize) -> Option<Touched> {
    let [first, second, ..] = steps else { return None };
    let load = |step: &Step, what: &str, stride: usize| Load {
        name: step.short().to_owned(),
        addresses: (0..32).map(|lane| (lane * stride * size_of::<f32>()) as u64).collect(),
        width: size_of::<f32>() as u64,
        what: what.to_owned(),
    };
    let loads = vec![load(first, "lanes go down a column of A", k), load(second, "lanes go along a row of B", 1)];
    let is_counted = |(load, step): (&Load, &Step)| {
        step.counts.as_ref().is_some_and(|counted| {
            // Warps at the edge of a matrix have fewer lanes, and sectors in proportion.
            (counted.widest_load.excess() / load.excess() - 1.0).abs() < 0.1
        })
    };
    let title = "One load of a warp, in the first two steps".to_owned();
    loads.iter().zip([first, second]).all(is_counted).then_some(Touched { title, loads })
}

/// Bars of block characters: the two quantities that tell most of the steps that were counted, or the times.
pub fn for_terminal(steps: &[Step]) -> String {
    if steps.iter().any(|step| step.counts.is_some()) {
        let sectors = |step: &Step| {
            let widest = step.counts.as_ref()?.widest_load;
            Some(Line { value: widest.sectors, useful: widest.least, label: widest_label(widest) })
        };
        let share = |step: &Step| {
            let share = step.counts.as_ref()?.fma_share;
            Some(Line { value: share, useful: share, label: percent(share) })
        };
        let title = "sectors that the widest load of a warp touches (light: in vain)";
        return rows(title, steps, sectors, None) + "\n" + &rows("FMA among all instructions", steps, share, Some(1.0));
    }
    let rate = |step: &Step| {
        let rate = step.times.as_ref()?.gflop_per_second;
        Some(Line { value: rate, useful: rate, label: format!("{rate:.0}") })
    };
    rows("GFLOP/s", steps, rate, None)
}

/// A bar on a terminal.
struct Line {
    value: f64,
    /// The part that is drawn dark.
    useful: f64,
    label: String,
}

/// One quantity; a bar is as long as its part of `whole`, or of the largest.
fn rows(title: &str, steps: &[Step], of: impl Fn(&Step) -> Option<Line>, whole: Option<f64>) -> String {
    let width = steps.iter().map(|step| step.short().chars().count()).max().unwrap_or(0);
    let largest = || steps.iter().filter_map(&of).map(|line| line.value).fold(0.0, f64::max);
    let whole = whole.unwrap_or_else(largest);
    let mut text = format!("{title}\n");
    for step in steps {
        let Some(Line { value, useful, label }) = of(step) else { continue };
        let part = |value: f64| if whole > 0.0 { (value / whole).clamp(0.0, 1.0) } else { 0.0 };
        text += &format!("  {:<width$}  {} {label}\n", step.short(), blocks(part(value), part(useful)));
    }
    text
}

/// A bar over `part` of the longest, light from `useful` on.
fn blocks(part: f64, useful: f64) -> String {
    let eighths = |part: f64| (8.0 * LONGEST * part).round() as usize;
    let dark = eighths(useful.min(part));
    let text = "█".repeat(dark / 8) + EIGHTHS[dark % 8];
    let light = eighths(part) / 8;
    let drawn = text.chars().count();
    text + &"░".repeat(light.saturating_sub(drawn))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_long_as_the_part_in_eighths() {
        assert_eq!(blocks(1.0, 1.0), "█".repeat(32));
        assert_eq!(blocks(0.125, 0.125), "████");
        assert_eq!(blocks(1.0 / 256.0, 1.0), "▏");
        assert_eq!(blocks(0.0, 0.0), "");
        assert_eq!(blocks(1.0, 0.125), "████".to_owned() + &"░".repeat(28));
    }
}
