//! Images where the backend keeps them, and losses of a model on images that it is not trained on.

use rand::seq::SliceRandom;

use super::{Averages, Error};
use crate::backend::{Backend, Noise, Sums};
use crate::data::Preparation;
use crate::nn::Autoencoder;
use crate::noise::{Address, PhiloxRng, Stream};

/// Images where the backend keeps them.
pub struct DeviceImages<I> {
    /// The images, for the backend.
    pub images: I,
    /// How many there are.
    pub count: usize,
    order: Vec<u32>,
    drawn: Option<Drawn>,
}

/// What images are drawn from that are others in each epoch.
struct Drawn {
    pixels: Vec<u8>,
    preparation: Preparation,
}

impl<I> DeviceImages<I> {
    /// Hands `pixels` over to the backend.
    ///
    /// # Errors
    /// The device failed.
    pub fn new<B: Backend<Images = I>>(
        backend: &mut B,
        pixels: Vec<u8>,
        pixels_per_image: usize,
    ) -> Result<Self, Error> {
        let count = pixels.len() / pixels_per_image;
        let order = (0..count as u32).collect();
        Ok(Self { images: backend.load_images(pixels, pixels_per_image)?, count, order, drawn: None })
    }

    /// Hands `pixels` over as `preparation` leaves them. What it draws is drawn once, and the same in all epochs.
    ///
    /// # Errors
    /// The device failed.
    pub fn prepared<B: Backend<Images = I>>(
        backend: &mut B,
        pixels: &[u8],
        pixels_per_image: usize,
        preparation: Preparation,
    ) -> Result<Self, Error> {
        let targets = preparation.targets(pixels, 0);
        if preparation.corrupt.is_none() {
            return Self::new(backend, targets, pixels_per_image);
        }
        let mut images = Self::new(backend, preparation.inputs(&targets, 0), pixels_per_image)?;
        backend.set_targets(&mut images.images, &targets)?;
        Ok(images)
    }

    /// Hands `pixels` over as `preparation` leaves them; what it draws is drawn anew with each [`shuffle`](Self::shuffle).
    ///
    /// # Errors
    /// The device failed.
    pub fn prepared_each_epoch<B: Backend<Images = I>>(
        backend: &mut B,
        pixels: Vec<u8>,
        pixels_per_image: usize,
        preparation: Preparation,
    ) -> Result<Self, Error> {
        let images = Self::prepared(backend, &pixels, pixels_per_image, preparation)?;
        Ok(Self { drawn: preparation.is_drawn().then_some(Drawn { pixels, preparation }), ..images })
    }

    /// The sizes of the batches that they are taken in: whole ones, and a last one that may be smaller.
    pub fn batches(&self, batch_size: usize) -> Vec<usize> {
        let (whole, rest) = (batch_size.min(self.count), self.count % batch_size);
        if rest == 0 { vec![whole] } else { vec![whole, rest] }
    }

    /// Begins epoch `epoch`, from 1, at image `position`: batches take each image `draws` times on end, and the images in an order
    /// that depends on nothing but the seed and the epoch, as what is drawn of the images does.
    ///
    /// # Errors
    /// The device failed.
    pub fn shuffle<B: Backend<Images = I>>(
        &mut self,
        backend: &mut B,
        seed: u64,
        epoch: u32,
        position: usize,
        draws: usize,
    ) -> Result<(), Error> {
        if let Some(Drawn { pixels, preparation }) = &self.drawn {
            let targets = preparation.targets(pixels, u64::from(epoch));
            backend.replace_pixels(&mut self.images, &preparation.inputs(&targets, u64::from(epoch)))?;
            if preparation.corrupt.is_some() {
                backend.set_targets(&mut self.images, &targets)?;
            }
        }
        let order = repeated(&epoch_order(seed, epoch, self.count), draws);
        Ok(backend.set_order(&mut self.images, &order, position * draws)?)
    }

    /// Begins again with the first image, each of them `draws` times on end, and with the first step of the validation noise.
    ///
    /// # Errors
    /// The device failed.
    pub fn rewind<B: Backend<Images = I>>(&mut self, backend: &mut B, draws: usize) -> Result<(), Error> {
        backend.set_order(&mut self.images, &repeated(&self.order, draws), 0)?;
        backend.set_step(Stream::Validation, 0);
        Ok(())
    }
}

/// The averages over all images, with loss = BCE + `beta` KL, or the model's importance-weighted loss.
///
/// With [`Noise::Drawn`] each image's code is sampled once, as the tutorial does, so the result is a noisy bound; the same noise is
/// drawn every time, so that epochs compare. With [`Noise::Mean`] the posterior's mean is decoded.
///
/// # Errors
/// The device failed.
pub fn evaluate<B: Backend, M: Autoencoder<B>>(
    backend: &mut B,
    model: &mut M,
    images: &mut DeviceImages<B::Images>,
    noise: Noise,
    beta: f64,
) -> Result<Averages, Error> {
    let draws = model.draws();
    images.rewind(backend, draws)?;
    backend.set_sums(Sums::zeros(model.dims().latent));
    let mut left = images.count * draws;
    while left > 0 {
        let rows = left.min(model.batch_size());
        model.evaluation_step(backend, &mut images.images, rows, noise)?;
        left -= rows;
    }
    Ok(Averages::of(&backend.sums()?, model.kind(), draws, beta))
}

/// `order` with each image `draws` times on end.
fn repeated(order: &[u32], draws: usize) -> Vec<u32> {
    order.iter().flat_map(|image| std::iter::repeat_n(*image, draws)).collect()
}

/// The order of `count` images in epoch `epoch`: a permutation that depends on nothing but the seed and the epoch.
fn epoch_order(seed: u64, epoch: u32, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.shuffle(&mut PhiloxRng::new(Address { seed, stream: Stream::Shuffling, step: u64::from(epoch) }));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_takes_every_image_once_in_its_own_order() {
        let first = epoch_order(1, 1, 1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..1000));
        assert_eq!(first, epoch_order(1, 1, 1000));
        assert_ne!(first, epoch_order(1, 2, 1000));
        assert_ne!(first, epoch_order(2, 1, 1000));
    }
}
