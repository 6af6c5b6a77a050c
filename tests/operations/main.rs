//! Every operation of [`Backend`] against the f64 oracle, on every backend.
//!
//! A body is generic over the backend and stamped for each that is present. Outputs begin as a sentinel and have more room than the
//! step needs, inputs end in NaN, and layers lie between gaps of their arena: what should not be touched is seen to be left alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../emulated/mod.rs"]
mod emulated;
mod layers;
#[path = "../oracle/mod.rs"]
mod oracle;
mod posterior;
mod steps;

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Precision, Step, Sums};
use latent::noise::Stream;

/// Stamps each test body for each backend. A body takes a function that makes a fresh backend.
macro_rules! on_every_backend {
    ($($(#[$attribute:meta])* $file:ident::$body:ident,)*) => {
        mod cpu {
            $(#[test]
            $(#[$attribute])*
            fn $body() {
                for threads in [1, 2, 3] {
                    crate::$file::$body(|| super::Cpu::new(threads).unwrap());
                }
            })*
        }

        mod cuda {
            $(#[test]
            $(#[$attribute])*
            fn $body() {
                if super::emulated::has_compiler() {
                    let settings = super::emulated::checked();
                    crate::$file::$body(|| super::emulated::backend(&settings, super::Precision::Fp32));
                    super::emulated::assert_no_report(&settings);
                }
            })*
        }
    };
}

on_every_backend! {
    layers::linear_agrees_with_f64,
    layers::linear_backward_agrees_with_f64,
    layers::products_of_integers_are_exact,
    layers::linear_bce_agrees_with_f64,
    layers::linear_bce_is_right_where_the_sigmoid_saturates,
    posterior::reparameterise_agrees_with_f64,
    posterior::drawn_noise_is_that_of_its_address,
    posterior::standard_normal_is_that_of_its_address,
    posterior::reparameterise_backward_agrees_with_f64,
    steps::adam_agrees_with_f64_step_by_step,
    steps::gather_takes_images_in_order_from_a_position,
    steps::every_stream_counts_its_own_steps,
    steps::sums_add_to_what_was_set,
    steps::the_first_non_finite_number_is_named_and_stops_adam,
    steps::an_infinite_logit_is_named,
}

/// What an output holds before an operation, and beyond its elements afterwards.
const UNTOUCHED: f32 = -777.25;

/// Elements that a buffer has beyond those of the step.
const ROOM: usize = 37;

/// `values`, then numbers that spoil every result they enter.
fn input<B: Backend>(backend: &mut B, values: &[f32]) -> B::Buffer {
    let mut buffer = backend.zeros(values.len() + ROOM).unwrap();
    backend.write(&mut buffer, &[values, &[f32::NAN; ROOM]].concat()).unwrap();
    buffer
}

/// Room for `len` elements and more.
fn output<B: Backend>(backend: &mut B, len: usize) -> B::Buffer {
    let mut buffer = backend.zeros(len + ROOM).unwrap();
    backend.write(&mut buffer, &vec![UNTOUCHED; len + ROOM]).unwrap();
    buffer
}

/// The first `len` elements of an [`output`], after a look at those beyond.
#[track_caller]
fn result<B: Backend>(backend: &mut B, buffer: &B::Buffer, len: usize) -> Vec<f32> {
    let mut values = backend.read(buffer, len + ROOM).unwrap();
    assert_eq!(values.split_off(len), [UNTOUCHED; ROOM], "elements beyond the {len} of the step");
    values
}

fn training(rows: usize) -> Step {
    Step::once(Stream::Training, rows)
}

fn bits(values: &[f32]) -> Vec<u64> {
    values.iter().map(|v| u64::from(v.to_bits())).collect()
}

/// Sums with a part for each latent unit, none of them zero.
fn some_sums(units: usize) -> Sums {
    let part = |first: usize| (0..units).map(|i| (first + i) as f64).collect();
    Sums { images: 1000, bce: 2000.0, kl: 3000.0, mean: part(40), mean_squared: part(50) }
}

/// What every operation leaves at ordinary, odd and smallest shapes, bit for bit.
fn everything<B: Backend>(backend: &mut B) -> Vec<(String, Vec<u64>)> {
    backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 0.7, seed: 5 });
    let mut all = layers::everything(backend);
    all.extend(posterior::everything(backend));
    all.extend(steps::everything(backend));
    all
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let one = everything(&mut Cpu::new(1).unwrap());
    // Two threads twice: what depends on scheduling differs between runs.
    for threads in [2, 2, 3, 5] {
        let several = everything(&mut Cpu::new(threads).unwrap());
        for ((name, want), (_, got)) in one.iter().zip(&several) {
            assert!(got == want, "{name}: {threads} threads give other bits than one");
        }
    }
}

#[test]
fn the_comparison_rejects_what_is_off_and_what_is_not_a_number() {
    let close = |got: &[f64], want: &[f64]| oracle::within(oracle::relative_error(got, want), 1e-2);
    assert!(close(&[1.0, 2.001], &[1.0, 2.0]));
    assert!(!close(&[1.0, 2.1], &[1.0, 2.0]));
    assert!(!close(&[0.1], &[0.0]));
    assert!(!close(&[1.0, f64::NAN], &[1.0, 2.0]));
    assert!(!close(&[1.0, 2.0], &[1.0, f64::NAN]));
    assert!(!close(&[f64::INFINITY], &[f64::INFINITY]));
}
