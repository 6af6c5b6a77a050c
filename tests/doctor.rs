//! Which device the program settles on and what it says where one is missing: as `doctor` tells, and as the commands do.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use latent::backend::cuda::device::{DeviceError, driver_version};
use program::{Place, SMALL, stderr, stdout};
use serde_json::Value;
use softcuda::settings::Settings;

/// The program on the software device, which it finds as it would find a GPU.
fn on_softcuda(place: &Place, settings: &Settings, arguments: &[&str]) -> Command {
    let mut command = softcuda::command(env!("CARGO_BIN_EXE_latent"), settings).unwrap();
    command.args(arguments).current_dir(place.dir.path()).env("LATENT_CACHE", place.path("kernels"));
    command
}

fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    output
}

/// What `doctor --json` says.
fn doctor(command: Command) -> Value {
    let output = run(command);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(&output)))
}

/// The plan of a small model's memory, which needs a device and is soon done.
fn plan(device: &str) -> Vec<&str> {
    [&["vae", "--memory", "--device", device], &SMALL[..]].concat()
}

/// Whether kernels can be compiled here; a line on standard output says so where they cannot.
fn has_compiler() -> bool {
    let found = nvrtc::Nvrtc::find();
    if let Err(error) = &found {
        println!("skipped on CUDA: {error}");
    }
    found.is_ok()
}

/// Expects that `--device cuda` ends with exit code 2 and all of `parts`, that `auto` takes the processor with one line that
/// holds the first, and that `doctor` says so. `adapt` sets what is missing.
fn is_refused(settings: &Settings, adapt: impl Fn(&mut Command), parts: &[&str]) {
    let place = Place::new();
    let command = |arguments: &[&str]| {
        let mut command = on_softcuda(&place, settings, arguments);
        adapt(&mut command);
        command
    };
    expect_refusal(&command, parts);
}

fn expect_refusal(command: &dyn Fn(&[&str]) -> Command, parts: &[&str]) {
    let output = run(command(&plan("cuda")));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");

    let output = run(command(&plan("auto")));
    // The software driver has a word of its own on code that it does not take.
    let said = stderr(&output);
    let note: String = said.lines().filter(|line| !line.starts_with("softcuda: ")).collect::<Vec<_>>().join("\n");
    assert!(output.status.success() && stdout(&output).contains("cpu, "), "{note}");
    assert!(
        note.starts_with("computing on the CPU: ") && note.contains(parts[0]) && note.lines().count() == 1,
        "{note}"
    );

    let report = doctor(command(&["doctor", "--json"]));
    assert_eq!((&report["choice"]["asked"], &report["choice"]["device"]), (&"auto".into(), &"cpu".into()), "{report}");
    assert!(report["choice"]["why"].as_str().unwrap().contains(parts[0]), "{report}");
    let text = stdout(&run(command(&["doctor", "--device", "cuda"])));
    assert!(text.contains("\ncuda        cannot be used: "), "{text}");
    let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(parts.iter().all(|part| flowing.contains(part)), "all that the error says is told: {text}");
    println!("{text}");
}

#[test]
fn without_a_driver_the_cpu_computes_and_cuda_is_refused() {
    match driver_version() {
        Err(DeviceError::NoDriver) => {}
        other => return println!("skipped: this machine has a driver ({other:?})"),
    }
    let place = Place::new();
    let command = |arguments: &[&str]| place.command(arguments);
    expect_refusal(&command, &["no NVIDIA driver was found", "nvidia.com/drivers", "--device cpu"]);
}

#[test]
fn a_driver_without_a_device_is_refused() {
    let settings = Settings { devices: 0, ..Settings::default() };
    is_refused(&settings, |_| (), &["CUDA_ERROR_NO_DEVICE", "nvidia-smi", "CUDA_VISIBLE_DEVICES", "--device cpu"]);
}

