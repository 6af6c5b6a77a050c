//! The latent space as the test images fill it: which units they use, where its middle is, and where one of them lies.

use super::chosen::TestImages;
use super::error::Error;
use crate::inference::{Axes, Codec, Codes};
use crate::nn::Kind;

/// A model's latent space.
pub struct Space {
    /// Its scales: the prior's, or for the AE those of the codes.
    pub axes: Axes,
    /// The code around which the space is looked at: an image's, or the middle.
    pub base: Vec<f32>,
    /// What the base is.
    pub around: String,
    /// The units, the one that says most about the images first; none where no image was asked.
    pub order: Vec<usize>,
    /// How much each unit says.
    pub activity: Vec<f64>,
    /// How many units say anything.
    pub active: Option<usize>,
    kind: Kind,
}

impl Space {
    /// That of the prior, about which no image was asked.
    pub fn of_prior(latent: usize) -> Self {
        let axes = Axes::of_prior(latent);
        let base = axes.centre().to_vec();
        let around = middle(Kind::Variational);
        Self { axes, base, around, order: Vec::new(), activity: Vec::new(), active: None, kind: Kind::Variational }
    }

    /// That of `codec`'s model on the test images, around image `image` or the middle.
    ///
    /// # Errors
    /// The device failed.
    pub fn of_images(codec: &mut dyn Codec, set: &TestImages, image: Option<usize>) -> Result<Self, Error> {
        let kind = codec.kind();
        let codes = codec.encode_bytes(set.pixels())?;
        let axes = match kind {
            Kind::Variational => Axes::of_prior(codes.latent),
            Kind::Vanilla => Axes::of_codes(&codes),
        };
        let (base, around) = match image {
            Some(i) => (codes.row(i).to_vec(), format!("as for test image {i}")),
            None => (axes.centre().to_vec(), middle(kind)),
        };
        let (order, active) = (codes.most_active(), Some(codes.active_units()));
        Ok(Self { axes, base, around, order, activity: activity(&codes), active, kind })
    }

    /// How much `unit` says, in words.
    pub fn weight(&self, unit: usize) -> String {
        match self.kind {
            Kind::Variational => format!("{:.2} nats", self.activity[unit]),
            Kind::Vanilla => format!("sd {:.2}", self.activity[unit]),
        }
    }

    /// Whether its model is the VAE.
    pub fn is_vae(&self) -> bool {
        self.kind == Kind::Variational
    }

    /// One sentence on the plane of two units.
    pub fn describe_plane(&self, units: [usize; 2]) -> String {
        let [across, up] = units.map(|unit| match self.active {
            Some(_) => format!("{unit} ({})", self.weight(unit)),
            None => unit.to_string(),
        });
        let scale = if self.is_vae() { "" } else { " in standard deviations from the mean" };
        let others = if self.base.len() == 2 { String::new() } else { format!("; all others are {}", self.around) };
        format!("Unit {across} to the right and unit {up} upwards{scale}, at normal quantiles{others}.")
    }

    /// One sentence on how many units say anything.
    pub fn summary(&self) -> Option<String> {
        let (active, units) = (self.active?, self.base.len());
        Some(match self.kind {
            Kind::Variational => {
                let total: f64 = self.activity.iter().sum();
                let rest = if active == units { String::new() } else { idle(units - active) };
                format!("{active} of {units} units are active{rest}; all together carry {total:.1} nats an image.")
            }
            Kind::Vanilla => format!("{active} of {units} units vary over the test images; sd is by how much."),
        })
    }
}

/// What is said of the units that say nothing.
fn idle(units: usize) -> String {
    format!(", the other {units} stay near the prior for every image and change next to nothing")
}

fn middle(kind: Kind) -> String {
    match kind {
        Kind::Variational => "at 0, the prior's mean".to_owned(),
        Kind::Vanilla => "at their mean over the test images".to_owned(),
    }
}

/// The KL divergence of each unit in nats, for the AE its standard deviation.
fn activity(codes: &Codes) -> Vec<f64> {
    if codes.log_var.is_some() {
        return codes.kl_of_units();
    }
    codes.variance_of_units().iter().map(|variance| variance.sqrt()).collect()
}
