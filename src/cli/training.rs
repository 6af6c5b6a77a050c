//! `ae`, `vae` and `both`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::device::{OnBackend, with_backend};
use super::display::{Display, line};
use super::options::{Both, Place, Training};
use crate::backend::Backend;
use crate::data::Dataset;
use crate::nn::{Autoencoder, Dims, Kind, MemoryPlan, VanillaAE, VariationalAE, Weights};
use crate::train::{
    Checkpoint, Config, DeviceImages, Environment, Error, Outcome, Progress, Run, Session, is_over, train,
};

/// Trains one model.
pub fn one(kind: Kind, options: &Training, stop: &AtomicBool) -> Result<Outcome, Error> {
    let place = &options.place;
    let plan = match &place.resume {
        Some(dir) => Plan::resumed(options, kind, dir)?,
        None => Plan::fresh(options.resolve(kind)?)?,
    };
    if place.memory {
        with_backend(&plan.config, MemoryTable(&plan))?;
        return Ok(Outcome::Finished);
    }
    let new_dir = || Run::new_dir(&place.out, place.name.as_deref(), &kind.to_string());
    plan.carry_out(new_dir, place, stop, None).map(|(outcome, _)| outcome)
}

/// Trains both models, the vanilla one first.
pub fn both(options: &Both, stop: &AtomicBool) -> Result<Outcome, Error> {
    let Both { training, share_decoder } = options;
    let place = &training.place;
    if place.memory {
        one(Kind::Vanilla, training, stop)?;
        return one(Kind::Variational, training, stop);
    }
    let mut dir = place.resume.clone();
    let mut trained: Option<Weights> = None;
    for kind in [Kind::Vanilla, Kind::Variational] {
        let begun = dir.as_ref().map(|dir| dir.join(kind.to_string())).filter(|part| part.exists());
        let plan = match &begun {
            Some(part) if is_finished(training, kind, part)? => {
                trained = Some(Checkpoint::read(&Run::last_checkpoint(part))?.into_weights());
                continue;
            }
            Some(part) => Plan::resumed(training, kind, part)?,
            None => match &place.resume {
                // The vanilla one was interrupted: the other has its settings.
                Some(dir) => Plan::fresh(training.resolve_beside(kind, &dir.join(Kind::Vanilla.to_string()))?)?,
                None => Plan::fresh(training.resolve(kind)?)?,
            },
        };
        let new_dir = || {
            let parent = match &dir {
                Some(dir) => dir.clone(),
                None => Run::new_dir(&place.out, place.name.as_deref(), "both")?,
            };
            Run::new_dir(dir.insert(parent), Some(&kind.to_string()), "")
        };
        let decoder = trained.as_ref().filter(|_| *share_decoder);
        let (outcome, weights) = plan.carry_out(new_dir, place, stop, decoder)?;
        if outcome == Outcome::Interrupted {
            return Ok(outcome);
        }
        trained = Some(weights);
    }
    Ok(Outcome::Finished)
}

/// Trains a VAE without the images of `label` in the folder `name` of `parent`; goes on where that was begun, and does nothing where
/// it is done.
pub fn held_out(options: &Training, label: u8, parent: &Path, name: &str, stop: &AtomicBool) -> Result<Outcome, Error> {
    let (options, kind, dir) = (options.holding_out(label), Kind::Variational, parent.join(name));
    let plan = if !dir.exists() {
        Plan::fresh(options.resolve(kind)?)?
    } else if is_finished(&options, kind, &dir)? {
        return Ok(Outcome::Finished);
    } else {
        Plan::resumed(&options, kind, &dir)?
    };
    let new_dir = || Run::new_dir(parent, Some(name), "");
    plan.carry_out(new_dir, &options.place, stop, None).map(|(outcome, _)| outcome)
}

/// Whether the run in `dir` has done all epochs that are asked for.
fn is_finished(options: &Training, kind: Kind, dir: &Path) -> Result<bool, Error> {
    let config = options.resolve_resumed(kind, dir)?;
    Ok(is_over(&config, &Checkpoint::read(&Run::last_checkpoint(dir))?.progress))
}

