//! Each operation of the trait `Backend` on the processor at its real shapes, verified first: `cargo bench --bench cpu_ops`.
//!
//! One thread a core, a batch of 100 images, the layers of 784-400-400-200. Hot: the repetition before left operands and results in
//! the caches, as far as they fit; cold: they lie in memory. See `benches/harness/mod.rs` for the options.

#[path = "harness/mod.rs"]
mod harness;
#[allow(clippy::unwrap_used, reason = "test bodies may panic")]
#[path = "../tests/oracle/mod.rs"]
mod oracle;

use std::f64::consts::TAU;
use std::process::ExitCode;

use latent::backend::cpu::{Buffer, Cpu};
use latent::backend::{Activation, Backend, Hyperparameters, InputGradient, Linear, NEGATIVE_SLOPE, Noise, Step, Sums};
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind};
use latent::noise::{Address, Stream};

use harness::work::{BATCH, DIMS};
use harness::{Bench, Failure, Quantity, Unit, Verified};
use oracle::{relative_error, uniform, widen};

const STEP: Step = Step::once(Stream::Training, BATCH);
const SETTINGS: Hyperparameters = Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 };
/// What f32 may be off by.
const BOUND: f64 = 1e-6;

fn main() -> ExitCode {
    Bench::main("cpu_ops", |bench| {
        let mut cpu = Cpu::new(harness::threads())?;
        cpu.set_hyperparameters(SETTINGS);
        cpu.set_sums(Sums::zeros(DIMS.latent));
        Operations { bench, cpu }.all()
    })
}

struct Operations<'a> {
    bench: &'a mut Bench,
    cpu: Cpu,
}

