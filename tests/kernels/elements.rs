//! LeakyReLU, sigmoid, BCE and KL as kernels of their own, against f64, at the smallest size, at odd ones and at the real ones.

use cudarc::driver::{CudaSlice, PushKernelArg};

use crate::device::{BLOCK, Device};
use crate::emulated::{assert_no_report, checked};
use crate::oracle::{self, assert_close, relative_error, uniform, widen, within};

/// Elements: one, fewer than a quad, a ragged last block, a batch of codes, a batch of images.
const LENGTHS: [usize; 5] = [1, 3, 4 * BLOCK + 1, 100 * 200, 100 * 784];

/// Rows and latent units.
const POSTERIORS: [(usize, usize); 4] = [(1, 1), (3, 5), (7, 129), (100, 200)];

/// What f32 arithmetic may be off by.
const BOUND: f64 = 3e-7;

/// Applies a kernel of the form (x, y, length) that takes a quad a thread.
fn unary(device: &Device, file: &'static str, entry: &str, x: &[f32]) -> Vec<f32> {
    let (kernel, from, mut to) = (device.kernel(file, entry), device.upload(x), device.room(x.len()));
    let length = x.len() as u64;
    device.launch(&kernel, x.len().div_ceil(4), |launch| {
        launch.arg(&from).arg(&mut to).arg(&length);
    });
    device.download(&to)
}

/// Applies a kernel of the form (a, b, c, length) that takes a quad a thread.
fn binary(device: &Device, file: &'static str, entry: &str, [a, b]: [&[f32]; 2]) -> Vec<f32> {
    let (kernel, first, second) = (device.kernel(file, entry), device.upload(a), device.upload(b));
    let (mut to, length) = (device.room(a.len()), a.len() as u64);
    device.launch(&kernel, a.len().div_ceil(4), |launch| {
        launch.arg(&first).arg(&second).arg(&mut to).arg(&length);
    });
    device.download(&to)
}

/// Adds up what the blocks of a first stage left.
fn sum(device: &Device, partial: &CudaSlice<f64>) -> f64 {
    let (kernel, mut total, parts) = (device.kernel("sum.cu", "sum"), device.room(1), partial.len() as i32);
    device.launch(&kernel, 1, |launch| {
        launch.arg(partial).arg(&mut total).arg(&parts);
    });
    device.download(&total)[0]
}

#[track_caller]
fn assert_total(what: &str, got: f64, want: f64) {
    let error = relative_error(&[got], &[want]);
    assert!(within(error, BOUND), "{what} is {got}, should be {want}: off by {error:.2e}");
}

#[test]
fn leaky_relu_agrees_with_f64() {
    let Some(device) = Device::open() else { return };
    for length in LENGTHS {
        let x = uniform(1, length, -3.0, 3.0);
        let y = unary(&device, "leaky_relu.cu", "leaky_relu_forward", &x);
        let want: Vec<f64> = widen(&x).into_iter().map(oracle::leaky_relu).collect();
        assert_close("LeakyReLU", &y, &want, BOUND);
        let dy = uniform(2, length, -3.0, 3.0);
        let dx = binary(&device, "leaky_relu.cu", "leaky_relu_backward", [&y, &dy]);
        assert_close("its gradient", &dx, &oracle::leaky_relu_backward(&want, &widen(&dy)), BOUND);
    }
    assert_no_report(&checked());
}

#[test]
fn sigmoid_agrees_with_f64() {
    let Some(device) = Device::open() else { return };
    for length in LENGTHS {
        let x = uniform(3, length, -12.0, 12.0);
        let y = unary(&device, "sigmoid.cu", "sigmoid_forward", &x);
        let want: Vec<f64> = widen(&x).into_iter().map(oracle::sigmoid).collect();
        assert_close("sigmoid", &y, &want, BOUND);
        let dy = uniform(4, length, -3.0, 3.0);
        let dx = binary(&device, "sigmoid.cu", "sigmoid_backward", [&y, &dy]);
        let derivative = |(y, dy): (&f32, &f32)| f64::from(*dy) * f64::from(*y) * (1.0 - f64::from(*y));
        let want: Vec<f64> = y.iter().zip(&dy).map(derivative).collect();
        assert_close("its gradient", &dx, &want, BOUND);
    }
    assert_no_report(&checked());
}

