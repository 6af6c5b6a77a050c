//! Kernels compiled by the real NVRTC for every architecture, run by unmodified cudarc with all checks on, against plain
//! references; none may cause a report. Without NVRTC their snapshot runs instead.

#![allow(clippy::unwrap_used, reason = "a failure of the test's own helpers is a failure of the test")]

mod device;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DeviceRepr, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;
use device::integers;
use softcuda::settings::{Checks, Settings};
use std::path::Path;
use std::sync::{Arc, OnceLock};

const ARCHITECTURES: [u32; 5] = [75, 80, 86, 89, 90];

fn library() -> &'static softcuda::Library {
    static LIBRARY: OnceLock<softcuda::Library> = OnceLock::new();
    // The newest device takes the code of all older ones.
    let settings =
        Settings { checks: Checks::ALL, compute_capability: (9, 0), memory: 256 << 20, ..Settings::default() };
    LIBRARY.get_or_init(|| softcuda::preload(&settings).unwrap())
}

/// The PTX of a file of kernels for each architecture.
fn compiled(name: &str) -> Vec<(u32, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(nvrtc) = nvrtc::Nvrtc::find() else {
        println!("skipped: NVRTC not found (./data-fetch.sh nvrtc brings it); {name} runs from its snapshot for sm_80");
        return vec![(80, std::fs::read_to_string(root.join(format!("tests/ptx/{name}.sm_80.ptx"))).unwrap())];
    };
    let path = root.join(format!("tests/kernels/{name}.cu"));
    let source = std::fs::read_to_string(&path).unwrap();
    let compile = |architecture: u32| {
        let options = [format!("--gpu-architecture=compute_{architecture}"), "-lineinfo".to_owned()];
        (architecture, nvrtc.compile(&source, path.to_str().unwrap(), &options).unwrap().ptx().to_owned())
    };
    ARCHITECTURES.map(compile).into()
}

/// A module on a stream of its own.
struct Kernels {
    architecture: u32,
    module: Arc<CudaModule>,
    stream: Arc<CudaStream>,
}

impl Kernels {
    fn function(&self, name: &str) -> CudaFunction {
        self.module.load_function(name).unwrap()
    }

    fn upload<T: DeviceRepr>(&self, values: &[T]) -> CudaSlice<T> {
        self.stream.clone_htod(values).unwrap()
    }

    fn zeros<T: DeviceRepr + cudarc::driver::ValidAsZeroBits>(&self, count: usize) -> CudaSlice<T> {
        self.stream.alloc_zeros(count).unwrap()
    }

    fn download<T: DeviceRepr + Clone + Default>(&self, values: &CudaSlice<T>) -> Vec<T> {
        self.stream.clone_dtoh(values).unwrap()
    }
}

/// Runs a test for every architecture, and asserts that no kernel of the file caused a report.
fn for_each(file: &str, kernels: &[&str], test: impl Fn(&Kernels)) {
    library();
    let context = CudaContext::new(0).unwrap();
    for (architecture, ptx) in compiled(file) {
        let module = context.load_module(Ptx::from_src(ptx)).unwrap();
        test(&Kernels { architecture, module, stream: context.new_stream().unwrap() });
        let reports = library().reports().unwrap();
        let found: Vec<_> = reports.iter().filter(|report| kernels.contains(&report.kernel.as_str())).collect();
        assert!(found.is_empty(), "{file} for sm_{architecture}: {found:#?}");
    }
}

fn config(grid: (u32, u32), block: (u32, u32)) -> LaunchConfig {
    LaunchConfig { grid_dim: (grid.0, grid.1, 1), block_dim: (block.0, block.1, 1), shared_mem_bytes: 0 }
}

/// Launches with arguments pushed in order.
macro_rules! launch {
    ($kernels:expr, $name:expr, $config:expr; $($argument:expr),*) => {{
        let function = $kernels.function($name);
        let mut builder = $kernels.stream.launch_builder(&function);
        $(builder.arg($argument);)*
        // SAFETY: the arguments are those that the kernel's header names.
        unsafe { builder.launch($config) }.unwrap();
    }};
}

