//! Every operation of [`Backend`] against the f64 oracle, on every backend.
//!
//! A body is generic over the backend and stamped for each that is present. Outputs begin as a sentinel and have more room than the
//! step needs, inputs end in NaN, and layers lie between gaps of their arena: what should not be touched is seen to be left alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../emulated/mod.rs"]
mod emulated;
mod harness;
mod importance;
mod layers;
#[path = "../oracle/mod.rs"]
mod oracle;
mod posterior;
mod steps;

use latent::backend::Precision;
use latent::backend::cpu::Cpu;

use harness::{UNTOUCHED, bits, every_body, everything, input, output, result, some_sums, training};

/// Stamps each test body for each backend. A body takes a function that makes a fresh backend.
macro_rules! on_every_backend {
    ($($file:ident::$body:ident,)*) => {
        mod cpu {
            $(#[test]
            fn $body() {
                for threads in [1, 2, 3] {
                    crate::$file::$body(|| super::Cpu::new(threads).unwrap());
                }
            })*
        }

        mod cuda {
            $(#[test]
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

every_body!(on_every_backend);

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
