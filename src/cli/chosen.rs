//! Test images of a trained model's set, chosen by number or at random.

use rand::seq::SliceRandom;

use super::error::Error;
use super::trained::{ImageChoice, TrainedModel, setting};
use crate::data::{DatasetName, Split};
use crate::noise::{Address, PhiloxRng, Stream};

/// The test images that fit a model.
pub struct TestImages {
    /// The set.
    pub name: DatasetName,
    split: Split,
    seed: u64,
}

impl TestImages {
    /// Those of `choice`, or of the model's run.
    ///
    /// # Errors
    /// They cannot be read, or do not fit the model.
    pub fn of(model: &TrainedModel, choice: &ImageChoice) -> Result<Self, Error> {
        let data = model.dataset(choice)?;
        Ok(Self { name: data.name, split: data.test, seed: model.config.seed })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.split.images.len()
    }

    /// All of them, `[n, pixels]`, a byte a pixel.
    pub fn pixels(&self) -> &[u8] {
        self.split.images.pixels()
    }

    /// What image `i` shows.
    pub fn label(&self, i: usize) -> u8 {
        self.split.labels[i]
    }

    /// The images numbered `chosen`, `[n, pixels]`, values from 0 to 1.
    pub fn values(&self, chosen: &[usize]) -> Vec<f32> {
        let bytes = chosen.iter().flat_map(|i| self.split.images.image(*i));
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
