//! Products of whole matrices against a plain triple loop, with the fragment layouts written out form by form.

use super::*;
use crate::numeric::Rounding;
use crate::numeric::convert::{f32_to_bf16, f32_to_f16};
use crate::numeric::testing::Bits;

/// Shape, types and the numbers of registers of `a`, `b` and `c`.
const FORMS: [(&str, [&str; 4], [usize; 3]); 15] = [
    ("m16n8k4", ["f32", "tf32", "tf32", "f32"], [2, 1, 4]),
    ("m16n8k8", ["f32", "tf32", "tf32", "f32"], [4, 2, 4]),
    ("m16n8k8", ["f32", "f16", "f16", "f32"], [2, 1, 4]),
    ("m16n8k8", ["f16", "f16", "f16", "f16"], [2, 1, 2]),
    ("m16n8k8", ["f32", "bf16", "bf16", "f32"], [2, 1, 4]),
    ("m16n8k16", ["f32", "f16", "f16", "f32"], [4, 2, 4]),
    ("m16n8k16", ["f16", "f16", "f16", "f16"], [4, 2, 2]),
    ("m16n8k16", ["f32", "bf16", "bf16", "f32"], [4, 2, 4]),
    ("m8n8k16", ["s32", "s8", "u8", "s32"], [1, 1, 2]),
    ("m16n8k16", ["s32", "u8", "s8", "s32"], [2, 1, 4]),
    ("m16n8k32", ["s32", "s8", "s8", "s32"], [4, 2, 4]),
    ("m8n8k4", ["f64", "f64", "f64", "f64"], [2, 2, 4]),
    ("m16n8k4", ["f64", "f64", "f64", "f64"], [4, 2, 8]),
    ("m16n8k8", ["f64", "f64", "f64", "f64"], [8, 4, 8]),
    ("m16n8k16", ["f64", "f64", "f64", "f64"], [16, 8, 8]),
];

fn variant(shape: &str, types: [&str; 4]) -> Variant {
    let modifiers = [&["sync", "aligned", shape, "row", "col"][..], &types].concat();
    Variant::parse(&modifiers).unwrap()
}

/// Puts element `i` of a lane into its registers.
fn put(registers: &mut [Register], kind: &str, i: usize, lane: usize, value: f64) {
    let nearest = Rounding::NearestEven;
    let (per, bits): (usize, u32) = match kind {
        "tf32" | "f32" => (1, (value as f32).to_bits()),
        "s32" => (1, value as i32 as u32),
        "f16" => (2, f32_to_f16(value as f32, nearest).into()),
        "bf16" => (2, f32_to_bf16(value as f32, nearest).into()),
        "f64" => {
            let bits = value.to_bits();
            registers[2 * i + 1][lane] = (bits >> 32) as u32;
            registers[2 * i][lane] = bits as u32;
            return;
        }
        _ => (4, (value as i32 as u8).into()),
    };
    registers[i / per][lane] |= bits << ((32 / per * (i % per)) as u32 & 31);
}

/// Row and column of element `i` of `a`, as the manual lists them.
fn place_a(kind: &str, m: usize, i: usize, lane: usize) -> (usize, usize) {
    let (group, thread) = (lane / 4, lane % 4);
    let (low_row, column) = match kind {
        "tf32" | "f64" => (i.is_multiple_of(2), thread + 4 * (i / 2)),
        "f16" | "bf16" => (i < 2 || (4..6).contains(&i), thread * 2 + (i & 1) + if i >= 4 { 8 } else { 0 }),
        _ => (i < 4 || (8..12).contains(&i), thread * 4 + (i & 3) + if i >= 8 { 16 } else { 0 }),
    };
    if m == 8 { (group, column) } else { (group + if low_row { 0 } else { 8 }, column) }
}

/// The row of element `i` of `b`, as the manual lists them; its column is the lane's group.
fn row_of_b(kind: &str, i: usize, lane: usize) -> usize {
    let thread = lane % 4;
    match kind {
        "tf32" | "f64" => thread + 4 * i,
        "f16" | "bf16" => thread * 2 + (i & 1) + if i >= 2 { 8 } else { 0 },
        _ => thread * 4 + (i & 3) + if i >= 4 { 16 } else { 0 },
    }
}

