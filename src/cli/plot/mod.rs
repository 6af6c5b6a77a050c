//! `plot`: charts of trained runs.

pub mod kl;
mod latent;
pub mod losses;

use clap::{Args, Subcommand};

use super::error::Error;

/// Options of `plot`.
#[derive(Args, Clone, Debug)]
pub struct Plot {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// The codes of the test images in a plane, coloured by label
    Latent(latent::Latent),
    /// The KL divergence of every latent unit, the largest first: which ones the VAE uses
    ///
    /// Of a VAE's many latent units a few carry all that it knows of an image; the posterior of the others collapsed onto the
    /// prior.
    Kl(kl::Kl),
    /// The losses of several runs over the epochs, training and validation
    Losses(losses::Losses),
}

impl Plot {
    /// Draws the chart asked for.
    ///
    /// # Errors
    /// A run cannot be read or has nothing to show, or the picture cannot be written.
    pub fn run(&self) -> Result<(), Error> {
        match &self.command {
            Command::Latent(latent) => latent.run(),
            Command::Kl(kl) => kl.run(),
            Command::Losses(losses) => losses.run(),
        }
    }
}
