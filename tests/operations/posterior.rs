//! The posterior: sampling, divergence, gradient, noise.

use latent::backend::{Backend, Hyperparameters, Noise, Step, Sums};
use latent::noise::{Address, Stream, fill_standard_normal};

use crate::oracle::{self, assert_close, relative_error, uniform, widen, within};
use crate::{UNTOUCHED, bits, input, output, result, training};

/// Rows and latent units: those of training, odd ones, and 1 in each place.
const SHAPES: [(usize, usize); 14] = [
    (100, 200),
    (60, 200),
    (1, 200),
    (1, 1),
    (100, 1),
    (2, 2),
    (3, 17),
    (5, 3),
    (15, 5),
    (16, 31),
    (17, 33),
    (31, 32),
    (33, 20),
    (128, 2),
];

/// Where the noise of these tests is drawn: no part of it fits in a smaller type.
const SEED: u64 = 7 << 40 | 3;
const STEP: u64 = 5 << 33 | 1;

struct Case {
    rows: usize,
    latent: usize,
    posterior: Vec<f32>,
    eps: Vec<f32>,
    dz: Vec<f32>,
}

/// What a sampling left.
struct Sample {
    eps: Vec<f32>,
    z: Vec<f32>,
    sums: Sums,
}

impl Case {
    fn new((rows, latent): (usize, usize)) -> Self {
        let means = uniform(1, rows * latent, -2.0, 2.0);
        let log_vars = uniform(2, rows * latent, -5.0, 2.0);
        let row = |i: usize| [&means[i * latent..(i + 1) * latent], &log_vars[i * latent..(i + 1) * latent]].concat();
        let posterior = (0..rows).flat_map(row).collect();
        let [eps, dz] = [3, 4].map(|seed| uniform(seed, rows * latent, -3.0, 3.0));
        Self { rows, latent, posterior, eps, dz }
    }

    fn name(&self) -> String {
        format!("{} x {}", self.rows, self.latent)
    }

    fn len(&self) -> usize {
        self.rows * self.latent
    }

    /// (m, v) of every element, rows in order.
    fn posteriors(&self) -> Vec<(f64, f64)> {
        let row = |row: &[f32]| -> Vec<(f64, f64)> {
            let (mean, log_var) = row.split_at(self.latent);
            widen(mean).into_iter().zip(widen(log_var)).collect()
        };
        self.posterior.chunks_exact(2 * self.latent).flat_map(row).collect()
    }

    /// Only noise that is given is put into its buffer beforehand.
    fn sample<B: Backend>(&self, backend: &mut B, noise: Noise, stream: Stream) -> Sample {
        let posterior = input(backend, &self.posterior);
        let (mut eps, mut z) = (output(backend, self.len()), output(backend, self.len()));
        if noise == Noise::Given {
            backend.write(&mut eps, &self.eps).unwrap();
        }
        backend.set_sums(Sums::zeros(self.latent));
        let body = |b: &mut B| b.reparameterise(self.latent, &posterior, noise, &mut eps, &mut z);
        backend.run(Step::once(stream, self.rows), body).unwrap();
        let (eps, z) = (result(backend, &eps, self.len()), result(backend, &z, self.len()));
        Sample { eps, z, sums: backend.sums().unwrap() }
    }

    fn backward<B: Backend>(&self, backend: &mut B) -> Vec<f32> {
        let [posterior, eps, dz] = [&self.posterior, &self.eps, &self.dz].map(|values| input(backend, values));
        let mut dposterior = output(backend, 2 * self.len());
        let body = |b: &mut B| b.reparameterise_backward(self.latent, &posterior, &eps, &dz, &mut dposterior);
        backend.run(training(self.rows), body).unwrap();
        result(backend, &dposterior, 2 * self.len())
    }

    /// Divergence and moments: they are the same for every noise.
    fn check_sums(&self, sums: &Sums) {
        let close = |what: &str, got: &[f64], want: &[f64], bound: f64| {
            let error = relative_error(got, want);
            assert!(within(error, bound), "{}: {what} is off by {error:.2e}", self.name());
        };
        let posteriors = self.posteriors();
        let of_unit = |j: usize, f: fn(f64) -> f64| -> f64 {
            posteriors.iter().skip(j).step_by(self.latent).map(|(m, _)| f(*m)).sum()
        };
        let moments = |f: fn(f64) -> f64| -> Vec<f64> { (0..self.latent).map(|j| of_unit(j, f)).collect() };
        close("KL", &[sums.kl], &[posteriors.iter().map(|(m, v)| oracle::kl(*m, *v)).sum()], 1e-6);
        close("mean", &sums.mean, &moments(|m| m), 1e-6);
        close("mean squared", &sums.mean_squared, &moments(|m| m * m), 1e-6);
        assert_eq!((sums.images, sums.bce), (0, 0.0), "another sum was touched");
    }
}

