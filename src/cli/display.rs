//! What a run shows: a progress bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::nn::{Dims, Kind};
use crate::train::{Averages, Config, Observer, Outcome, Record, Run};

/// A line on standard output. A reader that went away (`| head`) is no reason to stop training.
pub fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// A line on standard error, beside the results.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// The last words of a command that failed.
pub fn complain(error: &super::Error) {
    note(&format!("error: {error}"));
}

/// A bar on standard error, where that is a terminal.
pub fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
    bar
}

/// Shows one run.
pub struct Display {
    config: Config,
    dir: PathBuf,
    terminal: bool,
    /// Takes a line of results.
    tell: fn(&str),
    bar: Option<ProgressBar>,
    /// When the epoch began, and with which image.
    start: (Instant, usize),
}

impl Display {
    /// A bar on a terminal unless `plain`; all on standard error if `beside`.
    pub fn new(config: &Config, run: &Run, plain: bool, beside: bool) -> Self {
        Self {
            config: config.clone(),
            dir: run.dir().to_owned(),
            terminal: !plain && !beside && stdout().is_terminal(),
            tell: if beside { note } else { line },
            bar: None,
            start: (Instant::now(), 0),
        }
    }

    /// Says what is trained, on how many images and on which device.
    pub fn begins(&self, dims: Dims, images: usize, validation: usize, device: &str) {
        let Config { model, dataset, .. } = &self.config;
        let loss = match self.config.draws() {
            1 => String::new(),
            draws => format!("; the loss is the bound of {draws} draws an image"),
        };
        note(&format!(
            "{model} {dims} on {dataset}: {images} images, {validation} to validate on; {device}{loss}; leaves {}",
            self.dir.display()
        ));
    }

    /// Says how it ended.
    pub fn ends(&mut self, outcome: Outcome, run: &Run) {
        self.clear();
        let dir = run.dir().display();
        match outcome {
            Outcome::Finished => note(&format!("done: {dir}/README.md shows the run")),
            Outcome::Interrupted => {
                note(&format!("interrupted: continue with `latent {} --resume {dir}`", self.config.model));
            }
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// "109.6612 (BCE 84.01, KL 25.65)", without the parts for the AE, whose loss is its BCE.
    fn losses(&self, averages: &Averages) -> String {
        let Averages { loss, bce, kl, .. } = averages;
        match self.config.model {
            Kind::Vanilla => format!("{loss:.4}  BCE {bce:.2}"),
            Kind::Variational => format!("{loss:.4}  BCE {bce:.2}  KL {kl:.2}"),
        }
    }
}

impl Observer for Display {
    fn epoch_begins(&mut self, epoch: u32, position: usize, images: usize) {
        self.start = (Instant::now(), position);
        if !self.terminal {
            return;
        }
        let template = "{prefix} {bar:30} {pos}/{len}  {msg}  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(images as u64), ProgressDrawTarget::stdout());
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(format!("Epoch {epoch}/{}", self.config.epochs));
        bar.reset_eta();
        bar.set_position(position as u64);
        self.bar = Some(bar);
    }

    fn epoch_progresses(&mut self, position: usize, averages: &Averages) {
        if let Some(bar) = &self.bar {
            let (start, first) = self.start;
            let speed = (position - first) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("loss {:.2}  {speed:.0} images/s", averages.loss));
            bar.set_position(position as u64);
        }
    }

    fn recorded(&mut self, record: &Record) {
        self.clear();
        let Record { epoch, which, averages, images_per_second, seconds, .. } = record;
        let active = averages.active_units.map_or_else(String::new, |units| format!("  active units {units}"));
        (self.tell)(&format!(
            "Epoch {epoch}, Avg {which} Loss: {}{active}  {images_per_second:.0} images/s  {seconds:.2} s",
            self.losses(averages)
        ));
    }
}
