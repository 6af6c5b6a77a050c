//! Integer arithmetic, bits and fields, against 128-bit numbers and loops over bits.

use super::harness::{EDGES, Operands, Shape, exact, operands};

/// The value of the lowest `bits` bits.
fn value(bits: u32, signed: bool, operand: u64) -> i128 {
    let unsigned = i128::from(operand) & ((1 << bits) - 1);
    if signed && unsigned >> (bits - 1) & 1 == 1 { unsigned - (1 << bits) } else { unsigned }
}

fn shape(bits: u32, count: usize) -> Shape {
    let from: &[u32] = match bits {
        16 => &[16; 4],
        32 => &[32; 4],
        _ => &[64; 4],
    };
    Shape { from: &from[..count], to: bits }
}

/// All integer types: suffix, bits, signedness.
const TYPES: [(&str, u32, bool); 6] = [
    ("u16", 16, false),
    ("s16", 16, true),
    ("u32", 32, false),
    ("s32", 32, true),
    ("u64", 64, false),
    ("s64", 64, true),
];

type Model = fn(i128, i128, i128) -> i128;

#[test]
fn sums_products_and_selections() {
    let cases: [(&str, usize, Model); 7] = [
        ("add", 2, |a, b, _| a + b),
        ("sub", 2, |a, b, _| a - b),
        ("mul.lo", 2, |a, b, _| a.wrapping_mul(b)),
        ("min", 2, |a, b, _| a.min(b)),
        ("max", 2, |a, b, _| a.max(b)),
        ("mad.lo", 3, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
        ("sad", 3, |a, b, c| c + (a - b).abs()),
    ];
    for (opcode, count, model) in cases {
        for (ty, bits, signed) in TYPES {
            let list = ["%a", "%b", "%c"][..count].join(", ");
            let body = format!("{opcode}.{ty} %d, {list};");
            exact(&body, shape(bits, count), &operands(&EDGES, count), |[a, b, c, _]| {
                let of = |x| value(bits, signed, x);
                model(of(a), of(b), of(c)) as u64
            });
        }
    }
}

#[test]
fn upper_halves_and_wide_products() {
    for (ty, bits, signed) in TYPES {
        let of = move |x| value(bits, signed, x);
        let product =
            move |a, b| if bits == 64 && !signed { (of(a) as u128 * of(b) as u128) as i128 } else { of(a) * of(b) };
        let high = move |a, b| if signed { product(a, b) >> bits } else { (product(a, b) as u128 >> bits) as i128 };
        exact(&format!("mul.hi.{ty} %d, %a, %b;"), shape(bits, 2), &operands(&EDGES, 2), |[a, b, ..]| {
            high(a, b) as u64
        });
        exact(&format!("mad.hi.{ty} %d, %a, %b, %c;"), shape(bits, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
            high(a, b).wrapping_add(of(c)) as u64
        });
        if bits == 64 {
            continue;
        }
        let wide =
            if bits == 16 { Shape { from: &[16, 16, 32], to: 32 } } else { Shape { from: &[32, 32, 64], to: 64 } };
        let two = Shape { from: &wide.from[..2], ..wide };
        exact(&format!("mul.wide.{ty} %d, %a, %b;"), two, &operands(&EDGES, 2), |[a, b, ..]| product(a, b) as u64);
        exact(&format!("mad.wide.{ty} %d, %a, %b, %c;"), wide, &operands(&EDGES, 3), |[a, b, c, _]| {
            product(a, b).wrapping_add(i128::from(c)) as u64
        });
    }
}

#[test]
fn quotients_and_remainders_and_what_division_by_zero_gives() {
    for (ty, bits, signed) in TYPES {
        let of = move |x| value(bits, signed, x);
        exact(&format!("div.{ty} %d, %a, %b;"), shape(bits, 2), &operands(&EDGES, 2), |[a, b, ..]| match of(b) {
            0 => u64::MAX,
            divisor => (of(a) / divisor) as u64,
        });
        exact(&format!("rem.{ty} %d, %a, %b;"), shape(bits, 2), &operands(&EDGES, 2), |[a, b, ..]| match of(b) {
            0 => of(a) as u64,
            divisor => (of(a) % divisor) as u64,
        });
    }
}

#[test]
fn saturating_and_24_bit_arithmetic() {
    let clamp = |x: i128| x.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as u64;
    let of = |x| value(32, true, x);
    exact("add.sat.s32 %d, %a, %b;", shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]| clamp(of(a) + of(b)));
    exact("sub.sat.s32 %d, %a, %b;", shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]| clamp(of(a) - of(b)));
    exact("mad.hi.sat.s32 %d, %a, %b, %c;", shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
        clamp((of(a) * of(b) >> 32) + of(c))
    });
    for (ty, signed) in [("u32", false), ("s32", true)] {
        let of = move |x| value(24, signed, x);
        let product = move |a, b| of(a) * of(b);
        exact(&format!("mul24.lo.{ty} %d, %a, %b;"), shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]| {
            product(a, b) as u64
        });
        exact(&format!("mul24.hi.{ty} %d, %a, %b;"), shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]| {
            (product(a, b) >> 16) as u64
        });
        exact(&format!("mad24.lo.{ty} %d, %a, %b, %c;"), shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
            (product(a, b) as u64).wrapping_add(c)
        });
    }
}

