//! The crates for matrix products, one thread, at the shapes of a training step: `cargo bench --bench products`.

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use harness::work::BATCH;
use harness::{Bench, Failure, Quantity, Unit, Verified};

/// c `[m, n]` = a `[m, k]` b `[k, n]`, each row-major or transposed.
#[derive(Clone, Copy, Debug)]
struct Product {
    name: &'static str,
    m: usize,
    n: usize,
    k: usize,
    a_transposed: bool,
    b_transposed: bool,
}

/// y = x W^T, dx = dy W and dW = dy^T x of the two kinds of large layers, and a cube.
const PRODUCTS: [Product; 7] = [
    Product { name: "forward", m: BATCH, n: 400, k: 784, a_transposed: false, b_transposed: true },
    Product { name: "forward", m: BATCH, n: 400, k: 400, a_transposed: false, b_transposed: true },
    Product { name: "input gradient", m: BATCH, n: 400, k: 784, a_transposed: false, b_transposed: false },
    Product { name: "input gradient", m: BATCH, n: 400, k: 400, a_transposed: false, b_transposed: false },
    Product { name: "weight gradient", m: 400, n: 784, k: BATCH, a_transposed: true, b_transposed: false },
    Product { name: "weight gradient", m: 400, n: 400, k: BATCH, a_transposed: true, b_transposed: false },
    Product { name: "cube", m: 1024, n: 1024, k: 1024, a_transposed: false, b_transposed: false },
];

/// A crate's product of a [`Product`], given (row, column) strides and pointers of a and b, and the pointer of a row-major c.
type Multiply = fn(Product, (isize, isize), *const f32, (isize, isize), *const f32, *mut f32);

const CRATES: [(&str, Multiply); 3] = [("gemm", gemm), ("matrixmultiply", matrixmultiply), ("faer", faer)];

fn main() -> ExitCode {
    Bench::main("products", |bench| {
        for product in PRODUCTS {
            for (name, multiply) in CRATES {
                product.measure(bench, name, multiply)?;
            }
        }
        Ok(())
    })
}

impl Product {
    fn strides(rows: usize, columns: usize, transposed: bool) -> (isize, isize) {
        if transposed { (1, rows as isize) } else { (columns as isize, 1) }
    }

    fn measure(self, bench: &mut Bench, by: &str, multiply: Multiply) -> Result<(), Failure> {
        let Self { name, m, n, k, a_transposed, b_transposed } = self;
        // Small integers, whose sums are exact in f32 and in any order.
        let values =
            |len: usize, step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 101 % 9) as f32 - 4.0).collect() };
        let (a, b, mut c) = (values(m * k, 7919), values(k * n, 104_729), vec![0.0; m * n]);
        let (a_strides, b_strides) = (Self::strides(m, k, a_transposed), Self::strides(k, n, b_transposed));
        multiply(self, a_strides, a.as_ptr(), b_strides, b.as_ptr(), c.as_mut_ptr());
        let name = format!("{name} {m} x {n} x {k}, {by}");
        let verified = Verified::new(&name, &[error(self, (a_strides, &a), (b_strides, &b), &c)], 0.0)?;
        bench.time(name, Quantity::new((2 * m * n * k) as f64, Unit::Flop), verified, || {
            multiply(self, a_strides, a.as_ptr(), b_strides, b.as_ptr(), c.as_mut_ptr());
            Ok(())
        })
    }
}

/// The largest error of every 37th element of c.
fn error(product: Product, a: ((isize, isize), &[f32]), b: ((isize, isize), &[f32]), c: &[f32]) -> f64 {
    let at = |((row_stride, column_stride), values): ((isize, isize), &[f32]), row: usize, column: usize| {
        f64::from(values[row * row_stride as usize + column * column_stride as usize])
    };
    let off = |i: usize| {
        let (row, column) = (i / product.n, i % product.n);
        let want: f64 = (0..product.k).map(|l| at(a, row, l) * at(b, l, column)).sum();
        (f64::from(c[i]) - want).abs()
    };
    (0..c.len()).step_by(37).map(off).fold(0.0, |worst, error| if error <= worst { worst } else { error })
}

fn gemm(
    Product { m, n, k, .. }: Product,
    (a_row, a_column): (isize, isize),
    a: *const f32,
    (b_row, b_column): (isize, isize),
    b: *const f32,
    c: *mut f32,
) {
    let (row, alone) = (n as isize, gemm::Parallelism::None);
    // SAFETY: the vectors hold matrices of these sizes and strides.
    unsafe {
        gemm::gemm(
            m, n, k, c, 1, row, false, a, a_column, a_row, b, b_column, b_row, 0.0, 1.0, false, false, false, alone,
        );
    }
}

fn matrixmultiply(
    Product { m, n, k, .. }: Product,
    (a_row, a_column): (isize, isize),
    a: *const f32,
    (b_row, b_column): (isize, isize),
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the vectors hold matrices of these sizes and strides.
    unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, a_row, a_column, b, b_row, b_column, 0.0, c, n as isize, 1) };
}

fn faer(
    Product { m, n, k, .. }: Product,
    (a_row, a_column): (isize, isize),
    a: *const f32,
    (b_row, b_column): (isize, isize),
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the vectors hold matrices of these sizes and strides, and c overlaps neither.
    let (a, b, c) = unsafe {
        (
            faer::MatRef::from_raw_parts(a, m, k, a_row, a_column),
            faer::MatRef::from_raw_parts(b, k, n, b_row, b_column),
            faer::MatMut::from_raw_parts_mut(c, m, n, n as isize, 1),
        )
    };
    faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, faer::Par::Seq);
}
