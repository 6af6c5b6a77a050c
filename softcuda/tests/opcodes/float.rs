//! Arithmetic and conversions of floats: IEEE operations bit for bit against arbitrary-precision floats in every rounding
//! mode, approximate ones within the error that the PTX manual states.

use super::harness::{EDGES, EDGES32, Operands, Shape, check, exact, operands};
use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round, StatusAnd};

const ONE: Shape = Shape { from: &[32], to: 32 };
const TWO: Shape = Shape { from: &[32, 32], to: 32 };
const THREE: Shape = Shape { from: &[32, 32, 32], to: 32 };

const MODES: [(&str, Round); 4] = [
    ("rn", Round::NearestTiesToEven),
    ("rz", Round::TowardZero),
    ("rm", Round::TowardNegative),
    ("rp", Round::TowardPositive),
];

fn edges32() -> Vec<u64> {
    EDGES32.iter().map(|bits| u64::from(*bits)).collect()
}

fn edges64() -> Vec<u64> {
    let mut edges: Vec<u64> = EDGES32.iter().map(|bits| f64::from(f32::from_bits(*bits)).to_bits()).collect();
    edges.extend([1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0001]);
    edges
}

fn single(bits: u64) -> Single {
    Single::from_bits(u128::from(bits as u32))
}

fn double(bits: u64) -> Double {
    Double::from_bits(u128::from(bits))
}

/// The bits of a result of f32: any NaN is the canonical one.
fn bits32(value: Single) -> u64 {
    if value.is_nan() { 0x7FFF_FFFF } else { value.to_bits() as u64 }
}

/// Subnormals become zeros of their sign.
fn flushed(bits: u64) -> u64 {
    if f32::from_bits(bits as u32).is_subnormal() { bits & 0x8000_0000 } else { bits & 0xFFFF_FFFF }
}

type Binary<F> = fn(F, F, Round) -> StatusAnd<F>;

#[test]
fn sums_products_and_quotients_of_f32_round_once() {
    let cases: [(&str, Binary<Single>); 4] = [
        ("add", |a, b, mode| a.add_r(b, mode)),
        ("sub", |a, b, mode| a.sub_r(b, mode)),
        ("mul", |a, b, mode| a.mul_r(b, mode)),
        ("div", |a, b, mode| a.div_r(b, mode)),
    ];
    for (opcode, model) in cases {
        for (mode, round) in MODES {
            let two = operands(&edges32(), 2);
            let plain = |a: u64, b: u64| bits32(model(single(a), single(b), round).value);
            exact(&format!("{opcode}.{mode}.f32 %d, %a, %b;"), TWO, &two, |[a, b, ..]| plain(a, b));
            exact(&format!("{opcode}.{mode}.ftz.f32 %d, %a, %b;"), TWO, &two, |[a, b, ..]| {
                flushed(plain(flushed(a), flushed(b)))
            });
            if opcode != "div" {
                exact(&format!("{opcode}.{mode}.sat.f32 %d, %a, %b;"), TWO, &two, |[a, b, ..]| {
                    let value = f32::from_bits(plain(a, b) as u32);
                    u64::from(if value.is_nan() || value <= 0.0 { 0 } else { value.min(1.0).to_bits() })
                });
            }
        }
    }
    for (mode, round) in MODES {
        exact(&format!("fma.{mode}.f32 %d, %a, %b, %c;"), THREE, &operands(&edges32(), 3), |[a, b, c, _]| {
            bits32(single(a).mul_add_r(single(b), single(c), round).value)
        });
        exact(&format!("rcp.{mode}.f32 %d, %a;"), ONE, &operands(&edges32(), 1), |[a, ..]| {
            bits32(single(u64::from(1f32.to_bits())).div_r(single(a), round).value)
        });
    }
}

