//! Shuffles, votes, matches and reductions over random lanes, values and masks.

use super::harness::{Operands, Random, Shape, evaluate};

/// Whole warps of operands: value `%a`, selector `%b`, and whether the lane takes part (`%e`).
fn warps(count: usize, values: u64) -> Vec<Operands> {
    let mut random = Random(values);
    let mut inputs = Vec::new();
    for warp in 0..count {
        // The first warps are whole; of the others any lanes but none at all.
        let mask = if warp < 4 { u32::MAX } else { random.next() as u32 | 1 << (warp % 32) };
        let selector = random.next();
        for lane in 0..32 {
            let own = if warp % 2 == 0 { selector } else { random.next() };
            inputs.push([random.next() % values, own, u64::from(mask), u64::from(mask >> lane & 1)]);
        }
    }
    inputs
}

const SHAPE: Shape = Shape { from: &[32, 32, 32, 32], to: 64 };

/// Runs `body` in the lanes that take part; `model` says what lane `l` of a warp gets, as (lane, mask, operands).
#[track_caller]
fn hold(body: &str, inputs: &[Operands], model: impl Fn(usize, u32, &[Operands]) -> Option<u64>) {
    let body = format!(
        "mov.b64 %d, 0;\nmov.b64 %l0, 0;\nmov.b32 %s0, 0;\nmov.b32 %s1, 0;\nsetp.ne.u32 %p, %e, 0;\n@!%p bra DONE;\n{body}\nDONE:\n"
    );
    let results = evaluate(&body, SHAPE, inputs);
    for (warp, (operands, results)) in inputs.chunks(32).zip(results.chunks(32)).enumerate() {
        let mask = operands[0][2] as u32;
        for lane in (0..32).filter(|lane| mask >> lane & 1 != 0) {
            if let Some(expected) = model(lane, mask, operands) {
                assert_eq!(results[lane], expected, "{body}\nwarp {warp}, lane {lane}, mask {mask:x}\n{operands:x?}");
            }
        }
    }
}

#[test]
fn shuffles_move_values_within_segments() {
    for (mode, up) in [("up", true), ("down", false), ("bfly", false), ("idx", false)] {
        for width in [32u32, 16, 8, 4, 2, 1] {
            let segment = (32 - width) << 8;
            let clamp = segment | if up { 0 } else { 31 };
            let body = format!(
                "shfl.sync.{mode}.b32 %s0|%q, %a, %b, {clamp}, %c;\nselp.b32 %s1, 1, 0, %q;\nmov.b64 %d, {{%s0, %s1}};"
            );
            hold(&body, &warps(40, 1 << 32), |lane, mask, operands| {
                let (lane, by, width) = (lane as i64, (operands[lane][1] & 31) as i64, i64::from(width));
                let first = lane / width * width;
                let source = match mode {
                    "up" => lane - by,
                    "down" => lane + by,
                    "bfly" => lane ^ by,
                    _ => first + by % width,
                };
                // A butterfly may cross into an earlier segment, never a later one.
                let inside = match mode {
                    "up" => source >= first,
                    "bfly" => source < first + width,
                    _ => source < first + width && source < 32,
                };
                let from = if inside { source } else { lane };
                // What a lane that takes no part would give is not defined.
                (mask >> from & 1 != 0).then(|| operands[from as usize][0] | u64::from(inside) << 32)
            });
        }
    }
}

#[test]
fn votes_and_ballots_ask_the_lanes_that_take_part() {
    let truth = |operands: &[Operands], mask: u32| {
        (0..32)
            .filter(|lane| mask >> lane & 1 != 0 && operands[*lane][0] == 0)
            .fold(0u32, |votes, lane| votes | 1 << lane)
    };
    for values in [2, 40, 1 << 30] {
        let inputs = warps(40, values);
        let ask =
            |mode: &str| format!("setp.eq.u32 %q, %a, 0;\nvote.sync.{mode}.pred %q, %q, %c;\nselp.b64 %d, 1, 0, %q;");
        hold(&ask("all"), &inputs, |_, mask, operands| Some(u64::from(truth(operands, mask) == mask)));
        hold(&ask("any"), &inputs, |_, mask, operands| Some(u64::from(truth(operands, mask) != 0)));
        hold(&ask("uni"), &inputs, |_, mask, operands| Some(u64::from([0, mask].contains(&truth(operands, mask)))));
        let ballot = "setp.eq.u32 %q, %a, 0;\nvote.sync.ballot.b32 %s0, %q, %c;\nmov.b64 %d, {%s0, %s1};";
        hold(ballot, &inputs, |_, mask, operands| Some(u64::from(truth(operands, mask))));
    }
    hold("activemask.b32 %s0;\nmov.b64 %d, {%s0, %s1};", &warps(20, 9), |_, mask, _| Some(u64::from(mask)));
}

#[test]
fn matches_find_equal_values() {
    for values in [1, 3, 1 << 31] {
        let inputs = warps(40, values);
        let equal = |lane: usize, mask: u32, operands: &[Operands]| {
            (0..32).filter(|l| mask >> l & 1 != 0 && operands[*l][0] == operands[lane][0]).fold(0u32, |m, l| m | 1 << l)
        };
        hold("match.any.sync.b32 %s0, %a, %c;\nmov.b64 %d, {%s0, %s1};", &inputs, |lane, mask, operands| {
            Some(u64::from(equal(lane, mask, operands)))
        });
        let all = "match.all.sync.b32 %s0|%q, %a, %c;\nselp.b32 %s1, 1, 0, %q;\nmov.b64 %d, {%s0, %s1};";
        hold(all, &inputs, |lane, mask, operands| {
            let all = equal(lane, mask, operands) == mask;
            Some(if all { u64::from(mask) | 1 << 32 } else { 0 })
        });
        hold(
            "mov.b64 %l1, {%a, %a};\nmatch.any.sync.b64 %s0, %l1, %c;\nmov.b64 %d, {%s0, %s1};",
            &inputs,
            |lane, mask, operands| Some(u64::from(equal(lane, mask, operands))),
        );
    }
}

#[test]
fn reductions_join_the_lanes_that_take_part() {
    let cases: [(&str, fn(u32, u32) -> u32); 8] = [
        ("add.u32", |a, b| a.wrapping_add(b)),
        ("min.u32", |a, b| a.min(b)),
        ("max.u32", |a, b| a.max(b)),
        ("min.s32", |a, b| (a as i32).min(b as i32) as u32),
        ("max.s32", |a, b| (a as i32).max(b as i32) as u32),
        ("and.b32", |a, b| a & b),
        ("or.b32", |a, b| a | b),
        ("xor.b32", |a, b| a ^ b),
    ];
    for (name, join) in cases {
        hold(
            &format!("redux.sync.{name} %s0, %a, %c;\nmov.b64 %d, {{%s0, %s1}};"),
            &warps(40, 1 << 32),
            |_, mask, operands| {
                let values = (0..32).filter(|lane| mask >> lane & 1 != 0).map(|lane| operands[lane][0] as u32);
                values.reduce(join).map(u64::from)
            },
        );
    }
}
