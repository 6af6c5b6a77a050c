//! Products of matrices over a warp, against three nested loops and the documented layout of fragments.

use super::harness::Random;
use crate::device::{Device, order};
use softcuda::settings::{Checks, Settings};

/// A form of `mma.sync`: its sizes, the types of factors and of the accumulator.
type Form = (usize, usize, &'static str, &'static str, &'static str);

const FORMS: [Form; 15] = [
    (16, 4, "tf32", "tf32", "f32"),
    (16, 8, "tf32", "tf32", "f32"),
    (16, 8, "f16", "f16", "f16"),
    (16, 8, "f16", "f16", "f32"),
    (16, 16, "f16", "f16", "f16"),
    (16, 16, "f16", "f16", "f32"),
    (16, 8, "bf16", "bf16", "f32"),
    (16, 16, "bf16", "bf16", "f32"),
    (8, 4, "f64", "f64", "f64"),
    (16, 4, "f64", "f64", "f64"),
    (16, 8, "f64", "f64", "f64"),
    (16, 16, "f64", "f64", "f64"),
    (8, 16, "s8", "u8", "s32"),
    (16, 16, "u8", "s8", "s32"),
    (16, 32, "s8", "s8", "s32"),
];

fn element_bits(ty: &str) -> usize {
    match ty {
        "s8" | "u8" => 8,
        "f16" | "bf16" => 16,
        "f64" => 64,
        _ => 32,
    }
}

fn register_bits(ty: &str) -> usize {
    if ty == "f64" { 64 } else { 32 }
}

/// The bits of a small whole number in a type.
fn encode(ty: &str, value: i32) -> u64 {
    match ty {
        "s8" | "u8" => u64::from(value as u8),
        "s32" => u64::from(value as u32),
        "f16" => half::f16::from_f32(value as f32).to_bits().into(),
        "bf16" => half::bf16::from_f32(value as f32).to_bits().into(),
        "f64" => f64::from(value).to_bits(),
        _ => (value as f32).to_bits().into(),
    }
}

/// Row (or column) and `k` of element `e` of register `r` of a lane, of a factor with `rows` rows.
fn factor_place(ty: &str, rows: usize, lane: usize, r: usize, e: usize) -> (usize, usize) {
    let per = register_bits(ty) / element_bits(ty);
    let row = lane / 4 + if rows == 16 { 8 * (r % 2) } else { 0 };
    let step = if rows == 16 { r / 2 } else { r };
    (row, per * (lane % 4) + e + 4 * per * step)
}

/// Row and column of element `e` of register `r` of a lane's accumulator.
fn sum_place(ty: &str, lane: usize, r: usize, e: usize) -> (usize, usize) {
    let index = r * (register_bits(ty) / element_bits(ty)) + e;
    (lane / 4 + 8 * (index / 2), 2 * (lane % 4) + index % 2)
}

/// The registers of a lane, each in a word of 64 bits.
fn registers(count: usize, ty: &str, value: impl Fn(usize, usize) -> i32) -> Vec<u64> {
    let bits = element_bits(ty);
    let register = |r| (0..register_bits(ty) / bits).map(|e| encode(ty, value(r, e)) << (e * bits)).sum();
    (0..count).map(register).collect()
}

fn count(elements: usize, ty: &str) -> usize {
    elements * element_bits(ty) / register_bits(ty) / 32
}

/// A kernel that loads 16 words a lane, multiplies, and stores 4 words a lane.
fn kernel((m, k, a, b, c): Form) -> String {
    let counts =
        [("d", count(m * 8, c), c), ("a", count(m * k, a), a), ("b", count(k * 8, b), b), ("c", count(m * 8, c), c)];
    let list = |name: &str, n: usize| (0..n).map(|i| format!("%{name}{i}")).collect::<Vec<_>>().join(", ");
    let mut text =
        ".version 8.4\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out)\n{\n\
                    .reg .b32 %t;\n.reg .b64 %in, %out, %at;\n"
            .to_owned();
    for (name, n, ty) in counts {
        text += &format!(".reg .b{} {};\n", register_bits(ty), list(name, n));
    }
    text += "mov.u32 %t, %tid.x;\nld.param.u64 %in, [in];\nld.param.u64 %out, [out];\nmul.wide.u32 %at, %t, 128;\n\
             add.u64 %in, %in, %at;\nmul.wide.u32 %at, %t, 32;\nadd.u64 %out, %out, %at;\n";
    for ((name, n, ty), first) in counts[1..].iter().zip([0, 8, 12]) {
        for i in 0..*n {
            text += &format!("ld.global.b{} %{name}{i}, [%in+{}];\n", register_bits(ty), 8 * (first + i));
        }
    }
    let operands = counts.map(|(name, n, _)| format!("{{{}}}", list(name, n))).join(", ");
    text += &format!("mma.sync.aligned.m{m}n8k{k}.row.col.{c}.{a}.{b}.{c} {operands};\n");
    for i in 0..counts[0].1 {
        text += &format!("st.global.b{} [%out+{}], %d{i};\n", register_bits(c), 8 * i);
    }
    text + "ret;\n}\n"
}

#[test]
fn products_of_matrices_are_those_of_three_loops() {
    for form @ (m, k, ta, tb, tc) in FORMS {
        let mut random = Random(k as u64);
        // Small whole numbers are exact in every type; unsigned ones are not negative.
        let mut draw = |ty: &str, n: usize| -> Vec<i32> {
            (0..n).map(|_| (random.next() >> 32) as i32 % 4).map(|x| if ty == "u8" { x.abs() } else { x }).collect()
        };
        let (a, b, c) = (draw(ta, m * k), draw(tb, k * 8), draw(tc, m * 8));
        let mut input = Vec::new();
        for lane in 0..32 {
            let mut words = registers(count(m * k, ta), ta, |r, e| {
                let (row, step) = factor_place(ta, m, lane, r, e);
                a[row * k + step]
            });
            words.resize(8, 0);
            words.extend(registers(count(k * 8, tb), tb, |r, e| {
                let (column, step) = factor_place(tb, 8, lane, r, e);
                b[step * 8 + column]
            }));
            words.resize(12, 0);
            words.extend(registers(count(m * 8, tc), tc, |r, e| {
                let (row, column) = sum_place(tc, lane, r, e);
                c[row * 8 + column]
            }));
            words.resize(16, 0);
            input.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let settings = Settings { checks: Checks::ALL, compute_capability: (9, 0), ..Settings::default() };
        let device = Device::new(settings, &kernel(form));
        let (source, target) = (device.buffer(&input, input.len()), device.buffer(&[0; 1024], 1024));
        let parameters = [source.to_le_bytes(), target.to_le_bytes()].concat();
        device.launch("k", [1, 1, 1], [32, 1, 1], parameters, order(0, 1)).unwrap();
        let output = device.read((target, 1024));
        for lane in 0..32 {
            let expected = registers(count(m * 8, tc), tc, |r, e| {
                let (row, column) = sum_place(tc, lane, r, e);
                c[row * 8 + column] + (0..k).map(|step| a[row * k + step] * b[step * 8 + column]).sum::<i32>()
            });
            for (r, expected) in expected.into_iter().enumerate() {
                let at = 32 * lane + 8 * r;
                let got = u64::from_le_bytes(output[at..at + 8].try_into().unwrap());
                assert_eq!(got, expected, "{form:?}, lane {lane}, register {r}: {got:x}, not {expected:x}");
            }
        }
        assert!(device.machine.reporter.take().is_empty(), "{form:?}");
    }
}
