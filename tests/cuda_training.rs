//! Training on CUDA, on the software driver: against the processor, twice, resumed, and what a step asks of the driver.
//!
//! The checks of the driver are off here, for time; `operations` and `pytorch_reference` have them on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use latent::backend::cpu::Cpu;
use latent::backend::cuda::Cuda;
use latent::backend::{Backend, Hyperparameters, Precision, Sums};
use latent::data::DatasetName;
use latent::nn::{Autoencoder, Dims, Kind, VanillaAE, VariationalAE};
use latent::train::{Checkpoint, Progress};

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;
/// Whole batches and a ragged one.
const IMAGES: usize = 10 * BATCH + 37;

/// One test at a time: a recording forbids the context's other users to wait for it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cuda() -> Cuda {
    emulated::backend(&emulated::unchecked(), Precision::Fp32)
}

fn pixels() -> Vec<u8> {
    static PIXELS: OnceLock<Vec<u8>> = OnceLock::new();
    let draw = || DatasetName::Digits.load(Path::new(""), 3).unwrap().test.images.into_pixels();
    PIXELS.get_or_init(draw)[..IMAGES * DIMS.input].to_vec()
}

/// A model in training, on any backend.
struct Training<B: Backend, M> {
    backend: B,
    model: M,
    images: B::Images,
    position: usize,
}

impl<B: Backend, M: Autoencoder<B>> Training<B, M> {
    fn new(mut backend: B, model: impl FnOnce(&mut B) -> M) -> Self {
        backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 7, free_bits: 0.0 });
        let model = model(&mut backend);
        let images = backend.load_images(pixels(), DIMS.input).unwrap();
        backend.set_sums(Sums::zeros(DIMS.latent));
        Self { backend, model, images, position: 0 }
    }

    /// The next step, a ragged one at the end of the images.
    fn step(&mut self) {
        if self.position == IMAGES {
            self.rewind();
        }
        let rows = BATCH.min(IMAGES - self.position);
        self.model.train_step(&mut self.backend, &mut self.images, rows).unwrap();
        self.position += rows;
    }

    fn rewind(&mut self) {
        let order: Vec<u32> = (0..IMAGES as u32).rev().collect();
        self.backend.set_order(&mut self.images, &order, 0).unwrap();
        self.position = 0;
    }

    /// BCE and KL of each of the next `steps` steps.
    fn losses(&mut self, steps: usize) -> Vec<[f64; 2]> {
        let mut loss = || {
            self.backend.set_sums(Sums::zeros(DIMS.latent));
            self.step();
            let Sums { bce, kl, .. } = self.backend.sums().unwrap();
            [bce, kl]
        };
        (0..steps).map(|_| loss()).collect()
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let progress = Progress { steps: self.backend.step(latent::noise::Stream::Training), ..Progress::default() };
        Checkpoint::of(&mut self.backend, &self.model, "", progress).unwrap()
    }

    /// Goes on from a checkpoint, at image `position`.
    fn resume(&mut self, checkpoint: &Checkpoint, position: usize) {
        checkpoint.restore(&mut self.backend, &mut self.model).unwrap();
        let order: Vec<u32> = (0..IMAGES as u32).collect();
        self.backend.set_order(&mut self.images, &order, position).unwrap();
        self.position = position;
    }
}

fn vanilla<B: Backend>(backend: B) -> Training<B, VanillaAE<B>> {
    Training::new(backend, |backend| VanillaAE::new(backend, DIMS, BATCH, 7).unwrap())
}

fn variational<B: Backend>(backend: B) -> Training<B, VariationalAE<B>> {
    Training::new(backend, |backend| VariationalAE::new(backend, DIMS, BATCH, 7).unwrap())
}

fn assert_same_losses(kind: Kind, cpu: &[[f64; 2]], cuda: &[[f64; 2]]) {
    let mut worst = 0.0;
    for (step, (want, got)) in cpu.iter().zip(cuda).enumerate() {
        let (want, got) = (want[0] + want[1], got[0] + got[1]);
        let error = (got - want).abs() / want;
        assert!(error <= 1e-4, "{kind} step {step}: {got} on CUDA, {want} on the processor");
        worst = f64::max(worst, error);
    }
    println!("{kind}: losses of {} steps, the worst off by {worst:.1e}", cpu.len());
}

/// Noise and ragged batches included.
#[test]
fn fifty_steps_have_the_losses_of_the_processor() {
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let cpu = || Cpu::new(2).unwrap();
    assert_same_losses(Kind::Vanilla, &vanilla(cpu()).losses(50), &vanilla(cuda()).losses(50));
    assert_same_losses(Kind::Variational, &variational(cpu()).losses(50), &variational(cuda()).losses(50));
}

