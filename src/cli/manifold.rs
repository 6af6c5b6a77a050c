//! `manifold`: a plane of the latent space, decoded.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::chosen::TestImages;
use super::error::Error;
use super::space::Space;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::inference::geometry::{normal_quantiles, plane};
use crate::nn::Kind;
use crate::plot::sheet::{Row, Sheet};

/// The most images along a side.
const MOST: usize = 100;
/// Up to here an image is magnified.
const MAGNIFIED: usize = 30;

/// Options of `manifold`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The images stand at the quantiles of the standard normal distribution, so that each stands for as much of \
    the prior as any other. A model with two latent units is shown whole (`latent vae --latent-dim 2`); of a larger one \
    this is a small part: a VAE of 200 units spreads what it says over about 20 of them. For the AE, which has no prior, \
    the quantiles count standard deviations of the codes from their mean."
)]
pub struct Manifold {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    /// The units of the plane, to the right and upwards [default: the two most active]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    dims: Option<Vec<usize>>,
    /// Images along a side
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    side: usize,
    /// Number of the test image whose other units are kept [default: they stay in the middle]
    #[arg(long, value_name = "I")]
    image: Option<usize>,
    /// The picture to write [default: manifold.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    dims: [usize; 2],
    latent: usize,
    side: usize,
    image: Option<usize>,
    picture: PathBuf,
}

impl Manifold {
    /// Decodes the plane and leaves a picture.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, an option makes no sense, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        if !(1..=MOST).contains(&self.side) {
            return Err(setting("--side", self.side, format!("is not between 1 and {MOST}")));
        }
        let model = self.source.open()?;
        let latent = model.weights.dims.latent;
        let dims = self.dims(latent)?;
        model.check_room(self.side * self.side)?;
        let set = self.set(&model, dims)?;
        let steps = normal_quantiles(self.side);
        let (space, dims, images) = model.with_codec(|codec| {
            let space = match &set {
                Some(set) => Space::of_images(codec, set, self.image)?,
                None => Space::of_prior(latent),
            };
            let dims = dims.unwrap_or_else(|| [space.order[0], space.order[1]]);
            let [across, mut up] = dims.map(|unit| space.axes.values(unit, &steps));
            up.reverse();
            let images = codec.decode(&plane(&space.base, dims, &across, &up))?;
            Ok((space, dims, images))
        })?;
        let png = self.sheet(&model, &space, dims, &steps, &images).png()?;
        let picture = model.leave(self.out.as_deref(), "manifold.png", &png)?;
        let text = format!("the plane of units {} and {}: {}", dims[0], dims[1], picture.display());
        let report = Report { dims, latent, side: self.side, image: self.image, picture };
        self.source.place.answer(&report, &text);
        Ok(())
    }

    /// The units asked for, or those of a model that has but two.
    fn dims(&self, latent: usize) -> Result<Option<[usize; 2]>, Error> {
        let Some(dims) = &self.dims else {
            return match latent {
                1 => Err(setting("latent units", 1, "leave no plane to show; `latent traverse` shows the one unit")),
                2 => Ok(Some([0, 1])),
                _ => Ok(None),
            };
        };
        let listed = dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match dims[..] {
            [a, b] if a != b && a.max(b) < latent => Ok(Some([a, b])),
            _ => Err(setting("--dims", listed, format!("is not two different units from 0 to {}", latent - 1))),
        }
    }

    /// The test images, where something depends on them.
    fn set(&self, model: &TrainedModel, dims: Option<[usize; 2]>) -> Result<Option<TestImages>, Error> {
        if model.weights.kind == Kind::Variational && dims.is_some() && self.image.is_none() {
            return Ok(None);
        }
        let set = TestImages::of(model, &self.choice)?;
        set.check("--image", self.image.as_slice())?;
        Ok(Some(set))
    }

    /// The images touch; the values of both units stand at the left and beneath.
    fn sheet<'a>(
        &self,
        model: &TrainedModel,
        space: &Space,
        [across, up]: [usize; 2],
        steps: &[f64],
        images: &'a [f32],
    ) -> Sheet<'a> {
        let pixels = model.weights.dims.input;
        let title = format!("A plane of the latent space of {}", model.name());
        let mut sheet = Sheet { gap: 0, ..Sheet::new(title, model.image_shape()) };
        if self.side > MAGNIFIED {
            sheet.magnification = 1;
        }
        sheet.sentences.push(space.describe_plane([across, up]));
        sheet.sentences.extend(space.summary());
        let word = |step: &f64| format!("{step:.2}");
        for (step, images) in steps.iter().rev().zip(images.chunks(pixels * steps.len())) {
            sheet.rows.push(Row::images(&[&word(step)], images, pixels));
        }
        sheet.rows.push(Row::words("", steps.iter().map(word)));
        sheet
    }
}