/// The product of matrices of small integers, exact in f32 whatever the order of the sums.
fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let element = |index: usize| (0..k).map(|i| a[index / n * k + i] * b[i * n + index % n]).sum();
    (0..m * n).map(element).collect()
}

fn gemm(name: &str, [m, n, k]: [usize; 3], launch: LaunchConfig) {
    for_each(name, &[name], |kernels| {
        let (a, b) = (integers(1, m * k), integers(2, k * n));
        let (da, db) = (kernels.upload(&a), kernels.upload(&b));
        let mut c = kernels.zeros::<f32>(m * n);
        let sizes = [m as i32, n as i32, k as i32];
        launch!(kernels, name, launch; &da, &db, &mut c, &sizes[0], &sizes[1], &sizes[2]);
        assert!(kernels.download(&c) == product(&a, &b, [m, n, k]), "{name} for sm_{}", kernels.architecture);
    });
}

#[test]
fn sgemm_naive_multiplies() {
    gemm("sgemm_naive", [45, 33, 17], config((3, 3), (16, 16)));
}

#[test]
fn sgemm_tiled_multiplies() {
    gemm("sgemm_tiled", [70, 45, 33], config((2, 3), (32, 32)));
}

#[test]
fn sgemm_blocked_multiplies() {
    gemm("sgemm_blocked", [256, 128, 40], config((1, 2), (256, 1)));
}

#[test]
fn gemm_cp_async_multiplies() {
    gemm("gemm_cp_async", [128, 64, 80], config((1, 2), (256, 1)));
}

#[test]
fn gemm_tf32_multiplies() {
    gemm("gemm_tf32", [64, 96, 40], config((3, 2), (128, 1)));
}

#[test]
fn gemm_bf16_multiplies() {
    let [m, n, k] = [64, 96, 48];
    for_each("gemm_bf16", &["gemm_bf16"], |kernels| {
        let (a, b) = (integers(3, m * k), integers(4, k * n));
        // Small integers have all their bits in the upper half.
        let upper = |values: &[f32]| values.iter().map(|value| (value.to_bits() >> 16) as u16).collect::<Vec<u16>>();
        let (da, db) = (kernels.upload(&upper(&a)), kernels.upload(&upper(&b)));
        let mut c = kernels.zeros::<f32>(m * n);
        let sizes = [m as i32, n as i32, k as i32];
        launch!(kernels, "gemm_bf16", config((3, 2), (128, 1)); &da, &db, &mut c, &sizes[0], &sizes[1], &sizes[2]);
        assert!(kernels.download(&c) == product(&a, &b, [m, n, k]), "sm_{}", kernels.architecture);
    });
}

#[test]
fn reductions_sum() {
    for_each("reduce", &["reduce_partial", "reduce_last_block"], |kernels| {
        let (n, count) = (5003, 5003i32);
        let values = integers(5, n);
        let sum: f32 = values.iter().sum();
        let input = kernels.upload(&values);
        let mut partial = kernels.zeros::<f32>(7);
        launch!(kernels, "reduce_partial", config((7, 1), (160, 1)); &input, &mut partial, &count);
        assert_eq!(kernels.download(&partial).iter().sum::<f32>(), sum);
        let (mut total, mut counter) = (kernels.zeros::<f32>(1), kernels.zeros::<u32>(1));
        for _ in 0..2 {
            launch!(kernels, "reduce_last_block", config((7, 1), (160, 1)); &input, &mut partial, &mut total, &mut counter, &count);
            assert_eq!((kernels.download(&total), kernels.download(&counter)), (vec![sum], vec![0]));
        }
    });
}

