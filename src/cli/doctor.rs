//! `doctor`: what this machine computes with, and what brings whatever is missing.

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use nvrtc::Nvrtc;
use serde::Serialize;

use super::device::{Choice, Emulator, choose, in_short, open};
use super::display;
use crate::backend::Precision;
use crate::backend::cuda;
use crate::backend::cuda::cache::Cache;
use crate::backend::cuda::device::{self, DeviceInfo};
use crate::train::{Device, Environment, Error};

/// Columns of the output, and those of its labels.
const WIDTH: usize = 100;
const LABEL: usize = 12;

/// Options of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct Doctor {
    /// Look at this device: `emulated` shows the software device in place of a GPU
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "auto")]
    device: Device,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// Something that is there, or why it is not and what to do.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<T> {
    There(T),
    Missing { error: String },
}

/// All that is known.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    driver: Part<DriverReport>,
    device: Part<DeviceReport>,
    nvrtc: Part<NvrtcReport>,
    cache: CacheReport,
    cpu: CpuReport,
    choice: ChoiceReport,
}

#[derive(Serialize)]
struct DriverReport {
    cuda: String,
}

/// Sizes in bytes.
#[derive(Serialize)]
struct DeviceReport {
    name: String,
    compute_capability: String,
    multiprocessors: u32,
    memory: u64,
    free_memory: Option<u64>,
}

#[derive(Serialize)]
struct NvrtcReport {
    version: String,
    found: String,
    path: PathBuf,
}

#[derive(Serialize)]
struct CacheReport {
    folder: Option<PathBuf>,
    kernels: usize,
    bytes: u64,
    /// Why nothing can be kept there.
    not_writable: Option<String>,
}

#[derive(Serialize)]
struct CpuReport {
    name: String,
    threads: usize,
    vectors: &'static str,
}

/// What `--device` leads to.
#[derive(Serialize)]
struct ChoiceReport {
    asked: Device,
    device: Option<Device>,
    why: String,
}

impl Doctor {
    /// Looks and prints.
    ///
    /// # Errors
    /// The software device was asked for and cannot be had.
    pub fn run(self) -> Result<(), Error> {
        let _emulator = Emulator::for_device(self.device)?;
        let report = Report::on(self.device);
        if self.json {
            display::line(&serde_json::to_string(&report).expect("a report has plain keys"));
        } else {
            display::line(report.text().trim_end());
        }
        Ok(())
    }
}

impl<T> Part<T> {
    fn of<E: Display>(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Missing { error: error.to_string() }, Self::There)
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::There(_) => None,
            Self::Missing { error } => Some(error),
        }
    }

    fn text(&self, there: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::There(part) => there(part),
            Self::Missing { error } => error.clone(),
        }
    }
}

impl Report {
    fn on(asked: Device) -> Self {
        let driver = Part::of(device::driver_version().map(|cuda| DriverReport { cuda: cuda.to_string() }));
        let device = match driver {
            Part::There(_) => Part::of(device::probe().map(DeviceReport::of)),
            Part::Missing { .. } => Part::Missing { error: "none can be seen without a driver".to_owned() },
        };
        let nvrtc = Part::of(Nvrtc::find().map(NvrtcReport::of));
        let told = [driver.error(), device.error(), nvrtc.error()];
        Self {
            version: env!("CARGO_PKG_VERSION"),
            cache: CacheReport::of(&Cache::of_this_process()),
            cpu: CpuReport::here(),
            choice: ChoiceReport::of(asked, |obstacle| told.iter().flatten().any(|told| obstacle.contains(told))),
            driver,
            device,
            nvrtc,
        }
    }

    /// A line or two on each part.
    fn text(&self) -> String {
        let mut text = String::new();
        let rows = [
            ("latent", self.version.to_owned()),
            ("driver", self.driver.text(|driver| format!("CUDA {}", driver.cuda))),
            ("device", self.device.text(DeviceReport::text)),
            ("memory", self.device.text(DeviceReport::memory_text)),
            ("NVRTC", self.nvrtc.text(NvrtcReport::text)),
            ("cache", self.cache.text()),
            ("CPU", format!("{}; {}; {}", self.cpu.name, count(self.cpu.threads, "thread"), self.cpu.vectors)),
            (self.choice.label(), self.choice.why.clone()),
        ];
        let of_nothing = |label| label == "memory" && matches!(self.device, Part::Missing { .. });
        for (label, content) in rows.into_iter().filter(|(label, _)| !of_nothing(*label)) {
            append(&mut text, label, &content);
        }
        text
    }
}

