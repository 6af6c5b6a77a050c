//! The training loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Averages, Checkpoint, Config, DeviceImages, Error, Progress, Record, Run, Which, evaluate};
use crate::backend::{Backend, Glance, Hyperparameters, Noise, NonFinite, Sums};
use crate::nn::{Autoencoder, Weights};
use crate::noise::Stream;
use crate::plot::grid::Grid;

/// How often the observer hears of an epoch's progress, and the numbers are checked to be finite.
const TICK: Duration = Duration::from_millis(100);

/// The most images in a picture of reconstructions, and of samples.
const RECONSTRUCTIONS: usize = 20;
const SAMPLES: usize = 64;
/// Images side by side.
const PER_ROW: usize = 10;
const SAMPLES_PER_ROW: usize = 8;

/// Who watches a run.
pub trait Observer {
    /// Epoch `epoch` begins or goes on at image `position` of `images`.
    fn epoch_begins(&mut self, epoch: u32, position: usize, images: usize);
    /// So many of its images are done, with these averages.
    fn epoch_progresses(&mut self, position: usize, averages: &Averages);
    /// An epoch or a validation is over.
    fn recorded(&mut self, record: &Record);
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It was told to stop, and can be resumed.
    Interrupted,
}

/// What a run works with, beside backend and model.
pub struct Session<'a> {
    /// Its settings.
    pub config: &'a Config,
    /// Its folder.
    pub run: &'a mut Run,
    /// SHA-256 of the data.
    pub data_digest: &'a str,
    /// Where it stands.
    pub progress: Progress,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// Set to end after the current step.
    pub stop: &'a AtomicBool,
}

/// Trains `model` on `images` until all epochs of the settings are done, as the tutorial's `train` does, and leaves in the run's
/// folder what there is to see.
///
/// # Errors
/// The device or the disk failed, or a number was not finite.
pub fn train<'a, B: Backend, M: Autoencoder<B>>(
    backend: &'a mut B,
    model: &'a mut M,
    images: DeviceImages<B::Images>,
    validation: &'a mut DeviceImages<B::Images>,
    session: Session<'a>,
) -> Result<Outcome, Error> {
    Trainer { backend, model, images, validation, session }.run()
}

/// Whether a run with these settings has done all that it will: all epochs, or so many validations without a better loss as its
/// patience lasts.
pub fn is_over(config: &Config, progress: &Progress) -> bool {
    let tired = config.patience > 0 && progress.validations_since_best >= config.patience;
    progress.epochs >= config.epochs || tired
}

struct Trainer<'a, B: Backend, M> {
    backend: &'a mut B,
    model: &'a mut M,
    images: DeviceImages<B::Images>,
    validation: &'a mut DeviceImages<B::Images>,
    session: Session<'a>,
}

