//! Products of matrices as cases.

use rand_distr::{Distribution, Uniform};

use super::case::{Case, Compared, Contents, Expected, Launch, Number, Work};
use crate::backend::Precision;
use crate::backend::cuda::Argument;
use crate::backend::cuda::compile::Source;
use crate::backend::cuda::gemm::{Plan, Product, Size};
use crate::noise::{Address, PhiloxRng, Stream};

/// Rounding that an f32 sum of products of this magnitude explains, in units of it: a few of f32's last place, times the root of
/// the number of terms, for at most 2^16 of them.
const ROUNDING: f64 = 1e-6;

/// How a product is launched.
pub struct Launched {
    /// The file and what it is compiled with.
    pub source: Source,
    /// The kernel in it.
    pub entry: &'static str,
    /// Blocks of the grid.
    pub grid: u32,
    /// Threads of a block.
    pub block: u32,
    /// How it is cut up, where its file leaves that open.
    pub plan: Option<Plan>,
    /// What its operands are rounded to.
    pub precision: Precision,
}

/// C = A B with A `[m, k]` and B `[k, n]`, both row-major and uniform in [-1, 1).
pub fn case(name: &'static str, launched: Launched, size: Size) -> Case {
    let Size { m, n, k } = size;
    let (a, b) = (uniform(1, m * k), uniform(2, k * n));
    let factors = [&a, &b].map(|operand| operand.iter().map(|x| rounded(launched.precision, *x)).collect::<Vec<_>>());
    let magnitudes = factors.each_ref().map(|operand| operand.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let allowed = multiply(&magnitudes[0], &magnitudes[1], size).into_iter().map(|sum| ROUNDING * (1.0 + sum));
    let expected = Expected {
        what: "C",
        buffer: 2,
        offset: 0,
        number: Number::F32,
        compared: Compared::Each,
        values: multiply(&factors[0], &factors[1], size),
        allowed: allowed.collect(),
    };
    let (workspace, tickets) = launched.plan.map_or((0, 0), |plan| (plan.workspace(), plan.tickets()));
    let buffers = vec![
        Contents::of(&a),
        Contents::of(&b),
        Contents::room::<f32>(m * n),
        Contents::room::<f32>(workspace),
        Contents::Zeros(tickets * size_of::<u32>()),
    ];
    Case { name, buffers, launches: vec![launch(launched, size)], expected: vec![expected], work: work(size) }
}

fn launch(launched: Launched, size: Size) -> Launch {
    let Launched { source, entry, grid, block, plan, .. } = launched;
    let splits = plan.map_or(1, |plan| plan.splits as i32);
    let arguments = move |addresses: &[u64]| {
        let &[a, b, c, workspace, tickets] = addresses else { unreachable!("a product has five buffers") };
        // Extents are checked to be at most those of an i32.
        let [m, n, k] = [size.m, size.n, size.k].map(|extent| extent as i32);
        vec![Argument::new(&Product { a, b, c, workspace, tickets, m, n, k, splits, ..Product::default() })]
    };
    Launch { source, entry, grid, block, arguments: Box::new(arguments) }
}

/// 2 m n k FLOP; both operands read and C written once.
pub fn work(Size { m, n, k }: Size) -> Work {
    let [m, n, k] = [m, n, k].map(|extent| extent as f64);
    Work { flop: 2.0 * m * n * k, bytes: 4.0 * (m * k + k * n + m * n) }
}

/// `count` numbers, uniform in [-1, 1), the same for the same seed.
pub fn uniform(seed: u64, count: usize) -> Vec<f32> {
    let rng = PhiloxRng::new(Address { seed, stream: Stream::Corruption, step: 0 });
    Uniform::new(-1.0f32, 1.0).map_or_else(|_| vec![0.0; count], |range| range.sample_iter(rng).take(count).collect())
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

    #[test]
    fn operands_are_random_and_repeatable() {
        let values = uniform(1, 1000);
        assert_eq!(values, uniform(1, 1000));
        assert_ne!(values, uniform(2, 1000));
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)) && values.iter().any(|x| *x < 0.0));
    }
}
