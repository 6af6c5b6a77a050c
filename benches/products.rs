//! The crates for matrix products, one thread, at the shapes of a training step: `cargo bench --bench products`.
//! Items are floating-point operations.

use divan::Bencher;
use divan::counter::ItemsCount;

const BATCH: usize = 100;

fn main() {
    divan::main();
}

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

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}x{}x{}", self.name, self.m, self.n, self.k)
    }
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

impl Product {
    fn strides(rows: usize, columns: usize, transposed: bool) -> (isize, isize) {
        if transposed { (1, rows as isize) } else { (columns as isize, 1) }
    }

    /// Benchmarks `multiply`, which gets (row, column) strides and pointers of a, b and c.
    fn bench(
        self,
        bencher: Bencher<'_, '_>,
        multiply: impl Fn(Self, (isize, isize), *const f32, (isize, isize), *const f32, *mut f32),
    ) {
        let values = |n: usize| -> Vec<f32> { (0..n).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect() };
        let (a, b, mut c) = (values(self.m * self.k), values(self.k * self.n), vec![0.0f32; self.m * self.n]);
        let a_strides = Self::strides(self.m, self.k, self.a_transposed);
        let b_strides = Self::strides(self.k, self.n, self.b_transposed);
        bencher.counter(ItemsCount::new(2 * self.m * self.n * self.k)).bench_local(|| {
            multiply(self, a_strides, a.as_ptr(), b_strides, b.as_ptr(), c.as_mut_ptr());
        });
    }
}

#[divan::bench(args = PRODUCTS)]
fn gemm(bencher: Bencher<'_, '_>, product: Product) {
    product.bench(bencher, |Product { m, n, k, .. }, (a_row, a_column), a, (b_row, b_column), b, c| {
        let row = n as isize;
        // SAFETY: the vectors hold matrices of these sizes and strides.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c,
                1,
                row,
                false,
                a,
                a_column,
                a_row,
                b,
                b_column,
                b_row,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
}

#[divan::bench(args = PRODUCTS)]
fn matrixmultiply(bencher: Bencher<'_, '_>, product: Product) {
    product.bench(bencher, |Product { m, n, k, .. }, (a_row, a_column), a, (b_row, b_column), b, c| {
        // SAFETY: the vectors hold matrices of these sizes and strides.
        unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, a_row, a_column, b, b_row, b_column, 0.0, c, n as isize, 1) };
    });
}

#[divan::bench(args = PRODUCTS)]
fn faer(bencher: Bencher<'_, '_>, product: Product) {
    product.bench(bencher, |Product { m, n, k, .. }, (a_row, a_column), a, (b_row, b_column), b, c| {
        // SAFETY: the vectors hold matrices of these sizes and strides, and c overlaps neither.
        let (a, b, c) = unsafe {
            (
                faer::MatRef::from_raw_parts(a, m, k, a_row, a_column),
                faer::MatRef::from_raw_parts(b, k, n, b_row, b_column),
                faer::MatMut::from_raw_parts_mut(c, m, n, n as isize, 1),
            )
        };
        faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, faer::Par::Seq);
    });
}
