//! Products of matrices as cases.

use super::case::{Case, Compared, Contents, Expected, Launch, Number, Work};
use super::cases::{leaky_relu_launch, uniform};
use super::staircase::{Step, StepLaunch};
use crate::backend::Precision;
use crate::backend::cuda::Argument;
use crate::backend::cuda::compile::Source;
use crate::backend::cuda::elementwise::BLOCK;
use crate::backend::cuda::gemm::{Epilogue, Family, Layout, Plan, Product, Size, Variant};

/// Rounding that an f32 sum explains, of the sum of its terms' magnitudes. Partial sums of random terms grow as the root of their
/// number, and so do the roundings, each a part of its partial sum: in all they grow with the number of terms, as this does.
const ROUNDING: f64 = 1e-6;

/// Terms of a sum up to which [`ROUNDING`] holds.
pub const MOST_TERMS: usize = 1 << 16;

/// C = A B as a step of the staircase multiplies it, with A `[m, k]` and B `[k, n]`, both uniform in [-1, 1).
pub fn case(name: &'static str, step: Step, size: Size) -> Case {
    let launched = step.launch(size);
    let operands = Operands::new(precision(step), size);
    let (values, allowed) = operands.product();
    let buffers = operands.buffers(&launched);
    let expected = vec![c(values, allowed)];
    Case { name, buffers, launches: vec![launch(launched, size)], expected, work: work(size) }
}

/// LeakyReLU(A B + bias) by three launches: the product, the bias, the activation, each of them over all of C.
pub fn separate(name: &'static str, size: Size) -> Case {
    let launched = Step::SplitK.launch(size);
    let count = size.m * size.n;
    layer(name, size, launched, vec![add_bias_launch([BIAS, C], size), leaky_relu_launch([C, C], count)])
}

/// LeakyReLU(A B + bias) by one launch.
pub fn fused(name: &'static str, size: Size) -> Case {
    let plan = Plan::new(Family::SplitK, size, Layout::Nn, Epilogue::BiasLeakyRelu);
    let aligned = size.is_aligned(Layout::Nn);
    let variant = Variant { family: Family::SplitK, aligned, first: plan.form, second: None };
    let source = Source { file: variant.file(), defines: variant.defines() };
    let launched = StepLaunch {
        source,
        entry: variant.entry(),
        grid: plan.blocks,
        block: variant.block(),
        plan: Some(plan),
        aligned,
        splits: plan.splits,
        workspace: plan.workspace(),
        tickets: plan.tickets(),
    };
    layer(name, size, launched, Vec::new())
}

/// LeakyReLU(A B + bias) by a product and what follows it.
fn layer(name: &'static str, size: Size, launched: StepLaunch, rest: Vec<Launch>) -> Case {
    let operands = Operands::new(Precision::Fp32, size);
    let bias = uniform(3, size.n);
    let (mut values, mut allowed) = operands.product();
    for (index, (value, allowed)) in values.iter_mut().zip(&mut allowed).enumerate() {
        let bias = f64::from(bias[index % size.n]);
        let sum = *value + bias;
        *value = if sum > 0.0 { sum } else { 0.2 * sum };
        *allowed += ROUNDING * bias.abs();
    }
    let mut buffers = operands.buffers(&launched);
    buffers.push(Contents::of(&bias));
    let (elements, Work { flop, bytes }) = ((size.m * size.n) as f64, work(size));
    let work = Work { flop: flop + 2.0 * elements, bytes: bytes + 4.0 * size.n as f64 };
    let launches = [launch(launched, size)].into_iter().chain(rest).collect();
    Case { name, buffers, launches, expected: vec![c(values, allowed)], work }
}

/// c += bias by a kernel of its own, on `m` rows of `n` columns.
pub fn add_bias(name: &'static str, size: Size) -> Case {
    let (bias, values) = (uniform(1, size.n), uniform(2, size.m * size.n));
    let added = values.iter().zip(bias.iter().cycle()).map(|(c, bias)| f64::from(c + bias)).collect();
    let elements = values.len() as f64;
    Case {
        name,
        buffers: vec![Contents::of(&bias), Contents::of(&values)],
        launches: vec![add_bias_launch([0, 1], size)],
        expected: vec![Expected { buffer: 1, ..c(added, vec![0.0; values.len()]) }],
        work: Work { flop: elements, bytes: 8.0 * elements + 4.0 * size.n as f64 },
    }
}

/// Adds the first buffer, a bias, to every row of the second.
fn add_bias_launch([bias, c]: [usize; 2], size: Size) -> Launch {
    let source = Source { file: "add_bias.cu", defines: Vec::new() };
    let arguments = move |addresses: &[u64]| {
        let buffers = [bias, c].map(|buffer| Argument::new(&addresses[buffer]));
        let sizes = [size.m, size.n].map(|extent| Argument::new(&(extent as i32)));
        buffers.into_iter().chain(sizes).collect()
    };
    let grid = (size.m * size.n).div_ceil(BLOCK as usize) as u32;
    Launch { source, entry: "add_bias", grid, block: BLOCK, arguments: Box::new(arguments) }
}

/// C and a bias among a case's buffers.
const C: usize = 2;
const BIAS: usize = 5;

/// What C must be.
fn c(values: Vec<f64>, allowed: Vec<f64>) -> Expected {
    Expected { what: "C", buffer: C, offset: 0, number: Number::F32, compared: Compared::Each, values, allowed }
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
        let &[a, b, c, workspace, tickets, ref rest @ ..] = addresses else {
            unreachable!("it has five buffers or more")
        };
        let bias = rest.first().copied().unwrap_or_default();
        // Extents are checked to be at most those of an i32.
        let [m, n, k] = [size.m, size.n, size.k].map(|extent| extent as i32);
        let splits = splits as i32;
        vec![Argument::new(&Product { a, b, c, bias, workspace, tickets, m, n, k, splits, ..Product::default() })]
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
