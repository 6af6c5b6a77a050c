//! Principal components.

use faer::{Mat, Side};

use super::Error;
use super::error::all_numbers;

/// The directions in which points vary most (Pearson 1901; Hotelling 1933).
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// The points' mean, `[columns]`.
    pub mean: Vec<f64>,
    /// Unit vectors, the one of most variance first, `[components, columns]`; each has its largest entry positive.
    pub components: Vec<f64>,
    /// The variance along each, with n - 1 in the denominator.
    pub explained_variance: Vec<f64>,
    /// The same as a share of the variance of all columns.
    pub explained_share: Vec<f64>,
}

impl Pca {
    /// The first `components` principal components of `points` `[n, columns]`: eigenvectors of their covariance.
    ///
    /// # Errors
    /// Fewer than two points, more components than columns, or a value that is not a number.
    pub fn new(points: &[f32], columns: usize, components: usize) -> Result<Self, Error> {
        let rows = points.len() / columns;
        if rows < 2 {
            return Err(Error::TooFew { found: rows, needed: 2 });
        }
        if components > columns {
            return Err(Error::Components { components, columns });
        }
        all_numbers(points.iter().map(|value| f64::from(*value)))?;
        let mean = column_means(points, columns);
        let centred = Mat::from_fn(rows, columns, |i, j| f64::from(points[i * columns + j]) - mean[j]);
        let covariance = centred.transpose() * &centred / faer::Scale((rows - 1) as f64);
        let fault = |error| Error::Numerical(format!("the covariance has no eigenvectors: {error:?}"));
        let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(fault)?;
        let (values, vectors) = (eigen.S().column_vector(), eigen.U());
        let total: f64 = (0..columns).map(|j| values[j].max(0.0)).sum();
        // Eigenvalues rise; the components are wanted from the last on.
        let order: Vec<usize> = (0..columns).rev().take(components).collect();
        let explained_variance: Vec<f64> = order.iter().map(|j| values[*j].max(0.0)).collect();
        let component = |j: &usize| with_positive_peak((0..columns).map(|i| vectors[(i, *j)]).collect());
        Ok(Self {
            components: order.iter().flat_map(component).collect(),
            explained_share: explained_variance.iter().map(|v| if total > 0.0 { v / total } else { 0.0 }).collect(),
            explained_variance,
            mean,
        })
    }

    /// The coordinates `[n, components]` of `points` `[n, columns]`.
    pub fn project(&self, points: &[f32]) -> Vec<f32> {
        let columns = self.mean.len();
        let coordinate = |point: &[f32], direction: &[f64]| -> f64 {
            point.iter().zip(&self.mean).zip(direction).map(|((x, mean), d)| (f64::from(*x) - mean) * d).sum()
        };
        let rows = points.chunks_exact(columns);
        rows.flat_map(|point| self.components.chunks_exact(columns).map(|d| coordinate(point, d) as f32)).collect()
    }
}

fn column_means(points: &[f32], columns: usize) -> Vec<f64> {
    let mut means = vec![0.0; columns];
    for row in points.chunks_exact(columns) {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value));
    }
    let rows = (points.len() / columns) as f64;
    means.iter_mut().for_each(|mean| *mean /= rows);
    means
}

/// An eigenvector has two directions; the one whose entry of largest magnitude is positive.
fn with_positive_peak(vector: Vec<f64>) -> Vec<f64> {
    let peak = vector.iter().copied().fold(0.0, |a: f64, b: f64| if b.abs() > a.abs() { b } else { a });
    if peak < 0.0 { vector.into_iter().map(|x| -x).collect() } else { vector }
}
