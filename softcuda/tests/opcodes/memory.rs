//! Moves between registers and memory: widths, vectors, sign extension, spaces, atomics.

use super::harness::{EDGES, EDGES32, Operands, Shape, evaluate, exact, operands};

const WORDS: Shape = Shape { from: &[32, 32, 32], to: 32 };
const WIDE: Shape = Shape { from: &[64, 64, 64], to: 64 };

#[test]
fn registers_are_packed_and_unpacked() {
    let words = Shape { from: &[32, 32], to: 64 };
    exact("mov.b64 %d, {%a, %b};", words, &operands(&EDGES, 2), |[a, b, ..]| b << 32 | a & 0xFFFF_FFFF);
    let wide = Shape { from: &[64], to: 32 };
    exact("mov.b64 {%s0, %s1}, %a;\nxor.b32 %d, %s0, %s1;", wide, &operands(&EDGES, 1), |[a, ..]| a ^ a >> 32);
    let halves = Shape { from: &[16, 16], to: 32 };
    exact("mov.b32 %d, {%a, %b};", halves, &operands(&EDGES, 2), |[a, b, ..]| (b & 0xFFFF) << 16 | a & 0xFFFF);
    let split = Shape { from: &[32, 16], to: 16 };
    exact("mov.b32 {%d, %b}, %a;\nxor.b16 %d, %d, %b;", split, &operands(&EDGES, 1), |[a, ..]| a ^ a >> 16);
}

/// Stores `%a` into the space at offsets by thread, and loads `%d` back by `load`.
fn round_trip(space: &str, declaration: &str, store: &str, load: &str) -> String {
    let scope = "{\n.reg .b64 %where;\n.reg .b32 %slot;\n";
    format!(
        "{scope}{declaration}\nmov.u32 %slot, %tid.x;\nmul.lo.u32 %slot, %slot, 16;\ncvt.u64.u32 %where, %slot;\nmov.u64 %l0, buffer;\n\
         add.u64 %where, %where, %l0;\nst.{space}.{store};\nld.{space}.{load};\n}}"
    )
}

#[test]
fn narrow_loads_extend_by_their_type_in_every_space() {
    let cases: [(&str, fn(u64) -> u64); 6] = [
        ("u8", |a| a & 0xFF),
        ("s8", |a| a as i8 as u64),
        ("u16", |a| a & 0xFFFF),
        ("s16", |a| a as i16 as u64),
        ("u32", |a| a & 0xFFFF_FFFF),
        ("s32", |a| a as i32 as u64),
    ];
    for (space, declaration) in [
        ("shared", ".shared .align 16 .b8 buffer[1024];"),
        ("local", ".local .align 16 .b8 buffer[1024];"),
        ("global", ".global .align 16 .b8 buffer[1024];"),
    ] {
        for (ty, model) in cases {
            let bits = &ty[1..];
            let body = round_trip(space, declaration, &format!("b{bits} [%where], %a"), &format!("{ty} %d, [%where]"));
            // Blocks share the global buffer: one block's operands only.
            let inputs = &operands(&EDGES, 1)[..64];
            exact(&body, Shape { from: &[64], to: 64 }, inputs, |[a, ..]| model(a));
        }
    }
}

#[test]
fn vectors_move_their_elements_in_order() {
    let declaration = ".shared .align 16 .b8 buffer[1024];";
    let body = round_trip("shared", declaration, "v4.b32 [%where], {%a, %b, %c, %a}", "v2.b64 {%l0, %l1}, [%where]");
    let all = |[a, b, c, _]: Operands| {
        (a & 0xFFFF_FFFF | (b & 0xFFFF_FFFF) << 32) ^ (c & 0xFFFF_FFFF | (a & 0xFFFF_FFFF) << 32)
    };
    let shape = Shape { from: &[32, 32, 32], to: 64 };
    exact(&format!("{body}\nxor.b64 %d, %l0, %l1;"), shape, &operands(&EDGES, 3)[..64], all);
}

