//! Each operation of a VAE step at its real shapes, a whole step, and the products by crate: `cargo bench --bench operations`.
//!
//! One thread a core. Data are random, buffers are warm; the step as a whole is colder than its parts, because its
//! 35 MB pass through caches that hold less.

use divan::Bencher;
use divan::counter::ItemsCount;
use latent::backend::cpu::{Buffer, Cpu};
use latent::backend::{Activation, Backend, InputGradient, Linear, Noise, Step, Sums};
use latent::nn::{Autoencoder, Dims, VanillaAE, VariationalAE};
use latent::noise::Stream;

const BATCH: usize = 100;
const LATENT: usize = 200;
const DIMS: Dims = Dims { input: 784, hidden: 400, latent: LATENT };
/// (inputs, outputs) of the VAE's layers.
const LAYERS: [(usize, usize); 4] = [(784, 400), (400, 400), (200, 400), (400, 784)];
const PARAMETERS: usize = 1_189_984;
const STEP: Step = Step::once(Stream::Training, BATCH);

fn main() {
    divan::main();
}

fn cpu() -> Cpu {
    let mut cpu = Cpu::new(std::thread::available_parallelism().map_or(1, usize::from)).expect("threads");
    cpu.set_sums(Sums::zeros(LATENT));
    cpu
}

/// Normals scaled to the size of activations.
fn random(cpu: &mut Cpu, len: usize) -> Buffer {
    let mut buffer = cpu.zeros(len).expect("memory");
    cpu.run(Step::once(Stream::Sampling, 1), |cpu| cpu.standard_normal(&mut buffer, len)).expect("noise");
    buffer.iter_mut().for_each(|value| *value *= 0.1);
    buffer
}

fn layer((inputs, outputs): (usize, usize)) -> (Linear, usize) {
    (Linear { inputs, outputs, weight: 0, bias: inputs * outputs }, (inputs + 1) * outputs)
}

#[divan::bench(args = LAYERS)]
fn linear(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    let (mut cpu, (layer, len)) = (cpu(), layer(shape));
    let (params, x) = (random(&mut cpu, len), random(&mut cpu, BATCH * shape.0));
    let mut y = cpu.zeros(BATCH * shape.1).expect("memory");
    bencher
        .counter(flop(2, shape))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.linear(layer, &params, &x, &mut y, Activation::LeakyRelu)));
}

#[divan::bench(args = LAYERS)]
fn linear_backward(bencher: Bencher<'_, '_>, shape: (usize, usize)) {
    let (mut cpu, (layer, len)) = (cpu(), layer(shape));
    let (params, x, dy) = (random(&mut cpu, len), random(&mut cpu, BATCH * shape.0), random(&mut cpu, BATCH * shape.1));
    let (mut grads, mut dx) = (cpu.zeros(len).expect("memory"), cpu.zeros(BATCH * shape.0).expect("memory"));
    bencher.counter(flop(4, shape)).bench_local(|| {
        cpu.run(STEP, |cpu| {
            let input = InputGradient { dx: &mut dx, activation: Activation::LeakyRelu };
            cpu.linear_backward(layer, &params, &x, &dy, &mut grads, Some(input));
        })
    });
}

#[divan::bench]
fn linear_bce(bencher: Bencher<'_, '_>) {
    let (mut cpu, (layer, len)) = (cpu(), layer((400, 784)));
    let (params, x) = (random(&mut cpu, len), random(&mut cpu, BATCH * 400));
    let (target, mut dlogits) = (random(&mut cpu, BATCH * 784), cpu.zeros(BATCH * 784).expect("memory"));
    bencher
        .counter(flop(2, (400, 784)))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.linear_bce(layer, &params, &x, &target, &mut dlogits)));
}

#[divan::bench]
fn reparameterise(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let posterior = random(&mut cpu, 2 * BATCH * LATENT);
    let (mut eps, mut z) = (cpu.zeros(BATCH * LATENT).expect("memory"), cpu.zeros(BATCH * LATENT).expect("memory"));
    bencher
        .counter(ItemsCount::new(BATCH * LATENT))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.reparameterise(LATENT, &posterior, Noise::Drawn, &mut eps, &mut z)));
}

#[divan::bench]
fn reparameterise_backward(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let (posterior, eps) = (random(&mut cpu, 2 * BATCH * LATENT), random(&mut cpu, BATCH * LATENT));
    let (dz, mut out) = (random(&mut cpu, BATCH * LATENT), cpu.zeros(2 * BATCH * LATENT).expect("memory"));
    bencher
        .counter(ItemsCount::new(BATCH * LATENT))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.reparameterise_backward(LATENT, &posterior, &eps, &dz, &mut out)));
}

#[divan::bench]
fn standard_normal(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let mut out = cpu.zeros(BATCH * LATENT).expect("memory");
    bencher
        .counter(ItemsCount::new(BATCH * LATENT))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.standard_normal(&mut out, LATENT)));
}

#[divan::bench]
fn adam(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let (mut p, g) = (random(&mut cpu, PARAMETERS), random(&mut cpu, PARAMETERS));
    let (mut m, mut v) = (cpu.zeros(PARAMETERS).expect("memory"), cpu.zeros(PARAMETERS).expect("memory"));
    bencher
        .counter(ItemsCount::new(PARAMETERS))
        .bench_local(|| cpu.run(STEP, |cpu| cpu.adam(PARAMETERS, &mut p, &g, &mut m, &mut v)));
}

#[divan::bench]
fn gather(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let pixels = (0..60_000 * 784_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut images = cpu.load_images(pixels, 784).expect("memory");
    let mut batch = cpu.zeros(BATCH * 784).expect("memory");
    let order: Vec<u32> = (0..60_000).map(|i: u32| i.wrapping_mul(7919) % 60_000).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        cpu.set_order(&mut images, &order[..BATCH], 0).expect("an order");
        cpu.run(STEP, |cpu| cpu.gather(&mut images, &mut batch))
    });
}

#[divan::bench]
fn step_of_the_vae(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let model = VariationalAE::new(&mut cpu, DIMS, BATCH, 1).expect("memory");
    step(bencher, cpu, model);
}

#[divan::bench]
fn step_of_the_ae(bencher: Bencher<'_, '_>) {
    let mut cpu = cpu();
    let model = VanillaAE::new(&mut cpu, DIMS, BATCH, 1).expect("memory");
    step(bencher, cpu, model);
}

fn step<M: Autoencoder<Cpu>>(bencher: Bencher<'_, '_>, mut cpu: Cpu, mut model: M) {
    let pixels = (0..BATCH as u32 * 784).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut images = cpu.load_images(pixels, 784).expect("memory");
    let order: Vec<u32> = (0..BATCH as u32).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        cpu.set_order(&mut images, &order, 0).expect("an order");
        model.train_step(&mut cpu, &mut images, BATCH)
    });
}

/// Floating-point operations of `per_weight` for each weight and image.
fn flop(per_weight: usize, (inputs, outputs): (usize, usize)) -> ItemsCount {
    ItemsCount::new(per_weight * BATCH * inputs * outputs)
}
