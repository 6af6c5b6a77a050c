//! `softcuda run`, as people call it.

#![allow(clippy::unwrap_used)]

use npyz::NpyFile;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptx/sgemm_naive.sm_80.ptx");
const TILED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptx/sgemm_tiled.sm_80.ptx");
const FEATURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptx/features.sm_80.ptx");

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Runs the command with one option or argument for each word of `line`, in the workspace's root.
fn softcuda(file: &str, line: &str) -> Ran {
    softcuda_under(&[], file, line)
}

fn softcuda_under(variables: &[(&str, &str)], file: &str, line: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softcuda"));
    for variable in ["CC", "MEMORY", "PTX", "DEVICES", "THREADS", "CHECK", "REPORT", "COUNTS", "LIMIT"] {
        command.env_remove(format!("SOFTCUDA_{variable}"));
    }
    command.envs(variables.iter().copied()).arg("run").arg(file).args(line.split_whitespace());
    let output = command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn array(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = NpyFile::new(fs::File::open(path).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

/// C = A B by the kernel's own order of operations.
fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let cell = |row: usize, column: usize| (0..k).fold(0.0, |sum, i| a[row * k + i].mul_add(b[i * n + column], sum));
    (0..m * n).map(|at| cell(at / n, at % n)).collect()
}

#[test]
fn kernel_computes_and_its_buffers_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(path);
    let outputs = format!("--out 0={} --out 1={} --out 2={}", a.display(), b.display(), c.display());
    let ran = softcuda(
        NAIVE,
        &format!(
            "--grid 2,2 --block 16,16 {outputs} f32[20,9]=random:1 f32[9,30]=normal:2 f32[20,30] i32:20 i32:30 i32:9"
        ),
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with("launched sgemm_naive: grid (2, 2, 1), block (16, 16, 1)"), "{}", ran.out);
    assert!(ran.out.contains("no findings") && ran.out.contains("warp instructions"), "{}", ran.out);
    let ((_, a), (_, b), (shape, c)) = (array(&a), array(&b), array(&c));
    assert_eq!(shape, [20, 30]);
    assert_eq!(c, product(&a, &b, [20, 30, 9]));
    assert!(ran.out.contains(&format!("argument 2, f32[20,30]: {} {} ", c[0], c[1])), "{}", ran.out);
}

#[test]
fn saved_buffer_is_the_next_launchs_input() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.npy"), folder.path().join("second.npy"));
    let identity = "f32[1,1]=1";
    let tail = "i32:6 i32:1 i32:1";
    let shape = "--grid 1 --block 16,16";
    let ran = softcuda(NAIVE, &format!("{shape} --out 2={} f32[6,1]=ramp {identity} f32[6] {tail}", first.display()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let input = format!("f32[]={}", first.display());
    let ran = softcuda(NAIVE, &format!("{shape} --out 2={} {input} {identity} f32[6] {tail}", second.display()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(array(&second), (vec![6], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    let wrong = softcuda(NAIVE, &format!("{shape} f32[7]={} {identity} f32[6] {tail}", first.display()));
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("argument 0: ") && wrong.err.contains("has the shape [6]"), "{}", wrong.err);
}

#[test]
fn access_out_of_bounds_is_a_report_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("c.npy");
    let log = folder.path().join("reports");
    // The result lacks its last element.
    let ran = softcuda(
        NAIVE,
        &format!(
            "--grid 1 --block 16,16 --json --out 2={} --report {} f32[16,4]=ramp f32[4,16]=ramp f32[255] i32:16 i32:16 i32:4",
            output.display(),
            log.display()
        ),
    );
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    let document = ran.json();
    assert_eq!(document["fault"], "an illegal memory access was encountered");
    let [report] = document["reports"].as_array().unwrap().as_slice() else { panic!("{document}") };
    assert_eq!((&report["check"], &report["line"]), (&"out-of-bounds".into(), &12.into()), "{report}");
    assert!(report["file"].as_str().unwrap().ends_with("sgemm_naive.cu"), "{report}");
    assert_eq!((&report["block"], &report["thread"]), (&vec![0; 3].into(), &vec![15, 15, 0].into()), "{report}");
    assert!(document["counts"]["kernels"]["sgemm_naive"]["warp_instructions"].as_u64() > Some(0), "{document}");
    assert!(!output.exists(), "nothing is saved after a fault");
    let logged: Value = serde_json::from_str(fs::read_to_string(&log).unwrap().trim()).unwrap();
    assert_eq!(logged, *report);
}

#[test]
fn finding_without_a_fault_is_told_by_the_exit_code() {
    let line = "--grid 1 --block 16,16 f32[4]=1 f32[4] f32[4] i32:2 i32:2 i32:2";
    let ran = softcuda(NAIVE, line);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("uninitialised: ") && ran.out.contains("sgemm_naive.cu:11"), "{}", ran.out);
    assert!(ran.out.contains("argument 1, f32[4], is allocation 2"), "{}", ran.out);
    for (variable, option) in [("", "--check none"), ("none", ""), ("all", "--check memory,race,sync")] {
        let ran = softcuda_under(&[("SOFTCUDA_CHECK", variable)], NAIVE, &format!("{option} {line}"));
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
}

#[test]
fn deleted_barrier_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(TILED).unwrap();
    let broken: PathBuf = folder.path().join("broken.ptx");
    fs::write(&broken, text.replacen("bar.sync \t0;", "", 1)).unwrap();
    let line = "--grid 1 --block 32,32 f32[64,64]=ramp f32[64,64]=ramp f32[64,64]=zeros i32:32 i32:32 i32:64";
    let ran = softcuda(&broken.display().to_string(), line);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("shared-race: ") && ran.out.contains("after a "), "{}", ran.out);
    let whole = softcuda(TILED, line);
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
}

#[test]
fn launch_is_stopped_by_the_limit() {
    let line = "--grid 1 --block 16,16 --limit 100 f32[99]=1 f32[99]=1 f32[99] i32:3 i32:3 i32:33";
    let ran = softcuda(NAIVE, line);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("stopped by the limit of instructions"), "{}", ran.out);
}

#[test]
fn user_errors_say_what_is_wrong_and_exit_with_two() {
    let good = "f32[4]=ramp f32[4]=ramp f32[4] i32:2 i32:2 i32:2";
    let cases = [
        (
            NAIVE,
            format!("--grid 1 --block 16 {good} i32:1"),
            "7 arguments are given, sgemm_naive takes 6 (a pointer or u64,",
        ),
        (NAIVE, format!("--grid 1 --block 16 f32:1 {good}"), "7 arguments are given"),
        (
            NAIVE,
            format!("--grid 1 --block 16 {good}").replace("i32:2", "i64:2"),
            "argument 3 is i64, parameter 3 is u32",
        ),
        (
            NAIVE,
            format!("--grid 1 --block 16 {good}").replace("i32:2", "f32:2"),
            "argument 3 is f32, parameter 3 is u32",
        ),
        (
            NAIVE,
            format!("--grid 1 --block 16 {good} --kernel gemm"),
            "there is no kernel 'gemm'; name one of these by --kernel:",
        ),
        (FEATURES, "--grid 1 --block 32".to_owned(), "kernels; name one of these by --kernel:"),
        (NAIVE, format!("--grid 1,2,3,4 --block 16 {good}"), "one to three positive numbers"),
        (NAIVE, format!("--grid 0 --block 16 {good}"), "one to three positive numbers"),
        (NAIVE, format!("--grid 1 --block 33,32 {good}"), "at most 1024 threads in all"),
        (NAIVE, format!("--grid 1,70000 --block 1 {good}"), "launch a smaller one"),
        (NAIVE, format!("--grid 1 --block 1 --shared 200000 {good}"), "--shared 200000"),
        (NAIVE, format!("--block 16 {good}"), "--grid"),
        (NAIVE, format!("--grid 1 --block 16 --cc 5 {good}"), "--cc '5' is not a compute capability"),
        (NAIVE, format!("--grid 1 --block 16 --cc 7.5 {good}"), "(here --cc)"),
        (NAIVE, format!("--grid 1 --block 16 --check speed {good}"), "--check 'speed' is not all, none"),
        (
            NAIVE,
            format!("--grid 1 --block 16 --memory 1KiB f32[999]=1 {}", &good[12..]),
            "out of device memory: 3996 bytes",
        ),
        (NAIVE, format!("--grid 1 --block 16 --out 6=c.npy {good}"), "there are 6 arguments"),
        (NAIVE, format!("--grid 1 --block 16 --out 3=c.npy {good}"), "that argument is no buffer"),
        (
            NAIVE,
            format!("--grid 1 --block 16 --out 0=c.npy --out 1=c.npy {good}"),
            "another buffer goes to the same file",
        ),
        (
            NAIVE,
            format!("--grid 1 --block 16 --out 2=/nowhere/c.npy {good}"),
            "/nowhere/c.npy cannot be written: its folder",
        ),
        (NAIVE, format!("--grid 1 --block 16 --out c.npy {good}"), "such as 2=y.npy"),
        (NAIVE, format!("--grid 1 --block 16 --report /nowhere/log {good}"), "/nowhere/log cannot be written"),
        (NAIVE, format!("--grid 1 --block 16 --arch ampere {good}"), "write it like sm_80"),
        (
            NAIVE,
            format!("--grid 1 --block 16 f32[]=/nowhere.npy {}", &good[12..]),
            "argument 0: /nowhere.npy cannot be read",
        ),
        (NAIVE, format!("--grid 1 --block 16 7 {good}"), "it is neither a scalar nor a buffer"),
        ("/nowhere.ptx", "--grid 1 --block 16".to_owned(), "/nowhere.ptx cannot be read"),
        ("/nowhere.cubin", "--grid 1 --block 16".to_owned(), "call it .cu or .ptx"),
    ];
    for (file, line, part) in cases {
        let ran = softcuda(file, &line);
        assert_eq!(ran.code, Some(2), "{line}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(part), "{line}: {}", ran.err);
        assert!(ran.out.is_empty(), "{line}: {}", ran.out);
    }
}

#[test]
fn text_that_is_no_ptx_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.ptx");
    fs::write(&path, ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { frobnicate; }\n").unwrap();
    let ran = softcuda(&path.display().to_string(), "--grid 1 --block 1");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("broken.ptx cannot be loaded: ") && ran.err.contains("4:"), "{}", ran.err);
}

/// A file of CUDA C++, if there is a compiler for it.
fn cuda(text: &str) -> Option<(tempfile::TempDir, String)> {
    if let Err(error) = nvrtc::Nvrtc::find() {
        println!("skipped: {error}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.cu");
    fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    Some((folder, path))
}

#[test]
fn source_is_compiled_with_its_macros_and_neighbours() {
    let text = "#include \"factor.h\"\n__global__ void scale(TYPE* x) { x[threadIdx.x] *= FACTOR; }\n";
    let Some((folder, path)) = cuda(text) else { return };
    fs::write(folder.path().join("factor.h"), "#define FACTOR 3\n").unwrap();
    for (option, element) in [("TYPE=float", "f32"), ("TYPE=int", "i32")] {
        let line = format!("--kernel scale --define {option} --grid 1 --block 4 {element}[4]=ramp --cc 8.6");
        let ran = softcuda(&path, &line);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(&format!("argument 0, {element}[4]: 0 3 6 9\n")), "{}", ran.out);
    }
    let ran = softcuda(&path, "--grid 1 --block 4 f32[4]=ramp");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("kernel.cu") && ran.err.contains("\"TYPE\" is undefined"), "{}", ran.err);
}

