//! Everything that is checked before anything is measured: operations against f64, training against the processor, bits.
//!
//! In fp32 these are the very test bodies of `tests/operations`; in the other precisions products alone differ, and are held
//! against the error that the rounding of their factors makes.

use std::panic::{self, AssertUnwindSafe};

use latent::backend::cpu::Cpu;
use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::gemm::Size;
use latent::backend::cuda::{Cuda, device};
use latent::backend::{
    Activation, Backend, Hyperparameters, InputGradient, Linear, NEGATIVE_SLOPE, Precision, Step, Sums,
};
use latent::nn::{Autoencoder, VanillaAE, VariationalAE};
use latent::noise::Stream;
use serde::Serialize;

use crate::bench::{Machine, counted};
use crate::oracle::{self, relative_error, uniform, widen, within};
use crate::staircase_device::Device;
use crate::{BATCH, DIMS, Failure, harness, importance, layers, posterior, steps, tails};

/// Steps whose losses are compared on a real device, and in a rehearsal, which is to take a few minutes on two cores.
const STEPS: [usize; 2] = [20, 8];

/// What was checked and whether it holds.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What should hold.
    pub name: String,
    /// In which precision.
    pub precision: Precision,
    /// Whether it does.
    pub passed: bool,
    /// The largest error, or what went wrong.
    pub detail: String,
}

/// The outcome of a check: its figure, or what went wrong.
type Outcome = Result<String, Failure>;

/// Losses of the first steps of both models on the processor.
pub struct Reference {
    vanilla: Vec<f64>,
    variational: Vec<f64>,
    /// The images of these steps.
    pixels: Vec<u8>,
}

impl Reference {
    /// Trains on the first of `pixels`.
    ///
    /// # Errors
    /// Out of memory or threads.
    pub fn new(machine: &Machine, pixels: &[u8]) -> Result<Self, Failure> {
        let steps = STEPS[usize::from(machine.software.is_some())];
        let pixels = &pixels[..steps * BATCH * DIMS.input];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            vanilla: vanilla_losses(&mut Cpu::new(threads)?, pixels)?,
            variational: variational_losses(&mut Cpu::new(threads)?, pixels)?,
            pixels: pixels.to_vec(),
        })
    }
}

/// Makes every check in one precision, and says on standard output how each went.
pub fn all(machine: &Machine, precision: Precision, reference: &Reference) -> Vec<Check> {
    let pixels = &reference.pixels[..];
    let mut checks = Checks { precision, done: Vec::new() };
    let cuda = || -> Result<Cuda, Failure> { Ok(machine.cuda(precision)?) };
    if precision == Precision::Fp32 {
        test_bodies(&mut checks, &|| cuda().expect("a device that was there a moment ago"));
        checks.check("every operation gives the same bits twice", || same_bits(cuda()?, cuda()?));
    } else {
        checks.check("products agree with f64", || products_agree(&mut cuda()?, precision));
    }
    let bound = loss_bound(precision);
    checks.check("the first steps of the AE have the losses of the processor", || {
        same_losses(&reference.vanilla, &vanilla_losses(&mut cuda()?, pixels)?, bound)
    });
    let mut losses = Vec::new();
    checks.check("the first steps of the VAE have the losses of the processor", || {
        losses = variational_losses(&mut cuda()?, pixels)?;
        same_losses(&reference.variational, &losses, bound)
    });
    checks.check("the first steps of the VAE have the same losses twice, bit for bit", || {
        let again = variational_losses(&mut cuda()?, pixels)?;
        if again == losses { Ok(String::new()) } else { Err(format!("{again:?}, before {losses:?}").into()) }
    });
    if machine.software.is_some() {
        checks.check("a step is one launch of a graph", || one_launch_a_step(machine, cuda()?, pixels));
    }
    checks.done
}

/// Holds every step of the staircase of products against exact sums and f64, at all tails and odd shapes; in a rehearsal, which
/// the tests precede, at a few.
pub fn staircase(machine: &Machine) -> Vec<Check> {
    let sizes: Vec<Size> = if machine.software.is_some() { tails::LONG.to_vec() } else { tails::sizes().collect() };
    let mut checks = Checks { precision: Precision::Fp32, done: Vec::new() };
    let mut check = |name, body: fn(&mut Device<'_>, Vec<Size>)| {
        checks.check(name, || {
            let compiler = Compiler::new(machine.info.compute_capability);
            body(&mut Device::new(machine.software.as_ref(), device::open()?, compiler), sizes.clone());
            Ok(format!("{} sizes", sizes.len()))
        });
    };
    check("every step of the staircase is exact on integers", tails::exact_on_integers);
    check("every step of the staircase agrees with f64", tails::near_f64);
    checks.done
}