#[test]
fn a_device_before_turing_is_refused_with_its_name() {
    let settings = Settings { compute_capability: (7, 0), ..Settings::default() };
    is_refused(&settings, |_| (), &["has compute capability 7.0, and 7.5", "softcuda", "--device cpu"]);
}

#[test]
fn a_wrong_latent_nvrtc_is_refused_with_its_path() {
    let wrong = |command: &mut Command| {
        command.env("LATENT_NVRTC", "/no/such/nvrtc");
    };
    is_refused(&Settings::default(), wrong, &["/no/such/nvrtc", "unset LATENT_NVRTC"]);
}

/// Leaves only the system's library path, and the workspace's folder, to find NVRTC in.
fn hide_nvrtc(command: &mut Command) {
    for variable in ["LATENT_NVRTC", "CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV"] {
        command.env_remove(variable);
    }
    command.env("PATH", "/nowhere");
}

/// Whether that hides it; a line on standard output says so where it does not. A process of its own looks, for this one may
/// have loaded it by now.
fn nvrtc_can_be_hidden() -> bool {
    let place = Place::new();
    let mut command = place.command(&["doctor", "--json"]);
    hide_nvrtc(&mut command);
    let nvrtc = &doctor(command)["nvrtc"];
    let hidden = nvrtc["error"].is_string();
    if !hidden {
        println!("skipped: {nvrtc} cannot be hidden; tests/kernel_cache.rs has the same inside a process");
    }
    hidden
}

#[test]
fn without_a_compiler_a_cold_cache_is_refused_and_a_warm_one_serves() {
    if !nvrtc_can_be_hidden() {
        return;
    }
    let parts = ["NVRTC was not found", "./data-fetch.sh nvrtc", "pip install nvidia-cuda-nvrtc"];
    is_refused(&Settings::default(), hide_nvrtc, &parts);
    if !has_compiler() {
        return;
    }
    let place = Place::new();
    let command = || on_softcuda(&place, &Settings::default(), &plan("cuda"));
    assert!(run(command()).status.success());
    let mut without = command();
    hide_nvrtc(&mut without);
    let output = run(without);
    assert!(output.status.success() && stdout(&output).contains("softcuda"), "{}", stderr(&output));
}

#[test]
fn a_driver_older_than_the_compiler_is_refused_with_all_versions() {
    if !has_compiler() {
        return;
    }
    let settings = Settings { ptx: Some((7, 8)), ..Settings::default() };
    let (major, minor) = nvrtc::Nvrtc::find().unwrap().version();
    let nvrtc = format!("NVRTC {major}.{minor}");
    let parts = ["driver does not take code this new", "driver CUDA ", &nvrtc, "8.0", "./data-fetch.sh nvrtc12"];
    is_refused(&settings, |_| (), &parts);
}

#[test]
fn a_usable_device_is_taken_by_auto_and_described() {
    if !has_compiler() {
        return;
    }
    let place = Place::new();
    let settings = Settings { memory: 3 << 30, compute_capability: (8, 6), ..Settings::default() };
    let report = doctor(on_softcuda(&place, &settings, &["doctor", "--json"]));
    let device = &report["device"];
    assert_eq!((&device["compute_capability"], &device["memory"]), (&"8.6".into(), &(3_u64 << 30).into()), "{report}");
    assert_eq!(device["free_memory"], device["memory"], "{report}");
    assert_eq!(report["choice"]["device"], "cuda", "{report}");
    assert!(report["driver"]["cuda"].is_string() && report["nvrtc"]["path"].as_str().unwrap().contains("libnvrtc"));
    assert_eq!(report["cache"]["kernels"], 0, "{report}");
    let again = doctor(on_softcuda(&place, &settings, &["doctor", "--json"]));
    assert_eq!((&again["cache"]["kernels"], &again["cache"]["not_writable"]), (&1.into(), &Value::Null), "{again}");

    let output = run(on_softcuda(&place, &settings, &plan("auto")));
    assert!(stdout(&output).contains("softcuda") && stderr(&output).is_empty(), "{}", stderr(&output));
    let text = stdout(&run(on_softcuda(&place, &settings, &["doctor"])));
    assert!(text.contains("memory      3.0 GiB free of 3.0 GiB\n") && text.contains("1 kernel,"), "{text}");
    println!("{text}");
}