impl Operations<'_> {
    fn all(&mut self) -> Result<(), Failure> {
        let Dims { input, hidden, latent } = DIMS;
        self.gather()?;
        self.linear((input, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, 2 * latent), Activation::Identity)?;
        self.standard_normal()?;
        self.reparameterise()?;
        self.linear((latent, hidden), Activation::LeakyRelu)?;
        self.linear((hidden, input), Activation::Sigmoid)?;
        self.linear_bce((hidden, input))?;
        self.linear_backward((hidden, input), Some(Activation::LeakyRelu))?;
        self.linear_backward((hidden, hidden), Some(Activation::LeakyRelu))?;
        self.linear_backward((latent, hidden), Some(Activation::Identity))?;
        self.reparameterise_backward()?;
        self.linear_backward((input, hidden), None)?;
        self.adam()
    }

    /// More images than a batch, in an order that jumps about and is taken again and again.
    fn gather(&mut self) -> Result<(), Failure> {
        let images = 6000;
        let pixels = uniform(1, images * DIMS.input, 0.0, 256.0).into_iter().map(|value| value as u8);
        let pixels: Vec<u8> = pixels.collect();
        // 7919 is prime to their number.
        let order: Vec<u32> = (0..images).map(|i| (i * 7919 % images) as u32).collect();
        let image =
            |i: &u32| pixels[*i as usize * DIMS.input..][..DIMS.input].iter().map(|byte| f64::from(*byte) / 255.0);
        let want: Vec<f64> = order[..BATCH].iter().flat_map(image).collect();
        let mut on_device = self.cpu.load_images(pixels.clone(), DIMS.input)?;
        let mut left = 0;
        let name = format!("gather {BATCH} x {}", DIMS.input);
        self.row(name, elements(want.len()), [want], 0.0, |cpu, [batch]| {
            if left == 0 {
                cpu.set_order(&mut on_device, &order, 0)?;
                left = images;
            }
            left -= BATCH;
            Ok(cpu.run(STEP, |cpu| cpu.gather(&mut on_device, batch))?)
        })
    }

    fn standard_normal(&mut self) -> Result<(), Failure> {
        let len = BATCH * DIMS.latent;
        let name = format!("standard_normal {BATCH} x {}", DIMS.latent);
        let want = normals(self.next_address(), len);
        self.row(name, elements(len), [want], 0.0, |cpu, [out]| {
            Ok(cpu.run(STEP, |cpu| cpu.standard_normal(out, DIMS.latent))?)
        })
    }

    fn linear(&mut self, shape: (usize, usize), activation: Activation) -> Result<(), Failure> {
        let Problem { layer, params, x, .. } = Problem::new(shape);
        let sums = oracle::linear(layer, &widen(&params), &widen(&x));
        let want = sums.into_iter().map(|a| oracle::activate(activation, a)).collect();
        let (params, x) = (self.buffer(&params)?, self.buffer(&x)?);
        let name = format!("linear {} -> {}, {activation:?}", shape.0, shape.1);
        self.row(name, flop(2, shape), [want], 0.0, |cpu, [y]| {
            Ok(cpu.run(STEP, |cpu| cpu.linear(layer, &params, &x, y, activation))?)
        })
    }

    fn linear_bce(&mut self, shape: (usize, usize)) -> Result<(), Failure> {
        let Problem { layer, params, x, .. } = Problem::new(shape);
        let target = uniform(4, BATCH * shape.1, 0.0, 1.0);
        let logits = oracle::linear(layer, &widen(&params), &widen(&x));
        let pairs = || logits.iter().zip(&target).map(|(a, t)| (*a, f64::from(*t)));
        let (loss, want) =
            (pairs().map(|(a, t)| oracle::bce(a, t)).sum(), pairs().map(|(a, t)| oracle::sigmoid(a) - t));
        let want = want.collect();
        let (params, x, target) = (self.buffer(&params)?, self.buffer(&x)?, self.buffer(&target)?);
        let name = format!("linear_bce {} -> {}", shape.0, shape.1);
        self.row(name, flop(2, shape), [want], loss, |cpu, [dlogits]| {
            Ok(cpu.run(STEP, |cpu| cpu.linear_bce(layer, &params, &x, &target, dlogits))?)
        })
    }

    /// Both gradients, that of the input through `activation`; or, without one, those of the weights alone.
    fn linear_backward(&mut self, shape: (usize, usize), activation: Option<Activation>) -> Result<(), Failure> {
        let Problem { layer, params, x, dy } = Problem::new(shape);
        let mut grads = vec![0.0; params.len()];
        let dx = oracle::linear_backward(layer, &widen(&params), &widen(&x), &widen(&dy), &mut grads);
        let slope =
            |x: f32| if x > 0.0 || activation != Some(Activation::LeakyRelu) { 1.0 } else { f64::from(NEGATIVE_SLOPE) };
        let dx = dx.iter().zip(&x).map(|(dx, x)| if activation.is_some() { dx * slope(*x) } else { 0.0 }).collect();
        let (params, x, dy) = (self.buffer(&params)?, self.buffer(&x)?, self.buffer(&dy)?);
        let through = activation.map_or("weights alone".to_owned(), |activation| format!("{activation:?}"));
        let name = format!("linear_backward {} -> {}, {through}", shape.0, shape.1);
        let products = if activation.is_some() { 4 } else { 2 };
        self.row(name, flop(products, shape), [grads, dx], 0.0, |cpu, [grads, dx]| {
            let input = activation.map(|activation| InputGradient { dx, activation });
            Ok(cpu.run(STEP, |cpu| cpu.linear_backward(layer, &params, &x, &dy, grads, input))?)
        })
    }

    fn reparameterise(&mut self) -> Result<(), Failure> {
        let posterior = uniform(5, 2 * BATCH * DIMS.latent, -2.0, 1.0);
        let eps = normals(self.next_address(), BATCH * DIMS.latent);
        let pairs = || posterior_pairs(&posterior);
        let loss = pairs().map(|(m, v)| oracle::kl(m, v)).sum();
        let z = pairs().zip(&eps).map(|((m, v), eps)| oracle::reparameterise(m, v, *eps)).collect();
        let posterior = self.buffer(&posterior)?;
        let name = format!("reparameterise {BATCH} x {}", DIMS.latent);
        self.row(name, elements(eps.len()), [eps, z], loss, |cpu, [eps, z]| {
            Ok(cpu.run(STEP, |cpu| cpu.reparameterise(DIMS.latent, &posterior, Noise::Drawn, eps, z))?)
        })
    }

    fn reparameterise_backward(&mut self) -> Result<(), Failure> {
        let len = BATCH * DIMS.latent;
        let (posterior, eps, dz) =
            (uniform(5, 2 * len, -2.0, 1.0), uniform(6, len, -3.0, 3.0), uniform(7, len, -1.0, 1.0));
        let gradient = |(((m, v), eps), dz): (((f64, f64), &f32), &f32)| {
            oracle::reparameterise_backward(m, v, f64::from(*eps), f64::from(*dz), SETTINGS.beta)
        };
        let (dm, dv): (Vec<f64>, Vec<f64>) = posterior_pairs(&posterior).zip(&eps).zip(&dz).map(gradient).unzip();
        let rows = dm.chunks(DIMS.latent).zip(dv.chunks(DIMS.latent));
        let want = rows.flat_map(|(dm, dv)| [dm, dv].concat()).collect();
        let (posterior, eps, dz) = (self.buffer(&posterior)?, self.buffer(&eps)?, self.buffer(&dz)?);
        let name = format!("reparameterise_backward {BATCH} x {}", DIMS.latent);
        self.row(name, elements(len), [want], 0.0, |cpu, [out]| {
            Ok(cpu.run(STEP, |cpu| cpu.reparameterise_backward(DIMS.latent, &posterior, &eps, &dz, out))?)
        })
    }

    /// The first step from zero: beside larger parameters, an update's error would be lost in their rounding.
    fn adam(&mut self) -> Result<(), Failure> {
        let len = layout_of(Kind::Variational, DIMS).len();
        let grads = uniform(8, len, -1.0, 1.0);
        let (mut state, mut params) = (oracle::Adam::new(len), vec![0.0; len]);
        state.step(1, SETTINGS.learning_rate, &mut params, &widen(&grads));
        let grads = self.buffer(&grads)?;
        self.cpu.set_step(Stream::Training, 0);
        let want = [params, state.first_moment, state.second_moment];
        self.row(format!("adam, {len} parameters"), elements(len), want, 0.0, |cpu, [p, m, v]| {
            Ok(cpu.run(STEP, |cpu| cpu.adam(len, p, &grads, m, v))?)
        })
    }

    fn buffer(&mut self, values: &[f32]) -> Result<Buffer, Failure> {
        let mut buffer = self.cpu.zeros(values.len())?;
        self.cpu.write(&mut buffer, values)?;
        Ok(buffer)
    }

    /// Where the next step draws its noise.
    fn next_address(&self) -> Address {
        Address { seed: SETTINGS.seed, stream: STEP.stream, step: self.cpu.step(STEP.stream) }
    }

    /// Runs `body` once on outputs of zeros, holds what it leaves there and in the sums against `want` and `loss`, then times it.
    fn row<const N: usize>(
        &mut self,
        name: String,
        work: Quantity,
        want: [Vec<f64>; N],
        loss: f64,
        mut body: impl FnMut(&mut Cpu, &mut [Buffer; N]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { bench, cpu } = self;
        cpu.set_sums(Sums::zeros(DIMS.latent));
        let mut outputs = Vec::new();
        for want in &want {
            outputs.push(cpu.zeros(want.len())?);
        }
        let mut outputs: [Buffer; N] = outputs.try_into().map_err(|_| "another number of outputs")?;
        body(cpu, &mut outputs)?;
        let mut errors: Vec<f64> =
            outputs.iter().zip(&want).map(|(got, want)| relative_error(&widen(got), want)).collect();
        let sums = cpu.sums()?;
        errors.push(relative_error(&[sums.bce + sums.kl], &[loss]));
        let verified = Verified::new(&name, &errors, BOUND)?;
        bench.time(name, work, verified, || body(cpu, &mut outputs))
    }
}

