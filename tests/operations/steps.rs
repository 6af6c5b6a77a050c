//! What a step keeps: Adam, batches, counters, sums, and the first number that was not finite.

use latent::backend::{Backend, Hyperparameters, Linear, Noise, NonFinite, Step, Sums};
use latent::noise::Stream;

use crate::oracle::{Adam, assert_close, uniform, widen};
use crate::{bits, input, output, result, some_sums, training};

/// Lengths of an arena, with the one of the tutorial's VAE among them.
const LENGTHS: [usize; 6] = [1, 5, 33, 1000, 100_003, 1_189_984];

const LEARNING_RATE: f64 = 0.003;

/// Parameters and both moments on a device.
struct Arenas<B: Backend> {
    len: usize,
    params: B::Buffer,
    first_moment: B::Buffer,
    second_moment: B::Buffer,
}

impl<B: Backend> Arenas<B> {
    /// All zeros: beside a larger parameter, an update's error would be lost in its rounding.
    fn zeros(backend: &mut B, len: usize) -> Self {
        let mut zeros = || {
            let mut buffer = output(backend, len);
            backend.write(&mut buffer, &vec![0.0; len]).unwrap();
            buffer
        };
        Self { len, params: zeros(), first_moment: zeros(), second_moment: zeros() }
    }

    fn adam(&mut self, backend: &mut B, grads: &[f32]) {
        let grads = input(backend, grads);
        let Self { len, params, first_moment, second_moment } = self;
        backend.run(training(1), |b| b.adam(*len, params, &grads, first_moment, second_moment)).unwrap();
    }

    fn read(&self, backend: &mut B) -> [Vec<f32>; 3] {
        [&self.params, &self.first_moment, &self.second_moment].map(|buffer| result(backend, buffer, self.len))
    }
}

/// Gradients of very different sizes, down to where epsilon and underflow matter, and some of exactly 0.
fn gradients(step: u64, len: usize) -> Vec<f32> {
    let scale = |i: usize| if i % 11 == 10 { 0.0 } else { 10f32.powi(2 - (i % 11) as i32) };
    uniform(100 + step, len, -1.0, 1.0).into_iter().enumerate().map(|(i, g)| g * scale(i)).collect()
}

pub fn adam_agrees_with_f64_step_by_step<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_hyperparameters(Hyperparameters { learning_rate: LEARNING_RATE, beta: 1.0, seed: 1, free_bits: 0.0 });
    for len in LENGTHS {
        backend.set_step(Stream::Training, 0);
        let mut arenas = Arenas::zeros(backend, len);
        let (mut oracle, mut want) = (Adam::new(len), vec![0.0; len]);
        for t in 1..=4 {
            // After the first three a late one, where nothing is left of the bias correction.
            let t = if t == 4 { 100_000 } else { t };
            backend.set_step(Stream::Training, t - 1);
            let grads = gradients(t, len);
            arenas.adam(backend, &grads);
            oracle.step(t as i32, LEARNING_RATE, &mut want, &widen(&grads));
            let [params, first, second] = arenas.read(backend);
            assert_close(&format!("{len} parameters after step {t}"), &params, &want, 2e-6);
            assert_close(&format!("first moment of {len} after step {t}"), &first, &oracle.first_moment, 1e-6);
            assert_close(&format!("second moment of {len} after step {t}"), &second, &oracle.second_moment, 1e-6);
        }
    }
}

const PIXELS: usize = 7;

/// Image `i` holds the bytes from 37 `i` on, so that every byte and no two equal images occur.
fn pixels() -> Vec<u8> {
    (0..40usize).flat_map(|i| (0..PIXELS).map(move |k| (37 * i + k) as u8)).collect()
}