#[test]
fn every_form_multiplies_small_integers_exactly() {
    let mut bits = Bits::new(50);
    for (shape, types, counts) in FORMS {
        let variant = variant(shape, types);
        assert_eq!([variant.registers_a(), variant.registers_b(), variant.registers_c()], counts, "{shape} {types:?}");
        let Shape { m, n, k } = variant.shape();
        let mut draw = |kind: &str| f64::from(bits.u32() % 9) - if kind == "u8" { 0.0 } else { 4.0 };
        let a: Vec<Vec<f64>> = (0..m).map(|_| (0..k).map(|_| draw(types[1])).collect()).collect();
        let b: Vec<Vec<f64>> = (0..k).map(|_| (0..n).map(|_| draw(types[2])).collect()).collect();
        let c: Vec<Vec<f64>> = (0..m).map(|_| (0..n).map(|_| draw(types[3])).collect()).collect();
        let mut packed = counts.map(|count| vec![[0; 32]; count]);
        let mut want = [[0; 32]; MAX_RESULT_REGISTERS];
        for lane in 0..32 {
            for i in 0..m * k / 32 {
                let (row, column) = place_a(types[1], m, i, lane);
                put(&mut packed[0], types[1], i, lane, a[row][column]);
            }
            for i in 0..k * n / 32 {
                put(&mut packed[1], types[2], i, lane, b[row_of_b(types[2], i, lane)][lane / 4]);
            }
            for i in 0..m * n / 32 {
                let (row, column) = (lane / 4 + if i < 2 { 0 } else { 8 }, lane % 4 * 2 + (i & 1));
                put(&mut packed[2], types[3], i, lane, c[row][column]);
                let sum = (0..k).map(|j| a[row][j] * b[j][column]).sum::<f64>() + c[row][column];
                put(&mut want, types[0], i, lane, sum);
            }
        }
        let got = mma(&variant, &packed[0], &packed[1], &packed[2]);
        assert_eq!(got, want, "{shape} {types:?}");
    }
}

#[test]
fn tf32_factors_ignore_their_low_bits() {
    let variant = variant("m16n8k8", ["f32", "tf32", "tf32", "f32"]);
    let mut bits = Bits::new(51);
    let mut draw =
        |count: usize| -> Vec<Register> { (0..count).map(|_| [0; 32].map(|_: u32| bits.f32().to_bits())).collect() };
    let (a, b, c) = (draw(4), draw(2), draw(4));
    let cut = |x: &[Register]| x.iter().map(|r| r.map(|w| w & !0x1fff)).collect::<Vec<_>>();
    assert_ne!(cut(&a), a);
    // Cutting may turn a NaN into an infinity, so both sides must see the cut factors.
    assert_eq!(mma(&variant, &a, &b, &c), mma(&variant, &cut(&a), &cut(&b), &c));
}

#[test]
fn a_sum_is_rounded_once_and_nan_is_canonical() {
    let variant = variant("m16n8k4", ["f32", "tf32", "tf32", "f32"]);
    let all = |x: f32| [x.to_bits(); 32];
    // Four products of 2^-25: each alone would vanish beside 1, together they are one unit in the last place.
    let a = [all(2f32.powi(-13)); 2];
    let b = [all(2f32.powi(-12))];
    let got = mma(&variant, &a, &b, &[all(1.0); 4]);
    assert_eq!(got[0], all(1f32.next_up()));
    let nan = mma(&variant, &[all(f32::INFINITY); 2], &[all(0.0)], &[all(1.0); 4]);
    assert_eq!(nan[3], [0x7fff_ffff; 32]);
}

#[test]
fn integer_sums_wrap_unless_they_saturate() {
    let form =
        |rest: &[&str]| Variant::parse(&[&["sync", "aligned", "m16n8k16", "row", "col"], rest].concat()).unwrap();
    let types = ["s32", "s8", "s8", "s32"];
    let (a, b, c) = ([[0x0101_0101; 32]; 2], [[0x0202_0202; 32]; 1], [[i32::MAX as u32; 32]; 4]);
    assert_eq!(mma(&form(&types), &a, &b, &c)[2], [(i32::MAX as u32).wrapping_add(32); 32]);
    let saturating = form(&["satfinite", "s32", "s8", "s8", "s32"]);
    assert!(saturating.saturates());
    assert_eq!(mma(&saturating, &a, &b, &c)[2], [i32::MAX as u32; 32]);
}

#[test]
fn unsupported_forms_are_refused() {
    let parse = |text: &str| Variant::parse(&text.split('.').collect::<Vec<_>>());
    assert!(parse("sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32").is_some());
    assert!(parse("sync.aligned.m8n8k4.row.col.rn.f64.f64.f64.f64").is_some());
    for text in [
        "",
        "sync.aligned.m16n8k8.col.row.f32.tf32.tf32.f32",
        "sync.aligned.m16n8k16.row.col.f32.tf32.tf32.f32",
        "sync.aligned.m16n8k8.row.col.satfinite.f32.tf32.tf32.f32",
        "sync.aligned.m16n8k8.row.col.f32.f16.bf16.f32",
        "sync.aligned.m16n8k8.row.col.f32.f16.f16.f16",
        "sync.aligned.m16n8.row.col.f32.f16.f16.f32",
        "sync.aligned.m99999999999999999999n8k8.row.col.f32.f16.f16.f32",
        "sync.aligned.m16n8k8.row.col.rn.f32.tf32.tf32.f32",
        "sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32.f32",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}
