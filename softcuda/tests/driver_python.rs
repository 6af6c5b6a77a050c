//! NVIDIA's `cuda-bindings` for Python, which resolve every function through `cuGetProcAddress_v2`. They are looked for
//! with the Python that `SOFTCUDA_PYTHON` names, else `python3`.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use softcuda::settings::{Checks, Settings};
use std::ffi::OsString;
use std::process::Command;

/// The Python that has the bindings; without them, the reason why a test is skipped.
fn python() -> Option<OsString> {
    let python = std::env::var_os("SOFTCUDA_PYTHON").unwrap_or(OsString::from("python3"));
    let has_bindings = Command::new(&python).args(["-c", "import cuda.bindings"]).output();
    if has_bindings.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {} has no cuda-bindings (pip install cuda-bindings)", python.display());
    None
}

#[test]
fn the_python_bindings_run_unchanged() {
    let Some(python) = python() else { return };
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/driver.py");
    for variables in [&[][..], &[("CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM", "1")]] {
        let mut command = softcuda::command(&python, &Settings::default()).unwrap();
        let output = command.arg(program).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"done\n");
    }
}

#[test]
fn kernels_launched_from_python_are_right_and_nothing_is_reported() {
    let Some(python) = python() else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let report = tempfile::NamedTempFile::new().unwrap();
    let settings = Settings { checks: Checks::ALL, report: Some(report.path().into()), ..Settings::default() };
    let mut command = softcuda::command(&python, &settings).unwrap();
    let output = command.args([format!("{folder}/programs/kernels.py"), format!("{folder}/ptx")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"done\n");
    assert_eq!(std::fs::read_to_string(report.path()).unwrap(), "");
}