impl DeviceReport {
    fn of(info: DeviceInfo) -> Self {
        let (major, minor) = info.compute_capability;
        Self {
            name: info.name,
            compute_capability: format!("{major}.{minor}"),
            multiprocessors: info.multiprocessors,
            memory: info.memory,
            free_memory: device::open().and_then(|device| device.free_memory()).ok(),
        }
    }

    fn text(&self) -> String {
        let Self { name, compute_capability, multiprocessors, .. } = self;
        format!("{name}; compute capability {compute_capability}; {multiprocessors} multiprocessors")
    }

    fn memory_text(&self) -> String {
        let free = self.free_memory.map_or_else(String::new, |free| format!("{} free of ", size(free)));
        format!("{free}{}", size(self.memory))
    }
}

impl NvrtcReport {
    fn of(nvrtc: Nvrtc) -> Self {
        let (major, minor) = nvrtc.version();
        Self { version: format!("{major}.{minor}"), found: nvrtc.found().to_string(), path: nvrtc.path().to_owned() }
    }

    fn text(&self) -> String {
        format!("{}, from {}: {}", self.version, self.found, self.path.display())
    }
}

impl CacheReport {
    fn of(cache: &Cache) -> Self {
        let usage = cache.usage();
        Self {
            folder: cache.folder().map(Path::to_owned),
            kernels: usage.entries,
            bytes: usage.bytes,
            not_writable: cache.check_writable().err(),
        }
    }

    fn text(&self) -> String {
        let folder = self.folder.as_ref().map_or_else(|| "no folder".to_owned(), |folder| folder.display().to_string());
        let state = self.not_writable.as_ref().map_or_else(
            || "writable".to_owned(),
            |reason| format!("not writable ({reason}); set LATENT_CACHE to a folder of your own"),
        );
        format!("{folder}: {}, {}, {state}", count(self.kernels, "kernel"), size(self.bytes))
    }
}

impl CpuReport {
    fn here() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { name: Environment::processor(), threads, vectors: vectors() }
    }
}

impl ChoiceReport {
    /// `is_told` says whether another row gives an obstacle in full.
    fn of(asked: Device, is_told: impl Fn(&str) -> bool) -> Self {
        let reason = |obstacle: cuda::Error| {
            let whole = obstacle.to_string();
            if is_told(&whole) { in_short(&obstacle) } else { whole }
        };
        let (device, why) = match choose(asked, || open(Precision::Fp32)) {
            Ok(Choice::Cuda(backend)) => {
                let device = if asked == Device::Emulated { Device::Emulated } else { Device::Cuda };
                (Some(device), format!("computes on {}; a kernel was loaded to see that it can", backend.device().name))
            }
            Ok(Choice::Cpu(None)) => (Some(Device::Cpu), "computes on the CPU, as asked".to_owned()),
            Ok(Choice::Cpu(Some(obstacle))) => {
                (Some(Device::Cpu), format!("computes on the CPU: {}", reason(obstacle)))
            }
            Err(obstacle) => (None, format!("cannot be used: {}", reason(obstacle))),
        };
        Self { asked, device, why }
    }

    fn label(&self) -> &'static str {
        match self.asked {
            Device::Auto => "auto",
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
            Device::Emulated => "emulated",
        }
    }
}

/// The widest vectors that the CPU backend uses here.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "AVX2 and FMA";
        }
        "SSE2"
    }
    #[cfg(target_arch = "aarch64")]
    return "NEON";
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return "no vector extensions";
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn size(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..0x10_0000 => ("KiB", 10),
        0x10_0000..0x4000_0000 => ("MiB", 20),
        _ => ("GiB", 30),
    };
    format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64)
}

/// Adds `content` beside `label`, broken between words at [`WIDTH`] columns.
fn append(text: &mut String, label: &str, content: &str) {
    let _ = write!(text, "{label:LABEL$}");
    let mut column = LABEL;
    for word in content.split_whitespace() {
        let length = word.chars().count();
        if column > LABEL && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{:LABEL$}", "");
            column = LABEL;
        }
        if column > LABEL {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_broken_between_words_beside_its_label() {
        let mut text = String::new();
        append(&mut text, "device", &"words ".repeat(40));
        append(&mut text, "NVRTC", &format!("13.5 {}", "/long".repeat(30)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].starts_with("device      words") && lines[1].starts_with("            words"));
        assert!(lines[..4].iter().all(|line| line.len() <= WIDTH && line.trim_end() == *line), "{text}");
        assert_eq!(lines[4].trim(), "/long".repeat(30), "a word that is too long keeps a line to itself");
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!([0, 2560, 3 << 19, 8 << 30].map(size), ["0.0 KiB", "2.5 KiB", "1.5 MiB", "8.0 GiB"]);
        assert_eq!([0, 1, 2].map(|n| count(n, "kernel")), ["0 kernels", "1 kernel", "2 kernels"]);
    }
}
