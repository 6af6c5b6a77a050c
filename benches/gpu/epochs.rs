//! A step and an epoch of the VAE.

use std::time::Instant;

use latent::backend::cuda::Cuda;
use latent::backend::{Backend, Hyperparameters, Precision, Sums};
use latent::nn::{Autoencoder, Kind, VariationalAE};
use serde::Serialize;

use crate::bench::work::training_flop;
use crate::bench::{Counts, Machine, Quantity, Spread, Unit, counted};
use crate::{BATCH, DIMS, Failure};

/// Steps that are timed one by one, fewer than an epoch has, and epochs.
const STEPS: usize = 500;
const WARM_UP: usize = 100;
const EPOCHS: usize = 5;

/// Training in one precision.
#[derive(Debug, Serialize)]
pub struct Training {
    /// How products are computed.
    pub precision: Precision,
    /// Arithmetic of a step's products.
    pub flop: Quantity,
    /// Times from the end of a step to that of the next, each one launch of a graph, by the device's clock.
    pub step: Option<Spread>,
    /// Times of whole epochs by the host's clock, the order's copy and the reading of the losses included.
    pub epoch: Option<Spread>,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Images in the middle epoch's time.
    pub images_per_second: Option<Quantity>,
    /// Counts of a step, on the software device.
    pub counts: Option<Counts>,
}

/// Measures training on whole batches of `pixels`.
///
/// # Errors
/// A loss was not finite, or the device failed.
pub fn measure(machine: &Machine, cuda: Cuda, precision: Precision, pixels: &[u8]) -> Result<Training, Failure> {
    let mut run = Run::new(cuda, pixels)?;
    let flop = Quantity::new(training_flop(Kind::Variational), Unit::Flop);
    let blank = Training {
        precision,
        flop,
        step: None,
        epoch: None,
        steps_per_epoch: run.steps_per_epoch(),
        images_per_second: None,
        counts: None,
    };
    if let Some(library) = &machine.software {
        // The first two find out how much room is needed and record the graph.
        (0..2).try_for_each(|_| run.step())?;
        run.cuda.synchronize()?;
        let launches = counted(library, || {
            run.step()?;
            Ok(run.cuda.synchronize()?)
        })?;
        run.check_losses()?;
        return Ok(Training { counts: Some(Counts::of(&launches)), ..blank });
    }
    let step = run.step_times()?;
    let epoch = run.epoch_times()?;
    let images = (run.order.len() as f64) / (epoch.median / 1e6);
    let images_per_second = Some(Quantity::new(images, Unit::ImageRate));
    Ok(Training { step: Some(step), epoch: Some(epoch), images_per_second, ..blank })
}

struct Run {
    cuda: Cuda,
    model: VariationalAE<Cuda>,
    images: <Cuda as Backend>::Images,
    /// The order of the images, whole batches of them.
    order: Vec<u32>,
    position: usize,
}

impl Run {
    fn new(mut cuda: Cuda, pixels: &[u8]) -> Result<Self, Failure> {
        cuda.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 });
        cuda.set_sums(Sums::zeros(DIMS.latent));
        let model = VariationalAE::new(&mut cuda, DIMS, BATCH, 1)?;
        let images = cuda.load_images(pixels.to_vec(), DIMS.input)?;
        let count = pixels.len() / DIMS.input / BATCH * BATCH;
        // 7919 is a prime that divides no number of images here: a permutation that jumps about.
        let order = (0..count).map(|i| (i * 7919 % count) as u32).collect();
        let mut run = Self { cuda, model, images, order, position: 0 };
        run.rewind()?;
        Ok(run)
    }

    fn steps_per_epoch(&self) -> usize {
        self.order.len() / BATCH
    }

    fn rewind(&mut self) -> Result<(), Failure> {
        self.position = 0;
        Ok(self.cuda.set_order(&mut self.images, &self.order, 0)?)
    }

    fn step(&mut self) -> Result<(), Failure> {
        if self.position == self.order.len() {
            self.rewind()?;
        }
        self.position += BATCH;
        Ok(self.model.train_step(&mut self.cuda, &mut self.images, BATCH)?)
    }

    fn step_times(&mut self) -> Result<Spread, Failure> {
        (0..WARM_UP).try_for_each(|_| self.step())?;
        // An epoch's begin is not a part of a step.
        self.rewind()?;
        let mut marks = vec![self.cuda.mark()?];
        for _ in 0..STEPS {
            self.step()?;
            marks.push(self.cuda.mark()?);
        }
        let seconds = marks.windows(2).map(|pair| self.cuda.seconds_between(&pair[0], &pair[1]));
        let seconds: Result<Vec<f64>, _> = seconds.collect();
        Spread::of(seconds?)
    }

    fn epoch_times(&mut self) -> Result<Spread, Failure> {
        let mut seconds = Vec::new();
        for _ in 0..EPOCHS {
            self.cuda.synchronize()?;
            let start = Instant::now();
            self.rewind()?;
            self.cuda.set_sums(Sums::zeros(DIMS.latent));
            (0..self.steps_per_epoch()).try_for_each(|_| self.step())?;
            self.check_losses()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Spread::of(seconds)
    }

    /// Reads the losses, which waits for the steps before.
    fn check_losses(&mut self) -> Result<(), Failure> {
        let Sums { images, bce, kl, .. } = self.cuda.sums()?;
        let is_sound = images > 0 && bce.is_finite() && kl.is_finite();
        if is_sound {
            Ok(())
        } else {
            Err(format!("training went wrong: BCE {bce}, KL {kl} over {images} images").into())
        }
    }
}
