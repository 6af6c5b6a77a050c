//! LeakyReLU, sigmoid, KL and the adding of a bias as kernels of their own, against f64, at the smallest size, at odd ones and at the real ones.

use cudarc::driver::{CudaSlice, PushKernelArg};

use crate::device::{BLOCK, Device};
use crate::emulated::{assert_no_report, checked};
use crate::oracle::{self, assert_close, relative_error, uniform, widen, within};

/// Elements: one, fewer than a quad, a ragged last block, a batch of codes, a batch of images.
pub const LENGTHS: [usize; 5] = [1, 3, 4 * BLOCK + 1, 100 * 200, 100 * 784];

/// Rows and latent units.
const POSTERIORS: [(usize, usize); 4] = [(1, 1), (3, 5), (7, 129), (100, 200)];

/// What f32 arithmetic may be off by.
pub const BOUND: f64 = 3e-7;

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
pub fn binary(device: &Device, file: &'static str, entry: &str, [a, b]: [&[f32]; 2]) -> Vec<f32> {
    let (kernel, first, second) = (device.kernel(file, entry), device.upload(a), device.upload(b));
    let (mut to, length) = (device.room(a.len()), a.len() as u64);
    device.launch(&kernel, a.len().div_ceil(4), |launch| {
        launch.arg(&first).arg(&second).arg(&mut to).arg(&length);
    });
    device.download(&to)
}

/// Adds up what the blocks of a first stage left.
pub fn sum(device: &Device, partial: &CudaSlice<f64>) -> f64 {
    let (kernel, mut total, parts) = (device.kernel("sum.cu", "sum"), device.room(1), partial.len() as i32);
    device.launch(&kernel, 1, |launch| {
        launch.arg(partial).arg(&mut total).arg(&parts);
    });
    device.download(&total)[0]
}

#[track_caller]
pub fn assert_total(what: &str, got: f64, want: f64) {
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

#[test]
fn a_bias_is_added_to_every_row() {
    let Some(device) = Device::open() else { return };
    for (rows, columns) in [(1, 1), (3, 5), (7, 129), (100, 400)] {
        let (bias, mut want) = (uniform(8, columns, -3.0, 3.0), uniform(9, rows * columns, -3.0, 3.0));
        let (at, mut c) = (device.upload(&bias), device.upload(&want));
        let (kernel, count) = (device.kernel("add_bias.cu", "add_bias"), (rows as i32, columns as i32));
        device.launch(&kernel, rows * columns, |launch| {
            launch.arg(&at).arg(&mut c).arg(&count.0).arg(&count.1);
        });
        want.chunks_mut(columns).for_each(|row| row.iter_mut().zip(&bias).for_each(|(value, bias)| *value += bias));
        assert_eq!(device.download(&c), want, "{rows} x {columns}");
    }
    assert_no_report(&checked());
}
