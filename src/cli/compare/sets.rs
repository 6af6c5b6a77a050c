//! The test images that the runs of a comparison are measured on.

use std::path::PathBuf;

use crate::cli::error::Error;
use crate::cli::trained::{ImageChoice, TrainedModel};
use crate::data::{DatasetName, Split};
use crate::train;

/// Test images of a set.
pub struct TestSet {
    /// The set.
    pub name: DatasetName,
    /// The images and what they show.
    pub split: Split,
    /// The images that are shown: the first of each class.
    pub shown: Vec<usize>,
    folder: PathBuf,
    digest: String,
}

/// The test images of several runs, each set once.
#[derive(Default)]
pub struct TestSets(pub Vec<TestSet>);

impl TestSets {
    /// The place of the set that `model` is measured on, after loading it if need be. Models of the same images get the same place.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(&mut self, model: &TrainedModel, choice: &ImageChoice) -> Result<usize, Error> {
        let name = choice.dataset.unwrap_or(model.config.dataset);
        let folder = choice.data_dir.as_ref().unwrap_or(&model.config.data_dir);
        if let Some(place) = self.0.iter().position(|set| set.name == name && set.folder == *folder) {
            return Ok(place);
        }
        let data = name.load(folder, model.config.seed).map_err(train::Error::from)?;
        if let Some(place) = self.0.iter().position(|set| set.digest == data.digest) {
            return Ok(place);
        }
        let (split, digest, folder) = (data.test, data.digest, folder.clone());
        self.0.push(TestSet { name, shown: first_of_each_class(&split.labels), split, folder, digest });
        Ok(self.0.len() - 1)
    }
}

impl TestSet {
    /// The images that are shown, `[n, pixels]`, values from 0 to 1.
    pub fn originals(&self) -> Vec<f32> {
        let bytes = self.shown.iter().flat_map(|i| self.split.images.image(*i));
        bytes.map(|byte| f32::from(*byte) / 255.0).collect()
    }
}

fn first_of_each_class(labels: &[u8]) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |last| last + 1);
    (0..classes).filter_map(|class| labels.iter().position(|label| *label == class)).collect()
}
