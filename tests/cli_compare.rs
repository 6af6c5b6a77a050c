//! `latent kernels compare` and `roofline` on the software driver: the table, the JSON, the picture, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod emulated;
mod program;

use std::path::Path;
use std::process::Output;

use program::{Place, stderr, stdout};
use serde_json::Value;

/// Extents that softcuda multiplies in a moment: a tail of rows, and columns for whole warps.
const SMALL: [&str; 6] = ["--m", "65", "--n", "96", "--k", "40"];

/// The program on softcuda with the tests' own cache of kernels.
fn kernels(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(&[&["kernels"], arguments, &["--device", "emulated"]].concat());
    command.env("LATENT_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
    // The program runs in another folder, where the default place of NVRTC would be another one.
    if let Ok(nvrtc) = nvrtc::Nvrtc::find() {
        command.env("LATENT_NVRTC", nvrtc.path());
    }
    command.output().unwrap()
}

#[track_caller]
fn succeed(place: &Place, arguments: &[&str]) -> String {
    let output = kernels(place, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

#[track_caller]
fn assert_refused(arguments: &[&str], words: &[&str]) {
    let output = kernels(&Place::new(), arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(place, &[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn the_second_step_touches_four_sectors_where_the_first_touches_thirty_two() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    // Whole tiles: each request is one of 32 lanes.
    let found = json(&place, &["compare", "gemm", "--m", "64", "--n", "64", "--k", "40"]);
    let steps = found["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 10);
    let widest = |i: usize| steps[i]["counts"]["widest_load"]["sectors"].as_f64().unwrap();
    assert_eq!((widest(0), widest(1)), (32.0, 4.0));
    assert!(steps[1]["gain"].as_str().unwrap().contains("the widest load of a warp touches 4 sectors, not 32"));
    for step in steps {
        let share = step["agreement"]["worst_share"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share) && step["agreement"]["compared"] == 64 * 64, "{step}");
    }
    let share = |i: usize| steps[i]["counts"]["fma_share"].as_f64().unwrap();
    assert!(share(0) < share(5), "a register tile spends more of its instructions on FMA");
}

#[test]
fn the_table_has_a_row_for_each_step_and_the_picture_is_written_whole() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    let text = succeed(&place, &[&["compare", "gemm"], &SMALL[..]].concat());
    for words in ["M 65, N 96, K 40", "1_naive", "10_bf16", "2_coalesced: ", "░", "--svg FILE"] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    succeed(&place, &[&["compare", "gemm", "--svg", "gemm.svg"], &SMALL[..]].concat());
    let svg = String::from_utf8(place.read("gemm.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    for words in ["One load of a warp", "896 in vain", "sectors a request", "10_bf16"] {
        assert!(svg.contains(words), "no {words:?} in the picture");
    }
    let names: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["gemm.svg"], "nothing else is left");
}

#[test]
fn markdown_has_a_row_for_each_step_of_the_loss_and_of_the_layer() {
    if !emulated::has_compiler() {
        return;
    }
    for (staircase, steps, extents) in [("bce", 4, vec!["--m", "10", "--n", "30"]), ("epilogue", 2, SMALL.to_vec())] {
        let text = succeed(&Place::new(), &[&["compare", staircase, "--markdown"], &extents[..]].concat());
        assert_eq!(text.lines().filter(|line| line.starts_with('|')).count(), 2 + steps, "{text}");
        assert!(text.contains(&format!("| {steps}_")), "{text}");
    }
}

#[test]
fn steps_that_the_device_is_too_old_for_are_listed_with_the_reason() {
    if !emulated::has_compiler() {
        return;
    }
    let arguments = [&["compare", "gemm", "--arch", "sm_75"], &SMALL[..]].concat();
    let found = json(&Place::new(), &arguments);
    let reasons: Vec<Option<&str>> =
        found["steps"].as_array().unwrap().iter().map(|step| step["unavailable"].as_str()).collect();
    assert_eq!(reasons[..6], [None; 6]);
    assert_eq!(reasons[6..], [Some("needs sm_80 or newer"); 4]);
}

#[test]
fn a_roofline_tells_what_binds_each_kernel() {
    if !emulated::has_compiler() {
        return;
    }
    let place = Place::new();
    let found = json(&place, &[&["roofline", "--gpu", "RTX 4090", "--svg", "roof.svg"], &SMALL[..]].concat());
    assert_eq!(found["ceilings"]["gpu"], "NVIDIA GeForce RTX 4090");
    assert_eq!(found["ceilings"]["memory"], 1008.0);
    let kernels = found["kernels"].as_array().unwrap();
    let adam = kernels.iter().find(|kernel| kernel["kernel"] == "adam").unwrap();
    assert_eq!(adam["least"]["by"], "memory");
    let microseconds = adam["bytes"].as_f64().unwrap() / 1008.0 / 1e3;
    let told = adam["least"]["microseconds"].as_f64().unwrap();
    assert!((told - microseconds).abs() <= 1e-9 * microseconds, "{told} is not {microseconds}");
    assert!(kernels.iter().all(|kernel| kernel["moved"]["intensity"].is_f64()), "softcuda counts what moves");
    let svg = String::from_utf8(place.read("roof.svg")).unwrap();
    assert!(svg.ends_with("</svg>\n") && svg.contains("adam") && svg.contains("BF16 165 200 GFLOP/s"));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    if !emulated::has_compiler() {
        return;
    }
    assert_refused(&["compare", "sort"], &["sort", "no staircase", "gemm, bce, epilogue"]);
    assert_refused(&["compare", "gemm", "--m", "0"], &["--m 0", "choose 1 or more"]);
    assert_refused(&["compare", "bce", "--k", "5"], &["--k 5", "has no --k"]);
    assert_refused(
        &["roofline", "--gpu", "RTX 9999"],
        &["RTX 9999", "choose from", "NVIDIA H100 80GB HBM3", "Tesla T4"],
    );
    assert_refused(&["roofline", "--measured"], &["--measured", "takes a GPU", "--gpu NAME"]);
    let output = kernels(&Place::new(), &[&["compare", "gemm", "--svg", "no/such/folder.svg"], &SMALL[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("create the folder first"), "{}", stderr(&output));
}
