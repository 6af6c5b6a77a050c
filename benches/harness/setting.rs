//! What figures depend on.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use latent::train::Environment;
use serde::{Deserialize, Serialize};

use super::cache::last_level;
use super::{Machine, Options, Quantity, Unit, threads};

/// The program, the machine and the day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// How thorough the run was: "full", "quick", or "counts", which has no times.
    pub run: String,
    /// UTC, to the second.
    pub date: String,
    /// latent's version.
    pub latent: String,
    /// The commit it was built from, where that is known.
    pub commit: Option<String>,
    /// The compiler of the program, where it is known.
    pub rustc: Option<String>,
    /// The processor.
    pub processor: String,
    /// Its last-level cache, where it is known.
    pub cache: Option<Quantity>,
    /// Threads of the CPU backend.
    pub threads: usize,
    /// The CUDA device, where one had a part in it.
    pub device: Option<Device>,
}

/// A CUDA device and the software that drives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// The device's name.
    pub name: String,
    /// Whether it is the software driver: then its figures are counts.
    pub software: bool,
    /// Its compute capability.
    pub compute_capability: String,
    /// Its multiprocessors.
    pub multiprocessors: u32,
    /// Its memory.
    pub memory: Quantity,
    /// The CUDA version of the driver.
    pub driver: String,
    /// NVRTC's version.
    pub nvrtc: String,
}

impl Setting {
    /// This program on this machine, now.
    pub fn here(options: &Options) -> Self {
        let run = match options {
            Options { counts: true, .. } => "counts",
            Options { quick: true, .. } => "quick",
            _ => "full",
        };
        Self {
            run: run.to_owned(),
            date: date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())),
            latent: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("LATENT_COMMIT").map(str::to_owned),
            rustc: option_env!("LATENT_RUSTC").map(str::to_owned),
            processor: Environment::processor(),
            cache: last_level().map(|bytes| Quantity::new(bytes as f64, Unit::Byte)),
            threads: threads(),
            device: None,
        }
    }
}

impl Device {
    /// The device of `machine`.
    pub fn new(machine: &Machine, nvrtc: (u32, u32)) -> Self {
        let info = &machine.info;
        let (major, minor) = info.compute_capability;
        Self {
            name: info.name.clone(),
            software: machine.software.is_some(),
            compute_capability: format!("{major}.{minor}"),
            multiprocessors: info.multiprocessors,
            memory: Quantity::new(info.memory as f64, Unit::Byte),
            driver: info.driver.to_string(),
            nvrtc: format!("{}.{}", nvrtc.0, nvrtc.1),
        }
    }
}

/// A paragraph for a person.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latent, commit, rustc, processor, threads, .. } = self;
        write!(f, "latent {latent}")?;
        if let Some(commit) = commit {
            write!(f, " ({})", &commit[..commit.len().min(9)])?;
        }
        if let Some(rustc) = rustc {
            write!(f, ", {rustc}")?;
        }
        write!(f, "; {processor}, {threads} threads")?;
        if let Some(Quantity { value, .. }) = self.cache {
            write!(f, ", last-level cache {:.0} MiB", value / f64::from(1 << 20))?;
        }
        if let Some(Device { name, driver, nvrtc, .. }) = &self.device {
            write!(f, "; {name}, driver CUDA {driver}, NVRTC {nvrtc}")?;
        }
        write!(f, "; {}", self.date.split('T').next().unwrap_or_default())?;
        match self.run.as_str() {
            "counts" => write!(f, ". No times were taken."),
            "quick" => write!(f, ". A quick run: its times say little."),
            _ => write!(f, "."),
        }
    }
}

/// The date and time of day in UTC, from seconds since 1970.
pub fn date(seconds: u64) -> String {
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, days + 1)
}