#[test]
fn generic_addresses_lead_to_each_space() {
    for (space, window) in [("shared", "shared"), ("local", "local")] {
        let declaration = format!(".{space} .align 16 .b8 buffer[1024];");
        let body = format!(
            "{{\n.reg .b64 %where;\n{declaration}\nmov.u64 %where, buffer;\ncvta.{window}.u64 %where, %where;\nmul.wide.u32 %l0, %t, 0;\n\
             mov.u32 %s0, %tid.x;\nmul.wide.u32 %l0, %s0, 16;\nadd.u64 %where, %where, %l0;\nst.b32 [%where], %a;\nld.b32 %d, [%where];\n\
             isspacep.{space} %p, %where;\n@!%p mov.b32 %d, 0;\n}}"
        );
        exact(&body, Shape { from: &[32], to: 32 }, &operands(&EDGES, 1), |[a, ..]| a);
    }
}

/// The old value and the new one of an atomic on a cell that holds `%a`, with operands `%b` and `%c`.
fn atomic(space: &str, op: &str, ty: &str, second: &str) -> [String; 2] {
    let bits = ty.trim_start_matches(|c: char| c.is_alphabetic());
    let bits = if bits == "16x2" { "32" } else { bits };
    let declaration = format!(".{space} .align 16 .b8 buffer[1024];");
    let old = format!("b{bits} [%where], %a;\natom.{space}.{op}.{ty} %d, [%where], %b{second}");
    let of = |last: &str| round_trip(space, &declaration, &old, last);
    [of(&format!("b{bits} %s0, [%where]")).replace("b64 %s0", "b64 %l1"), of(&format!("b{bits} %d, [%where]"))]
}

#[test]
fn atomics_give_the_old_value_and_leave_the_new_one() {
    type Model = fn(u64, u64) -> u64;
    let words: [(&str, &str, Model); 12] = [
        ("add", "u32", |m, a| m.wrapping_add(a)),
        ("min", "u32", |m, a| u64::from((m as u32).min(a as u32))),
        ("max", "u32", |m, a| u64::from((m as u32).max(a as u32))),
        ("min", "s32", |m, a| (m as i32).min(a as i32) as u64),
        ("max", "s32", |m, a| (m as i32).max(a as i32) as u64),
        ("and", "b32", |m, a| m & a),
        ("or", "b32", |m, a| m | a),
        ("xor", "b32", |m, a| m ^ a),
        ("exch", "b32", |_, a| a),
        ("inc", "u32", |m, a| if m as u32 >= a as u32 { 0 } else { m + 1 }),
        ("dec", "u32", |m, a| if m as u32 == 0 || m as u32 > a as u32 { a } else { m.wrapping_sub(1) }),
        ("add", "s32", |m, a| m.wrapping_add(a)),
    ];
    let wides: [(&str, &str, Model); 7] = [
        ("add", "u64", |m, a| m.wrapping_add(a)),
        ("min", "u64", |m, a| m.min(a)),
        ("max", "s64", |m, a| (m as i64).max(a as i64) as u64),
        ("and", "b64", |m, a| m & a),
        ("or", "b64", |m, a| m | a),
        ("xor", "b64", |m, a| m ^ a),
        ("exch", "b64", |_, a| a),
    ];
    // Each operand of one block, whose threads have cells of their own.
    let inputs = &operands(&EDGES, 2)[..64];
    for space in ["shared", "global"] {
        for (cases, shape) in [(&words[..], WORDS), (&wides[..], WIDE)] {
            for (op, ty, model) in cases {
                let [old, new] = atomic(space, op, ty, "");
                exact(&old, shape, inputs, |[a, ..]| a);
                exact(&new, shape, inputs, |[a, b, ..]| model(a, b));
            }
        }
        let [old, new] = atomic(space, "cas", "b32", ", %c");
        exact(&old, WORDS, inputs, |[a, ..]| a);
        exact(&new, WORDS, inputs, |[a, b, c, _]| if a as u32 == b as u32 { c } else { a });
        let edges: Vec<u64> = EDGES32.iter().map(|bits| u64::from(*bits)).collect();
        let [_, new] = atomic(space, "add", "f32", "");
        exact(&new, WORDS, &operands(&edges, 2)[..64], |[a, b, ..]| {
            let sum = f32::from_bits(a as u32) + f32::from_bits(b as u32);
            u64::from(if sum.is_nan() { 0x7FFF_FFFF } else { sum.to_bits() })
        });
    }
}

