//! Linear layers: forward, with the loss, backward.

use latent::backend::{Activation, Backend, InputGradient, Linear, NEGATIVE_SLOPE, Sums};

use crate::oracle::{self, assert_close, relative_error, uniform, widen, within};
use crate::{UNTOUCHED, bits, input, output, result, training};

/// Rows, inputs, outputs: those of training, of its ragged last batches, odd ones, and 1 in each place.
const SHAPES: [(usize, usize, usize); 21] = [
    (100, 784, 400),
    (100, 400, 400),
    (100, 200, 400),
    (100, 400, 784),
    (60, 784, 400),
    (1, 400, 784),
    (1, 1, 1),
    (1, 5, 3),
    (2, 17, 1),
    (3, 1, 17),
    (5, 33, 31),
    (17, 32, 33),
    (31, 100, 5),
    (32, 3, 100),
    (33, 2, 2),
    (100, 31, 32),
    (7, 65, 129),
    (1, 784, 400),
    (100, 1, 300),
    (100, 300, 1),
    (64, 191, 193),
];

/// Elements of an arena before a layer's weight, between it and its bias, and after.
const GAPS: [usize; 3] = [3, 2, 5];

/// One layer with numbers to work on.
struct Case {
    rows: usize,
    layer: Linear,
    params: Vec<f32>,
    x: Vec<f32>,
    /// The gradient at the layer's result, or the target of its loss.
    dy: Vec<f32>,
}

impl Case {
    /// `values(seed, len)` supplies the numbers.
    fn new((rows, inputs, outputs): (usize, usize, usize), values: impl Fn(u64, usize) -> Vec<f32>) -> Self {
        let weight = GAPS[0];
        let bias = weight + inputs * outputs + GAPS[1];
        let layer = Linear { inputs, outputs, weight, bias };
        // A number from a gap would spoil every result it enters.
        let gap = |i: usize| vec![f32::NAN; GAPS[i]];
        let params = [gap(0), values(1, inputs * outputs), gap(1), values(2, outputs), gap(2)].concat();
        Self { rows, layer, params, x: values(3, rows * inputs), dy: values(4, rows * outputs) }
    }

    fn name(&self) -> String {
        format!("{} x {} -> {}", self.rows, self.layer.inputs, self.layer.outputs)
    }

    fn forward<B: Backend>(&self, backend: &mut B, activation: Activation) -> Vec<f32> {
        let (params, x) = (input(backend, &self.params), input(backend, &self.x));
        let mut y = output(backend, self.dy.len());
        backend.run(training(self.rows), |b| b.linear(self.layer, &params, &x, &mut y, activation)).unwrap();
        result(backend, &y, self.dy.len())
    }

    /// The loss against `dy` as targets, and its gradient at the logits.
    fn bce<B: Backend>(&self, backend: &mut B) -> (f64, Vec<f32>) {
        let (params, x, target) = (input(backend, &self.params), input(backend, &self.x), input(backend, &self.dy));
        let mut dlogits = output(backend, self.dy.len());
        backend.set_sums(Sums::zeros(0));
        let body = |b: &mut B| b.linear_bce(self.layer, &params, &x, &target, &mut dlogits);
        backend.run(training(self.rows), body).unwrap();
        let Sums { bce, images: 0, kl: 0.0, .. } = backend.sums().unwrap() else { panic!("another sum was touched") };
        (bce, result(backend, &dlogits, self.dy.len()))
    }

    /// dW beside db, and dL/d(pre-activation of x) if `activation` says what made x.
    fn backward<B: Backend>(&self, backend: &mut B, activation: Option<Activation>) -> (Vec<f32>, Option<Vec<f32>>) {
        let (params, x, dy) = (input(backend, &self.params), input(backend, &self.x), input(backend, &self.dy));
        let (mut grads, mut dx) = (output(backend, self.params.len()), output(backend, self.x.len()));
        let body = |b: &mut B| {
            let wanted = activation.map(|activation| InputGradient { dx: &mut dx, activation });
            b.linear_backward(self.layer, &params, &x, &dy, &mut grads, wanted);
        };
        backend.run(training(self.rows), body).unwrap();
        let arena = result(backend, &grads, self.params.len());
        let dx = result(backend, &dx, self.x.len());
        assert!(activation.is_some() || dx.iter().all(|v| *v == UNTOUCHED), "dx was not asked for");
        (self.without_gaps(&arena), activation.map(|_| dx))
    }

