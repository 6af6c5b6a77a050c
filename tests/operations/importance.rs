//! The importance-weighted loss: weights, loss, gradients.

use latent::backend::{Backend, Draws, Hyperparameters, Linear, Step, Sums, Weighed};
use latent::noise::Stream;

use crate::oracle::{self, assert_close, relative_error, uniform, widen, within};
use crate::{bits, input, output, result, training};

/// Images, draws of each, latent units, pixels; then rows of one more image that has fewer draws.
const SHAPES: [([usize; 4], usize); 9] = [
    ([20, 5, 200, 784], 0),
    ([1, 1, 1, 1], 0),
    ([100, 1, 3, 33], 0),
    ([3, 7, 17, 65], 2),
    ([1, 50, 20, 31], 0),
    ([2, 2, 1, 257], 1),
    ([17, 3, 5, 2], 0),
    ([0, 64, 9, 40], 33),
    ([5, 16, 31, 300], 15),
];

/// Inputs of the last layer.
const INPUTS: usize = 6;

const BETAS: [f64; 3] = [0.0, 0.7, 1.0];

struct Case {
    draws: usize,
    latent: usize,
    layer: Linear,
    rows: usize,
    params: Vec<f32>,
    x: Vec<f32>,
    target: Vec<f32>,
    posterior: Vec<f32>,
    eps: Vec<f32>,
    z: Vec<f32>,
    weights: Vec<f32>,
    dz: Vec<f32>,
}

/// What a loss left.
struct Loss {
    sums: Sums,
    weights: Vec<f32>,
    dlogits: Vec<f32>,
}

impl Case {
    fn new(([images, draws, latent, pixels], left_over): ([usize; 4], usize)) -> Self {
        let rows = images * draws + left_over;
        let layer = Linear { inputs: INPUTS, outputs: pixels, weight: 0, bias: INPUTS * pixels };
        // Small enough that no draw of an image outweighs all others.
        let size = 2.0 / (pixels as f32).sqrt();
        Self {
            draws,
            latent,
            layer,
            rows,
            params: uniform(1, (INPUTS + 1) * pixels, -size, size),
            x: uniform(2, rows * INPUTS, -1.0, 1.0),
            target: uniform(3, rows * pixels, 0.0, 1.0),
            posterior: uniform(4, 2 * rows * latent, -1.0, 1.0),
            eps: uniform(5, rows * latent, -0.5, 0.5),
            z: uniform(6, rows * latent, -0.5, 0.5),
            weights: uniform(7, rows, 0.0, 1.0),
            dz: uniform(8, rows * latent, -1.0, 1.0),
        }
    }

    fn name(&self) -> String {
        format!("{} rows, {} an image, {} units, {} pixels", self.rows, self.draws, self.latent, self.layer.outputs)
    }

    fn loss<B: Backend>(&self, backend: &mut B) -> Loss {
        let [params, x, target] = [&self.params, &self.x, &self.target].map(|values| input(backend, values));
        let [posterior, eps, z] = [&self.posterior, &self.eps, &self.z].map(|values| input(backend, values));
        let (mut weights, mut dlogits) = (output(backend, self.rows), output(backend, self.target.len()));
        backend.set_sums(Sums::zeros(0));
        let body = |b: &mut B| {
            let draws = Draws { per_image: self.draws, latent: self.latent, posterior: &posterior, eps: &eps, z: &z };
            let weighed = Weighed { weights: &mut weights, dlogits: &mut dlogits };
            b.linear_importance(self.layer, &params, &x, &target, draws, weighed);
        };
        backend.run(training(self.rows), body).unwrap();
        Loss {
            sums: backend.sums().unwrap(),
            weights: result(backend, &weights, self.rows),
            dlogits: result(backend, &dlogits, self.target.len()),
        }
    }

    fn backward<B: Backend>(&self, backend: &mut B) -> Vec<f32> {
        let [posterior, eps, z] = [&self.posterior, &self.eps, &self.z].map(|values| input(backend, values));
        let [weights, dz] = [&self.weights, &self.dz].map(|values| input(backend, values));
        let mut dposterior = output(backend, self.posterior.len());
        let body = |b: &mut B| {
            let draws = Draws { per_image: self.draws, latent: self.latent, posterior: &posterior, eps: &eps, z: &z };
            b.importance_backward(draws, &weights, &dz, &mut dposterior);
        };
        backend.run(training(self.rows), body).unwrap();
        result(backend, &dposterior, self.posterior.len())
    }

    /// The log weights of all rows, and their cross-entropies.
    fn log_weights(&self, logits: &[f64], beta: f64) -> Vec<(f64, f64)> {
        let (latent, pixels) = (self.latent, self.layer.outputs);
        let row = |row: usize| {
            let pairs = logits[row * pixels..(row + 1) * pixels].iter().zip(&self.target[row * pixels..]);
            let bce: f64 = pairs.map(|(a, t)| oracle::bce(*a, f64::from(*t))).sum();
            let ratio: f64 = (0..latent)
                .map(|j| {
                    let i = row * latent + j;
                    let v = self.posterior[2 * row * latent + latent + j];
                    oracle::log_ratio(f64::from(v), f64::from(self.eps[i]), f64::from(self.z[i]))
                })
                .sum();
            (beta * ratio - bce, bce)
        };
        (0..self.rows).map(row).collect()
    }
}

