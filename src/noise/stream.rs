//! Addresses, and a sequential generator over one of them for the distributions of `rand` and `rand_distr`.

use std::convert::Infallible;

use rand::TryRng;

use super::philox4x32_10;

/// What a number is drawn for. Two streams never share an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Stream {
    /// The reparameterisation while training; the step is the optimiser's step.
    Training = 0,
    /// The reparameterisation while validating or evaluating.
    Validation = 1,
    /// Codes drawn from the prior.
    Sampling = 2,
    /// Initial parameters; the step is the layer's number.
    Initialisation = 3,
    /// The order of the images; the step is the epoch.
    Shuffling = 4,
    /// Noise put on inputs; the step is the epoch.
    Corruption = 5,
    /// Drawn digits; the step is the image's number.
    Drawing = 6,
    /// Grey pixels that become black or white; the step is the epoch.
    Binarisation = 7,
}

/// Where a sequence of numbers begins: (seed, stream, step). Elements count from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The user's seed.
    pub seed: u64,
    /// What the numbers are for.
    pub stream: Stream,
    /// Position in that stream: a step, an epoch or an image.
    pub step: u64,
}

impl Address {
    /// The four words of block `block`, which holds the elements 4 `block` to 4 `block` + 3.
    #[inline(always)]
    pub fn words(self, block: u32) -> [u32; 4] {
        let counter = [block, self.step as u32, (self.step >> 32) as u32, self.stream as u32];
        philox4x32_10(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }
}

/// The words of one [`Address`] in order, as a generator for `rand` and `rand_distr`.
///
/// It repeats after 2^34 words, far more than one step, epoch or image draws.
#[derive(Clone, Debug)]
pub struct PhiloxRng {
    address: Address,
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl PhiloxRng {
    /// A generator at element 0 of `address`.
    pub fn new(address: Address) -> Self {
        Self { address, block: 0, words: [0; 4], used: 4 }
    }

    fn next_word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.address.words(self.block);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

impl TryRng for PhiloxRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.next_word());
        Ok(u64::from(self.next_word()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn generator_walks_the_blocks_of_its_address() {
        let address = Address { seed: 7 << 40 | 3, stream: Stream::Shuffling, step: 1 << 35 };
        let mut rng = PhiloxRng::new(address);
        let words: Vec<u32> = (0..8).map(|_| rng.next_u32()).collect();
        assert_eq!(words, [address.words(0), address.words(1)].concat());
    }

    #[test]
    fn every_part_of_the_address_changes_the_words() {
        let base = Address { seed: 1, stream: Stream::Training, step: 0 };
        let others = [
            Address { seed: 2, ..base },
            Address { seed: 1 + (1 << 32), ..base },
            Address { stream: Stream::Validation, ..base },
            Address { step: 1, ..base },
            Address { step: 1 << 32, ..base },
        ];
        for other in others {
            assert_ne!(base.words(0), other.words(0), "{other:?}");
        }
        assert_ne!(base.words(0), base.words(1));
    }
}
