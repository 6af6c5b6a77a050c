//! The shared library from the outside: who finds it, and who refuses it.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use softcuda::settings::Settings;
use std::path::PathBuf;
use std::process::{Command, Output};

fn exec(arguments: &[&str], library: Option<&PathBuf>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softcuda"));
    command.arg("exec").args(arguments).env_remove("SOFTCUDA_LIB");
    command.envs(library.map(|path| ("SOFTCUDA_LIB", path))).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_exit_status_of_the_program_is_passed_on() {
    assert_eq!(exec(&["sh", "-c", "exit 42"], None).status.code(), Some(42));
}

#[test]
fn options_reach_the_program_as_variables() {
    let script = "echo $SOFTCUDA_CC $SOFTCUDA_CHECK $SOFTCUDA_THREADS $SOFTCUDA_MEMORY; ls ${LD_LIBRARY_PATH%%:*}";
    let output =
        exec(&["--cc", "8.9", "--check", "memory", "--threads", "3", "--memory", "1GiB", "sh", "-c", script], None);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, "8.9 memory 3 1073741824\nlibcuda.so\nlibcuda.so.1\n", "{}", stderr(&output));
}

#[test]
fn a_program_that_is_not_there_and_an_option_that_makes_no_sense_are_told() {
    let output = exec(&["no-such-program-anywhere"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no-such-program-anywhere"), "{}", stderr(&output));
    let output = exec(&["--memory", "plenty", "true"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--memory 'plenty'"), "{}", stderr(&output));
}

#[test]
fn a_library_of_another_build_is_refused_with_the_command_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("libsoftcuda.so");
    let environment = softcuda::command("true", &Settings::default()).unwrap();
    let ours = environment.get_envs().find(|(name, _)| *name == "SOFTCUDA_LIB").unwrap().1.unwrap().to_owned();
    let mut bytes = std::fs::read(ours).unwrap();
    let build = softcuda::driver::BUILD.as_bytes();
    let (mut at, mut seen) = (0, 0);
    while let Some(found) = bytes[at..].windows(build.len()).position(|window| window == build) {
        bytes[at + found..at + found + build.len()].fill(b'0');
        (at, seen) = (at + found, seen + 1);
    }
    assert!(seen > 0, "the library names its build");
    std::fs::write(&other, bytes).unwrap();
    let output = exec(&["true"], Some(&other));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cargo build"), "{}", stderr(&output));
    let missing = folder.path().join("nothing.so");
    let output = exec(&["true"], Some(&missing));
    assert!(stderr(&output).contains("nothing.so") && stderr(&output).contains("cargo build"), "{}", stderr(&output));
}

#[test]
fn no_file_that_could_hide_a_real_driver_lies_where_cargo_builds() {
    let executable = std::env::current_exe().unwrap();
    for folder in executable.ancestors().skip(1).take(2) {
        for name in ["libcuda.so", "libcuda.so.1"] {
            assert!(!folder.join(name).exists(), "{name} in {}", folder.display());
        }
    }
}
