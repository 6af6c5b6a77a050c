//! `ae`, `vae` and `both`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::display::{self, Display};
use super::options::{Both, Place, Training};
use crate::backend::Backend;
use crate::data::{Dataset, Split};
use crate::nn::{Autoencoder, Kind, VanillaAE, VariationalAE, Weights};
use crate::train::{
    Checkpoint, Config, DeviceImages, Environment, Error, Outcome, Progress, Run, Session, train,
};

/// Trains one model.
pub fn one(kind: Kind, options: &Training, stop: &AtomicBool) -> Result<Outcome, Error> {
    let plan = match &options.place.resume {
        Some(dir) => Plan::resumed(options, kind, dir)?,
        None => Plan::fresh(options, kind)?,
    };
    let place = |place: &Place| Run::create(&place.out, place.name.as_deref(), &kind.to_string());
    plan.start(|| place(&options.place), &options.place, stop, None).map(|(outcome, _)| outcome)
}

/// Trains both models, the vanilla one first.
pub fn both(options: &Both, stop: &AtomicBool) -> Result<Outcome, Error> {
    let place = &options.training.place;
    let dir = match &place.resume {
        Some(dir) => dir.clone(),
        None => Run::free_dir(&place.out, place.name.as_deref(), "both")?,
    };
    let mut decoder = None;
    for kind in [Kind::Vanilla, Kind::Variational] {
        let part = dir.join(kind.to_string());
        let plan = match place.resume {
            Some(_) if part.exists() => Plan::resumed(&options.training, kind, &part)?,
            _ => Plan::fresh(&options.training, kind)?,
        };
        let initial = decoder.take().filter(|_| options.share_decoder);
        let (outcome, weights) = plan.start(|| Run::create_in(&part), place, stop, initial.as_ref())?;
        if outcome == Outcome::Interrupted {
            return Ok(outcome);
        }
        decoder = Some(weights);
    }
    Ok(Outcome::Finished)
}

/// Everything that is known before the first step, checked.
struct Plan {
    config: Config,
    data: Dataset,
    checkpoint: Option<(Checkpoint, std::path::PathBuf)>,
}

impl Plan {
    fn fresh(options: &Training, kind: Kind) -> Result<Self, Error> {
        let config = options.resolve(kind)?;
        let data = config.dataset.load(&config.data_dir, config.seed)?;
        Ok(Self { config, data, checkpoint: None })
    }
}
