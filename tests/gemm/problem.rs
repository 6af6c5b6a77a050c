//! Products to carry out, and what they must give: an oracle in f64.

use latent::backend::cuda::gemm::{Epilogue, Layout, Size};

/// All but the bias gradient, which goes with one layout alone.
pub const EPILOGUES: [Epilogue; 6] = [
    Epilogue::Plain,
    Epilogue::Bias,
    Epilogue::BiasLeakyRelu,
    Epilogue::BiasSigmoid,
    Epilogue::BiasBce,
    Epilogue::Derivative,
];

/// Sizes inside one tile, across tiles, and with tails everywhere.
pub const EPILOGUE_SIZES: [Size; 4] = [
    Size { m: 1, n: 1, k: 1 },
    Size { m: 31, n: 33, k: 65 },
    Size { m: 64, n: 36, k: 128 },
    Size { m: 130, n: 127, k: 63 },
];

/// A product with its operands.
pub struct Problem {
    pub size: Size,
    pub layout: Layout,
    pub epilogue: Epilogue,
    pub a: Vec<f32>,
    pub b: Vec<f32>,
    pub bias: Vec<f32>,
    pub other: Vec<f32>,
    /// A and B as they are multiplied: rounded, where the kernel does so.
    pub factors: [Vec<f32>; 2],
}

/// What a launch left.
#[derive(Debug, PartialEq)]
pub struct Output {
    pub c: Vec<f32>,
    pub partial: Vec<f64>,
    pub bias_gradient: Vec<f64>,
    pub suspect: Option<u64>,
}

/// Numbers in [0, 1) that look random.
fn uniform(seed: u64, count: usize) -> impl Iterator<Item = f64> {
    (0..count as u64).map(move |index| {
        let mut x = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD1B5_4A32_D192_ED03);
        x = (x ^ x >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (x ^ x >> 32) as u32 as f64 / 4_294_967_296.0
    })
}

impl Problem {
    /// Integers from -4 to 4, of which sums of products are exact.
    pub fn of_integers(size: Size, layout: Layout, epilogue: Epilogue) -> Problem {
        Problem::new(size, layout, epilogue, |x| (x * 9.0).floor() as f32 - 4.0)
    }

    /// Real numbers, small enough that logits stay of the order of 1.
    pub fn of_reals(size: Size, layout: Layout, epilogue: Epilogue) -> Problem {
        Problem::new(size, layout, epilogue, |x| ((2.0 * x - 1.0) / (size.k as f64).powf(0.25)) as f32)
    }

    fn new(size: Size, layout: Layout, epilogue: Epilogue, value: impl Fn(f64) -> f32 + Copy) -> Problem {
        let Size { m, n, k } = size;
        let draw = |seed, count| uniform(seed, count).map(value).collect();
        let other =
            if epilogue == Epilogue::BiasBce { uniform(4, m * n).map(|x| x as f32).collect() } else { draw(4, m * n) };
        let (a, b): (Vec<f32>, Vec<f32>) = (draw(1, m * k), draw(2, k * n));
        Problem { size, layout, epilogue, factors: [a.clone(), b.clone()], a, b, bias: draw(3, n), other }
    }

    /// The same product of operands that the kernel rounds.
    pub fn rounded(self, rounding: impl Fn(f32) -> f32) -> Problem {
        let round = |values: &[f32]| values.iter().map(|value| rounding(*value)).collect();
        let factors = [round(&self.a), round(&self.b)];
        Problem { factors, ..self }
    }

    /// The place of an element of A.
    fn a_at(&self, row: usize, k: usize) -> usize {
        if self.layout == Layout::Tn { k * self.size.m + row } else { row * self.size.k + k }
    }

    /// The place of an element of B.
    fn b_at(&self, k: usize, column: usize) -> usize {
        if self.layout == Layout::Nt { column * self.size.k + k } else { k * self.size.n + column }
    }

    /// The sum of an element of C and the sum of its terms' magnitudes.
    fn sum(&self, row: usize, column: usize) -> (f64, f64) {
        let [a, b] = &self.factors;
        let terms = (0..self.size.k).map(|k| f64::from(a[self.a_at(row, k)]) * f64::from(b[self.b_at(k, column)]));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    }

    /// The element of C, and its loss.
    fn finished(&self, sum: f64, row: usize, column: usize) -> (f64, f64) {
        let (bias, other) = (f64::from(self.bias[column]), f64::from(self.other[row * self.size.n + column]));
        let leaky = |a: f64| if a > 0.0 { 1.0 } else { f64::from(0.2f32) };
        let (a, sigmoid) = (sum + bias, |a: f64| 1.0 / (1.0 + (-a).exp()));
        match self.epilogue {
            Epilogue::Plain | Epilogue::BiasGradient => (sum, 0.0),
            Epilogue::Bias => (a, 0.0),
            Epilogue::BiasLeakyRelu => (a * leaky(a), 0.0),
            Epilogue::BiasSigmoid => (sigmoid(a), 0.0),
            Epilogue::BiasBce => (sigmoid(a) - other, a.max(0.0) - a * other + (-a.abs()).exp().ln_1p()),
            Epilogue::Derivative => (sum * leaky(other), 0.0),
        }
    }

    /// Fails unless `output` is right: bit for bit where `exact`, otherwise as near as f32 gets.
    #[track_caller]
    pub fn check(&self, output: &Output, exact: bool) {
        let Size { m, n, k } = self.size;
        let about = format!("{:?} {:?} {:?}", self.size, self.layout, self.epilogue);
        let (mut loss, mut size) = (0.0, 0.0);
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let (sum, magnitude) = self.sum(row, column);
            let (expected, element_loss) = self.finished(sum, row, column);
            let tolerance = if exact { 0.0 } else { 1e-6 * (1.0 + magnitude) };
            let actual = f64::from(output.c[row * n + column]);
            let near = (actual - expected).abs() <= tolerance;
            assert!(near, "{about}: element {row}, {column} is {actual}, not {expected}");
            loss += element_loss;
            size += element_loss.abs();
        }
        if self.epilogue == Epilogue::BiasBce {
            let actual: f64 = output.partial.iter().sum();
            assert!((actual - loss).abs() <= 1e-6 * size, "{about}: the loss is {actual}, not {loss}");
        }
        if self.epilogue == Epilogue::BiasGradient {
            for (row, actual) in output.bias_gradient.iter().enumerate() {
                let expected: f64 = (0..k).map(|k| f64::from(self.a[self.a_at(row, k)])).sum();
                let tolerance = if exact { 0.0 } else { 1e-6 * k as f64 };
                assert!((actual - expected).abs() <= tolerance, "{about}: bias {row} is {actual}, not {expected}");
            }
        }
        assert_eq!(output.suspect, None, "{about}");
    }
}
