//! Every operation of [`Backend`] against the f64 oracle, on every backend.
//!
//! A body is generic over the backend and stamped for each that is present. Outputs begin as a sentinel and have more room than the
//! step needs, inputs end in NaN, and layers lie between gaps of their arena: what should not be touched is seen to be left alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../emulated/mod.rs"]
mod emulated;
mod harness;
mod layers;
#[path = "../oracle/mod.rs"]
mod oracle;
mod posterior;
mod steps;

use latent::backend::Precision;
use latent::backend::cpu::Cpu;

use harness::{UNTOUCHED, bits, everything, input, output, result, some_sums, training};

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
