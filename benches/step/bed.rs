//! A model on a backend with images to work on, and the check that its steps compute what they should.

use latent::backend::{Backend, Hyperparameters, Noise, Step, Sums};
use latent::nn::{Autoencoder, Kind};
use latent::noise::{Address, Stream, fill_standard_normal};

use crate::harness::work::{BATCH, DIMS, decoding_flop, forward_flop, training_flop};
use crate::harness::{Failure, Quantity, Unit, Verified};
use crate::oracle::{self, Batch, relative_error, uniform, widen};

/// The seed of parameters and noise.
pub const SEED: u64 = 1;
/// The weight of the KL divergence.
const BETA: f64 = 1.0;
/// What f32 may be off by in losses, gradients and pixels: the errors of five layers.
const BOUND: f64 = 1e-5;
/// Images, taken again and again.
const IMAGES: usize = 60 * BATCH;

/// What a model does in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Forward and backward pass, and Adam.
    Training,
    /// Forward pass and loss.
    Evaluation,
    /// Codes from the prior, decoded.
    Sampling,
}

impl Part {
    /// The arithmetic of its products.
    pub fn work(self, kind: Kind) -> Quantity {
        let flop = match self {
            Self::Training => training_flop(kind),
            Self::Evaluation => forward_flop(kind),
            Self::Sampling => decoding_flop(kind),
        };
        Quantity::new(flop, Unit::Flop)
    }
}

/// A model on a backend, and images there.
pub struct Bed<B: Backend, M> {
    /// The backend.
    pub backend: B,
    model: M,
    images: B::Images,
    order: Vec<u32>,
    /// Images of the order that were not taken yet.
    left: usize,
}

impl<B: Backend, M: Autoencoder<B>> Bed<B, M> {
    /// Random images: bytes, most of them dark and some bright, as those of digits are.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(mut backend: B, model: M) -> Result<Self, Failure> {
        backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: BETA, seed: SEED, free_bits: 0.0 });
        let pixels = uniform(1, IMAGES * DIMS.input, -4.0, 1.0).into_iter().map(|value| (255.0 * value.max(0.0)) as u8);
        let images = backend.load_images(pixels.collect(), DIMS.input)?;
        // 7919 is prime to their number: a permutation that jumps about.
        let order = (0..IMAGES).map(|i| (i * 7919 % IMAGES) as u32).collect();
        Ok(Self { backend, model, images, order, left: 0 })
    }

    /// Which model it is.
    pub fn kind(&self) -> Kind {
        self.model.kind()
    }

    /// What a row is called.
    pub fn name(&self, device: &str, part: Part) -> String {
        let model = self.kind().to_string().to_uppercase();
        match part {
            Part::Training => format!("{device}: training step of the {model}"),
            Part::Evaluation => format!("{device}: evaluation step of the {model}"),
            Part::Sampling => format!("{device}: {BATCH} samples of the {model}"),
        }
    }

    /// Enqueues the next step.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self, part: Part) -> Result<(), Failure> {
        if part != Part::Sampling && self.left == 0 {
            self.backend.set_order(&mut self.images, &self.order, 0)?;
            self.left = IMAGES;
        }
        let Self { backend, model, images, .. } = self;
        match part {
            Part::Training => model.train_step(backend, images, BATCH)?,
            Part::Evaluation => model.evaluation_step(backend, images, BATCH, Noise::Drawn)?,
            Part::Sampling => {
                let step = Step::repeated("sample", Stream::Sampling, BATCH);
                return Ok(backend.run(step, |backend| model.enqueue_sampling(backend))?);
            }
        }
        self.left -= BATCH;
        Ok(())
    }

    /// Carries out one step and holds what it leaves against f64.
    ///
    /// # Errors
    /// Something is off its bound, or the device failed.
    pub fn verify(&mut self, part: Part) -> Result<Verified, Failure> {
        let name = self.name(&self.backend.describe(), part);
        let params = self.parameters()?;
        let stream = match part {
            Part::Training => Stream::Training,
            Part::Evaluation => Stream::Validation,
            Part::Sampling => Stream::Sampling,
        };
        let noise = normals(Address { seed: SEED, stream, step: self.backend.step(stream) });
        self.backend.set_sums(Sums::zeros(DIMS.latent));
        self.step(part)?;
        let oracle = oracle::Model::new(self.kind(), DIMS);
        if part == Part::Sampling {
            let want: Vec<f64> = oracle.decode(&params, &noise).1.into_iter().map(oracle::sigmoid).collect();
            let got = self.backend.read(self.model.output(), want.len())?;
            return Verified::new(&name, &[relative_error(&widen(&got), &want)], BOUND);
        }
        let x = widen(&self.backend.read(self.model.input_mut(), BATCH * DIMS.input)?);
        let batch = Batch { x, eps: noise };
        let sums = self.backend.sums()?;
        let loss = oracle.loss(&params, &batch, BETA);
        let mut errors = vec![relative_error(&[sums.bce + BETA * sums.kl], &[loss])];
        if part == Part::Training {
            let got = self.backend.read(&self.model.parameters().gradients.storage, params.len())?;
            errors.push(relative_error(&widen(&got), &oracle.gradients(&params, &batch, BETA)));
        }
        Verified::new(&name, &errors, BOUND)
    }

    fn parameters(&mut self) -> Result<Vec<f64>, Failure> {
        let values = &self.model.parameters().values;
        Ok(widen(&self.backend.read(&values.storage, values.layout().len())?))
    }
}

/// The noise of a batch of codes.
fn normals(address: Address) -> Vec<f64> {
    let mut values = vec![0.0; BATCH * DIMS.latent];
    fill_standard_normal(address, 0, &mut values);
    widen(&values)
}
