//! What a step gained over the one before, told in the figures of this run.

use super::figures::{Counted, Step, Unit, Widest};
use crate::lab::measure::Measured;

/// A figure that is this many times better is a gain.
const LEAST: f64 = 1.1;

/// Gains that are told, the largest.
const MOST: usize = 2;

/// Where a figure fell to nothing it is taken to be so many times better.
const TO_NOTHING: f64 = 50.0;

/// Where a step leaves one of so many stores from registers, it is about them.
const FEW_STORES: u64 = 8;

/// A figure that became better.
struct Gain {
    /// How many times.
    times: f64,
    text: String,
}

/// Tells each step's gain over the last one before it that ran, on a device of so many multiprocessors.
pub fn tell(steps: &mut [Step], multiprocessors: u32) {
    let mut before: Option<usize> = None;
    for i in 0..steps.len() {
        if steps[i].unavailable.is_some() {
            continue;
        }
        if let Some(before) = before {
            steps[i].gain = of_step(&steps[before], &steps[i], multiprocessors);
        }
        before = Some(i);
    }
}

fn of_step(before: &Step, after: &Step, multiprocessors: u32) -> Option<String> {
    if let (Some(before), Some(after)) = (&before.times, &after.times) {
        return Some(of_times(before, after));
    }
    let (Some(counted_before), Some(counted)) = (&before.counts, &after.counts) else { return None };
    let mut gains = of_counts(counted_before, counted, multiprocessors);
    gains.retain(|gain| gain.times >= LEAST);
    gains.sort_by(|a, b| b.times.total_cmp(&a.times));
    let texts: Vec<String> = gains.into_iter().take(MOST).map(|gain| gain.text).collect();
    Some(if texts.is_empty() {
        format!("no count is better than {}'s at this size", before.short())
    } else {
        texts.join("; ")
    })
}

fn of_times(before: &Measured, after: &Measured) -> String {
    let [before, after] = [before, after].map(|measured| 1e6 * measured.hot.median);
    let ratio = before / after;
    let (times, way) = if ratio >= 1.0 { (ratio, "faster") } else { (1.0 / ratio, "slower") };
    format!("{times:.2} times {way}: {after:.1} us, not {before:.1}")
}

/// Every figure that can be compared, in the order in which equal gains are told.
fn of_counts(before: &Counted, after: &Counted, multiprocessors: u32) -> Vec<Gain> {
    let mut gains = vec![
        narrower("load", before.widest_load, after.widest_load),
        narrower("store", before.widest_store, after.widest_store),
        less(before.moved_of_least, after.moved_of_least, |now, was| {
            format!("{now} times the least bytes move, not {was}")
        }),
        less(before.launches as f64, after.launches as f64, |now, was| {
            format!("{now} {}, not {was}", if now == "1" { "launch" } else { "launches" })
        }),
        less(before.bank_conflicts as f64, after.bank_conflicts as f64, |now, was| {
            format!("{now} bank conflicts, not {was}")
        }),
        more(before.active_lanes, after.active_lanes, |now, was| format!("{now} of 32 lanes are active, not {was}")),
        less(before.barriers, after.barriers, |now, was| {
            format!("a warp waits at {now} {}, not {was}", if now == "1" { "barrier" } else { "barriers" })
        }),
        more(100.0 * before.occupancy, 100.0 * after.occupancy, |now, was| {
            format!("{now} % of a multiprocessor's warps fit at once, not {was} %")
        }),
    ];
    // Fewer stores go along with larger tiles; a step is about them where hardly one is left.
    if before.stores > FEW_STORES * after.stores {
        gains.push(less(before.stores as f64, after.stores as f64, |now, was| {
            format!("{now} stores from registers, counted by lanes, not {was}")
        }));
    }
    // More blocks are a gain as long as some multiprocessor has none.
    if before.blocks < u64::from(multiprocessors) {
        gains.push(more(before.blocks as f64, after.blocks as f64, |now, was| {
            format!("{now} blocks, not {was}, for {multiprocessors} multiprocessors")
        }));
    }
    gains.extend(of_instructions(before, after));
    gains
}

fn of_instructions(before: &Counted, after: &Counted) -> Vec<Gain> {
    if before.unit != after.unit && after.unit != Unit::Product {
        return Vec::new();
    }
    let unit = after.unit;
    let mut gains = vec![less(before.instructions, after.instructions, |now, was| {
        format!("{now} instructions for each {unit}, not {was}")
    })];
    // A step that begins to use shared memory, or tensor cores in place of FMA, is not measured by what it leaves.
    if before.shared_requests > 0.0 && after.shared_requests > 0.0 {
        gains.push(less(before.shared_requests, after.shared_requests, |now, was| {
            format!("{now} requests to shared memory for each {unit}, not {was}")
        }));
    }
    if unit == Unit::Fma && before.fma_share > 0.0 {
        gains.push(more(100.0 * before.fma_share, 100.0 * after.fma_share, |now, was| {
            format!("{now} % of the instructions are FMA, not {was} %")
        }));
    }
    gains
}

/// Sectors touched of those that would do: a wider access is worse only where more of it moves in vain.
fn narrower(what: &str, before: Widest, after: Widest) -> Gain {
    let (now, was) = (short(after.sectors), short(before.sectors));
    let least = if after.excess() > 1.0 { format!(" ({} would do)", short(after.least)) } else { String::new() };
    let text = format!("the widest {what} of a warp touches {now} sectors{least}, not {was}");
    Gain { times: before.excess() / after.excess(), text }
}

/// A figure that is better the less it is.
fn less(was: f64, now: f64, text: impl FnOnce(String, String) -> String) -> Gain {
    let times = if now > 0.0 {
        was / now
    } else if was > 0.0 {
        TO_NOTHING
    } else {
        1.0
    };
    Gain { times, text: text(short(now), short(was)) }
}