#[test]
fn many_threads_add_to_one_cell() {
    let body = "{\n.global .align 4 .u32 cell;\n.reg .b64 %where;\nmov.u64 %where, cell;\natom.global.add.u32 %d, [%where], 1;\n}";
    let mut found = evaluate(body, Shape { from: &[32], to: 32 }, &vec![[0; 4]; 1000]);
    found.sort_unstable();
    assert_eq!(found, (0..1000).collect::<Vec<u64>>());
}

#[test]
fn asynchronous_copies_arrive_at_their_wait_and_not_before() {
    let setup = "{\n.global .align 16 .b8 source[1024];\n.shared .align 16 .b8 target[1024];\n.reg .b64 %from, %to;\n.reg .b32 %slot;\n\
                 mov.u32 %slot, %tid.x;\nmul.wide.u32 %l0, %slot, 16;\nmov.u64 %from, source;\nadd.u64 %from, %from, %l0;\n\
                 mov.u64 %to, target;\nadd.u64 %to, %to, %l0;\nst.global.b32 [%from], %a;\nst.shared.b32 [%to], 99;\n";
    let copy = "cp.async.ca.shared.global [%to], [%from], 4;\ncp.async.commit_group;\n";
    let read = "ld.shared.b32 %d, [%to];\n}";
    let inputs = &operands(&EDGES, 1)[..64];
    let shape = Shape { from: &[32], to: 32 };
    exact(&format!("{setup}{copy}{read}"), shape, inputs, |_| 99);
    exact(&format!("{setup}{copy}cp.async.wait_group 1;\n{read}"), shape, inputs, |_| 99);
    exact(&format!("{setup}{copy}cp.async.commit_group;\ncp.async.wait_group 1;\n{read}"), shape, inputs, |[a, ..]| a);
    exact(&format!("{setup}{copy}cp.async.wait_group 0;\n{read}"), shape, inputs, |[a, ..]| a);
    let short = "cp.async.ca.shared.global [%to], [%from], 4, 2;\ncp.async.wait_all;\n";
    exact(&format!("{setup}{short}{read}"), shape, inputs, |[a, ..]| a & 0xFFFF);
    let ignored = "setp.ne.u32 %p, %a, 0;\ncp.async.ca.shared.global [%to], [%from], 4, %p;\ncp.async.wait_all;\n";
    exact(&format!("{setup}{ignored}{read}"), shape, inputs, |_| 0);
}

#[test]
fn matrices_are_loaded_by_rows_or_columns() {
    // Row r holds 8 r .. 8 r + 7 as halves; lane l gets elements 2 (l mod 4) and the next of row l / 4.
    let body = |transposed: &str| {
        format!(
            "{{\n.shared .align 16 .b8 rows[256];\n.reg .b64 %where;\n.reg .b32 %lane;\nmov.u32 %lane, %laneid;\nmul.wide.u32 %l0, %lane, 4;\n\
             mov.u64 %where, rows;\nadd.u64 %l0, %where, %l0;\nmul.lo.u32 %s0, %lane, 131074;\nadd.u32 %s0, %s0, 65536;\n\
             st.shared.b32 [%l0], %s0;\nbar.warp.sync -1;\nand.b32 %lane, %lane, 7;\nmul.wide.u32 %l0, %lane, 16;\n\
             add.u64 %where, %where, %l0;\nldmatrix.sync.aligned.m8n8.x1{transposed}.shared.b16 {{%d}}, [%where];\n}}"
        )
    };
    let inputs: Vec<Operands> = (0..32).map(|lane| [lane, 0, 0, 0]).collect();
    let shape = Shape { from: &[32], to: 32 };
    exact(&body(""), shape, &inputs, |[l, ..]| {
        let first = l / 4 * 8 + l % 4 * 2;
        first | (first + 1) << 16
    });
    exact(&body(".trans"), shape, &inputs, |[l, ..]| {
        let first = l % 4 * 2 * 8 + l / 4;
        first | (first + 8) << 16
    });
}

#[test]
fn pairs_of_halves_are_added_indivisibly() {
    let [_, new] = atomic("global", "add.noftz", "f16x2", "");
    // 1 and 2, plus 0.5 and 2.
    exact(&new, WORDS, &[[0x4000_3C00, 0x4000_3800, 0, 0]], |_| 0x4400_3E00);
}