#[test]
fn sums_products_and_quotients_of_f64_round_once() {
    let shape = Shape { from: &[64, 64, 64], to: 64 };
    let same = |expected: Double, result: u64| {
        let equal =
            if expected.is_nan() { f64::from_bits(result).is_nan() } else { expected.to_bits() as u64 == result };
        if equal { Ok(()) } else { Err(format!("{:x}", expected.to_bits())) }
    };
    let cases: [(&str, Binary<Double>); 4] = [
        ("add", |a, b, mode| a.add_r(b, mode)),
        ("sub", |a, b, mode| a.sub_r(b, mode)),
        ("mul", |a, b, mode| a.mul_r(b, mode)),
        ("div", |a, b, mode| a.div_r(b, mode)),
    ];
    for (mode, round) in MODES {
        for (opcode, model) in cases {
            check(
                &format!("{opcode}.{mode}.f64 %d, %a, %b;"),
                shape,
                &operands(&edges64(), 2),
                |[a, b, ..], result| same(model(double(a), double(b), round).value, result),
            );
        }
        check(&format!("fma.{mode}.f64 %d, %a, %b, %c;"), shape, &operands(&edges64(), 3), |[a, b, c, _], result| {
            same(double(a).mul_add_r(double(b), double(c), round).value, result)
        });
    }
    check("sqrt.rn.f64 %d, %a;", Shape { from: &[64], to: 64 }, &operands(&edges64(), 1), |[a, ..], result| {
        same(double(f64::from_bits(a).sqrt().to_bits()), result)
    });
}

#[test]
fn square_roots_are_the_last_float_whose_square_does_not_pass() {
    for (mode, _) in MODES {
        check(&format!("sqrt.{mode}.f32 %d, %a;"), ONE, &operands(&edges32(), 1), |[a, ..], result| {
            let (x, root) = (f32::from_bits(a as u32), f32::from_bits(result as u32));
            // Squares of f32 are exact in f64, so neighbours can be told apart without rounding.
            let square = |r: f32| f64::from(r) * f64::from(r);
            let x64 = f64::from(x);
            let right = match mode {
                _ if x.is_nan() || x < 0.0 => result == 0x7FFF_FFFF,
                _ if x == 0.0 || x.is_infinite() => result == a & 0xFFFF_FFFF,
                "rn" => root == x64.sqrt() as f32,
                "rp" => square(root) >= x64 && square(root.next_down()) < x64,
                _ => square(root) <= x64 && square(root.next_up()) > x64,
            };
            if right { Ok(()) } else { Err(format!("the root of {x}, not {root}")) }
        });
    }
}

#[test]
fn minima_maxima_and_signs() {
    let less = |a: f32, b: f32| a < b || a == b && a.is_sign_negative();
    let choose = move |minimum: bool, nan: bool, a: u64, b: u64| {
        let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
        let chosen = match (x.is_nan(), y.is_nan()) {
            (true, true) => return 0x7FFF_FFFF,
            (true, false) | (false, true) if nan => return 0x7FFF_FFFF,
            (true, false) => y,
            (false, true) => x,
            _ if less(x, y) == minimum => x,
            _ => y,
        };
        u64::from(chosen.to_bits())
    };
    let two = operands(&edges32(), 2);
    for (opcode, minimum) in [("min", true), ("max", false)] {
        exact(&format!("{opcode}.f32 %d, %a, %b;"), TWO, &two, |[a, b, ..]| choose(minimum, false, a, b));
        exact(&format!("{opcode}.NaN.f32 %d, %a, %b;"), TWO, &two, |[a, b, ..]| choose(minimum, true, a, b));
    }
    exact("neg.f32 %d, %a;", ONE, &operands(&edges32(), 1), |[a, ..]| a ^ 0x8000_0000);
    exact("abs.f32 %d, %a;", ONE, &operands(&edges32(), 1), |[a, ..]| a & 0x7FFF_FFFF);
    exact("copysign.f32 %d, %a, %b;", TWO, &two, |[a, b, ..]| a & 0x8000_0000 | b & 0x7FFF_FFFF);
    let properties: [(&str, fn(f32) -> bool); 6] = [
        ("finite", f32::is_finite),
        ("infinite", f32::is_infinite),
        ("number", |x| !x.is_nan()),
        ("notanumber", f32::is_nan),
        ("normal", |x| x.is_normal() || x == 0.0),
        ("subnormal", f32::is_subnormal),
    ];
    for (name, holds) in properties {
        exact(
            &format!("testp.{name}.f32 %p, %a;\nselp.b32 %d, 1, 0, %p;"),
            ONE,
            &operands(&edges32(), 1),
            |[a, ..]| u64::from(holds(f32::from_bits(a as u32))),
        );
    }
}

