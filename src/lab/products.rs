//! Products of matrices as cases.

use super::case::{Case, Compared, Contents, Expected, Launch, Number, Work};
use super::cases::uniform;
use super::staircase::{Step, StepLaunch};
use crate::backend::Precision;
use crate::backend::cuda::Argument;
use crate::backend::cuda::gemm::{Product, Size};

/// Rounding that an f32 sum of products of this magnitude explains, in units of it: a few of f32's last place, times the root of
/// the number of terms, for at most [`MOST_TERMS`] of them.
const ROUNDING: f64 = 1e-6;

/// Terms of a sum up to which [`ROUNDING`] holds.
pub const MOST_TERMS: usize = 1 << 16;

/// C = A B as a step of the staircase multiplies it, with A `[m, k]` and B `[k, n]`, both uniform in [-1, 1).
pub fn case(name: &'static str, step: Step, size: Size) -> Case {
    let launched = step.launch(size);
    let operands = Operands::new(precision(step), size);
    let (values, allowed) = operands.product();
    let expected =
        Expected { what: "C", buffer: 2, offset: 0, number: Number::F32, compared: Compared::Each, values, allowed };
    let buffers = operands.buffers(&launched);
    Case { name, buffers, launches: vec![launch(launched, size)], expected: vec![expected], work: work(size) }
}

/// The matrices that are multiplied.
struct Operands {
    size: Size,
    precision: Precision,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Operands {
    fn new(precision: Precision, size: Size) -> Self {
        let Size { m, n, k } = size;
        Self { size, precision, a: uniform(1, m * k), b: uniform(2, k * n) }
    }

    /// The product in float64 of what the operands are rounded to, and how far off each element may be.
    fn product(&self) -> (Vec<f64>, Vec<f64>) {
        let factors = [&self.a, &self.b]
            .map(|operand| -> Vec<f64> { operand.iter().map(|x| rounded(self.precision, *x)).collect() });
        let magnitudes = factors.each_ref().map(|operand| operand.iter().map(|x| x.abs()).collect::<Vec<_>>());
        let sums = multiply(&magnitudes[0], &magnitudes[1], self.size);
        let allowed = sums.into_iter().map(|sum| ROUNDING * (1.0 + sum)).collect();
        (multiply(&factors[0], &factors[1], self.size), allowed)
    }

    /// A, B, C, and what a split product needs beside them.
    fn buffers(&self, launched: &StepLaunch) -> Vec<Contents> {
        vec![
            Contents::of(&self.a),
            Contents::of(&self.b),
            Contents::room::<f32>(self.size.m * self.size.n),
            Contents::room::<f32>(launched.workspace),
            Contents::Zeros(launched.tickets * size_of::<u32>()),
        ]
    }
}

fn launch(launched: StepLaunch, size: Size) -> Launch {
    let StepLaunch { source, entry, grid, block, splits, .. } = launched;
    let arguments = move |addresses: &[u64]| {
        let &[a, b, c, workspace, tickets] = addresses else { unreachable!("a product has five buffers") };
        // Extents are checked to be at most those of an i32.
        let [m, n, k] = [size.m, size.n, size.k].map(|extent| extent as i32);
        let splits = splits as i32;
        vec![Argument::new(&Product { a, b, c, workspace, tickets, m, n, k, splits, ..Product::default() })]
    };
    Launch { source, entry, grid, block, arguments: Box::new(arguments) }
}

/// 2 m n k FLOP; both operands read and C written once.
fn work(Size { m, n, k }: Size) -> Work {
    let [m, n, k] = [m, n, k].map(|extent| extent as f64);
    Work { flop: 2.0 * m * n * k, bytes: 4.0 * (m * k + k * n + m * n) }
}

/// What a step rounds its operands to.
fn precision(step: Step) -> Precision {
    match step {
        Step::Tf32 => Precision::Tf32,
        Step::Bf16 => Precision::Bf16,
        _ => Precision::Fp32,
    }
}

/// What tensor cores make of an operand: tf32 has 10 bits of fraction, halves away from zero; bf16 has 7, halves to even.
fn rounded(precision: Precision, x: f32) -> f64 {
    let bits = x.to_bits();
    let bits = match precision {
        Precision::Fp32 => bits,
        Precision::Tf32 => (bits + (1 << 12)) & !((1 << 13) - 1),
        Precision::Bf16 => (bits + 0x7fff + (bits >> 16 & 1)) & !0xffff,
    };
    f64::from(f32::from_bits(bits))
}

/// A B in float64.
fn multiply(a: &[f64], b: &[f64], Size { m, n, k }: Size) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    let (n_stride, k_stride) = (n as isize, k as isize);
    let parallelism = gemm::Parallelism::None;
    // SAFETY: c is [m, n], a [m, k] and b [k, n], all dense and row-major, and c overlaps with neither.
    unsafe {
        let (to, a, b) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        gemm::gemm(
            m,
            n,
            k,
            to,
            1,
            n_stride,
            false,
            a,
            1,
            k_stride,
            b,
            1,
            n_stride,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_float64_product_is_that_of_the_definition() {
        let size = Size { m: 3, n: 5, k: 7 };
        let values = |count: usize| -> Vec<f64> { (0..count).map(|i| (i * 5 % 11) as f64 - 5.0).collect() };
        let (a, b) = (values(21), values(35));
        let c = multiply(&a, &b, size);
        for (i, j) in (0..3).flat_map(|i| (0..5).map(move |j| (i, j))) {
            let sum: f64 = (0..7).map(|k| a[i * 7 + k] * b[k * 5 + j]).sum();
            assert_eq!(c[i * 5 + j], sum);
        }
    }

    #[test]
    fn operands_are_rounded_as_tensor_cores_do() {
        let next = |bits: u32| f32::from_bits(1.0f32.to_bits() + bits);
        assert_eq!(rounded(Precision::Fp32, next(1)), f64::from(next(1)));
        assert_eq!(rounded(Precision::Tf32, next(1 << 12)), f64::from(next(1 << 13)), "halves away from zero");
        assert_eq!(rounded(Precision::Bf16, next(1 << 15)), 1.0, "halves to even");
        assert_eq!(rounded(Precision::Bf16, next(3 << 15)), f64::from(next(2 << 16)));
    }
}