#[test]
fn the_software_device_is_there_for_the_asking_and_its_variables_are_checked() {
    let place = Place::new();
    let report = doctor(place.command(&["doctor", "--device", "emulated", "--json"]));
    assert!(report["device"]["name"].as_str().unwrap().contains("softcuda"), "{report}");
    assert_eq!(report["choice"]["asked"], "emulated");
    let mut command = place.command(&plan("emulated"));
    command.env("SOFTCUDA_CC", "99");
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--device = emulated cannot be had: SOFTCUDA_CC"), "{}", stderr(&output));
}

#[test]
fn tensor_cores_are_refused_on_the_cpu() {
    let place = Place::new();
    let output = place.latent(&[&plan("cpu")[..], &["--precision", "bf16"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--precision = bf16 needs a GPU"), "{}", stderr(&output));
}

#[test]
fn doctor_stays_within_a_hundred_columns() {
    let place = Place::new();
    let text = stdout(&place.succeed(&["doctor"]));
    // A path may be longer than a line.
    let long = |line: &&str| line.chars().count() > 100 && line.trim().contains(' ');
    assert!(!text.lines().any(|line| long(&line)), "{text}");
    for label in ["latent ", "driver ", "device ", "NVRTC ", "cache ", "CPU ", "auto "] {
        assert!(text.lines().any(|line| line.starts_with(label)), "no {label} in:\n{text}");
    }
}

/// The files of the cache.
fn entries(place: &Place) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(place.path("kernels")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn holds_machine_code(path: &Path) -> bool {
    fs::read(path).unwrap().windows(4).any(|bytes| bytes == b"\x7fELF")
}

/// The averages of `eval`, on a device that takes the PTX and no machine code.
fn evaluation(output: &Output) -> Value {
    assert!(output.status.success() && stderr(output).is_empty(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn machine_code_that_is_refused_a_shared_cache_and_a_damaged_one_change_no_figure() {
    if !has_compiler() {
        return;
    }
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--device", "cpu", "--name", "v"]);
    let settings = Settings { threads: 1, ..Settings::default() };
    let arguments = ["eval", "runs/v", "--dataset", "digits", "--device", "cuda", "--json"];
    let command = || on_softcuda(&place, &settings, &arguments);

    let both: Vec<_> = [(); 2].map(|()| command().stdout(std::process::Stdio::piped()).spawn().unwrap()).into();
    let both: Vec<Value> = both.into_iter().map(|child| evaluation(&child.wait_with_output().unwrap())).collect();
    assert_eq!(both[0], both[1]);
    let files = entries(&place);
    assert!(files.iter().all(|path| path.extension().unwrap() == "kernel" && holds_machine_code(path)), "{files:?}");

    let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, bytes) in files.iter().zip(&whole) {
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }
    assert_eq!(evaluation(&command().output().unwrap()), both[0]);
    assert_eq!(entries(&place), files);
    assert_eq!(files.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), whole, "all are rebuilt");

    let cpu = place.succeed(&["eval", "runs/v", "--dataset", "digits", "--device", "cpu", "--json"]);
    let loss = |report: &Value| report["loss"].as_f64().unwrap();
    let (cuda, cpu) = (loss(&both[0]), loss(&serde_json::from_slice(&cpu.stdout).unwrap()));
    println!("loss on the CPU {cpu}, on the software device {cuda}; {} kernels", files.len());
    assert!((cuda - cpu).abs() <= 1e-4 * cpu, "{cuda} and {cpu}");
}
