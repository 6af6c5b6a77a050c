//! Comparisons, their joins, and selections.

use super::harness::{EDGES, EDGES32, Shape, exact, operands};

const COMPARISONS: [(&str, fn(std::cmp::Ordering) -> bool); 6] = [
    ("eq", |o| o.is_eq()),
    ("ne", |o| o.is_ne()),
    ("lt", |o| o.is_lt()),
    ("le", |o| o.is_le()),
    ("gt", |o| o.is_gt()),
    ("ge", |o| o.is_ge()),
];

const WORDS: Shape = Shape { from: &[32, 32], to: 32 };

#[test]
fn integers_are_compared_by_their_sign() {
    for (name, holds) in COMPARISONS {
        let two = operands(&EDGES, 2);
        exact(&format!("setp.{name}.s32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"), WORDS, &two, |[a, b, ..]| {
            u64::from(holds((a as i32).cmp(&(b as i32))))
        });
        exact(&format!("setp.{name}.u32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"), WORDS, &two, |[a, b, ..]| {
            u64::from(holds((a as u32).cmp(&(b as u32))))
        });
        let wide = Shape { from: &[64, 64], to: 64 };
        exact(&format!("setp.{name}.s64 %p, %a, %b;\nselp.b64 %d, %a, %b, %p;"), wide, &two, |[a, b, ..]| {
            if holds((a as i64).cmp(&(b as i64))) { a } else { b }
        });
        let narrow = Shape { from: &[16, 16], to: 32 };
        exact(&format!("setp.{name}.s16 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"), narrow, &two, |[a, b, ..]| {
            u64::from(holds((a as i16).cmp(&(b as i16))))
        });
        exact(&format!("set.{name}.u32.s32 %d, %a, %b;"), WORDS, &two, |[a, b, ..]| {
            if holds((a as i32).cmp(&(b as i32))) { 0xFFFF_FFFF } else { 0 }
        });
    }
    for (name, holds) in
        [("lo", COMPARISONS[2].1), ("ls", COMPARISONS[3].1), ("hi", COMPARISONS[4].1), ("hs", COMPARISONS[5].1)]
    {
        exact(
            &format!("setp.{name}.u32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"),
            WORDS,
            &operands(&EDGES, 2),
            |[a, b, ..]| u64::from(holds((a as u32).cmp(&(b as u32)))),
        );
    }
}

#[test]
fn floats_are_ordered_or_not() {
    let edges: Vec<u64> = EDGES32.iter().map(|bits| u64::from(*bits)).collect();
    let two = operands(&edges, 2);
    let floats = |a: u64, b: u64| (f32::from_bits(a as u32), f32::from_bits(b as u32));
    for (name, holds) in COMPARISONS {
        for (suffix, unordered) in [("", false), ("u", true)] {
            exact(
                &format!("setp.{name}{suffix}.f32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"),
                WORDS,
                &two,
                |[a, b, ..]| {
                    let (a, b) = floats(a, b);
                    u64::from(a.partial_cmp(&b).map_or(unordered, holds))
                },
            );
        }
        let flush = |x: f32| if x.is_subnormal() { 0.0 } else { x };
        exact(&format!("setp.{name}.ftz.f32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"), WORDS, &two, |[a, b, ..]| {
            let (a, b) = floats(a, b);
            u64::from(flush(a).partial_cmp(&flush(b)).is_some_and(holds))
        });
        exact(&format!("set.{name}.f32.f32 %d, %a, %b;"), WORDS, &two, |[a, b, ..]| {
            let (a, b) = floats(a, b);
            if a.partial_cmp(&b).is_some_and(holds) { u64::from(1f32.to_bits()) } else { 0 }
        });
    }
    for (name, ordered) in [("num", true), ("nan", false)] {
        exact(&format!("setp.{name}.f32 %p, %a, %b;\nselp.b32 %d, 1, 0, %p;"), WORDS, &two, |[a, b, ..]| {
            let (a, b) = floats(a, b);
            u64::from((a.is_nan() || b.is_nan()) != ordered)
        });
    }
}

#[test]
fn comparisons_are_joined_with_predicates_and_give_both_answers() {
    let three = Shape { from: &[32, 32, 32], to: 32 };
    let joins: [(&str, fn(bool, bool) -> bool); 3] =
        [("and", |x, y| x && y), ("or", |x, y| x || y), ("xor", |x, y| x != y)];
    for (name, join) in joins {
        for (bang, negated) in [("", false), ("!", true)] {
            let body = format!(
                "setp.ne.u32 %p, %c, 0;\nsetp.lt.{name}.s32 %p|%q, %a, %b, {bang}%p;\nselp.b32 %d, 1, 0, %p;\n\
                 selp.b32 %s0, 2, 0, %q;\nor.b32 %d, %d, %s0;"
            );
            exact(&body, three, &operands(&EDGES, 3), |[a, b, c, _]| {
                let (holds, other) = ((a as i32) < (b as i32), (c as u32 != 0) != negated);
                u64::from(join(holds, other)) | u64::from(join(!holds, other)) << 1
            });
        }
    }
}

#[test]
fn predicates_have_their_logic_and_guards_their_effect() {
    let three = Shape { from: &[32, 32, 32], to: 32 };
    for (name, join) in
        [("and", (|x, y| x && y) as fn(bool, bool) -> bool), ("or", |x, y| x || y), ("xor", |x, y| x != y)]
    {
        let body = format!(
            "setp.ne.u32 %p, %a, 0;\nsetp.gt.s32 %q, %b, 5;\n{name}.pred %p, %p, %q;\nmov.b32 %d, 7;\n@%p mov.b32 %d, %c;\n\
             @!%p add.u32 %d, %d, 1;"
        );
        exact(
            &body,
            three,
            &operands(&EDGES, 3),
            |[a, b, c, _]| if join(a as u32 != 0, (b as i32) > 5) { c } else { 8 },
        );
    }
    exact(
        "slct.b32.s32 %d, %a, %b, %c;",
        three,
        &operands(&EDGES, 3),
        |[a, b, c, _]| if c as i32 >= 0 { a } else { b },
    );
}
