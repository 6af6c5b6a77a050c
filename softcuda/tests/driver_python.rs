//! NVIDIA's `cuda-bindings` for Python, which resolve every function through `cuGetProcAddress_v2`. They are looked for
//! with the Python that `SOFTCUDA_PYTHON` names, else `python3`.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

use softcuda::settings::{Checks, Settings};
use std::ffi::OsString;
use std::process::Command;

/// A Python that has the bindings; where there is none a line says so.
fn python() -> Option<OsString> {
    let python = std::env::var_os("SOFTCUDA_PYTHON").unwrap_or(OsString::from("python3"));
    let has_bindings = Command::new(&python).args(["-c", "import cuda.bindings"]).output();
    if has_bindings.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {} has no cuda-bindings (pip install cuda-bindings)", python.display());
    None
}

fn program(name: &str) -> String {
    format!("{}/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_python_bindings_run_unchanged() {
    let Some(python) = python() else { return };
    for variables in [&[][..], &[("CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM", "1")]] {
        let mut command = softcuda::command(&python, &Settings::default()).unwrap();
        let output = command.arg(program("driver.py")).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"done\n");
    }
}

/// The PTX of a file of kernels: compiled for the architecture, or the snapshot for sm_80.
fn compiled(name: &str, architecture: u32) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let Ok(nvrtc) = nvrtc::Nvrtc::find() else {
        return (architecture == 80)
            .then(|| std::fs::read_to_string(format!("{folder}/ptx/{name}.sm_80.ptx")).unwrap());
    };
    let path = format!("{folder}/kernels/{name}.cu");
    let options = [format!("--gpu-architecture=compute_{architecture}"), "-lineinfo".to_owned()];
    Some(nvrtc.compile(&std::fs::read_to_string(&path).unwrap(), &path, &options).unwrap().ptx().to_owned())
}

#[test]
fn kernels_of_every_architecture_give_python_right_results_and_no_report() {
    let Some(python) = python() else { return };
    for architecture in [75, 80, 86, 89, 90] {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sgemm_naive", "sgemm_tiled", "sgemm_blocked", "reduce", "grid_barrier"] {
            let Some(ptx) = compiled(name, architecture) else {
                println!("skipped: sm_{architecture}, for NVRTC was not found (./data-fetch.sh nvrtc brings it)");
                return;
            };
            std::fs::write(folder.path().join(format!("{name}.ptx")), ptx).unwrap();
        }
        let report = folder.path().join("reports.jsonl");
        let capability = (architecture / 10, architecture % 10);
        let settings = Settings {
            checks: Checks::ALL,
            compute_capability: capability,
            report: Some(report.clone()),
            ..Settings::default()
        };
        let mut command = softcuda::command(&python, &settings).unwrap();
        let output = command.arg(program("kernels.py")).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "sm_{architecture}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"done\n");
        // The program leaves its buffers to the end of the process; that alone is found.
        let reports = std::fs::read_to_string(&report).unwrap_or_default();
        let other = reports.lines().find(|line| !line.contains(r#""check":"leak""#));
        assert_eq!(other, None, "sm_{architecture}");
    }
}
