//! `latent kernels list`, `show` and `run` as a person types them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod emulated;
mod program;

use std::path::Path;
use std::process::Output;

use latent::lab::catalogue::ENTRIES;
use program::{Place, stderr, stdout};
use serde_json::Value;

/// Columns of a terminal that lines should fit into.
const WIDTH: usize = 100;

/// `latent kernels` with these arguments and variables, with the tests' own cache of kernels.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let place = Place::new();
    let mut command = place.command(&[&["kernels"][..], arguments].concat());
    command.env("LATENT_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
    if let Ok(nvrtc) = nvrtc::Nvrtc::find() {
        command.env("LATENT_NVRTC", nvrtc.path());
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{arguments:?} panicked:\n{}", stderr(&output));
    output
}

#[track_caller]
fn text(arguments: &[&str]) -> String {
    let output = run(arguments, &[]);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    let text = text(&[arguments, &["--json"]].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn assert_refused(arguments: &[&str], words: &[&str]) {
    let output = run(arguments, &[]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(stdout(&output).is_empty(), "{}", stdout(&output));
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn the_list_has_a_line_for_each_kernel() {
    let text = text(&["list"]);
    for entry in ENTRIES {
        let lines = text.lines().filter(|line| line.split_whitespace().next() == Some(entry.name));
        assert_eq!(lines.count(), 1, "{}:\n{text}", entry.name);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn the_list_as_json_has_every_kernel_whole() {
    let list = json(&["list"]);
    assert_eq!(list.as_array().unwrap().len(), ENTRIES.len());
    for (value, entry) in list.as_array().unwrap().iter().zip(ENTRIES) {
        let header = entry.header();
        assert_eq!(value["name"], entry.name);
        assert_eq!(value["cost"].as_str(), header.section("Cost"), "{}", entry.name);
        assert_eq!(value["axes"].as_array().unwrap().len(), entry.axes.len());
    }
    assert_eq!(list[0]["staircase"], "gemm");
    assert_eq!(list.as_array().unwrap().last().unwrap()["staircase"], Value::Null);
}

#[test]
fn a_kernel_is_shown_with_its_header_and_what_the_compiler_says() {
    if !emulated::has_compiler() {
        return;
    }
    let shown = text(&["show", "bce/4_vectorised", "--arch", "sm_90"]);
    let words = ["bce/4_vectorised: the binary", "\nShapes    ", "\nChecked   ", "kernels/sum.cu", "--n 784 (columns)"];
    for word in words.into_iter().chain(["On sm_90, by NVRTC", "\nbce_vectorised", "\nsum", "registers", "none"]) {
        assert!(shown.contains(word), "no {word:?} in:\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
    assert!(!shown.contains("__global__"));
    let with_source = text(&["show", "bce/4_vectorised", "--source"]);
    assert!(with_source.contains("__global__ void bce_vectorised"), "{with_source}");
}

#[test]
fn every_kernel_is_shown_in_lines_that_fit_and_spills_nothing() {
    if !emulated::has_compiler() {
        return;
    }
    for entry in ENTRIES {
        let shown = text(&["show", entry.name]);
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(!shown.contains("of stack") && !shown.contains("warns"), "{shown}");
    }
}

#[test]
fn what_is_shown_as_json_are_the_compilers_figures() {
    if !emulated::has_compiler() {
        return;
    }
    let shown = json(&["show", "epilogue/1_separate", "--arch", "sm_80"]);
    assert_eq!((&shown["name"], &shown["architecture"]), (&"epilogue/1_separate".into(), &"sm_80".into()));
    let kernels = shown["kernels"].as_array().unwrap();
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel["kernel"].as_str().unwrap()).collect();
    assert_eq!(names, ["gemm", "add_bias", "leaky_relu_forward"]);
    for kernel in kernels {
        let registers = kernel["facts"]["registers"].as_u64().unwrap();
        let (blocks, threads) = (&kernel["blocks_per_multiprocessor"], kernel["threads"].as_u64().unwrap());
        let resident = blocks.as_u64().unwrap() * threads;
        assert!((8..=255).contains(&registers) && resident * registers <= 65_536, "{kernel}");
        assert_eq!(kernel["occupancy"].as_f64().unwrap(), resident as f64 / 2048.0, "{kernel}");
        assert_eq!(kernel["facts"]["spill_stores"], 0);
    }
    assert!(kernels[0]["facts"]["shared_bytes"].as_u64().unwrap() > 0, "{}", kernels[0]);
    assert_eq!(kernels[1]["limited_by"], "threads");
}

#[test]
fn architectures_that_the_compiler_does_not_know_are_told_with_those_it_does() {
    if !emulated::has_compiler() {
        return;
    }
    assert_refused(&["show", "adam", "--arch", "sm_81"], &["sm_81 is none that NVRTC", "choose from sm_75, sm_80"]);
    assert_refused(&["show", "gemm/8_split_k", "--arch", "sm_70"], &["sm_70 is none that NVRTC"]);
    assert_refused(&["show", "gemm/8_split_k", "--arch", "sm_75"], &["needs compute capability 8.0 or newer"]);
    assert_refused(&["show", "adam", "--arch", "ampere"], &["write it as in sm_80"]);
    assert_refused(&["run", "adam", "--device", "emulated", "--arch", "sm_120"], &["one of sm_75, sm_80"]);
}

#[test]
fn a_kernel_that_does_not_exist_is_told_with_some_that_do() {
    for command in ["show", "run"] {
        let words = ["there is no kernel gemm/9_tf16", "did you mean gemm/9_tf32?", "kernels list"];
        assert_refused(&[command, "gemm/9_tf16"], &words);
        assert_refused(&[command, "nothing/of/the/sort"], &["there is no kernel", "kernels list"]);
    }
}

#[test]
fn extents_that_a_kernel_lacks_or_cannot_have_are_refused() {
    let refused = |arguments: &[&str], words: &[&str]| {
        assert_refused(&[&["run"], arguments, &["--device", "emulated"]].concat(), words);
    };
    refused(&["kl", "--k", "1"], &["--k 1 makes no sense", "it has --m (rows) and --n (latent units)"]);
    refused(&["gemm/1_naive", "--n", "0"], &["--n 0 leaves nothing to compute", "1 or more"]);
    refused(&["gemm/1_naive", "--m", "100000", "--n", "100000"], &["--m 100000 times --n 100000", "at most 671"]);
    refused(&["gemm/8_split_k", "--arch", "sm_75"], &["needs compute capability 8.0 or newer", "7.5"]);
    refused(&["gemm/1_naive", "--k", "-3"], &["-3"]);
}

#[test]
fn without_a_compiler_the_message_tells_how_to_get_one() {
    for arguments in [["show", "adam"], ["run", "adam"]] {
        let cache = tempfile::tempdir().unwrap();
        let variables = [("LATENT_NVRTC", "/nowhere"), ("LATENT_CACHE", cache.path().to_str().unwrap())];
        let output = run(&arguments, &variables);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("LATENT_NVRTC") && text.contains("/nowhere"), "{text}");
    }
}

#[test]
fn a_run_on_softcuda_verifies_and_counts() {
    if !emulated::has_compiler() {
        return;
    }
    let size = ["--m", "64", "--n", "64", "--k", "64", "--device", "emulated", "--check"];
    let text = text(&[&["run", "gemm/1_naive"][..], &size].concat());
    for word in [
        "gemm/1_naive at --m 64 --n 64 --k 64 on softcuda",
        "agrees with float64: of 4096 numbers",
        "gemm_naive: 4 blocks of 1024 threads, no shared memory",
        "FMA",
        "of 32 lanes active",
        "global loads",
        "of kernels/gemm/1_naive.cu, 32.00 sectors a request",
        "times the least, 49.2 kB",
    ] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
}

#[test]
fn a_run_as_json_has_the_counts_as_they_are() {
    if !emulated::has_compiler() {
        return;
    }
    let arguments = ["run", "epilogue/1_separate", "--m", "5", "--n", "8", "--k", "12", "--device", "emulated"];
    let value = json(&arguments);
    assert_eq!(value["size"], serde_json::json!({"m": 5, "n": 8, "k": 12}));
    assert_eq!((&value["name"], &value["device"]["is_softcuda"]), (&"epilogue/1_separate".into(), &true.into()));
    assert_eq!((&value["agreement"]["compared"], &value["work"]["flop"]), (&40.into(), &1040.0.into()));
    let share = value["agreement"]["worst_share"].as_f64().unwrap();
    assert!(0.0 < share && share <= 1.0, "{share}");
    let kernels: Vec<&str> =
        value["counts"].as_array().unwrap().iter().map(|counts| counts["kernel"].as_str().unwrap()).collect();
    assert_eq!(kernels, ["gemm", "add_bias", "leaky_relu_forward"]);
    let counts: softcuda::counts::LaunchCounts = serde_json::from_value(value["counts"][1].clone()).unwrap();
    assert_eq!(counts.global_loads.bytes, 2 * 4 * 40, "c and the bias for each element");
}

#[test]
fn a_kernel_of_every_group_runs_at_its_usual_size() {
    if !emulated::has_compiler() {
        return;
    }
    for name in ["gemm/8_split_k", "bce/2_shared_memory", "epilogue/2_fused", "standard_normal"] {
        let text = text(&["run", name, "--device", "emulated", "--arch", "sm_90"]);
        assert!(text.contains("compute capability 9.0") && text.contains("times the least"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