/// Whether an approximation lies within a relative and an absolute error of the truth, and NaN where that is.
fn near(truth: f64, result: u64, relative: f64, absolute: f64) -> Result<(), String> {
    let value = f64::from(f32::from_bits(result as u32));
    let rounded = f64::from(truth as f32);
    let right = match () {
        () if truth.is_nan() => value.is_nan(),
        () if rounded.is_infinite() || value.is_infinite() => {
            value == rounded
                || (value.abs().max(rounded.abs()) >= f64::from(f32::MAX)
                    && value.abs().min(rounded.abs()) >= f64::from(f32::MAX))
        }
        () => (value - truth).abs() <= relative * truth.abs() + absolute,
    };
    if right { Ok(()) } else { Err(format!("{truth:e} within {relative:e} and {absolute:e}, not {value:e}")) }
}

#[test]
fn approximations_keep_the_errors_of_the_manual() {
    let unit = 2f64.powi(-23);
    // Half of the smallest subnormal: what any f32 may be off by near zero.
    let least = 2f64.powi(-149);
    let float = |bits: u64| f64::from(f32::from_bits(bits as u32));
    let moderate: Vec<Operands> =
        (0..4000).map(|i| [u64::from(((i as f32 - 2000.0) / 97.0).to_bits()), 0, 0, 0]).collect();
    let all = operands(&edges32(), 1);
    let cases: [(&str, fn(f64) -> f64, f64, f64, bool); 8] = [
        ("ex2.approx", f64::exp2, 2.0 * unit, 0.0, true),
        ("rcp.approx", |x| 1.0 / x, unit, 0.0, true),
        ("sqrt.approx", f64::sqrt, unit, 0.0, true),
        ("rsqrt.approx", |x| 1.0 / x.sqrt(), 2f64.powf(-22.9), 0.0, true),
        ("lg2.approx", f64::log2, 2f64.powi(-22), 2f64.powf(-22.6), true),
        ("sin.approx", f64::sin, 0.0, 2f64.powf(-20.9), false),
        ("cos.approx", f64::cos, 0.0, 2f64.powf(-20.9), false),
        ("tanh.approx", f64::tanh, 2f64.powf(-10.987), 0.0, true),
    ];
    for (name, truth, relative, absolute, everywhere) in cases {
        let inputs = if everywhere { all.iter().chain(&moderate).copied().collect() } else { moderate.clone() };
        check(&format!("{name}.f32 %d, %a;"), ONE, &inputs, |[a, ..], result| {
            near(truth(float(a)), result, relative, absolute + least)
        });
    }
    for name in ["div.approx", "div.full"] {
        let pairs: Vec<Operands> =
            moderate.iter().zip(moderate.iter().rev()).map(|(a, b)| [a[0], b[0] ^ 1, 0, 0]).collect();
        check(&format!("{name}.f32 %d, %a, %b;"), TWO, &pairs, |[a, b, ..], result| {
            near(float(a) / float(b), result, 2.0 * unit, least)
        });
    }
}