#[test]
fn signs_and_bitwise_logic() {
    for (ty, bits, _) in TYPES.into_iter().filter(|(_, _, signed)| *signed) {
        let of = move |x| value(bits, true, x);
        exact(&format!("neg.{ty} %d, %a;"), shape(bits, 1), &operands(&EDGES, 1), |[a, ..]| -of(a) as u64);
        exact(&format!("abs.{ty} %d, %a;"), shape(bits, 1), &operands(&EDGES, 1), |[a, ..]| {
            of(a).unsigned_abs() as u64
        });
    }
    for bits in [16, 32, 64] {
        let two = operands(&EDGES, 2);
        exact(&format!("and.b{bits} %d, %a, %b;"), shape(bits, 2), &two, |[a, b, ..]| a & b);
        exact(&format!("or.b{bits} %d, %a, %b;"), shape(bits, 2), &two, |[a, b, ..]| a | b);
        exact(&format!("xor.b{bits} %d, %a, %b;"), shape(bits, 2), &two, |[a, b, ..]| a ^ b);
        exact(&format!("not.b{bits} %d, %a;"), shape(bits, 1), &operands(&EDGES, 1), |[a, ..]| !a);
        exact(&format!("cnot.b{bits} %d, %a;"), shape(bits, 1), &operands(&EDGES, 1), move |[a, ..]| {
            u64::from(value(bits, false, a) == 0)
        });
    }
    for table in [0u64, 0x80, 0xE8, 0x96, 0x1D, 0xFF] {
        exact(&format!("lop3.b32 %d, %a, %b, %c, {table};"), shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
            (0..32)
                .fold(0, |d, bit| d | (table >> ((a >> bit & 1) << 2 | (b >> bit & 1) << 1 | c >> bit & 1) & 1) << bit)
        });
    }
}

#[test]
fn shifts_beyond_the_width_leave_zeros_or_signs() {
    for (bits, from) in [(16, &[16, 32][..]), (32, &[32, 32]), (64, &[64, 32])] {
        let shape = Shape { from, to: bits };
        let by = |b: u64| (b & 0xFFFF_FFFF).min(127) as u32;
        let two = operands(&EDGES, 2);
        exact(&format!("shl.b{bits} %d, %a, %b;"), shape, &two, |[a, b, ..]| (u128::from(a) << by(b).min(64)) as u64);
        exact(&format!("shr.u{bits} %d, %a, %b;"), shape, &two, |[a, b, ..]| (value(bits, false, a) >> by(b)) as u64);
        exact(&format!("shr.s{bits} %d, %a, %b;"), shape, &two, |[a, b, ..]| (value(bits, true, a) >> by(b)) as u64);
    }
    for (mode, clamp) in [("wrap", false), ("clamp", true)] {
        let by = move |c: u64| if clamp { (c & 0xFFFF_FFFF).min(32) } else { c & 31 };
        let pair = |a: u64, b: u64| u128::from(b & 0xFFFF_FFFF) << 32 | u128::from(a & 0xFFFF_FFFF);
        let three = operands(&EDGES, 3);
        exact(&format!("shf.l.{mode}.b32 %d, %a, %b, %c;"), shape(32, 3), &three, |[a, b, c, _]| {
            (pair(a, b) << by(c) >> 32) as u64
        });
        exact(&format!("shf.r.{mode}.b32 %d, %a, %b, %c;"), shape(32, 3), &three, |[a, b, c, _]| {
            (pair(a, b) >> by(c)) as u64
        });
    }
}

