//! A plain C program, built without CUDA's headers and linked with the library as with `-lcuda`.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use softcuda::settings::{Checks, Settings};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The built program; none where there is no C compiler.
fn program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_ref()
}

fn build() -> Option<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let environment = softcuda::command("cc", &Settings::default()).unwrap();
    let library = environment.get_envs().find(|(name, _)| *name == "SOFTCUDA_LIB").unwrap().1.unwrap().to_owned();
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("driver-{}", std::process::id()));
    let built = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Werror", "-O1", "-o"])
        .arg(&program)
        .arg(manifest.join("tests/programs/driver.c"))
        .arg(library)
        .args(["-ldl", "-Wl,--allow-shlib-undefined"])
        .output();
    match built {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
        Err(error) => {
            println!("skipped: no C compiler ({error})");
            None
        }
    }
}

fn run(arguments: &[&str], settings: &Settings) -> Option<Output> {
    Some(softcuda::command(program()?, settings).unwrap().args(arguments).output().unwrap())
}

fn succeeds(what: &str) {
    let Some(output) = run(&[what], &Settings::default()) else { return };
    assert!(output.status.success(), "{:?} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn both_names_of_the_driver_are_found_and_are_one_library() {
    succeeds("names");
}

#[test]
fn calls_before_their_time_are_refused() {
    succeeds("order");
}

#[test]
fn copies_and_fills_arrive_and_stray_ones_are_refused() {
    succeeds("copies");
}

#[test]
fn queued_work_is_not_done_before_its_stream_gets_there() {
    succeeds("asynchronous");
}

#[test]
fn the_default_stream_waits_for_blocking_streams_and_they_for_it() {
    succeeds("default_stream");
}

#[test]
fn captured_work_is_replayed_and_every_capture_error_is_told() {
    succeeds("capture");
}

#[test]
fn graphs_can_be_built_changed_and_launched() {
    succeeds("graph");
}

#[test]
fn images_that_cannot_be_loaded_are_told_apart() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ".version 8.0\n.target sm_80\n.address_size 64\n").unwrap();
    let Some(output) = run(&["images", file.path().to_str().unwrap()], &Settings::default()) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn ptx_newer_than_the_setting_is_refused() {
    let Some(output) = run(&["newer"], &Settings { ptx: Some((7, 8)), ..Settings::default() }) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn memory_ends_at_the_device_capacity() {
    let settings = Settings { memory: 1 << 20, ..Settings::default() };
    let Some(output) = run(&["out_of_memory"], &settings) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn without_a_device_initialisation_says_so() {
    let Some(output) = run(&["init"], &Settings { devices: 0, ..Settings::default() }) else { return };
    assert_eq!(output.status.code(), Some(100));
}

#[test]
fn a_variable_that_cannot_be_used_is_named_once_and_refuses_initialisation() {
    let Some(program) = program() else { return };
    let mut command = softcuda::command(program, &Settings::default()).unwrap();
    let output = command.arg("init").env("SOFTCUDA_CC", "banana").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.matches("SOFTCUDA_CC='banana'").count(), 1, "{text}");
}

#[test]
fn allocations_that_live_on_are_reported_and_calls_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (report, counts) = (folder.path().join("reports"), folder.path().join("counts"));
    let settings = Settings {
        checks: Checks::ALL,
        report: Some(report.clone()),
        counts: Some(counts.clone()),
        ..Settings::default()
    };
    let Some(output) = run(&["leak"], &settings) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports = std::fs::read_to_string(report).unwrap();
    let found: serde_json::Value = serde_json::from_str(reports.trim()).unwrap();
    assert_eq!(found["check"], "leak", "{reports}");
    assert!(found["message"].as_str().unwrap().contains("24 bytes"), "{reports}");
    let counts: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(counts).unwrap()).unwrap();
    assert_eq!(counts["calls"]["cuMemAlloc_v2"], 2, "{counts}");
    assert_eq!(counts["calls"]["cuMemFree_v2"], 1, "{counts}");
}
