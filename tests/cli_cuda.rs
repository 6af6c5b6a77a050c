//! `latent` on the software driver: what it says where the device is too small, too old or fails, and what it leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod emulated;
mod program;

use std::path::Path;
use std::process::{Command, Output};

use program::{Place, stderr, stdout};

/// A model so small that the software driver trains it in a moment.
const TINY: [&str; 9] =
    ["vae", "--device", "emulated", "--dataset", "digits", "--hidden-dim", "8", "--latent-dim", "3"];

/// The program with these arguments and variables, in a place of its own, with the tests' own cache of kernels.
fn command(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = place.command(arguments);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    command.env("LATENT_CACHE", cache).envs(variables.iter().copied());
    // The program runs in another folder, where the default place of NVRTC would be another one.
    if let Ok(nvrtc) = nvrtc::Nvrtc::find() {
        command.env("LATENT_NVRTC", nvrtc.path());
    }
    command
}

fn run(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(place, &[&TINY[..], arguments].concat(), variables).output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn out_of_memory_names_a_batch_that_fits_and_no_larger_one() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    let memory = [("SOFTCUDA_MEMORY", "100MiB")];
    let try_with = |batch: usize, name: &str| {
        run(&place, &["--epochs", "1", "--batch-size", &batch.to_string(), "--name", name], &memory)
    };
    let output = try_with(60_000, "a");
    assert_refused(&output, 2, &["MiB of the GPU's memory are needed", "MiB are free", "would fit"]);
    let text = stderr(&output);
    let fits = text.split("--batch-size ").nth(2).and_then(|rest| rest.split(' ').next()).unwrap();
    let fits: usize = fits.parse().unwrap();
    assert!((1000..20_000).contains(&fits), "{fits}");
    assert_refused(&try_with(fits + 1, "b"), 2, &[&format!("--batch-size {fits} would fit")]);
    assert!(!place.path("runs").exists(), "a run that cannot begin leaves nothing");
    let output = try_with(fits, "c");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_kernel_that_fails_ends_the_run_and_leaves_a_whole_checkpoint() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    let output = run(&place, &["--epochs", "1", "--name", "a"], &[("SOFTCUDA_LIMIT", "2000")]);
    assert_refused(&output, 1, &["the GPU failed while", "CUDA_ERROR_LAUNCH_TIMEOUT", "last checkpoint"]);
    latent::train::Checkpoint::read(&place.path("runs/a/checkpoints/last")).unwrap();
}

#[test]
fn turing_trains_in_fp32_and_refuses_tensor_cores() {
    if !emulated::has_compiler() {
        return;
    }
    let (place, turing) = (Place::new(), [("SOFTCUDA_CC", "7.5")]);
    for precision in ["tf32", "bf16"] {
        let output = run(&place, &["--epochs", "1", "--precision", precision], &turing);
        assert_refused(&output, 2, &[precision, "8.0 or newer", "7.5", "--precision fp32"]);
    }
    let train = |name, device: &[(&str, &str)]| {
        let output = run(&place, &["--epochs", "1", "--batch-size", "6000", "--name", name], device);
        assert!(output.status.success(), "{}", stderr(&output));
        place.losses(&format!("runs/{name}"), "train")[0]["loss"].as_f64().unwrap()
    };
    let (turing, ampere) = (train("turing", &turing), train("ampere", &[]));
    assert!((turing - ampere).abs() <= 1e-4 * ampere, "{turing} and {ampere}");
}

/// Three epochs in one go, and one epoch that is continued on the same device, then on the processor.
#[test]
fn a_resumed_run_has_the_bits_of_an_uninterrupted_one_and_may_change_the_device() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    let train = |arguments: &[&str]| {
        let output = run(&place, arguments, &[]);
        assert!(output.status.success(), "{}", stderr(&output));
    };
    let batch = ["--batch-size", "7001"];
    train(&[&batch[..], &["--epochs", "2", "--name", "whole"]].concat());
    train(&[&batch[..], &["--epochs", "1", "--name", "parts"]].concat());
    std::fs::create_dir_all(place.path("moved")).unwrap();
    for file in ["config.toml", "metrics.jsonl", "checkpoints/last"] {
        let target = place.path("moved").join(file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(place.path("runs/parts").join(file), target).unwrap();
    }
    let resume = |dir: &str, device: &str| {
        let arguments = ["vae", "--resume", dir, "--epochs", "2", "--device", device];
        let output = command(&place, &arguments, &[]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        place.losses(dir, "train")
    };
    assert_eq!(resume("runs/parts", "emulated"), place.losses("runs/whole", "train"));
    assert!(place.read("runs/parts/model.safetensors") == place.read("runs/whole/model.safetensors"));
    let (cpu, cuda) = (resume("moved", "cpu"), place.losses("runs/whole", "train"));
    let loss = |losses: &[serde_json::Value]| losses[1]["loss"].as_f64().unwrap();
    assert!((loss(&cpu) - loss(&cuda)).abs() <= 1e-4 * loss(&cuda), "{} and {}", loss(&cpu), loss(&cuda));
}

#[test]
fn the_processor_refuses_tensor_cores() {
    let place = Place::new();
    let output =
        place.command(&["vae", "--device", "cpu", "--dataset", "digits", "--precision", "tf32"]).output().unwrap();
    assert_refused(&output, 2, &["--precision = tf32", "leave it out"]);
}

#[test]
fn the_plan_of_memory_is_printed() {
    let place = Place::new();
    let output = place.succeed(&["both", "--device", "cpu", "--dataset", "digits", "--memory"]);
    let text = stdout(&output);
    for word in ["ae 784-400-400-200", "vae 784-400-400-200", "parameters", "posteriors", "in all"] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    assert!(!place.path("runs").exists());
}