fn with_beta(beta: f64) -> Hyperparameters {
    Hyperparameters { learning_rate: 1e-3, beta, seed: 1, free_bits: 0.0 }
}

pub fn importance_weights_agree_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for beta in BETAS {
        backend.set_hyperparameters(with_beta(beta));
        for case in SHAPES.map(Case::new) {
            let name = format!("{}, beta {beta}", case.name());
            let Loss { sums, weights, dlogits } = case.loss(backend);
            let logits = oracle::linear(case.layer, &widen(&case.params), &widen(&case.x));
            let rows = case.log_weights(&logits, beta);
            let log_weights: Vec<f64> = rows.iter().map(|(log_weight, _)| *log_weight).collect();
            let images = || log_weights.chunks(case.draws);
            let want_bce: f64 = rows.iter().map(|(_, bce)| bce).sum();
            let want_bound: f64 = images().map(|image| -oracle::log_mean_exp(image) * image.len() as f64).sum();
            let errors = [(sums.bce, want_bce), (sums.bound, want_bound)].map(|(g, w)| relative_error(&[g], &[w]));
            assert!(errors.iter().all(|error| within(*error, 1e-6)), "{name}: losses off by {errors:?}");
            assert_eq!(Sums { bce: 0.0, bound: 0.0, ..sums }, Sums::zeros(0), "{name}: another sum was touched");
            let want_weights: Vec<f64> = images().flat_map(oracle::shares).collect();
            // A row's cross-entropy is a sum in f32, and its error is one of the logarithm.
            let allowed = 3e-6 + 1e-7 * rows.iter().map(|(_, bce)| *bce).fold(0.0, f64::max);
            assert_close(&format!("{name}: weights"), &weights, &want_weights, allowed);
            assert!(weights.chunks(case.draws).all(|image| (image.iter().sum::<f32>() - 1.0).abs() < 1e-5), "{name}");
            let gradient =
                |(i, (a, t)): (usize, (&f64, f64))| want_weights[i / case.layer.outputs] * (oracle::sigmoid(*a) - t);
            let want: Vec<f64> = logits.iter().zip(widen(&case.target)).enumerate().map(gradient).collect();
            assert_close(&format!("{name}: dlogits"), &dlogits, &want, allowed);
        }
    }
}

/// Log weights that lie hundreds of nats apart: one draw counts and no exponential overflows.
pub fn a_draw_that_outweighs_all_others_takes_the_whole_image<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_hyperparameters(with_beta(1.0));
    let mut case = Case::new(([2, 3, 2, 40], 0));
    // Units and inputs alike: the logits of row 1 and row 5 lie at their targets, those of others far off.
    case.params = vec![100.0; (INPUTS + 1) * 40];
    case.target = vec![1.0; case.target.len()];
    case.x = vec![-1.0; case.x.len()];
    for row in [1, 5] {
        case.x[row * INPUTS..(row + 1) * INPUTS].fill(1.0);
    }
    let Loss { sums, weights, dlogits } = case.loss(backend);
    assert_eq!(weights, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert!(sums.bound.is_finite() && dlogits.iter().all(|gradient| *gradient == 0.0), "{}", sums.bound);
}

pub fn importance_backward_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for beta in BETAS {
        backend.set_hyperparameters(with_beta(beta));
        for case in SHAPES.map(Case::new) {
            let latent = case.latent;
            let mut want = vec![0.0; case.posterior.len()];
            for i in 0..case.dz.len() {
                let (row, at) = (i / latent, i / latent * 2 * latent + i % latent);
                let [v, eps, z, dz, share] =
                    [case.posterior[at + latent], case.eps[i], case.z[i], case.dz[i], case.weights[row]].map(f64::from);
                (want[at], want[at + latent]) = oracle::importance_backward(v, eps, z, dz, beta * share);
            }
            assert_close(&format!("{}, beta {beta}", case.name()), &case.backward(backend), &want, 3e-7);
        }
    }
}

/// An input of 1e30 meets weights of 1e30: an infinite logit.
pub fn an_infinite_logit_of_a_draw_is_named<B: Backend>(new: impl Fn() -> B) {
    for row in [0, 4, 7] {
        let backend = &mut new();
        let mut case = Case::new(([2, 4, 3, 33], 0));
        case.params[5 * INPUTS..6 * INPUTS].fill(1e30);
        case.x[row * INPUTS..(row + 1) * INPUTS].fill(1e30);
        backend.set_step(Stream::Training, 9);
        case.loss(backend);
        let found = backend.non_finite().unwrap().expect("an infinite logit went unseen");
        assert_eq!((found.step, found.tensor, found.row, found.column), (9, "logits", row, 5));
        backend.run(Step::once(Stream::Training, 1), |_| ()).unwrap();
        assert_eq!(backend.non_finite().unwrap().map(|found| found.row), Some(row));
    }
}

pub fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    let mut all = Vec::new();
    for case in SHAPES.map(Case::new) {
        let mut keep = |what: &str, values: Vec<u64>| all.push((format!("{} {what}", case.name()), values));
        let Loss { sums, weights, dlogits } = case.loss(backend);
        keep("losses", vec![sums.bce.to_bits(), sums.bound.to_bits()]);
        keep("weights", bits(&weights));
        keep("dlogits", bits(&dlogits));
        keep("gradient at the posterior", bits(&case.backward(backend)));
    }
    all
}
