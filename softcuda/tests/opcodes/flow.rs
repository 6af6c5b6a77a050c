//! Calls, barriers, locks, and what ends a launch early.

use super::harness::{EDGES, Shape, exact, operands};
use crate::device::{Device, order};
use softcuda::exec::Fault;
use softcuda::settings::{Checks, Settings};

const ONE: Shape = Shape { from: &[32], to: 32 };

const FUNCTIONS: &str = ".version 8.4\n.target sm_90\n.address_size 64\n\
    .func (.param .b32 r) sum(.param .b32 n)\n{\n.reg .b32 %n, %r;\n.reg .pred %p;\nld.param.b32 %n, [n];\n\
    setp.eq.u32 %p, %n, 0;\nmov.u32 %r, 0;\n@%p bra END;\n{\n.param .b32 less;\n.param .b32 got;\n.reg .b32 %m;\n\
    sub.u32 %m, %n, 1;\nst.param.b32 [less], %m;\ncall (got), sum, (less);\nld.param.b32 %r, [got];\n}\n\
    add.u32 %r, %r, %n;\nEND:\nst.param.b32 [r], %r;\nret;\n}\n\
    .func (.param .b32 r) triple(.param .b32 n)\n{\n.reg .b32 %n;\nld.param.b32 %n, [n];\nmul.lo.u32 %n, %n, 3;\n\
    st.param.b32 [r], %n;\nret;\n}\n";

/// A kernel `k(out)` after functions: `%d` is stored for each thread, `%t` is its number.
fn outcome(functions: &str, threads: u32, body: &str, limit: Option<u64>) -> Result<Vec<u32>, Fault> {
    let text = format!(
        "{functions}.visible .entry k(.param .u64 out)\n{{\n.reg .b32 %t, %d, %s<4>;\n.reg .b64 %out, %at, %l<4>;\n.reg .pred \
         %p, %q;\nmov.u32 %t, %tid.x;\nmov.u32 %d, 0;\n{body}\nld.param.u64 %out, [out];\nmul.wide.u32 %at, %t, 4;\n\
         add.u64 %at, %out, %at;\nst.global.b32 [%at], %d;\nret;\n}}\n"
    );
    let settings = Settings { checks: Checks::ALL, compute_capability: (9, 0), limit, ..Settings::default() };
    let device = Device::new(settings, &text);
    let bytes = 4 * threads as usize;
    let target = device.buffer(&vec![0; bytes], bytes);
    device.launch("k", [1, 1, 1], [threads, 1, 1], target.to_le_bytes().to_vec(), order(0, 1))?;
    let words = device.read((target, bytes));
    Ok(words.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect())
}

const PLAIN: &str = ".version 8.4\n.target sm_90\n.address_size 64\n";

#[test]
fn a_function_that_calls_itself_returns_to_each_lane() {
    let body =
        "{\n.param .b32 n;\n.param .b32 got;\nst.param.b32 [n], %t;\ncall (got), sum, (n);\nld.param.b32 %d, [got];\n}";
    let expected: Vec<u32> = (0..64).map(|t| t * (t + 1) / 2).collect();
    assert_eq!(outcome(FUNCTIONS, 64, body, None), Ok(expected));
}

#[test]
fn lanes_call_different_functions_through_a_pointer() {
    let body = "{\n.param .b32 n;\n.param .b32 got;\nmov.u64 %l0, sum;\nmov.u64 %l1, triple;\nand.b32 %s0, %t, 1;\n\
                setp.eq.u32 %p, %s0, 0;\nselp.b64 %l2, %l0, %l1, %p;\nst.param.b32 [n], %t;\n\
                proto: .callprototype (.param .b32 _) _ (.param .b32 _);\ncall (got), %l2, (n), proto;\nld.param.b32 %d, [got];\n}";
    let expected: Vec<u32> = (0..64).map(|t| if t % 2 == 0 { t * (t + 1) / 2 } else { 3 * t }).collect();
    assert_eq!(outcome(FUNCTIONS, 64, body, None), Ok(expected));
}

#[test]
fn barriers_reduce_the_predicates_of_the_block() {
    let ask = |kind: &str, limit: u32| {
        let answer = if kind == "popc.u32" { ("%d", "") } else { ("%q", "selp.u32 %d, 1, 0, %q;") };
        let body = format!("setp.lt.u32 %p, %t, {limit};\nbar.red.{kind} {}, 0, %p;\n{}", answer.0, answer.1);
        outcome(PLAIN, 96, &body, None)
    };
    for (kind, limit, expected) in
        [("popc.u32", 37, 37), ("and.pred", 95, 0), ("and.pred", 96, 1), ("or.pred", 0, 0), ("or.pred", 1, 1)]
    {
        assert_eq!(ask(kind, limit), Ok(vec![expected; 96]), "{kind} below {limit}");
    }
}

