//! The device that kernels are run on one by one: a GPU, or softcuda in its place.

use std::str::FromStr;

use clap::Args;
use nvrtc::Nvrtc;
use softcuda::chip::Chip;
use softcuda::counts::LaunchCounts;
use softcuda::settings::Checks;

use crate::backend::cuda::device;
use crate::cli::Error;
use crate::cli::device::Emulator;
use crate::lab::case::Case;
use crate::lab::{Bench, facts};
use crate::train;

/// An architecture, as in `sm_80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Architecture(pub u32);

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("sm_").unwrap_or(text).parse();
        let is_known = |number: &u32| (50..=999).contains(number);
        number.ok().filter(is_known).map(Self).ok_or_else(|| "write it as in sm_80".to_owned())
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sm_{}", self.0)
    }
}

impl Architecture {
    /// The compute capability: 8.0 for `sm_80`.
    pub fn capability(self) -> (u32, u32) {
        (self.0 / 10, self.0 % 10)
    }
}

/// A device to run kernels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// The GPU where there is one, softcuda elsewhere.
    Auto,
    /// An NVIDIA GPU.
    Cuda,
    /// softcuda.
    Emulated,
}

/// Where kernels run.
#[derive(Args, Clone, Copy, Debug)]
pub struct Where {
    /// Device: auto takes the GPU where there is one, and softcuda elsewhere
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "auto")]
    device: Place,
    /// Architecture to compile for and, on softcuda, to be [default: the GPU's own; sm_80 on softcuda, which goes up to sm_90]
    #[arg(long, value_name = "sm_XX")]
    arch: Option<Architecture>,
    /// Let softcuda check every access
    #[arg(long)]
    check: bool,
}

/// What softcuda can be.
const SOFTWARE: [Architecture; 6] =
    [Architecture(75), Architecture(80), Architecture(86), Architecture(87), Architecture(89), Architecture(90)];

/// A device, and what counts in it where it is softcuda.
pub struct Machine {
    /// The device.
    pub bench: Bench,
    emulator: Option<Emulator>,
}

impl Machine {
    /// The device that is asked for.
    ///
    /// # Errors
    /// There is none, or it is not of the architecture asked for.
    pub fn open(place: Where) -> Result<Self, Error> {
        let is_software = match place.device {
            Place::Cuda => false,
            Place::Emulated => true,
            Place::Auto => matches!(device::driver_version(), Err(device::DeviceError::NoDriver)),
        };
        if is_software { Self::software(place) } else { Self::hardware(place) }
    }

    fn software(place: Where) -> Result<Self, Error> {
        if let Some(arch) = place.arch.filter(|arch| !SOFTWARE.contains(arch)) {
            let problem = format!(
                "is none that softcuda runs; choose one of {}",
                SOFTWARE.map(|arch| arch.to_string()).join(", ")
            );
            return Err(setting("--arch", arch.to_string(), problem));
        }
        let emulator = Emulator::start(|settings| {
            if let Some(arch) = place.arch {
                settings.compute_capability = arch.capability();
            }
            if place.check {
                settings.checks = Checks::ALL;
            }
        })?;
        Ok(Self { bench: Bench::open()?, emulator: Some(emulator) })
    }

    fn hardware(place: Where) -> Result<Self, Error> {
        if place.check {
            let problem = "is for softcuda; add --device emulated".to_owned();
            return Err(setting("--check", "on".to_owned(), problem));
        }
        let bench = Bench::open()?;
        let own = bench.info().compute_capability;
        match place.arch.filter(|arch| arch.capability() != own) {
            None => Ok(Self { bench, emulator: None }),
            Some(arch) => {
                let problem =
                    format!("is not the GPU's, sm_{}{}; leave it out, or add --device emulated", own.0, own.1);
                Err(setting("--arch", arch.to_string(), problem))
            }
        }
    }

    /// Puts the occupancy that follows from the compiler's registers in place of softcuda's estimate, which knows PTX alone.
    /// Without a compiler, where kernels came from the cache, the estimate stays.
    pub fn take_occupancy(&self, case: &Case, counts: &mut [LaunchCounts]) {
        let Ok(nvrtc) = Nvrtc::find() else { return };
        let capability = self.bench.info().compute_capability;
        let chip = Chip::of(capability);
        for (launch, counts) in case.launches.iter().zip(counts) {
            let told = facts::of(nvrtc, &launch.source, 10 * capability.0 + capability.1).ok();
            if let Some(facts) = told.as_ref().and_then(|told| told.kernels.get(launch.entry)) {
                let blocks = chip.occupancy(launch.block, facts.registers, facts.shared_bytes);
                let threads = blocks * launch.block.next_multiple_of(32);
                counts.theoretical_occupancy = f64::from(threads) / f64::from(chip.threads);
            }
        }
    }

    /// Whether it is softcuda.
    pub fn is_software(&self) -> bool {
        self.emulator.is_some()
    }

    /// The launches that `work` leads to, as softcuda counts them; nothing where a GPU does the work.
    ///
    /// # Errors
    /// Those of `work`; or softcuda's checks found something, which is shown.
    pub fn counted<T>(
        &mut self,
        work: impl FnOnce(&mut Bench) -> Result<T, Error>,
    ) -> Result<(T, Vec<LaunchCounts>), Error> {
        let Some(emulator) = &self.emulator else { return Ok((work(&mut self.bench)?, Vec::new())) };
        emulator.library().reset_counts()?;
        let done = work(&mut self.bench);
        emulator.tell_findings();
        let findings = emulator.library().reports()?.len();
        let done = done?;
        if findings > 0 { Err(Error::Findings(findings)) } else { Ok((done, emulator.library().launches()?)) }
    }
}

/// An option at fault.
pub fn setting(setting: &'static str, value: String, problem: String) -> Error {
    train::Error::Setting { setting, value, problem }.into()
}
