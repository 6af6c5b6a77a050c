//! The end of a step: Adam, sums and counters.

use std::mem::offset_of;

use super::{HYPERPARAMETERS, STEP, ULP, blocks_of_quads, control, each, launch, positive, within};
use crate::backend::adam::{BETA_1, BETA_2, EPSILON};
use crate::backend::cuda::Argument;
use crate::backend::cuda::control::{Control, Losses};
use crate::backend::cuda::elementwise::{self as arguments, BLOCK};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Compared, Contents, Expected, Number, Work};
use crate::noise::Stream;

/// Images of the step that ends.
const ROWS: i32 = 100;

/// Partial losses and divergences of a step of training that Adam ends.
const PARTS: [usize; 2] = [100, 40];

/// An update of `n` parameters, and the end of the step of training.
pub fn adam(name: &'static str, size: Size) -> Case {
    let length = size.n;
    let state = [within(1, length, 0.1), within(2, length, 0.01), within(3, length, 0.01), positive(4, length, 1e-4)];
    let [parameters, gradients, first, second] = &state;
    let (bce, kl) = (positive(5, PARTS[0], 1e4), positive(6, PARTS[1], 1e3));
    let buffers = [parameters, gradients, first, second].map(|values| Contents::of(values));
    let arguments = move |addresses: &[u64]| {
        let &[parameters, gradients, first, second, ref end @ ..] = addresses else { unreachable!("eight buffers") };
        let (length, end) = (length as u64, ending(end, PARTS));
        let adam = arguments::Adam { parameters, gradients, first, second, length, end, ends_step: 1, _padding: 0 };
        vec![Argument::new(&adam)]
    };
    Case {
        name,
        expected: updated(&state).into_iter().chain(ended(4, &bce, &kl)).collect(),
        buffers: buffers.into_iter().chain(end_buffers(&bce, &kl)).collect(),
        launches: vec![launch("adam.cu", name, (blocks_of_quads(length, BLOCK), BLOCK), arguments)],
        work: Work { flop: 11.0 * length as f64, bytes: 28.0 * length as f64 },
    }
}

/// Algorithm 1 of Kingma and Ba 2015 for each parameter: what becomes of it and of both moments.
fn updated([parameters, gradients, first, second]: &[Vec<f32>; 4]) -> [Expected; 3] {
    let t = (STEP + 1) as i32;
    let step_size = HYPERPARAMETERS.learning_rate / (1.0 - BETA_1.powi(t));
    let mut results = [(); 3].map(|()| (Vec::new(), Vec::new()));
    for i in 0..parameters.len() {
        let [p, g, m, v] = [parameters[i], gradients[i], first[i], second[i]].map(f64::from);
        let m_next = BETA_1 * m + (1.0 - BETA_1) * g;
        let v_next = BETA_2 * v + (1.0 - BETA_2) * g * g;
        let factor = step_size / ((v_next / (1.0 - BETA_2.powi(t))).sqrt() + EPSILON);
        let of_first = 4.0 * ULP * (m.abs() + g.abs());
        let of_parameter = 2.0 * ULP * p.abs() + factor * (of_first + 16.0 * ULP * m_next.abs());
        let of_each = [(p - factor * m_next, of_parameter), (m_next, of_first), (v_next, 8.0 * ULP * v_next)];
        for ((values, allowed), (value, may)) in results.iter_mut().zip(of_each) {
            values.push(value);
            allowed.push(may);
        }
    }
    let [parameters, first, second] = results;
    [("parameters", 0, parameters), ("first", 2, first), ("second", 3, second)]
        .map(|(what, buffer, (values, allowed))| Expected { allowed, ..each(what, buffer, values, 0.0) })
}

/// The end of a step with `m` partial losses and `n` partial divergences.
pub fn finish(name: &'static str, size: Size) -> Case {
    let parts = [size.m, size.n];
    let (bce, kl) = (positive(5, parts[0], 1e4), positive(6, parts[1], 1e3));
    let count = (parts[0] + parts[1]) as f64;
    Case {
        name,
        buffers: end_buffers(&bce, &kl).into(),
        launches: vec![launch("finish.cu", "finish_step", (1, BLOCK), move |addresses| {
            vec![Argument::new(&ending(addresses, parts))]
        })],
        expected: ended(0, &bce, &kl).into(),
        work: Work { flop: count, bytes: 8.0 * count },
    }
}

/// Partial losses, partial divergences, the control, and the place in the images' order.
fn end_buffers(bce: &[f32], kl: &[f32]) -> [Contents; 4] {
    let widened = |parts: &[f32]| Contents::of(&parts.iter().map(|part| f64::from(*part)).collect::<Vec<_>>());
    [widened(bce), widened(kl), Contents::of(&[control()]), Contents::Zeros(size_of::<u64>())]
}

/// The arguments of the end of a step of training, from the addresses of [`end_buffers`].
fn ending(addresses: &[u64], [bce_parts, kl_parts]: [usize; 2]) -> arguments::Finish {
    let &[bce, kl, control, position] = addresses else { unreachable!("the end of a step has four buffers") };
    arguments::Finish {
        control,
        bce,
        kl,
        bound: 0,
        position,
        bce_parts: bce_parts as i32,
        kl_parts: kl_parts as i32,
        bound_parts: 0,
        rows: ROWS,
        stream: Stream::Training as i32,
        advances: 1,
    }
}

/// What the end of the step leaves in [`end_buffers`], the first of which is buffer `first`.
fn ended(first: usize, bce: &[f32], kl: &[f32]) -> [Expected; 5] {
    let sum = |parts: &[f32]| parts.iter().map(|part| f64::from(*part)).sum::<f64>();
    let losses = offset_of!(Control, losses);
    let at = |what, buffer, offset, number, value: f64, relative| {
        let (values, allowed) = (vec![value], vec![relative * value]);
        Expected { what, buffer, offset, number, compared: Compared::Each, values, allowed }
    };
    let (control, position) = (first + 2, first + 3);
    // Another order of f64 additions, of which the errors are a walk.
    let relative = 16.0 * f64::EPSILON * (1.0 + (bce.len().max(kl.len()) as f64).sqrt());
    [
        at("bce", control, losses + offset_of!(Losses, bce), Number::F64, sum(bce), relative),
        at("kl", control, losses + offset_of!(Losses, kl), Number::F64, sum(kl), relative),
        at("images", control, losses + offset_of!(Losses, images), Number::U64, f64::from(ROWS), 0.0),
        at("step", control, 0, Number::U64, (STEP + 1) as f64, 0.0),
        at("position", position, 0, Number::U64, f64::from(ROWS), 0.0),
    ]
}