/// Images of five draws each, and at the end of an epoch one of two.
#[test]
fn importance_weighted_steps_have_the_losses_of_the_processor() {
    fn weighed<B: Backend>(backend: B) -> Vec<f64> {
        let mut training = variational(backend);
        training.model.weigh_draws(&mut training.backend, 5).unwrap();
        let mut loss = || {
            training.backend.set_sums(Sums::zeros(DIMS.latent));
            training.step();
            training.backend.sums().unwrap().bound
        };
        (0..12).map(|_| loss()).collect()
    }
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let (cpu, cuda) = (weighed(Cpu::new(2).unwrap()), weighed(cuda()));
    assert!(cpu.last() < cpu.first(), "{cpu:?}");
    for (want, got) in cpu.iter().zip(&cuda) {
        assert!((got - want).abs() <= 1e-5 * want, "{got} on CUDA, {want} on the processor");
    }
}

#[test]
fn two_runs_and_a_resumed_one_have_the_same_bits() {
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let [mut first, mut second, mut resumed] = [(); 3].map(|()| variational(cuda()));
    let losses = first.losses(3);
    let checkpoint = first.checkpoint();
    let rest = first.losses(3);
    assert_eq!(second.losses(6), [&losses[..], &rest].concat());
    assert!(first.checkpoint() == second.checkpoint(), "two runs differ");
    resumed.resume(&checkpoint, 3 * BATCH);
    assert_eq!(resumed.losses(3), rest);
    assert!(first.checkpoint() == resumed.checkpoint(), "a resumed run differs");
}

#[test]
fn checkpoints_pass_between_the_devices() {
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let (mut cpu, mut cuda) = (variational(Cpu::new(2).unwrap()), variational(cuda()));
    cpu.losses(4);
    let checkpoint = cpu.checkpoint();
    cuda.resume(&checkpoint, 4 * BATCH);
    assert!(cuda.checkpoint() == checkpoint, "a checkpoint changes on the way");
    assert_same_losses(Kind::Variational, &cpu.losses(3), &cuda.losses(3));
    let checkpoint = cuda.checkpoint();
    cpu.resume(&checkpoint, 7 * BATCH);
    assert_same_losses(Kind::Variational, &cpu.losses(3), &cuda.losses(3));
}

#[test]
fn a_glance_tells_how_far_the_device_is_without_waiting_for_it() {
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let mut training = variational(cuda());
    training.losses(2);
    training.backend.set_sums(Sums::zeros(DIMS.latent));
    let mut seen = Vec::new();
    let calls = calls(|| {
        for _ in 0..6 {
            training.step();
            seen.extend(training.backend.glance().unwrap().map(|glance| glance.images));
        }
    });
    let waits = |name: &str| name.contains("Synchronize") && name != "cuEventSynchronize";
    assert!(!calls.iter().any(|(name, _)| waits(name)), "{calls:?}");
    assert!(seen.is_sorted() && seen.iter().all(|images| *images <= 6 * BATCH as u64), "{seen:?}");
    training.backend.synchronize().unwrap();
    // The first of these may tell of a copy that was on its way before.
    let _earlier = training.backend.glance().unwrap();
    training.backend.synchronize().unwrap();
    let glance = training.backend.glance().unwrap().unwrap();
    let Sums { images, bce, kl, .. } = training.backend.sums().unwrap();
    assert_eq!((glance.images, glance.bce, glance.kl, glance.non_finite), (images, bce, kl, None));
    assert_eq!(images, 6 * BATCH as u64);
}

/// What the driver was asked for by name, without the calls that only name a context or look at one.
fn calls(steps: impl FnOnce()) -> Vec<(String, u64)> {
    const IDLE: [&str; 3] = ["cuCtxGetCurrent", "cuCtxSetCurrent", "cuCtxPushCurrent_v2"];
    let library = emulated::driver(&emulated::unchecked());
    library.reset_counts().unwrap();
    steps();
    library.calls().unwrap().into_iter().filter(|(name, _)| !IDLE.contains(&name.as_str())).collect()
}

#[test]
fn a_step_is_one_launch_of_a_graph_and_nothing_else() {
    if !emulated::has_compiler() {
        return;
    }
    let _alone = alone();
    let mut training = variational(cuda());
    let steps = IMAGES.div_ceil(BATCH) as u64;
    // The first epoch finds out how much room the largest step takes, the second records with addresses that stay.
    for _ in 0..2 {
        (0..steps).for_each(|_| training.step());
        training.rewind();
    }
    training.backend.synchronize().unwrap();
    let calls = calls(|| (0..steps).for_each(|_| training.step()));
    // The host keeps at most sixteen steps in flight: an event every eight.
    let paced = steps / 8..=steps / 8 + 1;
    for (name, count) in calls {
        match name.as_str() {
            "cuGraphLaunch" => assert_eq!(count, steps, "one launch a step, the ragged one too"),
            "cuEventRecord" | "cuEventSynchronize" => {
                assert!(paced.contains(&count), "{name}: {count} in {steps} steps")
            }
            _ => panic!("{count} calls of {name} in {steps} steps"),
        }
    }
    training.backend.synchronize().unwrap();
    let launches = emulated::driver(&emulated::unchecked()).launches().unwrap().len() as u64;
    assert_eq!(launches, 16 * steps, "kernels of a step of the VAE");
}
