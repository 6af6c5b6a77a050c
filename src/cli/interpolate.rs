//! `interpolate`: the way through the latent space from one test image to another.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::chosen::TestImages;
use super::error::Error;
use super::trained::{ImageChoice, Source, TrainedModel, setting};
use crate::inference::geometry::Path;
use crate::nn::Kind;
use crate::plot::sheet::{Cells, Colour, Row, Sheet, Tile};

/// The most steps of a way, and the most ways.
const MOST_STEPS: usize = 100;
const MOST_PAIRS: usize = 100;
/// Ways, unless both ends are given.
const PAIRS: usize = 6;

/// Options of `interpolate`.
#[derive(Args, Clone, Debug)]
pub struct Interpolate {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    choice: ImageChoice,
    /// Number of the test image to begin with [default: drawn from the seed]
    #[arg(long, value_name = "I")]
    from: Option<usize>,
    /// Number of the test image to end with [default: drawn from the seed, another digit]
    #[arg(long, value_name = "J")]
    to: Option<usize>,
    /// Pairs of images, a row each [default: 6, or 1 if both ends are given]
    #[arg(long, value_name = "N")]
    pairs: Option<usize>,
    /// Images on the way, the reconstructions of both ends included
    #[arg(long, value_name = "N", default_value_t = 10)]
    steps: usize,
    /// Go straight, as the AE always does, instead of along a great circle: the VAE's codes lie near a sphere
    #[arg(long)]
    linear: bool,
    /// The picture to write [default: interpolate.png in the run's folder]
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// Two images by number.
#[derive(Clone, Copy, Serialize)]
struct Pair {
    from: usize,
    to: usize,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    pairs: Vec<Pair>,
    steps: usize,
    path: &'static str,
    seed: u64,
    picture: PathBuf,
}

impl Interpolate {
    /// Encodes both ends, decodes the way and leaves a picture.
    ///
    /// # Errors
    /// The model or the images cannot be read or do not fit each other, an image is none of theirs, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        let count = self.count()?;
        let model = self.source.open()?;
        let set = TestImages::of(&model, &self.choice)?;
        let pairs = self.pairs(&set, count)?;
        model.check_room(count * self.steps)?;
        let path = if self.linear || model.weights.kind == Kind::Vanilla { Path::Linear } else { Path::Spherical };
        let ends = set.values(&pairs.iter().flat_map(|pair| [pair.from, pair.to]).collect::<Vec<_>>());
        let ways = self.ways(&model, path, &ends)?;
        let sheet = self.sheet(&model, &set, path, &pairs, (&ends, &ways));
        let picture = model.leave(self.out.as_deref(), "interpolate.png", &sheet.png()?)?;
        let ways = if count == 1 { "1 way".to_owned() } else { format!("{count} ways") };
        let text = format!("{ways} of {} steps between test images: {}", self.steps, picture.display());
        let report = Report { pairs, steps: self.steps, path: name(path), seed: model.config.seed, picture };
        self.source.place.answer(&report, &text);
        Ok(())
    }

    /// How many pairs there will be.
    fn count(&self) -> Result<usize, Error> {
        if !(2..=MOST_STEPS).contains(&self.steps) {
            return Err(setting("--steps", self.steps, format!("is not between 2 and {MOST_STEPS}")));
        }
        let both = self.from.is_some() && self.to.is_some();
        match self.pairs {
            Some(pairs) if !(1..=MOST_PAIRS).contains(&pairs) => {
                Err(setting("--pairs", pairs, format!("is not between 1 and {MOST_PAIRS}")))
            }
            Some(pairs) if both && pairs > 1 => {
                Err(setting("--pairs", pairs, "would all be the same pair; leave out --from or --to"))
            }
            Some(pairs) => Ok(pairs),
            None => Ok(if both { 1 } else { PAIRS }),
        }
    }

    /// The pairs: what is not given is drawn, no image twice, with another label than the other end's.
    fn pairs(&self, set: &TestImages, count: usize) -> Result<Vec<Pair>, Error> {
        set.check("--from", self.from.as_slice())?;
        set.check("--to", self.to.as_slice())?;
        let mut left = set.order();
        let mut draw = |other: Option<usize>| {
            let differs = |i: &usize| other.is_none_or(|other| set.label(*i) != set.label(other));
            let found = left.iter().position(differs).map(|place| left.remove(place));
            found.ok_or_else(|| {
                let problem =
                    format!("needs more test images of different labels than {} has; ask for fewer", set.name);
                setting("--pairs", count, problem)
            })
        };
        let pair = |_| {
            let from = self.from.map_or_else(|| draw(self.to), Ok)?;
            let to = self.to.map_or_else(|| draw(Some(from)), Ok)?;
            Ok(Pair { from, to })
        };
        (0..count).map(pair).collect()
    }

    /// The images on each way, `[pairs, steps, pixels]`.
    fn ways(&self, model: &TrainedModel, path: Path, ends: &[f32]) -> Result<Vec<f32>, Error> {
        model.with_codec(|codec| {
            let codes = codec.encode(ends)?;
            let ways = codes.mean.chunks_exact(2 * codes.latent).flat_map(|pair| {
                let (from, to) = pair.split_at(codes.latent);
                path.between(from, to, self.steps)
            });
            Ok(codec.decode(&ways.collect::<Vec<_>>())?)
        })
    }

    /// A row for each pair: the first image, the way, the second image.
    fn sheet<'a>(
        &self,
        model: &TrainedModel,
        set: &TestImages,
        path: Path,
        pairs: &[Pair],
        (ends, ways): (&'a [f32], &'a [f32]),
    ) -> Sheet<'a> {
        let pixels = model.weights.dims.input;
        let title = format!("From one test image of {} to another in the latent space of {}", set.name, model.name());
        let mut sheet = Sheet::new(title, model.image_shape());
        let way = match path {
            Path::Linear => "a straight line",
            Path::Spherical => "a great circle",
        };
        sheet.sentences.push(format!("The images themselves are framed; between them {} codes on {way}.", self.steps));
        for ((pair, ends), way) in pairs.iter().zip(ends.chunks(2 * pixels)).zip(ways.chunks(self.steps * pixels)) {
            let (from, to) = ends.split_at(pixels);
            let end = |pixels| Tile { pixels, frame: Some(Colour::Vermilion) };
            let between = way.chunks(pixels).map(|pixels| Tile { pixels, frame: None });
            let tiles = std::iter::once(end(from)).chain(between).chain([end(to)]);
            let label = vec![pair.from.to_string(), format!("to {}", pair.to)];
            sheet.rows.push(Row { label, cells: Cells::Images(tiles.collect()) });
        }
        sheet
    }
}

fn name(path: Path) -> &'static str {
    match path {
        Path::Linear => "linear",
        Path::Spherical => "spherical",
    }
}
