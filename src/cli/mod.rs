//! What a person types and sees: one file a command.

mod anomaly;
mod chosen;
mod compare;
mod denoise;
mod device;
mod display;
mod doctor;
mod encode;
mod error;
mod eval;
mod export;
mod interpolate;
mod kernels;
mod manifold;
mod options;
mod plot;
mod probe;
mod reconstruct;
mod runs;
mod sample;
mod space;
mod trained;
mod training;
mod traverse;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};

pub use self::error::Error;
use crate::nn::Kind;
use crate::train::Outcome;

/// Exit code of a run that was interrupted: 128 + SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Train autoencoders on images, with a backward pass derived by hand.
#[derive(Parser)]
#[command(name = "latent", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train the vanilla autoencoder
    Ae(options::Training),
    /// Train the variational autoencoder
    Vae(options::Training),
    /// Train the vanilla autoencoder, then the variational one, into NAME/ae and NAME/vae
    Both(options::Both),
    /// Measure a trained model on the test images
    Eval(eval::Eval),
    /// Draw images from the prior
    Sample(sample::Sample),
    /// Find images of a kind that a model was not trained on
    Anomaly(anomaly::Anomaly),
    /// Turn images into codes: of a set, or of one's own
    Encode(encode::Encode),
    /// Turn codes into images
    Decode(encode::Decode),
    /// Write the model for other programs, and as a page to explore: ONNX, safetensors, HTML
    Export(export::Export),
    /// Draw what a run learnt: its latent space, the use of its units, its losses
    Plot(plot::Plot),
    /// Tell what the codes know about the labels
    ///
    /// Two classifiers learn the labels of the training images, once from the codes and once from the raw pixels, and are tried
    /// on the test images. The codes of a VAE are the posterior means. Nothing is brought to another scale: the means of the
    /// units that a VAE does not use are all but 0, and stay so. Logistic regression (penalty |w|^2 / 2) takes at most 100
    /// steps of L-BFGS.
    Probe(probe::Probe),
    /// Compare runs: settings, figures, curves and pictures side by side, in a table and in a page
    ///
    /// The models are measured anew on the test images, decoded from the code or the posterior's mean; samples come from the
    /// same codes. What cannot be compared is said. The page is one file and loads nothing.
    Compare(compare::Compare),
    /// Show test images and what the model makes of them
    Reconstruct(reconstruct::Reconstruct),
    /// Corrupt test images and let the model take the noise away
    Denoise(denoise::Denoise),
    /// Show the way through the latent space from one test image to another
    Interpolate(interpolate::Interpolate),
    /// Show what each of the most active latent units changes
    Traverse(traverse::Traverse),
    /// Show a plane of the latent space, decoded
    Manifold(manifold::Manifold),
    /// Tell what there is to compute with, what is missing and what brings it
    Doctor(doctor::Doctor),
    /// Show, run and compare the kernels one by one, with or without a GPU
    Kernels(kernels::Kernels),
}

/// Parses the command line, does what it says, and returns the exit code: 0, 1 where a run failed, 2 where the input is at
/// fault, 130 where it was interrupted.
pub fn run() -> ExitCode {
    let result: Result<Outcome, Error> = match Cli::parse().command {
        Command::Ae(options) => training::one(Kind::Vanilla, &options, &stop_on_signal()).map_err(Error::from),
        Command::Vae(options) => training::one(Kind::Variational, &options, &stop_on_signal()).map_err(Error::from),
        Command::Both(options) => training::both(&options, &stop_on_signal()).map_err(Error::from),
        Command::Doctor(doctor) => doctor.run().map(|()| Outcome::Finished).map_err(Error::from),
        Command::Kernels(kernels) => kernels.run().map(|()| Outcome::Finished),
        Command::Sample(sample) => sample.run().map(|()| Outcome::Finished),
        Command::Anomaly(anomaly) => anomaly.run(&stop_on_signal()),
        Command::Encode(encode) => encode.run().map(|()| Outcome::Finished),
        Command::Decode(decode) => decode.run().map(|()| Outcome::Finished),
        Command::Export(export) => export.run().map(|()| Outcome::Finished),
        Command::Plot(plot) => plot.run().map(|()| Outcome::Finished),
        Command::Probe(probe) => probe.run().map(|()| Outcome::Finished),
        Command::Compare(compare) => compare.run().map(|()| Outcome::Finished),
        Command::Eval(eval) => eval.run().map(|()| Outcome::Finished),
        Command::Reconstruct(reconstruct) => reconstruct.run().map(|()| Outcome::Finished),
        Command::Denoise(denoise) => denoise.run().map(|()| Outcome::Finished),
        Command::Interpolate(interpolate) => interpolate.run().map(|()| Outcome::Finished),
        Command::Traverse(traverse) => traverse.run().map(|()| Outcome::Finished),
        Command::Manifold(manifold) => manifold.run().map(|()| Outcome::Finished),
    };
    match result {
        Ok(Outcome::Finished) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            display::complain(&error);
            ExitCode::from(if error.is_input_fault() { 2 } else { 1 })
        }
    }
}

/// Whether the program takes `arguments`, those after its name, as a command line; nothing is done.
///
/// # Errors
/// What it has against them.
pub fn parses(arguments: &[&str]) -> Result<(), String> {
    match Cli::try_parse_from([&["latent"], arguments].concat()) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// A flag that Ctrl-C sets. A second Ctrl-C ends the program at once; files are whole at any moment.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        display::note(&format!("Ctrl-C will end the run without a checkpoint: {error}"));
    }
    stop
}
