//! How well a score tells two classes apart.

use super::Error;
use super::error::all_numbers;

/// The receiver operating characteristic of a score: which share of the positives and of the negatives lies above each threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    /// (false positive rate, true positive rate) from (0, 0) to (1, 1), a point for each distinct score, falling.
    pub points: Vec<(f64, f64)>,
    /// The area below the curve: how probable it is that a positive scores above a negative, where equal scores count half (Mann and
    /// Whitney 1947; Hanley and McNeil 1982).
    pub auc: f64,
}

impl Roc {
    /// The curve of `scores`, high for what is `positive`.
    ///
    /// # Errors
    /// The lists differ in length, a score is not a number, or there is one class alone.
    pub fn new(scores: &[f64], positive: &[bool]) -> Result<Self, Error> {
        let counts = counts(scores, positive)?;
        let (positives, negatives) = counts[counts.len() - 1];
        let rate = |(tp, fp): &(usize, usize)| (*fp as f64 / negatives as f64, *tp as f64 / positives as f64);
        let points: Vec<(f64, f64)> = counts.iter().map(rate).collect();
        let auc = points.windows(2).map(|p| (p[1].0 - p[0].0) * (p[1].1 + p[0].1) / 2.0).sum();
        Ok(Self { points, auc })
    }
}

/// The area below the curve of precision over recall as a step function: sum (R_n - R_(n-1)) P_n over falling thresholds.
///
/// A score that says nothing has the share of the positives here, not 1/2.
///
/// # Errors
/// As [`Roc::new`].
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<f64, Error> {
    let counts = counts(scores, positive)?;
    let positives = counts[counts.len() - 1].0 as f64;
    let step = |pair: &[(usize, usize)]| {
        let ((before, _), (tp, fp)) = (pair[0], pair[1]);
        (tp - before) as f64 / positives * tp as f64 / (tp + fp) as f64
    };
    Ok(counts.windows(2).map(step).sum())
}

/// How many positives and negatives score at or above each distinct score, falling; first (0, 0), last all.
fn counts(scores: &[f64], positive: &[bool]) -> Result<Vec<(usize, usize)>, Error> {
    if scores.len() != positive.len() {
        return Err(Error::LengthsDiffer { values: scores.len(), labels: positive.len() });
    }
    all_numbers(scores.iter().copied())?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut counts = vec![(0, 0)];
    let (mut tp, mut fp) = (0, 0);
    for (place, item) in order.iter().enumerate() {
        if positive[*item] {
            tp += 1
        } else {
            fp += 1
        }
        let ends = order.get(place + 1).is_none_or(|next| scores[*next] != scores[*item]);
        if ends {
            counts.push((tp, fp));
        }
    }
    if tp == 0 || fp == 0 { Err(Error::OneClass(scores.len())) } else { Ok(counts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_order_and_ties_count_half() {
        let (scores, positive) = ([3.0, 1.0, 2.0, 2.0, -0.0, 0.0], [true, false, true, false, true, false]);
        let pairs = |p: f64, n: f64| {
            if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            }
        };
        let want: f64 = [3.0, 2.0, 0.0].iter().flat_map(|p| [1.0, 2.0, 0.0].map(|n| pairs(*p, n))).sum::<f64>() / 9.0;
        assert!((Roc::new(&scores, &positive).unwrap().auc - want).abs() < 1e-15);
    }

    #[test]
    fn what_has_no_curve_is_refused() {
        let error = |scores: &[f64], positive: &[bool]| Roc::new(scores, positive).unwrap_err();
        assert!(matches!(error(&[1.0, 2.0], &[true, true]), Error::OneClass(2)));
        assert!(matches!(error(&[], &[]), Error::OneClass(0)));
        assert!(matches!(error(&[1.0, f64::NAN], &[true, false]), Error::NotANumber { index: 1 }));
        assert!(matches!(error(&[1.0], &[true, false]), Error::LengthsDiffer { values: 1, labels: 2 }));
    }
}
