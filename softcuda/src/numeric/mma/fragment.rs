//! How matrices lie in the registers of a warp.
//!
//! A register of `a` or `b` holds consecutive `k`: lane `4g + t` has those from `t` times their number on, of row (of `a`)
//! or column (of `b`) `g`. Further registers cover first the rows from 8 on, then the next `k`. An accumulator has
//! columns `2t` and `2t + 1` of row `g`, then of row `g + 8`.

use super::super::Rounding;
use super::super::convert::{bf16_to_f32, f16_to_f32, f64_to_f16};
use super::super::float::{canonical32, canonical64};
use super::variant::{Accumulator, Element, Variant};
use super::{MAX_RESULT_REGISTERS, Register};

const MAX_M: usize = 16;
const MAX_K: usize = 32;
const N: usize = 8;

/// A row of the result.
pub(super) type Accumulators = [f64; N];

/// The elements of a register, by lane.
fn unpack(element: Element, registers: &[Register], register: usize, lane: usize) -> [f64; 4] {
    let word = |i: usize| registers[i][lane];
    let halves = |to_f32: fn(u16) -> f32| {
        let x = word(register);
        [to_f32(x as u16).into(), to_f32((x >> 16) as u16).into(), 0.0, 0.0]
    };
    match element {
        Element::Tf32 => [f32::from_bits(word(register) & !0x1fff).into(), 0.0, 0.0, 0.0],
        Element::F16 => halves(f16_to_f32),
        Element::Bf16 => halves(bf16_to_f32),
        Element::F64 => [double(word(2 * register), word(2 * register + 1)), 0.0, 0.0, 0.0],
        Element::S8 => word(register).to_le_bytes().map(|byte| f64::from(byte as i8)),
        Element::U8 => word(register).to_le_bytes().map(f64::from),
    }
}

fn double(low: u32, high: u32) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

/// The matrix `a`, by row.
pub(super) fn load_a(variant: &Variant, registers: &[Register]) -> [[f64; MAX_K]; MAX_M] {
    let mut matrix = [[0.0; MAX_K]; MAX_M];
    let (per, halves) = (variant.a().per_register(), variant.shape().m / 8);
    for register in 0..variant.shape().m * variant.shape().k / 32 / per {
        for lane in 0..32 {
            let row = lane / 4 + 8 * (register % halves);
            let k = (register / halves * 4 + lane % 4) * per;
            let elements = unpack(variant.a(), registers, register, lane);
            matrix[row][k..k + per].copy_from_slice(&elements[..per]);
        }
    }
    matrix
}

/// The matrix `b`, by row, that is by `k`.
pub(super) fn load_b(variant: &Variant, registers: &[Register]) -> [[f64; N]; MAX_K] {
    let mut matrix = [[0.0; N]; MAX_K];
    let per = variant.b().per_register();
    for register in 0..N * variant.shape().k / 32 / per {
        for lane in 0..32 {
            let k = (register * 4 + lane % 4) * per;
            let elements = unpack(variant.b(), registers, register, lane);
            for (row, element) in matrix[k..k + per].iter_mut().zip(elements) {
                row[lane / 4] = element;
            }
        }
    }
    matrix
}

/// The addend, by row.
pub(super) fn load_accumulators(variant: &Variant, registers: &[Register]) -> [Accumulators; MAX_M] {
    let mut matrix = [[0.0; N]; MAX_M];
    for half in 0..variant.shape().m / 8 {
        for lane in 0..32 {
            let word = |i: usize| registers[i][lane];
            let first = 2 * half;
            let pair = match variant.accumulator() {
                Accumulator::F16 => [word(half) as u16, (word(half) >> 16) as u16].map(|x| f16_to_f32(x).into()),
                Accumulator::F32 => [first, first + 1].map(|i| f32::from_bits(word(i)).into()),
                Accumulator::F64 => [first, first + 1].map(|i| double(word(2 * i), word(2 * i + 1))),
                Accumulator::S32 => [first, first + 1].map(|i| f64::from(word(i) as i32)),
            };
            matrix[lane / 4 + 8 * half][lane % 4 * 2..][..2].copy_from_slice(&pair);
        }
    }
    matrix
}

/// The result in its registers, rounded to its format.
pub(super) fn store_accumulators(
    variant: &Variant,
    matrix: &[Accumulators; MAX_M],
) -> [Register; MAX_RESULT_REGISTERS] {
    let mut registers = [[0; 32]; MAX_RESULT_REGISTERS];
    for half in 0..variant.shape().m / 8 {
        for lane in 0..32 {
            let row = &matrix[lane / 4 + 8 * half];
            let pair = [row[lane % 4 * 2], row[lane % 4 * 2 + 1]];
            match variant.accumulator() {
                Accumulator::F16 => {
                    let [low, high] = pair.map(|x| u32::from(f64_to_f16(x, Rounding::NearestEven)));
                    registers[half][lane] = high << 16 | low;
                }
                Accumulator::F64 => {
                    for (i, bits) in pair.map(|x| canonical64(x).to_bits()).into_iter().enumerate() {
                        registers[4 * half + 2 * i][lane] = bits as u32;
                        registers[4 * half + 2 * i + 1][lane] = (bits >> 32) as u32;
                    }
                }
                narrow => {
                    for (i, x) in pair.into_iter().enumerate() {
                        registers[2 * half + i][lane] = word(narrow, variant.saturates(), x);
                    }
                }
            }
        }
    }
    registers
}

/// An element of one 32-bit register.
fn word(accumulator: Accumulator, saturate: bool, x: f64) -> u32 {
    match accumulator {
        Accumulator::S32 if saturate => x as i32 as u32,
        Accumulator::S32 => x as i64 as u32,
        _ => canonical32(x as f32).to_bits(),
    }
}