struct Checks {
    precision: Precision,
    done: Vec<Check>,
}

impl Checks {
    /// Makes one check; a panic is a failure of it.
    fn check(&mut self, name: &str, body: impl FnOnce() -> Outcome) {
        let outcome = panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|cause| Err(message(&*cause).into()));
        let (passed, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, error.to_string()),
        };
        let (verdict, gap) = (if passed { "ok    " } else { "FAILED" }, if detail.is_empty() { "" } else { ": " });
        println!("{verdict} {} {name}{gap}{detail}", self.precision);
        self.done.push(Check { name: name.to_owned(), precision: self.precision, passed, detail });
    }
}

/// What a panic says.
fn message(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// The bodies of `tests/operations`.
fn test_bodies(checks: &mut Checks, cuda: &impl Fn() -> Cuda) {
    macro_rules! each {
        ($($file:ident::$body:ident,)*) => {
            $(checks.check(&stringify!($body).replace('_', " "), || {
                $file::$body(cuda);
                Ok(String::new())
            });)*
        };
    }
    harness::every_body!(each);
}

fn same_bits(mut first: Cuda, mut second: Cuda) -> Outcome {
    let (first, second) = (harness::everything(&mut first), harness::everything(&mut second));
    match first.iter().zip(&second).find(|(a, b)| a != b) {
        Some(((name, _), _)) => Err(format!("{name}: the second run gives other bits").into()),
        None => Ok(format!("{} results", first.len())),
    }
}

/// How far losses may be apart, relative to the processor's.
fn loss_bound(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-4,
        Precision::Tf32 => 2e-3,
        Precision::Bf16 => 2e-2,
    }
}

/// The norm of a product's error relative to its own: twice the largest relative error of a rounded factor, of which each
/// term has two that mostly cancel.
fn product_bound(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-6,
        Precision::Tf32 => 2.0 * f64::powi(2.0, -11),
        Precision::Bf16 => 2.0 * f64::powi(2.0, -8),
    }
}

fn same_losses(want: &[f64], got: &[f64], bound: f64) -> Outcome {
    let errors = || got.iter().zip(want).map(|(got, want)| (got - want).abs() / want);
    match errors().position(|error| !within(error, bound)) {
        Some(step) => Err(format!("step {step}: {} on the device, {} on the processor", got[step], want[step]).into()),
        None => Ok(format!("{} steps, off by {:.1e} at most", got.len(), errors().fold(0.0, f64::max))),
    }
}

fn vanilla_losses<B: Backend>(backend: &mut B, pixels: &[u8]) -> Result<Vec<f64>, Failure> {
    let model = VanillaAE::new(backend, DIMS, BATCH, 7)?;
    losses(backend, model, pixels)
}

fn variational_losses<B: Backend>(backend: &mut B, pixels: &[u8]) -> Result<Vec<f64>, Failure> {
    let model = VariationalAE::new(backend, DIMS, BATCH, 7)?;
    losses(backend, model, pixels)
}

/// The loss of each step.
fn losses<B: Backend, M: Autoencoder<B>>(backend: &mut B, mut model: M, pixels: &[u8]) -> Result<Vec<f64>, Failure> {
    backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 7, free_bits: 0.0 });
    let mut images = backend.load_images(pixels.to_vec(), DIMS.input)?;
    let mut losses = Vec::new();
    for _ in 0..pixels.len() / DIMS.input / BATCH {
        backend.set_sums(Sums::zeros(DIMS.latent));
        model.train_step(backend, &mut images, BATCH)?;
        let Sums { bce, kl, .. } = backend.sums()?;
        losses.push(bce + kl);
    }
    Ok(losses)
}