/// Takes `rows` images and checks that they are those that `order` names.
fn check_gather<B: Backend>(backend: &mut B, images: &mut B::Images, order: &[u32]) {
    let mut batch = output(backend, order.len() * PIXELS);
    backend.run(training(order.len()), |b| b.gather(images, &mut batch)).unwrap();
    let source = pixels();
    let image = |i: &u32| source[*i as usize * PIXELS..][..PIXELS].iter().map(|byte| f32::from(*byte) / 255.0);
    let want: Vec<f32> = order.iter().flat_map(image).collect();
    assert_eq!(result(backend, &batch, want.len()), want, "images {order:?}");
}

pub fn gather_takes_images_in_order_from_a_position<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_sums(Sums::zeros(0));
    let mut images = backend.load_images(pixels(), PIXELS).unwrap();
    check_gather(backend, &mut images, &[0, 1, 2, 3, 4]);
    check_gather(backend, &mut images, &[5]);
    let order: Vec<u32> = (0..40).map(|i| (i * 23 + 11) % 40).collect();
    backend.set_order(&mut images, &order, 3).unwrap();
    check_gather(backend, &mut images, &order[3..20]);
    check_gather(backend, &mut images, &order[20..37]);
    check_gather(backend, &mut images, &order[37..]);
    // An order may be longer or shorter than the set and name an image twice.
    backend.set_order(&mut images, &[39, 0, 39], 0).unwrap();
    check_gather(backend, &mut images, &[39, 0, 39]);
    assert_eq!(backend.sums().unwrap(), Sums { images: 5 + 1 + 37 + 3, ..Sums::zeros(0) });
}

pub fn targets_are_taken_beside_their_images_and_replaced_in_place<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_sums(Sums::zeros(0));
    let mut images = backend.load_images(pixels(), PIXELS).unwrap();
    let order: Vec<u32> = (0..40).map(|i| (i * 23 + 11) % 40).collect();
    let takes = |backend: &mut B, images: &mut B::Images, inputs: &[u8], targets: &[u8], position: usize| {
        backend.set_order(images, &order, position).unwrap();
        let rows = 9;
        let (mut input, mut target) = (output(backend, rows * PIXELS), output(backend, rows * PIXELS));
        let step = training(rows);
        backend
            .run(step, |b| {
                b.gather_target(images, &mut target);
                b.gather(images, &mut input);
            })
            .unwrap();
        let named = |source: &[u8]| -> Vec<f32> {
            let rows = order[position..position + rows].iter();
            rows.flat_map(|i| source[*i as usize * PIXELS..][..PIXELS].iter().map(|b| f32::from(*b) / 255.0)).collect()
        };
        assert_eq!(result(backend, &input, rows * PIXELS), named(inputs));
        assert_eq!(result(backend, &target, rows * PIXELS), named(targets));
    };
    let clean = pixels();
    takes(backend, &mut images, &clean, &clean, 3);
    let noisy: Vec<u8> = clean.iter().map(|byte| byte.wrapping_mul(3)).collect();
    backend.replace_pixels(&mut images, &noisy).unwrap();
    backend.set_targets(&mut images, &clean).unwrap();
    takes(backend, &mut images, &noisy, &clean, 0);
    backend.set_targets(&mut images, &noisy).unwrap();
    backend.replace_pixels(&mut images, &clean).unwrap();
    takes(backend, &mut images, &clean, &noisy, 31);
    // Targets are not counted.
    assert_eq!(backend.sums().unwrap().images, 27);
}

pub fn every_stream_counts_its_own_steps<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    let streams = [Stream::Training, Stream::Validation, Stream::Sampling];
    let steps = |backend: &B| streams.map(|stream| backend.step(stream));
    assert_eq!(steps(backend), [0, 0, 0]);
    for stream in [Stream::Training, Stream::Sampling, Stream::Training] {
        backend.run(Step::once(stream, 3), |_| ()).unwrap();
    }
    assert_eq!(steps(backend), [2, 0, 1]);
    backend.set_step(Stream::Validation, u64::from(u32::MAX));
    backend.run(Step::once(Stream::Validation, 1), |_| ()).unwrap();
    assert_eq!(steps(backend), [2, 1 << 32, 1]);
}