#[test]
fn philox_gives_its_known_answers() {
    for_each("philox", &["philox_words"], |kernels| {
        let mut words = kernels.zeros::<u32>(4);
        launch!(kernels, "philox_words", config((1, 1), (32, 1)); &mut words, &0u64, &0u64, &1i32);
        // Of the generator's authors (Random123, kat_vectors): counter and key of zeros.
        assert_eq!(kernels.download(&words), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
    });
}

#[test]
fn adam_takes_a_step() {
    for_each("adam", &["adam"], |kernels| {
        let (n, count) = (260, 260i32);
        let (p, g) = (integers(7, n), integers(8, n));
        let (mut dp, dg) = (kernels.upload(&p), kernels.upload(&g));
        let (mut m, mut v) = (kernels.zeros::<f32>(n), kernels.zeros::<f32>(n));
        let [rate, beta1, beta2, epsilon] = [1e-2f32, 0.9, 0.999, 1e-8];
        let (c1, c2) = (1.0 - beta1, 1.0 - beta2);
        launch!(kernels, "adam", config((3, 1), (32, 1)); &mut dp, &dg, &mut m, &mut v, &count, &rate, &beta1, &beta2, &epsilon, &c1, &c2);
        for (index, value) in kernels.download(&dp).into_iter().enumerate() {
            // The first step moves by the rate, against the sign of the gradient.
            let expected = f64::from(p[index]) - 0.01 * f64::from(g[index]) / (f64::from(g[index]).abs() + 1e-8);
            assert!((f64::from(value) - expected).abs() <= 1e-5, "parameter {index}: {value}, not {expected}");
        }
    });
}

#[test]
fn a_cooperative_kernel_meets_at_a_barrier_of_the_grid() {
    for_each("grid_barrier", &["grid_barrier"], |kernels| {
        let (n, count, phases) = (500usize, 500i32, 4);
        let mut expected = integers(9, n);
        let (mut values, mut scratch) = (kernels.upload(&expected), kernels.zeros::<f32>(n));
        let mut arrivals = kernels.zeros::<u32>(1);
        let function = kernels.function("grid_barrier");
        let mut builder = kernels.stream.launch_builder(&function);
        builder.arg(&mut values).arg(&mut scratch).arg(&mut arrivals).arg(&count).arg(&phases);
        // SAFETY: the arguments are those that the kernel's header names.
        unsafe { builder.launch_cooperative(config((6, 1), (64, 1))) }.unwrap();
        for _ in 0..phases {
            expected =
                (0..n).map(|i| (expected[(i + n - 1) % n] + expected[i] + expected[(i + 1) % n]) / 3.0).collect();
        }
        assert_eq!(kernels.download(&values), expected, "sm_{}", kernels.architecture);
    });
}

#[test]
fn histograms_count() {
    for_each("histogram", &["histogram_shared", "histogram_global"], |kernels| {
        let n = 5000i32;
        let bytes: Vec<u8> = (0..n).map(|index| (index * index % 251) as u8).collect();
        let mut expected = vec![0u32; 256];
        bytes.iter().for_each(|byte| expected[usize::from(*byte)] += 1);
        let (input, mut bins) = (kernels.upload(&bytes), kernels.zeros::<u32>(256));
        launch!(kernels, "histogram_shared", config((5, 1), (96, 1)); &input, &mut bins, &n);
        assert_eq!(kernels.download(&bins), expected);
        let words: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).collect();
        let (input, mut bins) = (kernels.upload(&words), kernels.zeros::<u32>(256));
        launch!(kernels, "histogram_global", config((5, 1), (96, 1)); &input, &mut bins, &n, &256i32);
        assert_eq!(kernels.download(&bins), expected);
    });
}

