//! Classification by the nearest neighbours.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::Error;
use super::error::all_numbers;

/// Queries that a thread handles at a time, and points that it compares them with at a time.
const QUERIES: usize = 128;
const POINTS: usize = 2048;
/// Candidates beyond k whose distances are computed again exactly, so that rounding does not decide.
const SPARE: usize = 16;

/// Labelled points that others are compared with (Cover and Hart 1967).
#[derive(Clone, Copy, Debug)]
pub struct NearestNeighbours<'a> {
    points: &'a [f32],
    labels: &'a [u8],
    columns: usize,
    k: usize,
}

/// A point that may be near: its distance as far as it matters, |b|^2 - 2 a b, and its place.
type Candidate = (f32, usize);

impl<'a> NearestNeighbours<'a> {
    /// `points` `[n, columns]` with a label each, of which the `k` nearest vote.
    ///
    /// # Errors
    /// Not one label a point, fewer points than `k`, or a value that is not a number.
    pub fn new(points: &'a [f32], labels: &'a [u8], columns: usize, k: usize) -> Result<Self, Error> {
        let rows = points.len() / columns;
        if rows != labels.len() {
            return Err(Error::LengthsDiffer { values: rows, labels: labels.len() });
        }
        if rows < k {
            return Err(Error::TooFew { found: rows, needed: k });
        }
        all_numbers(points.iter().map(|value| f64::from(*value)))?;
        Ok(Self { points, labels, columns, k })
    }

    /// The label that most of the `k` nearest points of each query `[n, columns]` have, by Euclidean distance; of several, the smallest.
    /// Of points at the same distance the first counts.
    ///
    /// # Errors
    /// A value that is not a number.
    pub fn classify(&self, queries: &[f32]) -> Result<Vec<u8>, Error> {
        all_numbers(queries.iter().map(|value| f64::from(*value)))?;
        let norms: Vec<f32> =
            self.points.par_chunks_exact(self.columns).map(|point| point.iter().map(|x| x * x).sum()).collect();
        let blocks = queries.par_chunks(QUERIES * self.columns);
        Ok(blocks.flat_map_iter(|block| self.classify_block(block, &norms)).collect())
    }

    fn classify_block(&self, queries: &[f32], norms: &[f32]) -> Vec<u8> {
        let rows = queries.len() / self.columns;
        let mut nearest: Vec<Vec<Candidate>> = vec![Vec::new(); rows];
        let mut products = vec![0.0; rows * POINTS];
        for (block, points) in self.points.chunks(POINTS * self.columns).enumerate() {
            let (count, first) = (points.len() / self.columns, block * POINTS);
            multiply(queries, points, self.columns, &mut products[..rows * count]);
            for (products, nearest) in products.chunks_exact(count).zip(&mut nearest) {
                self.keep_nearest(nearest, products, &norms[first..first + count], first);
            }
        }
        let queries = queries.chunks_exact(self.columns);
        queries.zip(nearest).map(|(query, candidates)| self.vote(query, &candidates)).collect()
    }

    /// Adds the points from `first` on to the nearest so far where they belong there.
    fn keep_nearest(&self, nearest: &mut Vec<Candidate>, products: &[f32], norms: &[f32], first: usize) {
        let wanted = self.k + SPARE;
        for (i, (product, norm)) in products.iter().zip(norms).enumerate() {
            let distance = norm - 2.0 * product;
            if nearest.len() == wanted && distance >= nearest[wanted - 1].0 {
                continue;
            }
            let place = nearest.partition_point(|(other, _)| *other <= distance);
            nearest.truncate(wanted - 1);
            nearest.insert(place.min(nearest.len()), (distance, first + i));
        }
    }

    /// The label of most of the `k` nearest of `candidates`, by exact distances.
    fn vote(&self, query: &[f32], candidates: &[Candidate]) -> u8 {
        let distance = |place: usize| -> f64 {
            let point = &self.points[place * self.columns..][..self.columns];
            point.iter().zip(query).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
        };
        let mut exact: Vec<(f64, usize)> = candidates.iter().map(|(_, place)| (distance(*place), *place)).collect();
        exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut votes = [0usize; 256];
        exact.iter().take(self.k).for_each(|(_, place)| votes[usize::from(self.labels[*place])] += 1);
        let most = votes.iter().max().copied().unwrap_or(0);
        (0..=u8::MAX).find(|label| votes[usize::from(*label)] == most).unwrap_or(0)
    }
}

/// out `[rows of a, rows of b]` = a b^T.
fn multiply(a: &[f32], b: &[f32], columns: usize, out: &mut [f32]) {
    let a = MatRef::from_row_major_slice(a, a.len() / columns, columns);
    let b = MatRef::from_row_major_slice(b, b.len() / columns, columns);
    let out = MatMut::from_row_major_slice_mut(out, a.nrows(), b.nrows());
    matmul(out, Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides_and_the_smallest_label_among_equals() {
        let points = [0.0, 1.0, 2.0, 3.0, 10.0];
        let labels = [7, 2, 2, 7, 1];
        let classify =
            |k, query| NearestNeighbours::new(&points, &labels, 1, k).unwrap().classify(&[query]).unwrap()[0];
        assert_eq!([classify(1, 0.4), classify(3, 0.4), classify(4, 1.5), classify(1, 9.0)], [7, 2, 2, 1]);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let refused = |points: &[f32], labels: &[u8], k| NearestNeighbours::new(points, labels, 1, k).unwrap_err();
        assert!(matches!(refused(&[1.0], &[1, 2], 1), Error::LengthsDiffer { .. }));
        assert!(matches!(refused(&[1.0], &[1], 5), Error::TooFew { found: 1, needed: 5 }));
        assert!(matches!(refused(&[f32::NAN], &[1], 1), Error::NotANumber { index: 0 }));
    }
}