/// Calls that enqueue or wait, of some steps after the first ones.
fn one_launch_a_step(machine: &Machine, mut cuda: Cuda, pixels: &[u8]) -> Outcome {
    let Some(library) = &machine.software else { return Ok(String::new()) };
    let mut model = VariationalAE::new(&mut cuda, DIMS, BATCH, 7)?;
    let mut images = cuda.load_images(pixels.to_vec(), DIMS.input)?;
    cuda.set_sums(Sums::zeros(DIMS.latent));
    (0..4).try_for_each(|_| model.train_step(&mut cuda, &mut images, BATCH))?;
    cuda.synchronize()?;
    counted(library, || Ok((0..4).try_for_each(|_| model.train_step(&mut cuda, &mut images, BATCH))?))?;
    let calls = library.calls()?;
    let of = |name: &str| calls.get(name).copied().unwrap_or_default();
    let others = ["cuLaunchKernel", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemAllocAsync", "cuMemAlloc_v2"];
    let other = others.into_iter().find(|name| of(name) > 0);
    match (of("cuGraphLaunch"), other) {
        (4, None) => Ok("counted by the software driver".to_owned()),
        (launches, other) => Err(format!("{launches} launches of graphs in 4 steps, and {other:?}").into()),
    }
}

/// A layer at one of the shapes of training.
struct Case {
    layer: Linear,
    params: Vec<f32>,
    x: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new((inputs, outputs): (usize, usize)) -> Self {
        let layer = Linear { inputs, outputs, weight: 0, bias: inputs * outputs };
        let values = |seed, len| uniform(seed, len, -1.0, 1.0);
        Self {
            layer,
            params: values(1, (inputs + 1) * outputs),
            x: values(2, BATCH * inputs),
            dy: values(3, BATCH * outputs),
        }
    }

    /// The errors of forward, weight gradient and input gradient.
    fn errors<B: Backend>(&self, backend: &mut B) -> Result<[f64; 3], Failure> {
        let step = Step::once(Stream::Training, BATCH);
        let [params, x, dy] = self.buffers(backend)?;
        let mut y = backend.zeros(self.dy.len())?;
        let (mut grads, mut dx) = (backend.zeros(self.params.len())?, backend.zeros(self.x.len())?);
        backend.run(step, |b| b.linear(self.layer, &params, &x, &mut y, Activation::Identity))?;
        backend.run(step, |b| {
            let input = InputGradient { dx: &mut dx, activation: Activation::LeakyRelu };
            b.linear_backward(self.layer, &params, &x, &dy, &mut grads, Some(input));
        })?;
        let [params, x, dy] = [&self.params, &self.x, &self.dy].map(|values| widen(values));
        let mut want_grads = vec![0.0; params.len()];
        let mut want_dx = oracle::linear_backward(self.layer, &params, &x, &dy, &mut want_grads);
        want_dx.iter_mut().zip(&x).filter(|(_, x)| **x <= 0.0).for_each(|(dx, _)| *dx *= f64::from(NEGATIVE_SLOPE));
        let mut error = |buffer: &B::Buffer, want: &[f64]| -> Result<f64, Failure> {
            Ok(relative_error(&widen(&backend.read(buffer, want.len())?), want))
        };
        Ok([error(&y, &oracle::linear(self.layer, &params, &x))?, error(&grads, &want_grads)?, error(&dx, &want_dx)?])
    }

    fn buffers<B: Backend>(&self, backend: &mut B) -> Result<[B::Buffer; 3], Failure> {
        let mut put = |values: &[f32]| -> Result<B::Buffer, Failure> {
            let mut buffer = backend.zeros(values.len())?;
            backend.write(&mut buffer, values)?;
            Ok(buffer)
        };
        Ok([put(&self.params)?, put(&self.x)?, put(&self.dy)?])
    }
}

fn products_agree(cuda: &mut Cuda, precision: Precision) -> Outcome {
    let bound = product_bound(precision);
    let mut worst = 0.0;
    for shape in [(784, 400), (400, 400), (200, 400), (400, 784)] {
        let errors = Case::new(shape).errors(cuda)?;
        if let Some(error) = errors.into_iter().find(|error| !within(*error, bound)) {
            return Err(format!("{shape:?}: off by {error:.1e}, allowed {bound:.1e}").into());
        }
        worst = errors.into_iter().fold(worst, f64::max);
    }
    // A coarser precision leaves its trace; the next finer one is 8 times as good.
    if worst < bound / 16.0 {
        return Err(format!("off by {worst:.1e} only: these are not products in {precision}").into());
    }
    Ok(format!("off by {worst:.1e} at most"))
}
