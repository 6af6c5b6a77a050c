//! Test images of a trained model's set, chosen by number or at random.

use clap::Args;
use rand::seq::SliceRandom;

use super::error::Error;
use super::trained::{ImageChoice, TrainedModel, setting};
use crate::data::{Corruption, DatasetName, Images};
use crate::noise::{Address, PhiloxRng, Stream};

/// The most images that are shown at a time.
const MOST: usize = 1000;

/// Which test images to show.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Numbers of the test images to show, from 0 up [default: drawn from the seed]
    #[arg(long, value_name = "I,J,...", value_delimiter = ',', conflicts_with = "count")]
    images: Option<Vec<usize>>,
    /// How many test images to draw from the seed
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    count: usize,
}

impl Selection {
    /// The numbers of the images in `set`.
    ///
    /// # Errors
    /// There are none, or too many, or a number is not that of an image.
    pub fn of(&self, set: &TestImages) -> Result<Vec<usize>, Error> {
        let (option, count) = match &self.images {
            Some(images) => ("--images", images.len()),
            None => ("--count", self.count),
        };
        if !(1..=MOST).contains(&count) {
            return Err(setting(option, count, format!("is not between 1 and {MOST} images")));
        }
        match &self.images {
            Some(images) => set.check(option, images).map(|()| images.clone()),
            None if count > set.len() => {
                Err(setting(option, count, format!("is more than the {} there are", set.len())))
            }
            None => Ok(set.order()[..count].to_vec()),
        }
    }
}

/// The test images that fit a model, binarised where its run binarised them.
pub struct TestImages {
    /// The set.
    pub name: DatasetName,
    images: Images,
    labels: Vec<u8>,
    seed: u64,
}

impl TestImages {
    /// Those of `choice`, or of the model's run.
    ///
    /// # Errors
    /// They cannot be read, or do not fit the model.
    pub fn of(model: &TrainedModel, choice: &ImageChoice) -> Result<Self, Error> {
        let data = model.dataset(choice)?;
        let images = data.test.images;
        // As the run validated them: what does not change from epoch to epoch is draw 0.
        let pixels = model.config.preparation().targets(images.pixels(), 0);
        let images = Images::new(images.rows(), images.columns(), pixels);
        Ok(Self { name: data.name, images, labels: data.test.labels, seed: model.config.seed })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// All of them, `[n, pixels]`, a byte a pixel.
    pub fn pixels(&self) -> &[u8] {
        self.images.pixels()
    }

    /// All of them with the noise of `corruption`, `[n, pixels]`, a byte a pixel: the same as the run validated with, where it was
    /// trained with that.
    pub fn corrupted(&self, corruption: Corruption) -> Vec<u8> {
        corruption.apply(self.pixels(), Address { seed: self.seed, stream: Stream::Corruption, step: 0 })
    }

    /// What image `i` shows.
    pub fn label(&self, i: usize) -> u8 {
        self.labels[i]
    }

    /// The images numbered `chosen`, `[n, pixels]`, values from 0 to 1.
    pub fn values(&self, chosen: &[usize]) -> Vec<f32> {
        let bytes = chosen.iter().flat_map(|i| self.images.image(*i));
        bytes.map(|byte| f32::from(*byte) / 255.0).collect()
    }

    /// That the numbers given to `option` are those of images.
    ///
    /// # Errors
    /// One is not.
    pub fn check(&self, option: &'static str, numbers: &[usize]) -> Result<(), Error> {
        match numbers.iter().find(|i| **i >= self.len()) {
            None => Ok(()),
            Some(i) => {
                let problem =
                    format!("is no test image of {}: they are numbered from 0 to {}", self.name, self.len() - 1);
                Err(setting(option, i, problem))
            }
        }
    }

    /// The numbers of all images in an order drawn from the seed.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        // Epochs count from 1: no epoch has this address.
        order.shuffle(&mut PhiloxRng::new(Address { seed: self.seed, stream: Stream::Shuffling, step: 0 }));
        order
    }
}