#[test]
fn numbers_are_converted_between_floats() {
    let f64s = operands(&edges64(), 1);
    let f32s = operands(&edges32(), 1);
    for (mode, round) in MODES {
        exact(&format!("cvt.{mode}.f32.f64 %d, %a;"), Shape { from: &[64], to: 32 }, &f64s, |[a, ..]| {
            let value: StatusAnd<Single> = double(a).convert_r(round, &mut false);
            bits32(value.value)
        });
        exact(&format!("cvt.{mode}.f16.f32 %d, %a;"), Shape { from: &[32], to: 16 }, &f32s, |[a, ..]| {
            let value: StatusAnd<Half> = single(a).convert_r(round, &mut false);
            if value.value.is_nan() { 0x7FFF } else { value.value.to_bits() as u64 }
        });
    }
    exact("cvt.f64.f32 %d, %a;", Shape { from: &[32], to: 64 }, &f32s, |[a, ..]| {
        let value = f64::from(f32::from_bits(a as u32));
        if value.is_nan() { 0x7FF8_0000_0000_0000 } else { value.to_bits() }
    });
    exact("cvt.rn.bf16.f32 %d, %a;", Shape { from: &[32], to: 16 }, &f32s, |[a, ..]| {
        let value: StatusAnd<BFloat> = single(a).convert_r(Round::NearestTiesToEven, &mut false);
        if value.value.is_nan() { 0x7FFF } else { value.value.to_bits() as u64 }
    });
    exact("cvt.f32.f16 %d, %b;", Shape { from: &[32, 16], to: 32 }, &operands(&EDGES, 2), |[_, b, ..]| {
        let value: StatusAnd<Single> =
            Half::from_bits(u128::from(b as u16)).convert_r(Round::NearestTiesToEven, &mut false);
        bits32(value.value)
    });
    // tf32 keeps 10 bits of the significand; ties go away from zero.
    exact("cvt.rna.tf32.f32 %d, %a;", ONE, &f32s, |[a, ..]| {
        let bits = a & 0xFFFF_FFFF;
        match f32::from_bits(bits as u32) {
            x if x.is_nan() => 0x7FFF_FFFF,
            x if x.is_infinite() => bits,
            _ => (bits + 0x1000) & !0x1FFF,
        }
    });
    exact("cvt.sat.f32.f32 %d, %a;", ONE, &f32s, |[a, ..]| {
        let value = f32::from_bits(a as u32);
        u64::from(if value.is_nan() || value <= 0.0 { 0 } else { value.min(1.0).to_bits() })
    });
}

#[test]
fn numbers_are_converted_between_floats_and_integers() {
    let f32s = operands(&edges32(), 1);
    let roundings: [(&str, fn(f64) -> f64); 4] =
        [("rni", f64::round_ties_even), ("rzi", f64::trunc), ("rmi", f64::floor), ("rpi", f64::ceil)];
    for (mode, round) in roundings {
        for (ty, low, high) in [("s32", -2147483648.0, 2147483647.0), ("u32", 0.0, 4294967295.0)] {
            exact(&format!("cvt.{mode}.{ty}.f32 %d, %a;"), ONE, &f32s, |[a, ..]| {
                let value = f64::from(f32::from_bits(a as u32));
                if value.is_nan() { 0 } else { round(value).clamp(low, high) as i64 as u64 }
            });
        }
        exact(&format!("cvt.{mode}.f32.f32 %d, %a;"), ONE, &f32s, |[a, ..]| {
            let value = f32::from_bits(a as u32);
            if value.is_nan() { 0x7FFF_FFFF } else { u64::from((round(f64::from(value)) as f32).to_bits()) }
        });
        exact(
            &format!("cvt.{mode}.s64.f64 %d, %a;"),
            Shape { from: &[64], to: 64 },
            &operands(&edges64(), 1),
            |[a, ..]| {
                let value = f64::from_bits(a);
                if value.is_nan() { 1 << 63 } else { round(value) as i64 as u64 }
            },
        );
    }
    for (mode, round) in MODES {
        let to = |value: i128| bits32(Single::from_i128_r(value, round).value);
        let ints = operands(&EDGES, 1);
        exact(&format!("cvt.{mode}.f32.s32 %d, %a;"), ONE, &ints, |[a, ..]| to(i128::from(a as i32)));
        exact(&format!("cvt.{mode}.f32.u32 %d, %a;"), ONE, &ints, |[a, ..]| to(i128::from(a as u32)));
        exact(&format!("cvt.{mode}.f32.s64 %d, %a;"), Shape { from: &[64], to: 32 }, &ints, |[a, ..]| {
            to(i128::from(a as i64))
        });
        exact(&format!("cvt.{mode}.f32.u64 %d, %a;"), Shape { from: &[64], to: 32 }, &ints, |[a, ..]| {
            to(i128::from(a))
        });
        exact(&format!("cvt.{mode}.f64.u64 %d, %a;"), Shape { from: &[64], to: 64 }, &ints, |[a, ..]| {
            Double::from_i128_r(i128::from(a), round).value.to_bits() as u64
        });
    }
}