/// A layer that multiplies by `w` and adds nothing, with as many outputs as inputs.
fn scaling(units: usize, w: f32) -> (Linear, Vec<f32>) {
    let identity = (0..units * units).map(|i| if i % (units + 1) == 0 { w } else { 0.0 });
    let params = identity.chain((0..units).map(|_| 0.0)).collect();
    (Linear { inputs: units, outputs: units, weight: 0, bias: units * units }, params)
}

/// One step that samples `posterior`, `[rows, 2 latent]`, and takes the loss of the logits `w x`, `[rows, units]`.
fn losses<B: Backend>(backend: &mut B, rows: usize, posterior: &[f32], noise: Noise, x: &[f32], w: f32) {
    let (latent, units) = (posterior.len() / rows / 2, x.len() / rows);
    let (layer, params) = scaling(units, w);
    let [params, posterior, x] = [&params, posterior, x].map(|values| input(backend, values));
    let target = input(backend, &vec![0.0; rows * units]);
    let [mut eps, mut z] = [(); 2].map(|()| output(backend, rows * latent));
    let mut dlogits = output(backend, rows * units);
    let body = |b: &mut B| {
        b.reparameterise(latent, &posterior, noise, &mut eps, &mut z);
        b.linear_bce(layer, &params, &x, &target, &mut dlogits);
    };
    backend.run(training(rows), body).unwrap();
}

pub fn sums_add_to_what_was_set<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    backend.set_sums(some_sums(3));
    assert_eq!(backend.sums().unwrap(), some_sums(3));
    // Two rows of means 1, 2, -3 with variance 1: KL is 14 / 2 a row. Four logits of 0: BCE is ln 2 each.
    let posterior = [1.0, 2.0, -3.0, 0.0, 0.0, 0.0].repeat(2);
    for repetition in 1..=3 {
        losses(backend, 2, &posterior, Noise::Mean, &[0.0; 4], 1.0);
        let (n, mut want) = (f64::from(repetition), some_sums(3));
        want.kl += n * 14.0;
        for (j, m) in [1.0, 2.0, -3.0].into_iter().enumerate() {
            want.mean[j] += n * 2.0 * m;
            want.mean_squared[j] += n * 2.0 * m * m;
        }
        let got = backend.sums().unwrap();
        assert!((got.bce - want.bce - n * 4.0 * std::f64::consts::LN_2).abs() <= 1e-6, "BCE {}", got.bce);
        assert_eq!(Sums { bce: want.bce, ..got }, want);
    }
    backend.set_sums(Sums::zeros(1));
    assert_eq!(backend.sums().unwrap(), Sums::zeros(1));
}

pub fn sums_take_their_units_from_the_first_posterior<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    // Means 1, 2, -3 in two rows. The second time nothing is left of the first.
    for sums in [None, Some(Sums::zeros(0))] {
        if let Some(sums) = sums {
            backend.set_sums(sums);
        }
        losses(backend, 2, &[1.0, 2.0, -3.0, 0.0, 0.0, 0.0].repeat(2), Noise::Mean, &[0.0; 4], 1.0);
        let Sums { mean, mean_squared, .. } = backend.sums().unwrap();
        assert_eq!((mean, mean_squared), (vec![2.0, 4.0, -6.0], vec![2.0, 8.0, 18.0]));
    }
}

/// Rows of the steps below; enough for several tasks or blocks.
const ROWS: usize = 35;