/// A layer and what goes through it.
struct Problem {
    layer: Linear,
    params: Vec<f32>,
    x: Vec<f32>,
    dy: Vec<f32>,
}

impl Problem {
    fn new((inputs, outputs): (usize, usize)) -> Self {
        Self {
            layer: Linear { inputs, outputs, weight: 0, bias: inputs * outputs },
            params: uniform(1, (inputs + 1) * outputs, -0.1, 0.1),
            x: uniform(2, BATCH * inputs, -1.0, 1.0),
            dy: uniform(3, BATCH * outputs, -1.0, 1.0),
        }
    }
}

/// (m, v) of every element of a posterior, whose rows are means beside log variances.
fn posterior_pairs(posterior: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    posterior.chunks(2 * DIMS.latent).flat_map(|row| {
        let (means, log_vars) = row.split_at(DIMS.latent);
        means.iter().zip(log_vars).map(|(m, v)| (f64::from(*m), f64::from(*v)))
    })
}

/// The standard normals that belong to an address, by Box and Muller in f64.
fn normals(address: Address, len: usize) -> Vec<f64> {
    const UNIT: f64 = 1.0 / 4_294_967_296.0;
    let pair = |radius: u32, angle: u32| {
        let radius = (-2.0 * ((f64::from(radius) + 0.5) * UNIT).ln()).sqrt();
        let angle = TAU * f64::from(angle) * UNIT;
        [radius * angle.cos(), radius * angle.sin()]
    };
    let blocks = (0..len.div_ceil(4) as u32).map(|block| address.words(block));
    let mut out: Vec<f64> = blocks.flat_map(|[a, b, c, d]| [pair(a, b), pair(c, d)].concat()).collect();
    out.truncate(len);
    out
}

/// `per_weight` floating-point operations for each weight and image.
fn flop(per_weight: usize, (inputs, outputs): (usize, usize)) -> Quantity {
    Quantity::new((per_weight * BATCH * inputs * outputs) as f64, Unit::Flop)
}

fn elements(count: usize) -> Quantity {
    Quantity::new(count as f64, Unit::Element)
}
