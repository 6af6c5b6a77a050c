//! Classification by a linear model.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::Error;
use super::error::all_numbers;

/// Rows whose part of loss and gradient is computed at a time. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 1024;
/// Earlier steps that L-BFGS remembers (Nocedal 1980).
const MEMORY: usize = 10;

/// How far to minimise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weight of the data against the penalty |w|^2 / 2; small values bend less.
    pub c: f64,
    /// The norm of the gradient, of the mean loss of a row, at which to stop.
    pub tolerance: f64,
    /// Steps at most.
    pub iterations: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { c: 1.0, tolerance: 1e-4, iterations: 100 }
    }
}

/// Multinomial logistic regression: p(class | x) proportional to e^(w_class x + b_class).
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    /// `[classes, columns]`
    pub weights: Vec<f64>,
    /// `[classes]`
    pub intercepts: Vec<f64>,
    /// Whether the gradient became small before the steps ran out.
    pub converged: bool,
}

impl LogisticRegression {
    /// Fits `points` `[n, columns]` with labels below `classes`: the weights that minimise |w|^2 / 2 + C sum -ln p(label | x). The
    /// intercepts are not penalised.
    ///
    /// # Errors
    /// Not one label a point, one class alone, a value that is not a number, or a minimisation that failed.
    pub fn fit(
        points: &[f32],
        labels: &[u8],
        columns: usize,
        classes: usize,
        settings: Settings,
    ) -> Result<Self, Error> {
        let rows = points.len() / columns;
        if rows != labels.len() {
            return Err(Error::LengthsDiffer { values: rows, labels: labels.len() });
        }
        if labels.iter().all(|label| *label == labels[0]) {
            return Err(Error::OneClass(rows));
        }
        all_numbers(points.iter().map(|value| f64::from(*value)))?;
        let points: Vec<f64> = points.iter().map(|value| f64::from(*value)).collect();
        let penalty = 1.0 / (settings.c * rows as f64);
        let problem = Problem { points: &points, labels, columns, classes, penalty };
        let (parameters, converged) =
            problem.minimise(settings).map_err(|error| Error::Numerical(format!("logistic regression: {error}")))?;
        let (weights, intercepts) = parameters.split_at(classes * columns);
        Ok(Self { weights: weights.to_vec(), intercepts: intercepts.to_vec(), converged })
    }

    /// The most probable class of each of `points` `[n, columns]`.
    pub fn classify(&self, points: &[f32]) -> Vec<u8> {
        let columns = self.weights.len() / self.intercepts.len();
        let best = |point: &[f32]| {
            let score = |(weights, intercept): (&[f64], &f64)| -> f64 {
                intercept + point.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
            };
            let scores = self.weights.chunks_exact(columns).zip(&self.intercepts).map(score);
            let best = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            best.map_or(0, |(class, _)| class as u8)
        };
        points.par_chunks_exact(columns).map(best).collect()
    }
}

/// The mean loss of a row and its penalty, as a function of weights and intercepts.
#[derive(Clone, Copy)]
struct Problem<'a> {
    points: &'a [f64],
    labels: &'a [u8],
    columns: usize,
    classes: usize,
    penalty: f64,
}

impl Problem<'_> {
    fn minimise(self, settings: Settings) -> Result<(Vec<f64>, bool), argmin::core::Error> {
        let start = vec![0.0; self.classes * (self.columns + 1)];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY).with_tolerance_grad(settings.tolerance)?;
        let result = Executor::new(self, solver)
            .configure(|state| state.param(start.clone()).max_iters(settings.iterations))
            .run()?;
        let parameters = result.state().get_best_param().cloned().unwrap_or(start);
        let gradient: f64 = self.gradient(&parameters)?.iter().map(|g| g * g).sum();
        // The last step may end beside the tolerance rather than below it.
        Ok((parameters, gradient.sqrt() <= 2.0 * settings.tolerance))
    }

    /// The rows in blocks, with their labels.
    fn blocks(&self) -> impl IndexedParallelIterator<Item = (&[f64], &[u8])> {
        self.points.par_chunks(ROWS * self.columns).zip(self.labels.par_chunks(ROWS))
    }

    /// ln p(class | x) `[rows, classes]` of a block.
    fn log_probabilities(&self, points: &[f64], parameters: &[f64]) -> Vec<f64> {
        let (weights, intercepts) = parameters.split_at(self.classes * self.columns);
        let rows = points.len() / self.columns;
        let mut out: Vec<f64> = intercepts.repeat(rows);
        let x = MatRef::from_row_major_slice(points, rows, self.columns);
        let w = MatRef::from_row_major_slice(weights, self.classes, self.columns);
        let scores = MatMut::from_row_major_slice_mut(&mut out, rows, self.classes);
        matmul(scores, Accum::Add, x, w.transpose(), 1.0, Par::Seq);
        for row in out.chunks_exact_mut(self.classes) {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total = most + row.iter().map(|score| (score - most).exp()).sum::<f64>().ln();
            row.iter_mut().for_each(|score| *score -= total);
        }
        out
    }

    /// The part of a block in the gradient of the summed loss.
    fn gradient_of(&self, points: &[f64], labels: &[u8], parameters: &[f64]) -> Vec<f64> {
        let mut residuals = self.log_probabilities(points, parameters);
        for (row, label) in residuals.chunks_exact_mut(self.classes).zip(labels) {
            row.iter_mut().for_each(|log_p| *log_p = log_p.exp());
            row[usize::from(*label)] -= 1.0;
        }
        let mut out = vec![0.0; parameters.len()];
        let (weights, intercepts) = out.split_at_mut(self.classes * self.columns);
        let r = MatRef::from_row_major_slice(&residuals, labels.len(), self.classes);
        let x = MatRef::from_row_major_slice(points, labels.len(), self.columns);
        let dw = MatMut::from_row_major_slice_mut(weights, self.classes, self.columns);
        matmul(dw, Accum::Replace, r.transpose(), x, 1.0, Par::Seq);
        for row in residuals.chunks_exact(self.classes) {
            intercepts.iter_mut().zip(row).for_each(|(sum, r)| *sum += r);
        }
        out
    }
}

impl CostFunction for Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let loss_of = |(points, labels): (&[f64], &[u8])| -> f64 {
            let log_p = self.log_probabilities(points, parameters);
            let rows = log_p.chunks_exact(self.classes).zip(labels);
            rows.map(|(row, label)| -row[usize::from(*label)]).sum()
        };
        let parts: Vec<f64> = self.blocks().map(loss_of).collect();
        let weights = &parameters[..self.classes * self.columns];
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        Ok(parts.iter().sum::<f64>() / self.labels.len() as f64 + 0.5 * self.penalty * squares)
    }
}

impl Gradient for Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let parts: Vec<Vec<f64>> =
            self.blocks().map(|(points, labels)| self.gradient_of(points, labels, parameters)).collect();
        let rows = self.labels.len() as f64;
        let mut sum = vec![0.0; parameters.len()];
        for part in &parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part / rows);
        }
        let weights = self.classes * self.columns;
        sum[..weights].iter_mut().zip(parameters).for_each(|(sum, w)| *sum += self.penalty * w);
        Ok(sum)
    }
}