#[test]
fn a_named_barrier_joins_those_that_arrive_and_those_that_wait() {
    // The second warp writes and arrives; the first waits and reads.
    let body = "{\n.shared .align 4 .b32 cell;\nsetp.ge.u32 %p, %t, 32;\n@%p bra GIVE;\nbar.sync 3, 64;\nld.shared.b32 %d, [cell];\n\
                bra DONE;\nGIVE:\nsetp.eq.u32 %q, %t, 32;\n@%q st.shared.b32 [cell], 77;\nbar.arrive 3, 64;\nDONE:\n}";
    let expected: Vec<u32> = (0..64).map(|t| if t < 32 { 77 } else { 0 }).collect();
    assert_eq!(outcome(PLAIN, 64, body, None), Ok(expected));
}

#[test]
fn lanes_of_a_warp_take_a_lock_in_turn() {
    let body = "{\n.shared .align 4 .b32 lock;\n.shared .align 4 .b32 cell;\nsetp.eq.u32 %p, %t, 0;\n@%p st.shared.b32 [lock], 0;\n\
                @%p st.shared.b32 [cell], 0;\nbar.sync 0;\nTRY:\natom.shared.cas.b32 %s0, [lock], 0, 1;\nsetp.ne.u32 %p, %s0, 0;\n\
                @%p bra TRY;\nld.volatile.shared.b32 %s1, [cell];\nadd.u32 %s1, %s1, 1;\nst.volatile.shared.b32 [cell], %s1;\n\
                membar.cta;\natom.shared.exch.b32 %s0, [lock], 0;\nbar.sync 0;\nld.shared.b32 %d, [cell];\n}";
    assert_eq!(outcome(PLAIN, 32, body, Some(100_000)), Ok(vec![32; 32]));
}

#[test]
fn a_trap_and_a_limit_end_the_launch() {
    assert_eq!(outcome(PLAIN, 32, "setp.eq.u32 %p, %t, 5;\n@%p trap;", None), Err(Fault::LaunchFailed));
    assert_eq!(outcome(PLAIN, 32, "AGAIN:\nbra AGAIN;", Some(10_000)), Err(Fault::Limit));
}

#[test]
fn addresses_belong_to_one_space() {
    let body = |space: &str| {
        format!(
            "{{\n.global .b32 g;\n.shared .b32 s;\n.local .b32 l;\ncvta.global.u64 %l0, g;\nmov.u64 %l1, s;\n\
             cvta.shared.u64 %l1, %l1;\nsetp.eq.u32 %p, %a, 0;\nselp.b64 %l0, %l0, %l1, %p;\nisspacep.{space} %q, %l0;\n\
             selp.b32 %d, 1, 0, %q;\n}}"
        )
    };
    let inputs = operands(&EDGES, 1);
    exact(&body("global"), ONE, &inputs, |[a, ..]| u64::from(a as u32 == 0));
    exact(&body("shared"), ONE, &inputs, |[a, ..]| u64::from(a as u32 != 0));
    exact(&body("local"), ONE, &inputs, |_| 0);
}

#[test]
fn the_nth_set_bit_is_found_upwards_and_downwards() {
    let shape = Shape { from: &[32, 32, 32], to: 32 };
    exact(
        "and.b32 %b, %b, 31;\nshr.s32 %c, %c, 27;\nfns.b32 %d, %a, %b, %c;",
        shape,
        &operands(&EDGES, 3),
        |[a, b, c, _]| {
            let (base, offset) = (b & 31, i64::from(c as u32 as i32 >> 27));
            let set = |i: &u64| a >> i & 1 == 1;
            let found = match offset {
                0 => Some(base).filter(set),
                1.. => (base..32).filter(set).nth(offset as usize - 1),
                _ => (0..=base).rev().filter(set).nth(offset.unsigned_abs() as usize - 1),
            };
            found.unwrap_or(0xFFFF_FFFF)
        },
    );
}

#[test]
fn sign_extensions_repeat_the_highest_bit_kept() {
    let shape = Shape { from: &[32, 32], to: 32 };
    for (mode, clamp) in [("wrap", false), ("clamp", true)] {
        exact(&format!("szext.{mode}.s32 %d, %a, %b;"), shape, &operands(&EDGES, 2), |[a, b, ..]| {
            let width = if clamp { (b & 0xFFFF_FFFF).min(32) } else { b & 31 };
            let top = if width == 0 { 0 } else { a >> (width - 1) & 1 };
            (0..32).fold(0, |d, i| d | if i < width { a >> i & 1 } else { top } << i)
        });
    }
}
