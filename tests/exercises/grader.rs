//! What each exercise of `docs/exercises` asks for, and whether a file meets it, on softcuda with all of its checks on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nvrtc::Nvrtc;
use softcuda::counts::{Access, AccessKind, LaunchCounts};
use softcuda::settings::{Checks, Settings};

use crate::device::Argument::{self, Float, Floats, Int, Unwritten};
use crate::device::{Device, integers, order};

/// What is wrong with a file, in words for who wrote it.
pub type Verdict = Result<(), String>;

/// An exercise.
pub struct Exercise {
    /// The name of its file in `docs/exercises`, without its ending.
    pub name: &'static str,
    /// The chapter that explains it, in `docs/staircase`.
    pub chapter: &'static str,
    grade: fn(&Bed) -> Verdict,
}

/// All of them, in the order of the chapters.
pub const EXERCISES: [Exercise; 12] = [
    Exercise { name: "1_naive", chapter: "01_naive.md", grade: naive },
    Exercise { name: "2_coalesced", chapter: "02_coalesced.md", grade: coalesced },
    Exercise { name: "3_shared_tile", chapter: "03_shared_tile.md", grade: shared_tile },
    Exercise { name: "4_tile1d", chapter: "04_tile1d.md", grade: tile1d },
    Exercise { name: "5_tile2d", chapter: "05_tile2d.md", grade: tile2d },
    Exercise { name: "6_vectorised", chapter: "06_vectorised.md", grade: vectorised },
    Exercise { name: "7_async_copy", chapter: "07_async_copy.md", grade: async_copy },
    Exercise { name: "8_split_k", chapter: "08_split_k.md", grade: split_k },
    Exercise { name: "9_tf32", chapter: "09_tensor_cores.md", grade: tf32 },
    Exercise { name: "10_bf16", chapter: "09_tensor_cores.md", grade: bf16 },
    Exercise { name: "11_reduction", chapter: "10_reduction.md", grade: reduction },
    Exercise { name: "12_epilogue", chapter: "11_fused_epilogue.md", grade: epilogue },
];

/// Where the exercises lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exercises")
}

impl Exercise {
    /// The file that the reader works on.
    pub fn file(&self) -> PathBuf {
        folder().join(format!("{}.cu", self.name))
    }

    /// The file of its solution.
    pub fn solution(&self) -> PathBuf {
        folder().join(format!("solutions/{}.cu", self.name))
    }

    /// Compiles `file` and runs it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn grade(&self, nvrtc: Nvrtc, file: &Path) -> Verdict {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let options = ["--gpu-architecture=compute_80", "--std=c++17", "-lineinfo"];
        // The compiler takes names from the folder that it runs in, which for a test is the package's.
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(file).display().to_string();
        let program = nvrtc.compile(&text, &name, &options).map_err(|error| error.to_string())?;
        (self.grade)(&Bed { ptx: program.ptx().to_owned() })
    }
}

/// A file, compiled.
struct Bed {
    ptx: String,
}

/// What a launch left.
struct Left {
    /// The last buffer among its arguments.
    out: Vec<u8>,
    counts: Arc<LaunchCounts>,
}

impl Left {
    fn floats(&self) -> Vec<f64> {
        self.out.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    }

    fn doubles(&self) -> Vec<f64> {
        self.out.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }
}

impl Bed {
    /// Launches `kernel` on a device of its own.
    fn launch(&self, kernel: &str, blocks: u32, threads: u32, arguments: &[Argument]) -> Result<Left, String> {
        let settings = Settings { checks: Checks::ALL, ..Settings::default() };
        let device = Device::new(settings, &self.ptx);
        if device.program.kernel(kernel).is_none() {
            return Err(format!("there is no kernel {kernel}; it must be `extern \"C\"` and keep its name"));
        }
        let (parameters, buffers) = device.pack(arguments);
        let order_of_launch = order(0, 1 + u64::from(blocks));
        let ended = device.launch(kernel, [blocks, 1, 1], [threads, 1, 1], parameters, order_of_launch);
        if let Some(report) = device.machine.reporter.take().first() {
            return Err(format!("softcuda finds fault:\n{report}"));
        }
        ended.map_err(|fault| format!("the kernel failed: {fault:?}"))?;
        let out = buffers.into_iter().flatten().next_back().map(|buffer| device.read(buffer)).unwrap_or_default();
        Ok(Left { out, counts: device.machine.counts.launches()[0].clone() })
    }
}

