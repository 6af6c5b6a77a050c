//! A layer of one's own, made of the backend's operations, and the check that its gradients are right.
//!
//! ```text
//! cargo run --release --example gradient_check
//! ```
//!
//! The layer is a residual one, y = x + LeakyReLU(x W^T + b), and the loss L = sum(r y) for fixed numbers r, so that dL/dy = r. The
//! check writes L once more, plainly in f64, and takes (L(p + h) - L(p - h)) / 2h for every parameter and input p. It also runs a
//! backward pass with a mistake in it, because a check that never fails checks nothing. Exit code 1: a gradient is wrong, or a
//! mistake was not noticed.

use std::error::Error;

use latent::backend::cpu::Cpu;
use latent::backend::{Activation, Backend, InputGradient, Linear, NEGATIVE_SLOPE, Step};
use latent::noise::{Address, Stream, fill_standard_normal};

const ROWS: usize = 5;
const UNITS: usize = 7;
/// W `[UNITS, UNITS]`, then b `[UNITS]`, in one arena.
const LAYER: Linear = Linear { inputs: UNITS, outputs: UNITS, weight: 0, bias: UNITS * UNITS };
const PARAMETERS: usize = UNITS * UNITS + UNITS;
/// Half the distance of a central difference: its error h^2 is far below f32's, and so is f64's rounding by h.
const H: f64 = 1e-5;
/// What f32 may be off by, as the norm of the difference over that of the gradient.
const BOUND: f64 = 1e-6;

/// Mistakes that the check has to notice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    None,
    /// The derivative of LeakyReLU is taken as 1.
    NoDerivative,
    /// What goes round the layer is forgotten on the way back.
    NoSkip,
}

fn main() -> Result<(), Box<dyn Error>> {
    let [params, x, r] = [(0, PARAMETERS), (1, ROWS * UNITS), (2, ROWS * UNITS)].map(|(step, len)| random(step, len));
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
    let (wide_params, wide_x) = (wide(&params), wide(&x));
    let of_params = differences(&wide_params, |params| loss(params, &wide_x, &wide(&r)));
    let of_x = differences(&wide_x, |x| loss(&wide_params, x, &wide(&r)));

    println!("y = x + LeakyReLU(x W^T + b), {ROWS} rows of {UNITS} units; relative errors against central differences");
    println!("{:<14} {:>9} {:>9} {:>9}", "backward pass", "dW", "db", "dx");
    for mistake in [Mistake::None, Mistake::NoDerivative, Mistake::NoSkip] {
        let (got, dx) = backward(&mut Cpu::new(1)?, &params, &x, &r, mistake)?;
        let ((dw, db), (want_dw, want_db)) = (got.split_at(LAYER.bias), of_params.split_at(LAYER.bias));
        let errors = [relative_error(dw, want_dw), relative_error(db, want_db), relative_error(&dx, &of_x)];
        let name = if mistake == Mistake::None { "as derived".to_owned() } else { format!("{mistake:?}") };
        println!("{name:<14} {:>9.1e} {:>9.1e} {:>9.1e}", errors[0], errors[1], errors[2]);
        let right = errors.iter().all(|error| *error <= BOUND);
        if right != (mistake == Mistake::None) {
            return Err(format!("{name}: gradients within {BOUND:.0e} of the differences: {right}").into());
        }
    }
    println!("the derivation holds, and both mistakes are noticed");
    Ok(())
}

/// Forward and backward pass on a backend: the gradients at the parameters and at x. h = LeakyReLU(p) with p = x W^T + b, and y = x + h. So dL/dp = r f'(p), where h tells the
/// sign of p; the layer's own gradients follow from dL/dp; and dL/dx = r + dL/dp W, the first part round the layer.
fn backward<B: Backend>(
    backend: &mut B,
    params: &[f32],
    x: &[f32],
    r: &[f32],
    mistake: Mistake,
) -> Result<(Vec<f32>, Vec<f32>), Box<dyn Error>> {
    let [params, x] = [params, x].map(|values| buffer(backend, values));
    let (params, x) = (params?, x?);
    let (mut h, mut dx) = (backend.zeros(ROWS * UNITS)?, backend.zeros(ROWS * UNITS)?);
    let mut gradients = backend.zeros(PARAMETERS)?;
    let step = Step::once(Stream::Training, ROWS);
    backend.run(step, |backend| backend.linear(LAYER, &params, &x, &mut h, Activation::LeakyRelu))?;

    // What no operation does is done on the host here; a kernel of one's own would do it (see `custom_kernel`).
    let slope = |h: &f32| if *h > 0.0 || mistake == Mistake::NoDerivative { 1.0 } else { NEGATIVE_SLOPE };
    let dp: Vec<f32> = backend.read(&h, ROWS * UNITS)?.iter().zip(r).map(|(h, r)| r * slope(h)).collect();
    let dp = buffer(backend, &dp)?;
    backend.run(step, |backend| {
        let input = InputGradient { dx: &mut dx, activation: Activation::Identity };
        backend.linear_backward(LAYER, &params, &x, &dp, &mut gradients, Some(input));
    })?;
    let skip = |r: &f32| if mistake == Mistake::NoSkip { 0.0 } else { *r };
    let dx = backend.read(&dx, ROWS * UNITS)?.iter().zip(r).map(|(dx, r)| dx + skip(r)).collect();
    Ok((backend.read(&gradients, PARAMETERS)?, dx))
}

/// The loss in f64, written to be read.
fn loss(params: &[f64], x: &[f64], r: &[f64]) -> f64 {
    let output = |(i, r): (usize, &f64)| {
        let (row, unit) = (&x[i / UNITS * UNITS..][..UNITS], i % UNITS);
        let p: f64 = (0..UNITS).map(|k| row[k] * params[unit * UNITS + k]).sum::<f64>() + params[LAYER.bias + unit];
        r * (row[unit] + if p > 0.0 { p } else { f64::from(NEGATIVE_SLOPE) * p })
    };
    r.iter().enumerate().map(output).sum()
}

/// The slope of `f` along each element of `at`.
fn differences(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let shifted = |i: usize, by: f64| {
        f(&at.iter().enumerate().map(|(j, p)| if j == i { p + by } else { *p }).collect::<Vec<_>>())
    };
    (0..at.len()).map(|i| (shifted(i, H) - shifted(i, -H)) / (2.0 * H)).collect()
}

/// The norm of the difference over that of what is wanted; NaN where a number is.
fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    let square: f64 = got.iter().zip(want).map(|(got, want)| (f64::from(*got) - want).powi(2)).sum();
    (square / want.iter().map(|want| want * want).sum::<f64>()).sqrt()
}

fn buffer<B: Backend>(backend: &mut B, values: &[f32]) -> Result<B::Buffer, latent::backend::Error> {
    let mut buffer = backend.zeros(values.len())?;
    backend.write(&mut buffer, values)?;
    Ok(buffer)
}

/// `len` standard normals at their own address.
fn random(step: u64, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    fill_standard_normal(Address { seed: 1, stream: Stream::Corruption, step }, 0, &mut values);
    values
}