pub fn reparameterise_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for case in SHAPES.map(Case::new) {
        for noise in [Noise::Given, Noise::Drawn, Noise::Mean] {
            let Sample { eps, z, sums } = case.sample(backend, noise, Stream::Training);
            let sampled = |((m, v), e): ((f64, f64), f64)| {
                if noise == Noise::Mean { m } else { oracle::reparameterise(m, v, e) }
            };
            let want: Vec<f64> = case.posteriors().into_iter().zip(widen(&eps)).map(sampled).collect();
            let bound = if noise == Noise::Mean { 0.0 } else { 2e-7 };
            assert_close(&format!("{} {noise:?}: z", case.name()), &z, &want, bound);
            case.check_sums(&sums);
            assert!(noise != Noise::Given || eps == case.eps, "given noise was changed");
            assert!(noise != Noise::Mean || eps.iter().all(|e| *e == UNTOUCHED), "noise was written for the mean");
        }
    }
}

/// The numbers that belong to `step` of `stream`.
fn drawn(stream: Stream, step: u64, len: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    fill_standard_normal(Address { seed: SEED, stream, step }, 0, &mut out);
    out
}

fn hyperparameters(beta: f64) -> Hyperparameters {
    Hyperparameters { learning_rate: 1e-3, beta, seed: SEED, free_bits: 0.0 }
}

pub fn drawn_noise_is_that_of_its_address<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_hyperparameters(hyperparameters(1.0));
    for stream in [Stream::Training, Stream::Validation] {
        backend.set_step(stream, STEP);
        for (step, case) in (STEP..).zip(SHAPES.map(Case::new)) {
            let Sample { eps, .. } = case.sample(backend, Noise::Drawn, stream);
            assert!(eps == drawn(stream, step, case.len()), "{} {stream:?}", case.name());
        }
    }
}

fn standard_normal<B: Backend>(backend: &mut B, (rows, columns): (usize, usize)) -> Vec<f32> {
    let mut out = output(backend, rows * columns);
    backend.run(Step::once(Stream::Sampling, rows), |b| b.standard_normal(&mut out, columns)).unwrap();
    result(backend, &out, rows * columns)
}

pub fn standard_normal_is_that_of_its_address<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_hyperparameters(hyperparameters(1.0));
    for (step, (rows, columns)) in (0..).zip(SHAPES) {
        let got = standard_normal(backend, (rows, columns));
        assert!(got == drawn(Stream::Sampling, step, rows * columns), "{rows} x {columns}");
    }
}

pub fn reparameterise_backward_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for beta in [0.0, 0.7, 1.0, 4.0] {
        backend.set_hyperparameters(hyperparameters(beta));
        for case in SHAPES.map(Case::new) {
            let inputs = case.posteriors().into_iter().zip(widen(&case.eps)).zip(widen(&case.dz));
            let gradients = inputs.map(|(((m, v), e), dz)| oracle::reparameterise_backward(m, v, e, dz, beta));
            let (dmean, dlog_var): (Vec<f64>, Vec<f64>) = gradients.unzip();
            let rows = dmean.chunks_exact(case.latent).zip(dlog_var.chunks_exact(case.latent));
            let want: Vec<f64> = rows.flat_map(|(m, v)| [m, v].concat()).collect();
            assert_close(&format!("{} beta {beta}", case.name()), &case.backward(backend), &want, 2e-7);
        }
    }
}

pub fn divergence_below_the_free_bits_has_no_gradient<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    let (mut below, mut above) = (0, 0);
    for free_bits in [0.05, 0.5, 1e9] {
        backend.set_hyperparameters(Hyperparameters { free_bits, ..hyperparameters(0.7) });
        for case in SHAPES.map(Case::new) {
            let inputs = case.posteriors().into_iter().zip(widen(&case.eps)).zip(widen(&case.dz));
            let gradients = inputs.map(|(((m, v), e), dz)| {
                let free = oracle::kl(m, v) < free_bits;
                if free {
                    below += 1
                } else {
                    above += 1
                }
                oracle::reparameterise_backward(m, v, e, dz, if free { 0.0 } else { 0.7 })
            });
            let (dmean, dlog_var): (Vec<f64>, Vec<f64>) = gradients.unzip();
            let rows = dmean.chunks_exact(case.latent).zip(dlog_var.chunks_exact(case.latent));
            let want: Vec<f64> = rows.flat_map(|(m, v)| [m, v].concat()).collect();
            assert_close(&format!("{} free bits {free_bits}", case.name()), &case.backward(backend), &want, 2e-7);
        }
    }
    assert!(below > 100 && above > 100, "{below} below and {above} above show too little");
}

pub fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    let mut all = Vec::new();
    for case in SHAPES.map(Case::new) {
        let mut keep = |what: &str, values: Vec<u64>| all.push((format!("{} {what}", case.name()), values));
        for noise in [Noise::Given, Noise::Drawn, Noise::Mean] {
            let Sample { eps, z, sums } = case.sample(backend, noise, Stream::Validation);
            keep("eps", bits(&eps));
            keep("z", bits(&z));
            let moments = sums.mean.iter().chain(&sums.mean_squared);
            keep("sums", moments.chain([&sums.kl]).map(|v| v.to_bits()).collect());
        }
        keep("gradient at the posterior", bits(&case.backward(backend)));
        keep("standard normals", bits(&standard_normal(backend, (case.rows, case.latent))));
    }
    all
}