#[test]
fn instance_of_a_template_is_made_by_its_name() {
    let text = "template <typename T> __global__ void fill(T* x, T value) { x[threadIdx.x] = value; }\n";
    let Some((_folder, path)) = cuda(text) else { return };
    let ran = softcuda(&path, "--kernel fill<double> --grid 1 --block 2 f64[2] f64:0.1");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("argument 0, f64[2]: 0.1 0.1\n"), "{}", ran.out);
    let none = softcuda(&path, "--grid 1 --block 2");
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("there is no kernel in this file"), "{}", none.err);
}

#[test]
fn report_of_a_source_names_its_file_and_line() {
    let text = "extern \"C\" __global__ void shift(float* x, int n) {\n    int i = threadIdx.x;\n    if (i <= n)\n        x[i] = 1.0f;\n}\n";
    let Some((_folder, path)) = cuda(text) else { return };
    let ran = softcuda(&path, "--grid 1 --block 32 f32[16]=zeros i32:16");
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("out-of-bounds: ") && ran.out.contains("kernel.cu:4, block (0,0,0) thread (16,0,0)"),
        "{}",
        ran.out
    );
}

#[test]
fn unusable_compiler_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.cu");
    fs::write(&path, "").unwrap();
    let missing = folder.path().display().to_string();
    let ran = softcuda_under(&[("LATENT_NVRTC", &missing)], &path.display().to_string(), "--grid 1 --block 1");
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("or unset LATENT_NVRTC"), "{}", ran.err);
}