/// Bit `bit` of a register, zero beyond its width.
fn bit(bits: u32, x: u64, bit: u64) -> u64 {
    if bit < u64::from(bits) { x >> bit & 1 } else { 0 }
}

#[test]
fn fields_are_taken_out_and_put_in() {
    for bits in [32u32, 64] {
        let shape = Shape { from: if bits == 32 { &[32, 32, 32] } else { &[64, 32, 32] }, to: bits };
        for signed in [false, true] {
            let body = format!("bfe.{}{bits} %d, %a, %b, %c;", if signed { 's' } else { 'u' });
            exact(&body, shape, &operands(&EDGES, 3), |[a, b, c, _]| {
                let (position, length) = (b & 255, c & 255);
                let last = (position + length).saturating_sub(1).min(u64::from(bits) - 1);
                let fill = if signed && length > 0 { bit(bits, a, last) } else { 0 };
                (0..u64::from(bits)).fold(0, |d, i| {
                    let inside = i < length && position + i < u64::from(bits);
                    d | (if inside { bit(bits, a, position + i) } else { fill }) << i
                })
            });
        }
        let four = Shape { from: if bits == 32 { &[32, 32, 32, 32] } else { &[64, 64, 32, 32] }, to: bits };
        exact(&format!("bfi.b{bits} %d, %a, %b, %c, %e;"), four, &operands(&EDGES, 4), |[a, b, c, e]| {
            let (position, length) = (c & 255, e & 255);
            (0..u64::from(bits)).fold(0, |d, i| {
                let inside = i >= position && i < position + length;
                d | (if inside { bit(bits, a, i - position) } else { bit(bits, b, i) }) << i
            })
        });
    }
}

#[test]
fn bits_are_counted_found_and_reversed() {
    for bits in [32u32, 64] {
        let to_word = Shape { from: if bits == 32 { &[32] } else { &[64] }, to: 32 };
        let one = operands(&EDGES, 1);
        let ones = move |x: u64| (0..u64::from(bits)).filter(move |i| bit(bits, x, *i) == 1);
        exact(&format!("popc.b{bits} %d, %a;"), to_word, &one, |[a, ..]| ones(a).count() as u64);
        exact(&format!("clz.b{bits} %d, %a;"), to_word, &one, |[a, ..]| {
            ones(a).next_back().map_or(u64::from(bits), |i| u64::from(bits) - 1 - i)
        });
        exact(&format!("brev.b{bits} %d, %a;"), shape(bits, 1), &one, |[a, ..]| {
            ones(a).fold(0, |d, i| d | 1 << (u64::from(bits) - 1 - i))
        });
        exact(&format!("bfind.u{bits} %d, %a;"), to_word, &one, |[a, ..]| ones(a).next_back().unwrap_or(u64::MAX));
        exact(&format!("bfind.shiftamt.u{bits} %d, %a;"), to_word, &one, |[a, ..]| {
            ones(a).next_back().map_or(u64::MAX, |i| u64::from(bits) - 1 - i)
        });
        exact(&format!("bfind.s{bits} %d, %a;"), to_word, &one, |[a, ..]| {
            let negative = bit(bits, a, u64::from(bits) - 1) == 1;
            ones(if negative { !a } else { a }).next_back().unwrap_or(u64::MAX)
        });
    }
}

