//! Matrix products, by the crate `gemm`.
//!
//! Chosen by measurement: two cores with AVX-512, one product alone, GFLOP/s, median of 200:
//!
//! | | `gemm` 0.19 | `faer` 0.24 | `matrixmultiply` 0.3 |
//! |---|---|---|---|
//! | 1024^3, 1 thread | 216 | 194 | 183 |
//! | 1024^3, 2 threads | 410 | 320 | - |
//! | x W^T, 100x784x400, 1 thread | 172 | 159 | 136 |
//! | dy W, 100x400x400, 1 thread | 204 | 168 | 140 |
//! | dy^T x, 400x100x784, 1 thread | 195 | 172 | 176 |
//!
//! `cargo bench --bench products` repeats this. Each product here runs on one thread; the threads share the output's columns or
//! rows in [`strips`]. The crate takes scratch space for packed operands from the allocator.

use std::ops::Range;

use super::parts::Parts;

/// A product's operand: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Operand<'a> {
    /// A row-major matrix with `columns` columns.
    pub fn row_major(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// Its transpose.
    pub fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    /// Without its first columns.
    pub fn skip_columns(self, columns: usize) -> Self {
        Self { data: &self.data[columns * self.column_stride..], ..self }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// Writes c = a b to `rows` x `columns` elements of a row-major matrix with `stride` columns, from element `first` of
/// `c` on, where a is `rows` x `depth` and b `depth` x `columns`; none of the three is 0.
///
/// # Safety
/// While this runs, nothing else may reach these elements of `c`.
pub unsafe fn product(
    (rows, columns, depth): (usize, usize, usize),
    c: &Parts<'_, f32>,
    first: usize,
    stride: usize,
    a: Operand<'_>,
    b: Operand<'_>,
) {
    assert!(rows > 0 && columns > 0 && depth > 0 && columns <= stride);
    assert!(first + (rows - 1) * stride + columns <= c.len() && a.holds(rows, depth) && b.holds(depth, columns));
    // SAFETY: the assertions keep all three matrices inside their slices, and `c` is ours by the caller's promise.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            c.pointer(first),
            1,
            stride as isize,
            false,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A dimension cut into pieces for the threads, at multiples of 16 (one AVX-512 register).
///
/// The cut depends on the length alone, never on the number of threads: the crate chooses its code path by the shape
/// of a piece, and so the same pieces give the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Strips {
    len: usize,
    /// How many strips there are.
    pub count: usize,
}

/// Cuts `len` elements.
pub fn strips(len: usize) -> Strips {
    const LEAST: usize = 96;
    const MOST: usize = 16;
    Strips { len, count: (len / LEAST).clamp(1, MOST) }
}

impl Strips {
    /// The elements of strip `i`.
    pub fn range(self, i: usize) -> Range<usize> {
        let cut = |i: usize| (self.len.div_ceil(16) * i / self.count * 16).min(self.len);
        cut(i)..cut(i + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_cover_every_element_once() {
        for len in (1..2000).chain([100_000]) {
            let strips = strips(len);
            let mut next = 0;
            for i in 0..strips.count {
                let range = strips.range(i);
                assert!(range.start == next && !range.is_empty(), "{len}: strip {i} is {range:?}");
                next = range.end;
            }
            assert_eq!(next, len);
        }
    }

    /// Small integers make every sum exact, so nothing is left to a tolerance.
    #[test]
    fn products_of_integers_are_exact_for_every_tail_and_layout() {
        let value = |i: usize| ((i * 7919) % 13) as f32 - 6.0;
        let sizes = [1, 2, 3, 15, 16, 17, 63, 65, 100, 129];
        for &m in &sizes {
            for &n in &sizes {
                for &k in &sizes {
                    let a: Vec<f32> = (0..m * k).map(value).collect();
                    let b: Vec<f32> = (0..k * n).map(|i| value(i + 5)).collect();
                    let a_views = [Operand::row_major(&a, k), Operand::row_major(&a, m).transposed()];
                    let b_views = [Operand::row_major(&b, n), Operand::row_major(&b, k).transposed()];
                    for (a_view, b_view) in a_views.into_iter().flat_map(|a| b_views.map(|b| (a, b))) {
                        let mut c = vec![f32::NAN; m * n];
                        // SAFETY: `c` is reached by this call alone.
                        unsafe { product((m, n, k), &Parts::new(&mut c), 0, n, a_view, b_view) };
                        let at = |x: &Operand<'_>, i: usize, j: usize| x.data[i * x.row_stride + j * x.column_stride];
                        for (index, got) in c.iter().enumerate() {
                            let (i, j) = (index / n, index % n);
                            let want: f32 = (0..k).map(|l| at(&a_view, i, l) * at(&b_view, l, j)).sum();
                            assert_eq!(*got, want, "{m}x{n}x{k} at ({i}, {j})");
                        }
                    }
                }
            }
        }
    }
}
