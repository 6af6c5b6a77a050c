//! `plot kl`: which latent units a VAE uses.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::error::Error;
use crate::cli::trained::{ImageChoice, Source};
use crate::inference::Codes;
use crate::plot::curves::{Chart, Colour, Scale, Series, Style};

/// Options of `plot kl`.
#[derive(Args, Clone, Debug)]
pub struct Kl {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    /// The picture to write [default: kl.svg in the run's folder]
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    /// The units, the one with the largest divergence first.
    units: Vec<Unit>,
    active_units: usize,
    picture: PathBuf,
}

/// A latent unit of a VAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unit {
    /// Its place in the code, from 0.
    pub unit: usize,
    /// Its KL divergence from the prior, in nats an image.
    pub kl: f64,
    /// Whether its posterior mean depends on the image.
    pub active: bool,
}

impl Kl {
    /// Encodes the test images, draws and says where the picture is.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, it is no VAE, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let model = self.source.open()?;
        model.require_vae("its code has no KL divergence")?;
        let data = model.dataset(&self.choice)?;
        let codes = model.with_codec(|codec| Ok(codec.encode_bytes(data.test.images.pixels())?))?;
        let units = units(&codes);
        let chart = chart(&format!("{} on {}: {}", model.config.model, data.name, summary(&units)), &units);
        let picture = model.leave(self.out.as_deref(), "kl.svg", chart.svg()?.as_bytes())?;
        let text = format!("{}: {}", summary(&units), picture.display());
        let active_units = units.iter().filter(|unit| unit.active).count();
        self.source.place.answer(&Report { units, active_units, picture }, &text);
        Ok(())
    }
}

/// The units of a VAE's `codes`, the one with the largest divergence first.
pub fn units(codes: &Codes) -> Vec<Unit> {
    let (kl, active) = (codes.kl_of_units(), codes.is_active());
    codes.most_active().into_iter().map(|unit| Unit { unit, kl: kl[unit], active: active[unit] }).collect()
}

/// "18 of 200 units are active: 22.57 of 22.78 nats".
fn summary(units: &[Unit]) -> String {
    let active = || units.iter().filter(|unit| unit.active);
    let (carried, whole): (f64, f64) = (active().map(|unit| unit.kl).sum(), units.iter().map(|unit| unit.kl).sum());
    format!("{} of {} units are active: {carried:.2} of {whole:.2} nats", active().count(), units.len())
}

/// A disc for every unit; those that collapsed onto the prior in another colour.
fn chart(title: &str, units: &[Unit]) -> Chart {
    let series = |label: &str, active: bool, colour| {
        let ranked = (1..).map(f64::from).zip(units).filter(|(_, unit)| unit.active == active);
        let points: Vec<(f64, f64)> = ranked.map(|(rank, unit)| (rank, unit.kl)).collect();
        (!points.is_empty()).then(|| Series::new(label, points, Style::Markers).coloured(colour))
    };
    let series = [series("active", true, Colour::Blue), series("collapsed", false, Colour::Orange)];
    Chart {
        title: title.to_owned(),
        x_label: "latent unit, by its KL divergence".to_owned(),
        y_label: "KL in nats an image".to_owned(),
        series: series.into_iter().flatten().collect(),
        y_scale: scale(units),
        y_range: None,
    }
}

/// Logarithmic, to show the active and the collapsed units at once, unless no unit has any divergence.
pub fn scale(units: &[Unit]) -> Scale {
    if units.iter().any(|unit| unit.kl > 0.0) { Scale::Log } else { Scale::Linear }
}