/// What is to be trained, on what, and from where on.
struct Plan {
    config: Config,
    data: Dataset,
    resumed: Option<(PathBuf, Checkpoint)>,
}

impl Plan {
    fn fresh(config: Config) -> Result<Self, Error> {
        let data = config.dataset.load(&config.data_dir, config.seed)?;
        Self { config, data, resumed: None }.split_and_check()
    }

    fn resumed(options: &Training, kind: Kind, dir: &Path) -> Result<Self, Error> {
        let config = options.resolve_resumed(kind, dir)?;
        let path = Run::last_checkpoint(dir);
        let checkpoint = Checkpoint::read(&path)?;
        let done = checkpoint.progress.epochs;
        if done >= config.epochs {
            let problem = format!("is not more than the {done} epochs that this run has done; it is the total");
            return Err(Error::Setting { setting: "--epochs", value: config.epochs.to_string(), problem });
        }
        let data = config.dataset.load(&config.data_dir, config.seed)?;
        checkpoint.check(&path, kind, config.dims(data.train.images.pixels_per_image()), &data.digest)?;
        Self { config, data, resumed: Some((dir.to_owned(), checkpoint)) }.split_and_check()
    }

    /// Holds out the images to validate on, and checks what depends on how many are left.
    fn split_and_check(mut self) -> Result<Self, Error> {
        if let Some(label) = self.config.holdout_class {
            let others = self.data.train.without_label(label);
            if others.labels.len() == self.data.train.labels.len() || others.labels.is_empty() {
                let problem = "is not one of several labels of the training images; MNIST's are 0 to 9".to_owned();
                return Err(Error::Setting { setting: "--holdout-class", value: label.to_string(), problem });
            }
            self.data.train = others;
        }
        let held_out = (self.data.train.images.len() as f64 * self.config.val_split).round() as usize;
        if held_out > 0 {
            self.data.test = self.data.train.split_off(held_out)?;
        }
        let images = &self.data.train.images;
        self.config.check_sizes(images.len(), images.pixels_per_image())?;
        Ok(self)
    }

    fn dims(&self) -> Dims {
        self.config.dims(self.data.train.images.pixels_per_image())
    }

    /// What the run keeps on its device with batches of `batch_size` images.
    fn memory_plan<B: Backend>(&self, backend: &B, batch_size: usize) -> MemoryPlan {
        let images = self.data.train.images.len() + self.data.test.images.len();
        let draws = self.config.draws();
        let rows = batch_size * draws;
        let plan = MemoryPlan::of_run(backend, self.config.model, self.dims(), rows, images);
        let plan = if draws > 1 { plan.with_draws(rows, images, draws) } else { plan };
        if self.config.corrupt.is_some() { plan.with_targets(self.dims(), rows, images) } else { plan }
    }

    /// Checks that all of it fits there.
    fn check_memory<B: Backend>(&self, backend: &B) -> Result<(), Error> {
        let Some(free) = backend.free_memory()? else { return Ok(()) };
        let batch_size = self.config.batch_size;
        let needed = |rows| self.memory_plan(backend, rows).total();
        if needed(batch_size) <= free {
            return Ok(());
        }
        // More rows never need less.
        let fits = largest(batch_size, |rows| needed(rows) <= free);
        Err(Error::DeviceMemory { needed: needed(batch_size), free, batch_size, fits })
    }

    /// Trains; the decoder of `initial` is where a new run's decoder begins.
    fn carry_out(
        self,
        new_dir: impl FnOnce() -> Result<PathBuf, Error>,
        place: &Place,
        stop: &AtomicBool,
        initial: Option<&Weights>,
    ) -> Result<(Outcome, Weights), Error> {
        let config = self.config.clone();
        with_backend(&config, Task { plan: self, place, stop, initial, new_dir })
    }
}

/// The largest number from 1 to below `end` for which `holds` does, where it holds up to some number and for none above.
fn largest(end: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low > 0).then_some(low)
}

/// Prints what a run would keep in its device's memory.
struct MemoryTable<'a>(&'a Plan);

