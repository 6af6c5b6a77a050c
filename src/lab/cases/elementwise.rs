//! Activations, images and noise.

use rand_distr::{Distribution, StandardUniform};

use super::{
    HYPERPARAMETERS, STEP, ULP, address, blocks_of_quads, control, each, launch, on_elements, uniform, within,
};
use crate::backend::cuda::Argument;
use crate::backend::cuda::elementwise::{BLOCK, Gather, StandardNormal};
use crate::backend::cuda::gemm::Size;
use crate::lab::case::{Case, Contents, Expected, Launch, Work};
use crate::noise::{Address, PhiloxRng, Stream, fill_standard_normal};

/// LeakyReLU's slope for negative arguments.
const SLOPE: f64 = 0.2;

/// Magnitude of activations' arguments.
const ARGUMENT: f32 = 6.0;

/// LeakyReLU forward from x to y, then backward from dy to dx.
pub fn leaky_relu(name: &'static str, size: Size) -> Case {
    let (x, dy) = (within(1, size.m * size.n, ARGUMENT), uniform(2, size.m * size.n));
    let slope = |x: &f32| if *x > 0.0 { 1.0 } else { SLOPE };
    let y = x.iter().map(|x| slope(x) * f64::from(*x)).collect();
    let dx = x.iter().zip(&dy).map(|(x, dy)| slope(x) * f64::from(*dy)).collect();
    let expected = vec![each("y", 1, y, 2.0), each("dx", 3, dx, 2.0)];
    activation(name, "leaky_relu.cu", ["leaky_relu_forward", "leaky_relu_backward"], [x, dy], expected, 2.0)
}

/// LeakyReLU from the first buffer to the second.
pub fn leaky_relu_launch(buffers: [usize; 2], length: usize) -> Launch {
    on_elements("leaky_relu.cu", "leaky_relu_forward", buffers, length)
}

/// The logistic function forward from x to y, then backward from dy to dx.
pub fn sigmoid(name: &'static str, size: Size) -> Case {
    let (x, dy) = (within(1, size.m * size.n, ARGUMENT), uniform(2, size.m * size.n));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let y: Vec<f64> = x.iter().map(|x| sigmoid(f64::from(*x))).collect();
    let dx = x.iter().zip(&dy).map(|(x, dy)| f64::from(*dy) * sigmoid(f64::from(*x)) * sigmoid(-f64::from(*x)));
    // 1 - y cancels where y is near 1: its error is one of y.
    let allowed = y.iter().zip(&dy).map(|(y, dy)| 8.0 * ULP * f64::from(dy.abs()) * y).collect();
    let dx = Expected { allowed, ..each("dx", 3, dx.collect(), 0.0) };
    let expected = vec![each("y", 1, y, 8.0), dx];
    activation(name, "sigmoid.cu", ["sigmoid_forward", "sigmoid_backward"], [x, dy], expected, 29.0)
}

/// An activation forward and backward: the buffers are x, y, dy, dx.
fn activation(
    name: &'static str,
    file: &'static str,
    [forward, backward]: [&'static str; 2],
    [x, dy]: [Vec<f32>; 2],
    expected: Vec<Expected>,
    flop: f64,
) -> Case {
    let length = x.len();
    let room = || Contents::room::<f32>(length);
    Case {
        name,
        buffers: vec![Contents::of(&x), room(), Contents::of(&dy), room()],
        launches: vec![on_elements(file, forward, [0, 1], length), on_elements(file, backward, [1, 2, 3], length)],
        expected,
        work: Work { flop: flop * length as f64, bytes: 16.0 * length as f64 },
    }
}

/// Images that come before the batch in the order.
const PASSED: usize = 3;

/// A batch of `m` images of `n` pixels, in an order that is not that of the images.
pub fn gather(name: &'static str, size: Size) -> Case {
    let Size { m: rows, n: columns, .. } = size;
    let pixels: Vec<u8> = StandardUniform.sample_iter(PhiloxRng::new(address(1))).take(rows * columns).collect();
    let order: Vec<u32> = (0..rows + PASSED).map(|i| ((rows + PASSED - 1 - i) % rows) as u32).collect();
    let image = |index: &u32| &pixels[*index as usize * columns..][..columns];
    let batch = order[PASSED..].iter().flat_map(image).map(|byte| f64::from(f32::from(*byte) / 255.0)).collect();
    let arguments = move |addresses: &[u64]| {
        let &[pixels, order, position, batch] = addresses else { unreachable!("the case has four buffers") };
        vec![Argument::new(&Gather { pixels, order, position, batch, rows: rows as i32, size: columns as i32 })]
    };
    let elements = (rows * columns) as f64;
    Case {
        name,
        buffers: vec![
            Contents::of(&pixels),
            Contents::of(&order),
            Contents::of(&[PASSED as u64]),
            Contents::room::<f32>(rows * columns),
        ],
        launches: vec![launch("gather.cu", name, (blocks_of_quads(rows * columns, BLOCK), BLOCK), arguments)],
        expected: vec![each("batch", 3, batch, 0.0)],
        work: Work { flop: elements, bytes: 5.0 * elements + 4.0 * rows as f64 },
    }
}

/// The noise of a step of training.
pub fn noise(count: usize) -> Vec<f32> {
    let mut noise = vec![0.0; count];
    fill_standard_normal(Address { seed: HYPERPARAMETERS.seed, stream: Stream::Training, step: STEP }, 0, &mut noise);
    noise
}

/// `m` rows of `n` standard normals, those of `src/noise` to the bit.
pub fn standard_normal(name: &'static str, size: Size) -> Case {
    let length = size.m * size.n;
    let arguments = move |addresses: &[u64]| {
        let &[out, control] = addresses else { unreachable!("the case has two buffers") };
        let (length, stream) = (length as u64, Stream::Training as i32);
        vec![Argument::new(&StandardNormal { out, control, length, stream, _padding: 0 })]
    };
    Case {
        name,
        buffers: vec![Contents::room::<f32>(length), Contents::of(&[control()])],
        launches: vec![launch("standard_normal.cu", name, (blocks_of_quads(length, BLOCK), BLOCK), arguments)],
        expected: vec![each("out", 0, noise(length).into_iter().map(f64::from).collect(), 0.0)],
        work: Work { flop: 27.0 * length as f64, bytes: 4.0 * length as f64 },
    }
}