/// A figure that is better the more it is.
fn more(was: f64, now: f64, text: impl FnOnce(String, String) -> String) -> Gain {
    let Gain { times, .. } = less(now, was, |_, _| String::new());
    Gain { times, text: text(short(now), short(was)) }
}

/// A number with the digits that one reads.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        _ if (value - value.round()).abs() < 1e-9 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lab::measure::Spread;

    const COLUMN: Widest = Widest { sectors: 32.0, least: 4.0 };
    const ROW: Widest = Widest { sectors: 4.0, least: 4.0 };

    fn counted() -> Counted {
        Counted {
            launches: 1,
            widest_load: COLUMN,
            widest_store: COLUMN,
            bytes_moved: 1e6,
            moved_of_least: 66.0,
            unit: Unit::Fma,
            shared_requests: 0.0,
            stores: 0,
            bank_conflicts: 0,
            fma_share: 0.125,
            instructions: 8.0,
            warp_instructions: 1000,
            active_lanes: 32.0,
            barriers: 0.0,
            blocks: 256,
            occupancy: 0.5,
        }
    }

    fn step(name: &str, counts: Counted) -> Step {
        let counts = Some(counts);
        Step { name: name.to_owned(), counts, ..Step::default() }
    }

    fn gain(before: Counted, after: Counted) -> String {
        of_step(&step("gemm/1_a", before), &step("gemm/2_b", after), 108).unwrap()
    }

    #[test]
    fn gains_are_told_in_planted_figures_the_largest_first() {
        let after = Counted { widest_load: ROW, widest_store: ROW, moved_of_least: 10.0, ..counted() };
        let told =
            "the widest load of a warp touches 4 sectors, not 32; the widest store of a warp touches 4 sectors, not 32";
        assert_eq!(gain(counted(), after), told);
        let after = Counted { fma_share: 0.5, instructions: 2.0, ..counted() };
        assert_eq!(
            gain(counted(), after),
            "2 instructions for each FMA, not 8; 50 % of the instructions are FMA, not 12.5 %"
        );
        let after = Counted { moved_of_least: 4.125, ..counted() };
        assert_eq!(gain(counted(), after), "4.12 times the least bytes move, not 66");
    }

    #[test]
    fn a_wider_access_that_moves_nothing_in_vain_is_no_loss_and_a_narrower_one_no_gain() {
        let quads = Widest { sectors: 16.0, least: 16.0 };
        let [row, quads] = [ROW, quads].map(|widest| Counted { widest_load: widest, ..counted() });
        for (before, after) in [(row.clone(), quads.clone()), (quads, row)] {
            assert_eq!(gain(before, after), "no count is better than 1_a's at this size");
        }
        let half = Counted { widest_load: Widest { sectors: 8.0, least: 4.0 }, ..counted() };
        assert_eq!(gain(counted(), half), "the widest load of a warp touches 8 sectors (4 would do), not 32");
    }

    #[test]
    fn what_fell_to_nothing_is_a_gain_and_what_began_is_none() {
        let conflicts = Counted { bank_conflicts: 1000, shared_requests: 2.0, ..counted() };
        assert_eq!(
            gain(conflicts.clone(), Counted { bank_conflicts: 0, ..conflicts.clone() }),
            "0 bank conflicts, not 1000"
        );
        assert_eq!(gain(counted(), conflicts), "no count is better than 1_a's at this size");
    }

    #[test]
    fn more_blocks_are_a_gain_only_where_multiprocessors_are_idle() {
        let few = Counted { blocks: 16, ..counted() };
        assert_eq!(gain(few, Counted { blocks: 64, ..counted() }), "64 blocks, not 16, for 108 multiprocessors");
        let many = Counted { blocks: 512, ..counted() };
        assert_eq!(gain(counted(), many), "no count is better than 1_a's at this size");
    }

    #[test]
    fn tensor_cores_are_not_measured_by_fma_they_no_longer_need() {
        let tensor = Counted { unit: Unit::Product, fma_share: 0.0, instructions: 0.25, ..counted() };
        assert_eq!(gain(counted(), tensor), "0.25 instructions for each product, not 8");
    }

    #[test]
    fn a_step_that_did_not_run_is_passed_over() {
        let mut steps =
            [step("a", counted()), step("b", counted()), step("c", Counted { widest_load: ROW, ..counted() })];
        steps[1].unavailable = Some("needs sm_80".to_owned());
        tell(&mut steps, 108);
        let gains = steps.map(|step| step.gain);
        assert_eq!(gains, [None, None, Some("the widest load of a warp touches 4 sectors, not 32".to_owned())]);
    }

    #[test]
    fn on_a_gpu_gains_are_times() {
        let timed = |microseconds: f64| {
            let hot = Spread::of(vec![1e-6 * microseconds]);
            Measured { hot, cold: hot, gflop_per_second: 0.0, gb_per_second: 0.0 }
        };
        let step = |microseconds| Step { times: Some(timed(microseconds)), ..step("a", counted()) };
        assert_eq!(of_step(&step(100.0), &step(40.0), 108).unwrap(), "2.50 times faster: 40.0 us, not 100.0");
        assert_eq!(of_step(&step(40.0), &step(100.0), 108).unwrap(), "2.50 times slower: 100.0 us, not 40.0");
    }

    #[test]
    fn numbers_have_the_digits_that_one_reads() {
        let shown = [32.0, 0.0, 0.0625, 0.4567, 8.25, 16.5, 123.456, 1e6].map(short);
        assert_eq!(shown, ["32", "0", "0.062", "0.46", "8.25", "16.5", "123", "1000000"]);
    }
}