/// The loss of all elements, in two stages.
fn bce(device: &Device, logits: &[f32], targets: &[f32]) -> f64 {
    let (a, t) = (device.upload(logits), device.upload(targets));
    let (kernel, length) = (device.kernel("bce.cu", "bce_loss"), logits.len() as u64);
    let threads = logits.len().div_ceil(4);
    let mut partial = device.room::<f64>(threads.div_ceil(BLOCK));
    device.launch(&kernel, threads, |launch| {
        launch.arg(&a).arg(&t).arg(&mut partial).arg(&length);
    });
    sum(device, &partial)
}

fn bce_agrees(device: &Device, logits: &[f32], targets: &[f32]) {
    let (a, t) = (widen(logits), widen(targets));
    let want: f64 = a.iter().zip(&t).map(|(a, t)| oracle::bce(*a, *t)).sum();
    let got = bce(device, logits, targets);
    assert_total("BCE", got, want);
    assert_eq!(got.to_bits(), bce(device, logits, targets).to_bits(), "two sums differ");
    let want: Vec<f64> = a.iter().zip(&t).map(|(a, t)| oracle::sigmoid(*a) - t).collect();
    let gradient = binary(device, "bce.cu", "bce_gradient", [logits, targets]);
    assert_close("its gradient", &gradient, &want, BOUND);
}

#[test]
fn bce_agrees_with_f64() {
    let Some(device) = Device::open() else { return };
    for length in LENGTHS {
        bce_agrees(&device, &uniform(5, length, -8.0, 8.0), &uniform(6, length, 0.0, 1.0));
    }
    // Where a sigmoid rounds to 0 or 1, its logarithm would be lost.
    bce_agrees(&device, &[200.0, -200.0, 50.0, -50.0, 17.5], &[0.0, 1.0, 0.25, 0.75, 1.0]);
    assert_no_report(&checked());
}

fn kl_agrees(device: &Device, (rows, latent): (usize, usize), posterior: &[f32]) {
    let pairs = |i: usize| {
        let mean = i / latent * 2 * latent + i % latent;
        (f64::from(posterior[mean]), f64::from(posterior[mean + latent]))
    };
    let length = rows * latent;
    let (at, rows, units) = (device.upload(posterior), rows as i32, latent as i32);

    let (kernel, mut partial) = (device.kernel("kl.cu", "kl_loss"), device.room::<f64>(length.div_ceil(BLOCK)));
    device.launch(&kernel, length, |launch| {
        launch.arg(&at).arg(&mut partial).arg(&rows).arg(&units);
    });
    assert_total("KL", sum(device, &partial), (0..length).map(pairs).map(|(m, v)| oracle::kl(m, v)).sum());

    let (kernel, mut gradient, beta) = (device.kernel("kl.cu", "kl_gradient"), device.room(2 * length), 0.7f32);
    device.launch(&kernel, length, |launch| {
        launch.arg(&at).arg(&mut gradient).arg(&beta).arg(&rows).arg(&units);
    });
    let mut want = vec![0.0; 2 * length];
    for i in 0..length {
        let ((m, v), mean) = (pairs(i), i / latent * 2 * latent + i % latent);
        (want[mean], want[mean + latent]) = oracle::reparameterise_backward(m, v, 0.0, 0.0, f64::from(beta));
    }
    assert_close("its gradient", &device.download(&gradient), &want, BOUND);
}

#[test]
fn kl_agrees_with_f64() {
    let Some(device) = Device::open() else { return };
    for (rows, latent) in POSTERIORS {
        kl_agrees(&device, (rows, latent), &uniform(7, rows * 2 * latent, -2.0, 2.0));
    }
    assert_no_report(&checked());
}