#[test]
fn integers_are_converted_by_wrapping_or_saturating() {
    let ints = operands(&EDGES, 1);
    exact("cvt.s32.s64 %d, %a;", Shape { from: &[64], to: 32 }, &ints, |[a, ..]| a);
    exact("cvt.s64.s32 %d, %a;", Shape { from: &[32], to: 64 }, &ints, |[a, ..]| a as i32 as u64);
    exact("cvt.s32.s8 %d, %a;", ONE, &ints, |[a, ..]| a as i8 as u64);
    exact("cvt.u32.u16 %d, %b;", Shape { from: &[32, 16], to: 32 }, &operands(&EDGES, 2), |[_, b, ..]| b & 0xFFFF);
    exact("cvt.sat.s32.s64 %d, %a;", Shape { from: &[64], to: 32 }, &ints, |[a, ..]| {
        (a as i64).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u64
    });
    exact("cvt.sat.u8.s32 %d, %a;", ONE, &ints, |[a, ..]| (a as i32).clamp(0, 255) as u64);
    exact("cvt.sat.u32.s32 %d, %a;", ONE, &ints, |[a, ..]| (a as i32).max(0) as u64);
}

#[test]
fn halves_round_once_alone_and_in_pairs() {
    let half = |bits: u64| Half::from_bits(u128::from(bits as u16));
    let brain = |bits: u64| BFloat::from_bits(u128::from(bits as u16));
    let bits16 = |nan: bool, bits: u128| if nan { 0x7FFF } else { bits as u64 };
    let round = Round::NearestTiesToEven;
    let edges: Vec<u64> = [
        0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x3C01, 0x3F80, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x7F7F,
        0x4248,
    ]
    .into();
    let shape = Shape { from: &[16, 16, 16], to: 16 };
    let pair = Shape { from: &[32, 32, 32], to: 32 };
    let three: Vec<Operands> =
        operands(&edges, 3).into_iter().map(|ops| ops.map(|x| x & 0xFFFF | (x * 7 & 0xFFFF) << 16)).collect();
    macro_rules! hold {
        ($ty:literal, $of:ident, $opcode:literal, $list:literal, $model:expr) => {{
            let one = |x: u64, y: u64, z: u64| {
                let model: fn(_, _, _, Round) -> _ = $model;
                let value = model($of(x), $of(y), $of(z), round);
                bits16(value.is_nan(), value.to_bits())
            };
            exact(concat!($opcode, ".", $ty, " %d, ", $list, ";"), shape, &three, |[a, b, c, _]| one(a, b, c));
            exact(concat!($opcode, ".", $ty, "x2 %d, ", $list, ";"), pair, &three, |[a, b, c, _]| {
                one(a, b, c) | one(a >> 16, b >> 16, c >> 16) << 16
            });
        }};
    }
    hold!("f16", half, "add", "%a, %b", |a: Half, b: Half, _: Half, r| a.add_r(b, r).value);
    hold!("f16", half, "sub", "%a, %b", |a: Half, b: Half, _: Half, r| a.sub_r(b, r).value);
    hold!("f16", half, "mul", "%a, %b", |a: Half, b: Half, _: Half, r| a.mul_r(b, r).value);
    hold!("f16", half, "fma.rn", "%a, %b, %c", |a: Half, b: Half, c: Half, r| a.mul_add_r(b, c, r).value);
    hold!("bf16", brain, "add.rn", "%a, %b", |a: BFloat, b: BFloat, _: BFloat, r| a.add_r(b, r).value);
    hold!("bf16", brain, "mul.rn", "%a, %b", |a: BFloat, b: BFloat, _: BFloat, r| a.mul_r(b, r).value);
    hold!("bf16", brain, "fma.rn", "%a, %b, %c", |a: BFloat, b: BFloat, c: BFloat, r| a.mul_add_r(b, c, r).value);
}