    /// Weight beside bias, after a look at the gaps.
    fn without_gaps(&self, arena: &[f32]) -> Vec<f32> {
        let Linear { inputs, outputs, weight, bias } = self.layer;
        let (weight, bias) = (weight..weight + inputs * outputs, bias..bias + outputs);
        let in_gap = |i: usize| !weight.contains(&i) && !bias.contains(&i);
        let untouched = (0..arena.len()).filter(|i| in_gap(*i)).all(|i| arena[i] == UNTOUCHED);
        assert!(untouched, "{}: gradients beside the layer's own were written", self.name());
        [&arena[weight], &arena[bias]].concat()
    }

    /// What [`Case::backward`] should give, for an x that no activation made.
    fn backward_in_f64(&self) -> (Vec<f64>, Vec<f64>) {
        let mut grads = vec![0.0; self.params.len()];
        let dx =
            oracle::linear_backward(self.layer, &widen(&self.params), &widen(&self.x), &widen(&self.dy), &mut grads);
        let Linear { inputs, outputs, weight, bias } = self.layer;
        ([&grads[weight..weight + inputs * outputs], &grads[bias..bias + outputs]].concat(), dx)
    }
}

/// Numbers around zero, every seventh of them zero (LeakyReLU's corner).
fn real(seed: u64, len: usize) -> Vec<f32> {
    let mut values = uniform(seed, len, -1.0, 1.0);
    values.iter_mut().step_by(7).for_each(|v| *v = 0.0);
    values
}

/// Integers so small that every sum of products is exact in f32.
fn integers(seed: u64, len: usize) -> Vec<f32> {
    uniform(seed, len, -6.0, 6.0).into_iter().map(f32::round).collect()
}

pub fn linear_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for case in SHAPES.map(|shape| Case::new(shape, real)) {
        let a = oracle::linear(case.layer, &widen(&case.params), &widen(&case.x));
        for activation in [Activation::Identity, Activation::LeakyRelu, Activation::Sigmoid] {
            let want: Vec<f64> = a.iter().map(|a| oracle::activate(activation, *a)).collect();
            let got = case.forward(backend, activation);
            assert_close(&format!("{} {activation:?}", case.name()), &got, &want, 1e-6);
        }
    }
}

pub fn linear_backward_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for case in SHAPES.map(|shape| Case::new(shape, real)) {
        let (want, want_dx) = case.backward_in_f64();
        let want_through_activation = oracle::leaky_relu_backward(&widen(&case.x), &want_dx);
        let expectations = [
            (None, None),
            (Some(Activation::Identity), Some(&want_dx)),
            (Some(Activation::LeakyRelu), Some(&want_through_activation)),
        ];
        let weights = case.layer.inputs * case.layer.outputs;
        for (activation, want_dx) in expectations {
            let (got, dx) = case.backward(backend, activation);
            let name = |what: &str| format!("{} {activation:?}: {what}", case.name());
            assert_close(&name("dW"), &got[..weights], &want[..weights], 1e-6);
            assert_close(&name("db"), &got[weights..], &want[weights..], 1e-6);
            if let (Some(got), Some(want)) = (dx, want_dx) {
                assert_close(&name("dx"), &got, want, 1e-6);
            }
        }
    }
}