#[test]
fn bytes_are_permuted_by_every_mode() {
    let byte = |a: u64, b: u64, index: u64| ((b & 0xFFFF_FFFF) << 32 | a & 0xFFFF_FFFF) >> (8 * (index & 7)) & 255;
    let modes: [(&str, fn(u64, u64) -> u64); 6] = [
        (".f4e", |n, i| n + i),
        (".b4e", |n, i| (n + 8 - i) % 8),
        (".rc8", |n, _| n),
        (".ecl", |n, i| n.max(i)),
        (".ecr", |n, i| n.min(i)),
        (".rc16", |n, i| n % 2 * 2 + i % 2),
    ];
    for (mode, index) in modes {
        exact(&format!("prmt.b32{mode} %d, %a, %b, %c;"), shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
            (0..4).fold(0, |d, i| d | byte(a, b, index(c & 3, i)) << (8 * i))
        });
    }
    exact("prmt.b32 %d, %a, %b, %c;", shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
        (0..4).fold(0, |d, i| {
            let selector = c >> (4 * i) & 15;
            let picked = byte(a, b, selector);
            let picked = if selector & 8 == 0 {
                picked
            } else if picked & 128 != 0 {
                255
            } else {
                0
            };
            d | picked << (8 * i)
        })
    });
}

#[test]
fn dot_products_of_bytes_and_halves() {
    for (ta, sa) in [("u32", false), ("s32", true)] {
        for (tb, sb) in [("u32", false), ("s32", true)] {
            let byte = |x: u64, i: u32, signed| value(8, signed, x >> (8 * i));
            exact(&format!("dp4a.{ta}.{tb} %d, %a, %b, %c;"), shape(32, 3), &operands(&EDGES, 3), |[a, b, c, _]| {
                ((0..4).map(|i| byte(a, i, sa) * byte(b, i, sb)).sum::<i128>() + i128::from(c)) as u64
            });
            for (half, first) in [("lo", 0), ("hi", 2)] {
                exact(
                    &format!("dp2a.{half}.{ta}.{tb} %d, %a, %b, %c;"),
                    shape(32, 3),
                    &operands(&EDGES, 3),
                    |[a, b, c, _]| {
                        let short = |i: u32| value(16, sa, a >> (16 * i));
                        ((0..2).map(|i| short(i) * byte(b, first + i, sb)).sum::<i128>() + i128::from(c)) as u64
                    },
                );
            }
        }
    }
}

#[test]
fn carries_run_through_a_chain() {
    let pair =
        |high: u64, low: u64, bits: u32| (value(bits, false, high) as u128) << bits | value(bits, false, low) as u128;
    for (bits, shape) in [(32u32, shape(32, 4)), (64, shape(64, 4))] {
        let upper = |x: u128| (x >> bits) as u64;
        let four = operands(&EDGES, 4);
        let chain = |first: &str, second: &str| format!("{first}.u{bits} %d, %a, %b;\n{second}.u{bits} %d, %c, %e;");
        exact(&chain("add.cc", "addc"), shape, &four, |[a, b, c, e]| {
            upper(pair(c, a, bits).wrapping_add(pair(e, b, bits)))
        });
        exact(&chain("sub.cc", "subc"), shape, &four, |[a, b, c, e]| {
            upper(pair(c, a, bits).wrapping_sub(pair(e, b, bits)))
        });
        let wide = format!("mad.lo.cc.u{bits} %d, %a, %b, %c;\nmadc.hi.u{bits} %d, %a, %b, %e;");
        exact(&wide, shape, &four, |[a, b, c, e]| {
            upper(
                (value(bits, false, a) as u128)
                    .wrapping_mul(value(bits, false, b) as u128)
                    .wrapping_add(pair(e, c, bits)),
            )
        });
    }
}

#[test]
fn masks_and_extensions() {
    for (mode, clamp) in [("wrap", false), ("clamp", true)] {
        let limit = move |x: u64| if clamp { (x & 0xFFFF_FFFF).min(32) } else { x & 31 };
        exact(&format!("bmsk.{mode}.b32 %d, %a, %b;"), shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]: Operands| {
            (0..32).filter(|i| (limit(a)..limit(a) + limit(b)).contains(i)).fold(0, |d, i| d | 1 << i)
        });
        exact(&format!("szext.{mode}.u32 %d, %a, %b;"), shape(32, 2), &operands(&EDGES, 2), |[a, b, ..]| {
            (0..limit(b)).fold(0, |d, i| d | (a >> i & 1) << i)
        });
    }
}