impl<B: Backend, M: Autoencoder<B>> Trainer<'_, B, M> {
    fn run(mut self) -> Result<Outcome, Error> {
        let config = self.session.config;
        if !Run::last_checkpoint(self.session.run.dir()).exists() {
            // So that a run that diverges or is stopped in its first epochs leaves a state as well.
            self.checkpoint()?;
        }
        while !is_over(config, &self.session.progress) {
            if self.epoch()? == Outcome::Interrupted {
                self.checkpoint()?;
                self.leave_results()?;
                return Ok(Outcome::Interrupted);
            }
            let epoch = self.session.progress.epochs;
            let last = epoch == config.epochs;
            if last || epoch.is_multiple_of(config.validate_every) {
                self.validate()?;
            }
            if is_over(config, &self.session.progress) || epoch.is_multiple_of(config.checkpoint_every) {
                self.checkpoint()?;
            }
        }
        self.leave_results()?;
        Ok(Outcome::Finished)
    }

    /// Trains for one epoch, or for what is left of it.
    fn epoch(&mut self) -> Result<Outcome, Error> {
        let Session { config, progress, .. } = &mut self.session;
        let (config, epoch, count) = (*config, progress.epochs + 1, self.images.count);
        let beta = config.beta_in(epoch);
        let hyperparameters = Hyperparameters {
            learning_rate: config.lr_in(epoch),
            beta,
            seed: config.seed,
            free_bits: config.free_bits,
        };
        self.backend.set_hyperparameters(hyperparameters);
        let draws = self.model.draws();
        self.images.shuffle(self.backend, config.seed, epoch, progress.position, draws)?;
        let fresh = progress.position == 0;
        let sums = if fresh { Sums::zeros(self.model.dims().latent) } else { std::mem::take(&mut progress.sums) };
        self.backend.set_sums(sums);
        self.session.observer.epoch_begins(epoch, self.session.progress.position, count);
        let (start, before) = (Instant::now(), self.session.progress.seconds);
        let mut next_tick = start + TICK;
        let outcome = loop {
            let position = self.session.progress.position;
            if position == count {
                break Outcome::Finished;
            }
            if self.session.stop.load(Ordering::Relaxed) {
                break Outcome::Interrupted;
            }
            let rows = config.batch_size.min(count - position);
            self.model.train_step(self.backend, &mut self.images.images, rows * draws)?;
            self.session.progress.position += rows;
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.show_progress(beta)?;
            }
        };
        self.check_finite()?;
        let sums = self.backend.sums()?;
        let progress = &mut self.session.progress;
        progress.steps = self.backend.step(Stream::Training);
        progress.seconds = before + start.elapsed().as_secs_f64();
        if outcome == Outcome::Interrupted {
            progress.sums = sums;
            return Ok(outcome);
        }
        let seconds = std::mem::take(&mut progress.seconds);
        progress.position = 0;
        progress.epochs = epoch;
        let averages = Averages::of(&sums, self.model.kind(), draws, beta);
        self.record(Record::new(epoch, Which::Train, averages, hyperparameters, count, seconds))?;
        Ok(outcome)
    }

    /// Tells the observer how far the device has come, and stops the run if a number was not finite.
    fn show_progress(&mut self, beta: f64) -> Result<(), Error> {
        let Some(Glance { images, bce, kl, bound, non_finite }) = self.backend.glance()? else { return Ok(()) };
        self.refuse(non_finite)?;
        let draws = self.model.draws();
        let sums = Sums { images, bce, kl, bound, ..Sums::default() };
        let averages = Averages::of(&sums, self.model.kind(), draws, beta);
        self.session.observer.epoch_progresses(images as usize / draws, &averages);
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), Error> {
        self.session.observer.recorded(&record);
        self.session.run.record(record)
    }

    /// Stops the run if a number was not finite: the parameters are of no use from there on.
    fn check_finite(&mut self) -> Result<(), Error> {
        let found = self.backend.non_finite()?;
        self.refuse(found)
    }

    fn refuse(&self, non_finite: Option<NonFinite>) -> Result<(), Error> {
        let Some(at) = non_finite else { return Ok(()) };
        let checkpoint = Run::last_checkpoint(self.session.run.dir());
        Err(Error::Diverged { at, checkpoint, learning_rate: self.session.config.lr })
    }

    /// Measures the loss on the images held out, and draws pictures of them.
    fn validate(&mut self) -> Result<(), Error> {
        let Session { config, progress, .. } = &self.session;
        let (epoch, beta) = (progress.epochs, config.beta);
        let hyperparameters = Hyperparameters {
            learning_rate: config.lr_in(epoch),
            beta,
            seed: config.seed,
            free_bits: config.free_bits,
        };
        let start = Instant::now();
        let averages = evaluate(self.backend, self.model, self.validation, Noise::Drawn, beta)?;
        let seconds = start.elapsed().as_secs_f64();
        self.check_finite()?;
        self.record(Record::new(epoch, Which::Validation, averages, hyperparameters, self.validation.count, seconds))?;
        self.session.run.write_loss_chart(self.session.config)?;
        self.draw_pictures(epoch)?;
        let progress = &mut self.session.progress;
        if progress.best_loss.is_none_or(|best| averages.loss < best) {
            progress.best_loss = Some(averages.loss);
            progress.validations_since_best = 0;
            let path = self.session.run.best_checkpoint();
            self.state()?.write(&path)?;
        } else {
            progress.validations_since_best += 1;
        }
        Ok(())
    }

    fn draw_pictures(&mut self, epoch: u32) -> Result<(), Error> {
        let rows = RECONSTRUCTIONS.min(self.model.batch_size()).min(self.validation.count);
        self.validation.rewind(self.backend, 1)?;
        let (inputs, outputs) = self.model.reconstruct_next(self.backend, &mut self.validation.images, rows)?;
        let side = self.model.dims().input.isqrt();
        let png = Grid::new(side, side, PER_ROW).pairs_png(&inputs, &outputs)?;
        self.session.run.write_picture("reconstructions", epoch, &png)?;
        let rows = SAMPLES.min(self.model.batch_size());
        if let Some(samples) = self.model.sample(self.backend, rows)? {
            let png = Grid::new(side, side, SAMPLES_PER_ROW).png(&samples)?;
            self.session.run.write_picture("samples", epoch, &png)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Checkpoint, Error> {
        let Session { data_digest, progress, .. } = &self.session;
        Checkpoint::of(self.backend, self.model, data_digest, progress.clone())
    }

    fn checkpoint(&mut self) -> Result<(), Error> {
        self.state()?.write(&Run::last_checkpoint(self.session.run.dir()))
    }

    /// Writes what is for others to use: the model and the page about the run.
    fn leave_results(&mut self) -> Result<(), Error> {
        let weights = Weights::of(self.backend, self.model)?;
        let Session { run, config, .. } = &self.session;
        run.write_model(&weights)?;
        run.write_loss_chart(config)?;
        run.write_readme(config)
    }
}