pub fn products_of_integers_are_exact<B: Backend>(new: impl Fn() -> B) {
    let narrow = |values: Vec<f64>| -> Vec<f32> { values.into_iter().map(|v| v as f32).collect() };
    let backend = &mut new();
    for case in SHAPES.map(|shape| Case::new(shape, integers)) {
        let want = narrow(oracle::linear(case.layer, &widen(&case.params), &widen(&case.x)));
        assert!(case.forward(backend, Activation::Identity) == want, "{}: y", case.name());
        let (grads, dx) = case.backward_in_f64();
        let (grads, mut dx) = (narrow(grads), narrow(dx));
        let got = case.backward(backend, Some(Activation::Identity));
        assert!(got == (grads.clone(), Some(dx.clone())), "{}: gradients", case.name());
        dx.iter_mut().zip(&case.x).filter(|(_, x)| **x <= 0.0).for_each(|(dx, _)| *dx *= NEGATIVE_SLOPE);
        let got = case.backward(backend, Some(Activation::LeakyRelu));
        assert!(got == (grads, Some(dx)), "{}: gradients behind LeakyReLU", case.name());
    }
}

/// Targets from 0 to 1, both ends among them.
fn with_targets(mut case: Case) -> Case {
    case.dy = uniform(5, case.dy.len(), -0.5, 1.5).into_iter().map(|t| t.clamp(0.0, 1.0)).collect();
    case
}

pub fn linear_bce_agrees_with_f64<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for case in SHAPES.map(|shape| with_targets(Case::new(shape, real))) {
        let a = oracle::linear(case.layer, &widen(&case.params), &widen(&case.x));
        let pairs = || a.iter().zip(widen(&case.dy));
        let want_loss: f64 = pairs().map(|(a, t)| oracle::bce(*a, t)).sum();
        let want: Vec<f64> = pairs().map(|(a, t)| oracle::sigmoid(*a) - t).collect();
        let (loss, dlogits) = case.bce(backend);
        assert!(within(relative_error(&[loss], &[want_loss]), 1e-6), "{}: {loss}, not {want_loss}", case.name());
        assert_close(&case.name(), &dlogits, &want, 1e-6);
    }
}

/// Each logit against each target by itself, so that a large loss hides no small one.
pub fn linear_bce_is_right_where_the_sigmoid_saturates<B: Backend>(new: impl Fn() -> B) {
    let backend = &mut new();
    for size in [0.0, 1e-6, 0.5, 3.0, 17.0, 30.0, 88.5, 100.0, 110.0, 1e4, 1e30f32] {
        for (a, t) in [size, -size].into_iter().flat_map(|a| [0.0, 1.0, 0.3, 1.0 / 255.0, 0.999].map(|t| (a, t))) {
            let layer = Linear { inputs: 1, outputs: 1, weight: 0, bias: 1 };
            let case = Case { rows: 1, layer, params: vec![a, 0.0], x: vec![1.0], dy: vec![t] };
            let (loss, dlogits) = case.bce(backend);
            let (got, a, t) = (f64::from(dlogits[0]), f64::from(a), f64::from(t));
            let (want_loss, want) = (oracle::bce(a, t), oracle::sigmoid(a) - t);
            // The subtrahend is what f32 can tell of the loss where a t and a cancel, or below its smallest normal number.
            let allowed = 2e-7 * want_loss + 1e-7 * (a.max(0.0) - a * t).abs() + 1e-37;
            assert!(within((loss - want_loss).abs(), allowed), "BCE({a}, {t}) = {loss}, not {want_loss}");
            assert!(within((got - want).abs(), 1.5e-7 * want.abs() + 6e-8), "dBCE({a}, {t}) = {got}, not {want}");
        }
    }
}

pub fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    let mut all = Vec::new();
    for case in SHAPES.map(|shape| with_targets(Case::new(shape, real))) {
        let mut keep = |what: &str, values: Vec<u64>| all.push((format!("{} {what}", case.name()), values));
        for activation in [Activation::Identity, Activation::LeakyRelu, Activation::Sigmoid] {
            keep("linear", bits(&case.forward(backend, activation)));
        }
        let (loss, dlogits) = case.bce(backend);
        keep("BCE", vec![loss.to_bits()]);
        keep("dlogits", bits(&dlogits));
        for activation in [None, Some(Activation::Identity), Some(Activation::LeakyRelu)] {
            let (grads, dx) = case.backward(backend, activation);
            keep("gradients", bits(&grads));
            keep("dx", bits(&dx.unwrap_or_default()));
        }
    }
    all
}