impl OnBackend for MemoryTable<'_> {
    type Output = ();

    fn run<B: Backend>(self, backend: &mut B) -> Result<(), Error> {
        let MemoryPlan { buffers } = self.0.memory_plan(backend, self.0.config.batch_size);
        let config = &self.0.config;
        let dims = self.0.dims();
        line(&format!(
            "{} {dims} with batches of {} images on {}",
            config.model,
            config.batch_size,
            backend.describe()
        ));
        let row = |name: &str, bytes: u64| line(&format!("  {name:32} {:12.3} MiB", bytes as f64 / 1_048_576.0));
        buffers.iter().for_each(|(name, bytes)| row(name, *bytes));
        row("in all", buffers.iter().map(|(_, bytes)| bytes).sum());
        if let Some(free) = backend.free_memory()? {
            row("free", free);
        }
        Ok(())
    }
}

/// A plan and its surroundings.
struct Task<'a, F> {
    plan: Plan,
    place: &'a Place,
    stop: &'a AtomicBool,
    initial: Option<&'a Weights>,
    new_dir: F,
}

impl<F: FnOnce() -> Result<PathBuf, Error>> OnBackend for Task<'_, F> {
    type Output = (Outcome, Weights);

    fn run<B: Backend>(self, backend: &mut B) -> Result<Self::Output, Error> {
        let Config { model, seed, .. } = self.plan.config;
        let (dims, rows, draws) = (self.plan.dims(), self.plan.config.batch_rows(), self.plan.config.draws());
        self.plan.check_memory(backend)?;
        match model {
            Kind::Vanilla => {
                let model = VanillaAE::new(backend, dims, rows, seed)?;
                self.train(backend, model)
            }
            Kind::Variational => {
                let mut model = VariationalAE::new(backend, dims, rows, seed)?;
                if draws > 1 {
                    model.weigh_draws(backend, draws)?;
                }
                self.train(backend, model)
            }
        }
    }
}

impl<F: FnOnce() -> Result<PathBuf, Error>> Task<'_, F> {
    fn train<B: Backend, M: Autoencoder<B>>(self, backend: &mut B, mut model: M) -> Result<(Outcome, Weights), Error> {
        let Self { plan: Plan { config, data, resumed }, place, stop, initial, new_dir } = self;
        if let Some(initial) = initial {
            let mut weights = Weights::of(backend, &model)?;
            weights.take_decoder(initial);
            backend.write(&mut model.parameters_mut().values.storage, &weights.values)?;
        }
        let pixels = data.train.images.pixels_per_image();
        let preparation = config.preparation();
        if preparation.corrupt.is_some() {
            model.common_mut().add_targets(backend)?;
        }
        let train_pixels = data.train.images.into_pixels();
        let mut images = DeviceImages::prepared_each_epoch(backend, train_pixels, pixels, preparation)?;
        let mut validation = DeviceImages::prepared(backend, data.test.images.pixels(), pixels, preparation)?;
        for rows in images.batches(config.batch_size).into_iter().chain(validation.batches(config.batch_size)) {
            model.prepare(backend, &mut images.images, rows * model.draws())?;
        }
        let (mut run, progress) = match resumed {
            Some((dir, checkpoint)) => {
                checkpoint.restore(backend, &mut model)?;
                (Run::open(&dir, checkpoint.progress.epochs)?, checkpoint.progress)
            }
            None => (Run::begin(new_dir()?)?, Progress::default()),
        };
        run.write_config(&config)?;
        if config.tensorboard {
            run.leave_events()?;
        }
        run.write_environment(&Environment::here(&backend.describe(), &data.digest))?;
        let mut display = Display::new(&config, &run, place.no_progress, place.beside);
        display.begins(model.dims(), images.count, validation.count, &backend.describe());
        let session = Session {
            config: &config,
            run: &mut run,
            data_digest: &data.digest,
            progress,
            observer: &mut display,
            stop,
        };
        let outcome = train(backend, &mut model, images, &mut validation, session)?;
        display.ends(outcome, &run);
        Ok((outcome, Weights::of(backend, &model)?))
    }
}