/// Whether `found` is what it should be, as nearly as f32 gets.
fn compare(what: &str, found: &[f64], expected: &[f64], tolerance: f64) -> Verdict {
    for (index, want) in expected.iter().enumerate() {
        let have = found.get(index).copied().unwrap_or(f64::NAN);
        let is_near = (have - want).abs() <= tolerance * (1.0 + want.abs());
        if !is_near {
            return Err(format!("{what}[{index}] is {have}, not {want}"));
        }
    }
    Ok(())
}

/// Whether a kind of access stays within so many transactions a request.
fn at_most(counts: &LaunchCounts, kind: AccessKind, limit: f64) -> Verdict {
    let Some(Access { traffic, line, .. }) = counts.widest(kind) else { return Ok(()) };
    let each = traffic.per_request();
    let what = format!("{} a request are taken by the {} of line {line}", kind.unit(), kind.name());
    within(&what, each, limit)
}

/// Whether a count stays within its limit.
fn within(what: &str, count: f64, limit: f64) -> Verdict {
    let rounded = (100.0 * count).round() / 100.0;
    if count <= limit { Ok(()) } else { Err(format!("right, but {rounded} {what}; at most {limit} are asked for")) }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn naive(bed: &Bed) -> Verdict {
    for (rows, columns) in [(16, 16), (37, 53), (1, 1)] {
        let (x, scale) = (integers(1, rows * columns), integers(2, rows));
        let expected: Vec<f64> =
            (0..rows * columns).map(|at| f64::from(scale[at / columns]) * f64::from(x[at])).collect();
        let sizes = [Int(rows as i32), Int(columns as i32)];
        let arguments = [Floats(x), Floats(scale), Unwritten(rows * columns, 0)];
        let blocks = (rows * columns).div_ceil(256) as u32;
        let left = bed.launch("scale_rows", blocks, 256, &[&arguments[..], &sizes].concat())?;
        compare("y", &left.floats(), &expected, 0.0)?;
    }
    Ok(())
}

fn coalesced(bed: &Bed) -> Verdict {
    for (rows, columns) in [(128, 96), (33, 50), (1, 1)] {
        let x = integers(3, rows * columns);
        let sum = |column: usize| (0..rows).map(|row| f64::from(x[row * columns + column])).sum();
        let expected: Vec<f64> = (0..columns).map(sum).collect();
        let arguments = [Floats(x), Unwritten(columns, 0), Int(rows as i32), Int(columns as i32)];
        let left = bed.launch("column_sums", columns.div_ceil(32) as u32, 32, &arguments)?;
        compare("sums", &left.floats(), &expected, 0.0)?;
        if columns % 32 == 0 {
            at_most(&left.counts, AccessKind::GlobalLoad, 4.0)?;
            at_most(&left.counts, AccessKind::GlobalStore, 4.0)?;
        }
    }
    Ok(())
}

fn shared_tile(bed: &Bed) -> Verdict {
    for (rows, columns) in [(64, 96), (33, 70)] {
        let x = integers(4, rows * columns);
        let expected: Vec<f64> = (0..rows * columns).map(|at| f64::from(x[at % rows * columns + at / rows])).collect();
        let arguments = [Floats(x), Unwritten(rows * columns, 0), Int(rows as i32), Int(columns as i32)];
        let blocks = rows.div_ceil(32) * columns.div_ceil(32);
        let left = bed.launch("transpose", blocks as u32, 256, &arguments)?;
        compare("y", &left.floats(), &expected, 0.0)?;
        if rows % 32 == 0 {
            at_most(&left.counts, AccessKind::GlobalLoad, 4.0)?;
            at_most(&left.counts, AccessKind::GlobalStore, 4.0)?;
            within("wavefronts lost to lanes that meet in a bank", left.counts.bank_conflicts() as f64, 0.0)?;
        }
    }
    Ok(())
}

/// Loads from shared memory for each fused multiply-add, both of lanes.
fn loads_for_each_fma(counts: &LaunchCounts) -> f64 {
    (counts.shared_loads.bytes / 4) as f64 / counts.fmas.max(1) as f64
}

fn tile1d(bed: &Bed) -> Verdict {
    for length in [512, 200] {
        let (x, w) = (integers(5, length + 7), integers(6, 64));
        let sum = |at: usize| (0..8).map(|t| f64::from(w[at / length * 8 + t]) * f64::from(x[at % length + t])).sum();
        let expected: Vec<f64> = (0..8 * length).map(sum).collect();
        let arguments = [Floats(x), Floats(w), Unwritten(8 * length, 0), Int(length as i32)];
        let left = bed.launch("filters", length.div_ceil(128) as u32, 128, &arguments)?;
        compare("y", &left.floats(), &expected, 0.0)?;
        within("floats loaded from shared memory for each FMA", loads_for_each_fma(&left.counts), 1.25)?;
    }
    Ok(())
}

fn tile2d(bed: &Bed) -> Verdict {
    for (n, m) in [(64, 96), (33, 50)] {
        let (a, b) = (integers(7, 8 * n), integers(8, 8 * m));
        let distance = |at: usize| {
            let square = |k: usize| (f64::from(a[at / m * 8 + k]) - f64::from(b[at % m * 8 + k])).powi(2);
            (0..8).map(square).sum()
        };
        let expected: Vec<f64> = (0..n * m).map(distance).collect();
        let arguments = [Floats(a), Floats(b), Unwritten(n * m, 0), Int(n as i32), Int(m as i32)];
        let blocks = n.div_ceil(32) * m.div_ceil(32);
        let left = bed.launch("distances", blocks as u32, 64, &arguments)?;
        compare("d", &left.floats(), &expected, 0.0)?;
        within("floats loaded from shared memory for each FMA", loads_for_each_fma(&left.counts), 0.5)?;
    }
    Ok(())
}

fn vectorised(bed: &Bed) -> Verdict {
    for length in [4096, 1023, 5] {
        let (x, y) = (integers(9, length), integers(10, length));
        let expected: Vec<f64> = x.iter().zip(&y).map(|(x, y)| 0.5 * f64::from(*x) + f64::from(*y)).collect();
        let arguments = [Float(0.5), Floats(x), Floats(y), Int(length as i32)];
        let left = bed.launch("saxpy", length.div_ceil(4 * 256) as u32, 256, &arguments)?;
        compare("y", &left.floats(), &expected, 0.0)?;
        // Scalar accesses take three requests for each 32 elements.
        let requests = left.counts.global_loads.requests + left.counts.global_stores.requests;
        if length % 128 == 0 {
            within("requests", requests as f64, (3 * length / 32) as f64 / 3.0)?;
        }
    }
    Ok(())
}

fn async_copy(bed: &Bed) -> Verdict {
    for tiles in [1, 2, 5] {
        let x = integers(11, 128 * tiles);
        let sum = |t: usize| (0..tiles).map(|tile| f64::from(x[128 * tile + 127 - t])).sum();
        let expected: Vec<f64> = (0..128).map(sum).collect();
        let left = bed.launch("mirrored_sums", 1, 128, &[Floats(x), Unwritten(128, 0), Int(tiles as i32)])?;
        compare("sums", &left.floats(), &expected, 0.0)?;
    }
    if !bed.ptx.contains("cp.async.ca") {
        return Err("right, but no copy is asynchronous".to_owned());
    }
    // The last tile may be waited for without any copy behind it.
    let pending = bed.ptx.split("cp.async.wait_group").skip(1).filter_map(leading_number);
    if pending.max().unwrap_or(0) == 0 {
        return Err("right, but every wait is for all copies: none is in flight while a tile is added".to_owned());
    }
    Ok(())
}

/// The number that a text begins with, blanks aside.
fn leading_number(text: &str) -> Option<u32> {
    text.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn split_k(bed: &Bed) -> Verdict {
    for length in [1 << 14, 5000] {
        let x: Vec<f32> = integers(12, length).into_iter().map(|x| 1.0 + x / 7.0).collect();
        let each = length.div_ceil(64);
        let square = |x: &f32| f64::from(*x) * f64::from(*x);
        let part =
            |block: usize| x[(block * each).min(length)..((block + 1) * each).min(length)].iter().map(square).sum();
        let expected: Vec<f64> = (0..64).map(part).collect();
        // A double is two words.
        let parts = || bed.launch("sum_parts", 64, 32, &[Floats(x.clone()), Unwritten(2 * 64, 0), Int(length as i32)]);
        let (once, again) = (parts()?, parts()?);
        compare("parts", &once.doubles(), &expected, 1e-12)?;
        if once.out != again.out {
            return Err("two runs give different bits".to_owned());
        }
        let total = bed.launch("add_parts", 1, 1, &[Argument::Bytes(once.out), Unwritten(2, 0), Int(64)]);
        // The count is the last argument, the total the last buffer.
        compare("total", &total?.doubles(), &[expected.iter().sum()], 1e-12)?;
    }
    Ok(())
}

/// C [16, 8] = A [16, k] B [k, 8] of small integers, which no precision rounds.
fn fragment(bed: &Bed, k: usize) -> Verdict {
    let (a, b) = (integers(13, 16 * k), integers(14, 8 * k));
    let sum = |at: usize| (0..k).map(|k0| f64::from(a[at / 8 * k + k0]) * f64::from(b[k0 * 8 + at % 8])).sum();
    let expected: Vec<f64> = (0..128).map(sum).collect();
    let left = bed.launch("multiply", 1, 32, &[Floats(a), Floats(b), Unwritten(128, 0)])?;
    compare("C", &left.floats(), &expected, 0.0)
}

fn tf32(bed: &Bed) -> Verdict {
    fragment(bed, 8)
}

fn bf16(bed: &Bed) -> Verdict {
    fragment(bed, 16)
}

fn reduction(bed: &Bed) -> Verdict {
    for length in [1024, 700] {
        let x = integers(15, length);
        let largest = |block: &[f32]| block.iter().copied().map(f64::from).fold(f64::NEG_INFINITY, f64::max);
        let expected: Vec<f64> = x.chunks(256).map(largest).collect();
        let blocks = expected.len();
        let left = bed.launch("largest", blocks as u32, 256, &[Floats(x), Unwritten(blocks, 0), Int(length as i32)])?;
        compare("out", &left.floats(), &expected, 0.0)?;
        let warps = (8 * blocks) as f64;
        let shared = left.counts.shared_loads.requests + left.counts.shared_stores.requests;
        within("barriers a warp", left.counts.barriers as f64 / warps, 2.0)?;
        within("requests to shared memory a warp", shared as f64 / warps, 4.0)?;
    }
    Ok(())
}

fn epilogue(bed: &Bed) -> Verdict {
    for (rows, inputs, outputs) in [(16, 24, 32), (7, 5, 9)] {
        let (x, w, bias) = (integers(16, rows * inputs), integers(17, inputs * outputs), integers(18, outputs));
        let [wide_x, wide_w, wide_bias] = [&x, &w, &bias].map(|values| widened(values));
        let element = |at: usize| {
            let (row, column) = (at / outputs, at % outputs);
            let sum: f64 = (0..inputs).map(|k| wide_x[row * inputs + k] * wide_w[k * outputs + column]).sum();
            1.0 / (1.0 + (-sum - wide_bias[column]).exp())
        };
        let expected: Vec<f64> = (0..rows * outputs).map(element).collect();
        let sizes = [rows, inputs, outputs].map(|size| Int(size as i32));
        let arguments = [Floats(x), Floats(w), Floats(bias), Unwritten(rows * outputs, 0)];
        let blocks = (rows * outputs).div_ceil(128) as u32;
        let left = bed.launch("layer", blocks, 128, &[&arguments[..], &sizes].concat())?;
        compare("y", &left.floats(), &expected, 1e-6)?;
        let (loaded, stored) = (left.counts.global_loads.bytes / 4, left.counts.global_stores.bytes / 4);
        within("stores for each element of y", stored as f64 / (rows * outputs) as f64, 1.0)?;
        let least = rows * outputs * (2 * inputs + 1);
        within(
            "loads for each element of y",
            loaded as f64 / (rows * outputs) as f64,
            least as f64 / (rows * outputs) as f64,
        )?;
    }
    Ok(())
}