#[test]
fn scans_and_softmax_agree_with_plain_loops() {
    for_each("scan", &["scan"], |kernels| {
        let values: Vec<i32> = (0..1000).map(|index| index * 7 % 23 - 9).collect();
        let (input, mut output) = (kernels.upload(&values), kernels.zeros::<i32>(1000));
        let mut sums = kernels.zeros::<i32>(8);
        launch!(kernels, "scan", config((8, 1), (128, 1)); &input, &mut output, &mut sums, &1000i32);
        let running = |chunk: &[i32]| {
            chunk
                .iter()
                .scan(0, |sum, value| {
                    *sum += value;
                    Some(*sum)
                })
                .collect::<Vec<i32>>()
        };
        let expected: Vec<i32> = values.chunks(128).flat_map(running).collect();
        assert_eq!(kernels.download(&output), expected);
    });
    for_each("softmax", &["softmax", "softmax_online"], |kernels| {
        let (rows, columns, width) = (9, 77, 77i32);
        let values = integers(11, rows * columns);
        let input = kernels.upload(&values);
        for name in ["softmax", "softmax_online"] {
            let mut output = kernels.zeros::<f32>(rows * columns);
            launch!(kernels, name, config((rows as u32, 1), (32, 1)); &input, &mut output, &width);
            for (row, found) in values.chunks(columns).zip(kernels.download(&output).chunks(columns)) {
                let sum: f64 = row.iter().map(|value| f64::from(*value).exp()).sum();
                for (value, found) in row.iter().zip(found) {
                    let expected = f64::from(*value).exp() / sum;
                    assert!((f64::from(*found) - expected).abs() <= 1e-6 * expected, "{name}: {found}, not {expected}");
                }
            }
        }
    });
}

#[test]
fn calls_recursion_local_arrays_divergence_and_locks_work() {
    let names = ["recurse", "sort_locally", "diverge", "spin_lock", "named_barriers", "barrier_reductions", "atomics"];
    for_each("features", &names, |kernels| {
        let mut numbers = kernels.zeros::<u32>(64);
        launch!(kernels, "recurse", config((2, 1), (32, 1)); &mut numbers);
        let fibonacci = |n: u32| (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0;
        let found = kernels.download(&numbers);
        assert_eq!(found, (0..64).map(|i| fibonacci(i % 12)).collect::<Vec<u32>>(), "sm_{}", kernels.architecture);

        let values: Vec<i32> = (0..64 * 16).map(|index| index * 7919 % 101 - 50).collect();
        let (input, mut output) = (kernels.upload(&values), kernels.zeros::<i32>(64 * 16));
        launch!(kernels, "sort_locally", config((2, 1), (32, 1)); &input, &mut output);
        for (before, after) in values.chunks(16).zip(kernels.download(&output).chunks(16)) {
            let mut sorted = before.to_vec();
            sorted.sort_unstable();
            assert_eq!(after, sorted);
        }

        let (mut lock, mut value) = (kernels.zeros::<i32>(1), kernels.zeros::<i32>(1));
        launch!(kernels, "spin_lock", config((3, 1), (64, 1)); &mut lock, &mut value);
        assert_eq!((kernels.download(&lock), kernels.download(&value)), (vec![0], vec![192]));

        let signs: Vec<i32> = (0..64).map(|index| index - 20).collect();
        let (input, mut output) = (kernels.upload(&signs), kernels.zeros::<i32>(64 * 3));
        launch!(kernels, "barrier_reductions", config((1, 1), (64, 1)); &input, &mut output);
        assert!(
            kernels
                .download(&output)
                .chunks(3)
                .all(|found| (found[0], found[1] != 0, found[2] != 0) == (43, false, true))
        );

        let floats = integers(13, 32);
        let (input, mut output) = (kernels.upload(&floats), kernels.zeros::<f32>(32));
        launch!(kernels, "named_barriers", config((1, 1), (64, 1)); &input, &mut output);
        assert_eq!(kernels.download(&output), floats.iter().rev().map(|value| 2.0 * value).collect::<Vec<f32>>());

        let (mut cells, mut wide) = (kernels.upload(&[0u32, 99, 0, u32::MAX, 0, 0, 0, 0]), kernels.zeros::<u64>(2));
        let (mut real, mut accurate) = (kernels.zeros::<f32>(1), kernels.zeros::<f64>(1));
        launch!(kernels, "atomics", config((2, 1), (32, 1)); &mut cells, &mut wide, &mut real, &mut accurate);
        let found = kernels.download(&cells);
        assert_eq!(found[..6], [63 * 32, 0, 63, 0, u32::MAX, 0]);
        assert_eq!(kernels.download(&wide), [(63 * 32) << 20, 63 << 34]);
        assert_eq!((kernels.download(&real), kernels.download(&accurate)), (vec![32.0], vec![16.0]));
    });
}
