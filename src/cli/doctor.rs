//! `doctor`: what this machine has to compute with, what is missing, and what brings it.

use clap::Args;
use nvrtc::{Nvrtc, Search};
use serde::Serialize;

use super::device::{cuda, emulate, first_line};
use super::display::line;
use crate::backend::Precision;
use crate::backend::cuda::cache::Cache;
use crate::backend::cuda::device::{self, DeviceInfo, Version};
use crate::train::{Device, Environment, Error};

/// Options of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct Doctor {
    /// Look at the software driver with --device emulated, at what is there otherwise
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "auto")]
    device: Device,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// Something that is there, or why it is not and what brings it.
#[derive(Serialize)]
#[serde(untagged)]
enum Finding<T> {
    There(T),
    Missing { problem: String },
}

impl<T, E: ToString> From<Result<T, E>> for Finding<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(found) => Self::There(found),
            Err(error) => Self::Missing { problem: error.to_string() },
        }
    }
}

#[derive(Serialize)]
struct Report {
    latent: &'static str,
    driver: Finding<DriverReport>,
    device: Finding<DeviceReport>,
    nvrtc: Finding<NvrtcReport>,
    cache: CacheReport,
    cpu: CpuReport,
    auto: AutoReport,
}

#[derive(Serialize)]
struct DriverReport {
    cuda: String,
}

#[derive(Serialize)]
struct DeviceReport {
    name: String,
    compute_capability: String,
    multiprocessors: u32,
    memory_bytes: u64,
    free_bytes: u64,
}

#[derive(Serialize)]
struct NvrtcReport {
    version: String,
    path: String,
    found_in: String,
}

#[derive(Serialize)]
struct CacheReport {
    folder: Option<String>,
    entries: usize,
    bytes: u64,
    /// Why nothing can be kept, if so.
    problem: Option<String>,
}

#[derive(Serialize)]
struct CpuReport {
    name: String,
    threads: usize,
    vectors: &'static str,
}

/// What `--device auto` takes, and why.
#[derive(Serialize)]
struct AutoReport {
    device: &'static str,
    why: String,
}

impl Doctor {
    /// Looks and prints.
    ///
    /// # Errors
    /// The software driver cannot be set up.
    pub fn run(self) -> Result<(), Error> {
        if self.device == Device::Emulated {
            emulate()?;
        }
        let report = Report::new();
        if self.json {
            line(&serde_json::to_string(&report).expect("a report is plain text and numbers"));
        } else {
            report.print();
        }
        Ok(())
    }
}

impl Report {
    fn new() -> Self {
        Self {
            latent: env!("CARGO_PKG_VERSION"),
            driver: device::driver()
                .map(|Version(major, minor)| DriverReport { cuda: format!("{major}.{minor}") })
                .into(),
            device: device::open().map(|opened| DeviceReport::new(opened.info)).into(),
            nvrtc: Nvrtc::find_in(&Search::of_this_process()).map(|nvrtc| NvrtcReport::new(&nvrtc)).into(),
            cache: CacheReport::new(&Cache::of_this_process()),
            cpu: CpuReport::new(),
            auto: AutoReport::new(),
        }
    }

    fn print(&self) {
        row("latent", self.latent);
        row("driver", &self.driver.text(|driver| format!("CUDA {}", driver.cuda)));
        row("device", &self.device.text(DeviceReport::text));
        row("NVRTC", &self.nvrtc.text(|n| format!("{}, {} ({})", n.version, n.path, n.found_in)));
        row("cache", &self.cache.text());
        row("CPU", &format!("{}, {} threads, {}", self.cpu.name, self.cpu.threads, self.cpu.vectors));
        row("auto", &format!("{}, because {}", self.auto.device, self.auto.why));
    }
}

/// A line of the report.
fn row(name: &str, text: &str) {
    line(&format!("{name:<8} {text}"));
}

impl<T> Finding<T> {
    fn text(&self, there: impl Fn(&T) -> String) -> String {
        match self {
            Self::There(found) => there(found),
            Self::Missing { problem } => format!("missing: {problem}"),
        }
    }
}

impl DeviceReport {
    fn new(info: DeviceInfo) -> Self {
        let (major, minor) = info.compute_capability;
        Self {
            name: info.name,
            compute_capability: format!("{major}.{minor}"),
            multiprocessors: info.multiprocessors,
            memory_bytes: info.memory,
            free_bytes: info.free,
        }
    }

    fn text(&self) -> String {
        let Self { name, compute_capability, multiprocessors, memory_bytes, free_bytes } = self;
        format!(
            "{name}, compute capability {compute_capability}, {multiprocessors} multiprocessors, {} MiB of memory, {} MiB free",
            memory_bytes >> 20,
            free_bytes >> 20
        )
    }
}

impl NvrtcReport {
    fn new(nvrtc: &Nvrtc) -> Self {
        let (major, minor) = nvrtc.version();
        Self {
            version: format!("{major}.{minor}"),
            path: nvrtc.path().display().to_string(),
            found_in: nvrtc.found().to_string(),
        }
    }
}

impl CacheReport {
    fn new(cache: &Cache) -> Self {
        let usage = cache.usage();
        Self {
            folder: cache.folder().map(|folder| folder.display().to_string()),
            entries: usage.entries,
            bytes: usage.bytes,
            problem: cache.check_writable().err(),
        }
    }

    fn text(&self) -> String {
        let Self { folder, entries, bytes, problem } = self;
        let folder = folder.as_deref().unwrap_or("none");
        let problem = problem.as_deref().map_or_else(String::new, |problem| format!("; nothing is kept: {problem}"));
        format!("{folder}, {entries} kernels, {} KiB{problem}", bytes >> 10)
    }
}

impl CpuReport {
    fn new() -> Self {
        Self {
            name: Environment::processor(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            vectors: vectors(),
        }
    }
}

/// The widest vector extension that the CPU backend has loops for.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "AVX2";
        }
    }
    "baseline vectors"
}

impl AutoReport {
    /// Tries what `--device auto` tries.
    fn new() -> Self {
        match cuda(Precision::Fp32) {
            Ok(backend) => Self { device: "cuda", why: format!("{} takes our kernels", backend.device().name) },
            Err(error) => Self { device: "cpu", why: first_line(&error.to_string()).to_owned() },
        }
    }
}
