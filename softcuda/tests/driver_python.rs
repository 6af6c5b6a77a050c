//! NVIDIA's `cuda-bindings` for Python, which resolve every function through `cuGetProcAddress_v2`. They are looked for
//! with the Python that `SOFTCUDA_PYTHON` names, else `python3`.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use softcuda::settings::Settings;
use std::ffi::OsString;
use std::process::Command;

#[test]
fn the_python_bindings_run_unchanged() {
    let python = std::env::var_os("SOFTCUDA_PYTHON").unwrap_or(OsString::from("python3"));
    let has_bindings = Command::new(&python).args(["-c", "import cuda.bindings"]).output();
    if !has_bindings.is_ok_and(|output| output.status.success()) {
        println!("skipped: {} has no cuda-bindings (pip install cuda-bindings)", python.display());
        return;
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/driver.py");
    for variables in [&[][..], &[("CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM", "1")]] {
        let mut command = softcuda::command(&python, &Settings::default()).unwrap();
        let output = command.arg(program).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"done\n");
    }
}