/// Runs ordinary steps up to number 4, then one with `value` at (`row`, `column`) of the tensor, then one more like it.
/// Returns what was named, after a check that Adam's arenas are as they were before.
fn spoil<B: Backend>(
    backend: &mut B,
    tensor: &str,
    noise: Noise,
    (row, column, value): (usize, usize, f32),
) -> NonFinite {
    let (latent, units) = (5, 33);
    let mut arenas = Arenas::zeros(backend, 10);
    let (good, mut x) = (vec![0.5; 2 * ROWS * latent], vec![0.5; ROWS * units]);
    let mut posterior = good.clone();
    backend.set_sums(Sums::zeros(latent));
    for _ in 0..4 {
        losses(backend, ROWS, &good, noise, &x, 1.0);
    }
    assert_eq!(backend.non_finite().unwrap(), None);
    arenas.adam(backend, &gradients(1, 10));
    let before = arenas.read(backend);
    assert_ne!(before[0], [0.0; 10], "Adam did nothing before the fault");
    backend.set_step(Stream::Training, 4);
    match tensor {
        "mean" => posterior[row * 2 * latent + column] = value,
        "log_var" => posterior[row * 2 * latent + latent + column] = value,
        _ => x[row * units + column] = value,
    }
    losses(backend, ROWS, &posterior, noise, &x, 1e30);
    let found = backend.non_finite().unwrap();
    losses(backend, ROWS, &vec![f32::NAN; 2 * ROWS * latent], noise, &vec![f32::NAN; ROWS * units], 1.0);
    arenas.adam(backend, &gradients(2, 10));
    assert_eq!(arenas.read(backend).map(|a| bits(&a)), before.map(|a| bits(&a)), "Adam went on after {tensor} {value}");
    let found = found.unwrap_or_else(|| panic!("{tensor} {value} at ({row}, {column}) went unseen"));
    let now = backend.non_finite().unwrap().unwrap();
    assert!((now.step, now.tensor, now.row, now.column) == (found.step, found.tensor, found.row, found.column));
    found
}

pub fn the_first_non_finite_number_is_named_and_stops_adam<B: Backend>(new: impl Fn() -> B) {
    let infinity = f32::INFINITY;
    // A mean of 1e20 has an infinite square, a log variance of 89 an infinite exponential: the divergence is infinite.
    let faults = [
        ("mean", vec![f32::NAN, infinity, -infinity, 1e20]),
        ("log_var", vec![f32::NAN, infinity, -infinity, 89.0]),
        ("logits", vec![f32::NAN]),
    ];
    for (tensor, values) in faults {
        for (value, noise) in values.into_iter().flat_map(|v| [Noise::Drawn, Noise::Mean].map(|noise| (v, noise))) {
            for (row, column) in [(0, 0), (34, 4), (17, 2)] {
                let found = spoil(&mut new(), tensor, noise, (row, column, value));
                // A layer spreads a NaN over its whole row.
                let column = if tensor == "logits" { 0 } else { column };
                assert_eq!((found.step, found.tensor, found.row, found.column), (4, tensor, row, column), "{value}");
                assert!(found.value == value || found.value.is_nan() && value.is_nan(), "{found:?}");
            }
        }
    }
}

/// The weight of the spoilt step is 1e30, so an input of 1e30 makes its logit infinite, and no other.
pub fn an_infinite_logit_is_named<B: Backend>(new: impl Fn() -> B) {
    for value in [1e30, -1e30] {
        for (row, column) in [(0, 0), (34, 32), (17, 2)] {
            let found = spoil(&mut new(), "logits", Noise::Drawn, (row, column, value));
            assert_eq!((found.step, found.tensor, found.row, found.column), (4, "logits", row, column), "{found:?}");
        }
    }
}

pub fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    let mut all = Vec::new();
    for len in LENGTHS {
        let mut arenas = Arenas::zeros(backend, len);
        for step in 1..=2 {
            arenas.adam(backend, &gradients(step, len));
        }
        all.push((format!("Adam over {len}"), bits(&arenas.read(backend).concat())));
    }
    let mut images = backend.load_images(pixels(), PIXELS).unwrap();
    let mut batch = output(backend, 33 * PIXELS);
    backend.run(training(33), |b| b.gather(&mut images, &mut batch)).unwrap();
    all.push(("gather".to_owned(), bits(&result(backend, &batch, 33 * PIXELS))));
    all
}
