//! `kernels roofline`: what binds each kernel on a device, its memory or its arithmetic, and the least time that implies.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::compare::run_step;
use super::machine::{Machine, Where, setting};
use crate::cli::{Error, display};
use crate::files::{can_be_written, write_atomically};
use crate::lab::case::Work;
use crate::lab::catalogue::{Axis, ENTRIES, Entry, Size};
use crate::lab::gpus::{self, Gpu};
use crate::lab::{Bench, ceilings};
use crate::plot::roofline::{Ceiling, Mark, Roofline};

/// Options of `kernels roofline`.
#[derive(Args, Clone, Debug)]
pub struct Roof {
    /// GPU whose ceilings are taken from the table, as in "RTX 4090" [default: the GPU at hand; the H100 SXM without one]
    #[arg(long, value_name = "NAME", conflicts_with = "measured")]
    gpu: Option<String>,
    /// Measure the ceilings of the GPU at hand
    #[arg(long)]
    measured: bool,
    /// Rows of a product
    #[arg(long, value_name = "ROWS")]
    m: Option<usize>,
    /// Columns of a product
    #[arg(long, value_name = "COLUMNS")]
    n: Option<usize>,
    /// Terms of each sum of a product
    #[arg(long, value_name = "TERMS")]
    k: Option<usize>,
    #[command(flatten)]
    place: Where,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write the picture to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What a device does at most.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Ceilings {
    gpu: String,
    is_measured: bool,
    /// GB/s.
    memory: f64,
    /// GFLOP/s by unit.
    fp32: f64,
    tf32: Option<f64>,
    bf16: Option<f64>,
}

/// A kernel under these ceilings.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    kernel: &'static str,
    m: usize,
    n: usize,
    k: usize,
    #[serde(flatten)]
    work: Work,
    /// By the bytes that must move at least.
    least: Bound,
    /// By the bytes that softcuda sees move, before any cache.
    moved: Option<Bound>,
    /// GFLOP/s, on a GPU.
    gflops: Option<f64>,
}

/// Which ceiling a kernel meets first.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Bound {
    /// FLOP for each byte.
    intensity: f64,
    /// The ceiling's name.
    by: &'static str,
    /// GFLOP/s there.
    gflops: f64,
    /// The least time, in microseconds.
    microseconds: f64,
}

/// The ceilings' names.
const MEMORY: &str = "memory";
const FP32: &str = "FP32";
const TF32: &str = "TF32";
const BF16: &str = "BF16";

#[derive(Serialize)]
struct Report<'a> {
    ceilings: &'a Ceilings,
    kernels: &'a [Row],
}

impl Roof {
    /// Shows every kernel beneath the ceilings.
    ///
    /// # Errors
    /// The input is at fault, a kernel computed something else, or the device failed.
    pub fn run(&self) -> Result<(), Error> {
        // A name that nobody knows is told before anything begins.
        let asked = self.gpu.as_deref().map(known).transpose()?;
        self.svg.as_deref().map(can_be_written).transpose()?;
        let mut machine = Machine::open(self.place)?;
        let ceilings = self.ceilings(asked, &mut machine)?;
        let rows = self.rows(&ceilings, &mut machine)?;
        display::line(text(&ceilings, &rows, self.json, self.svg.is_none()).trim_end());
        if let Some(path) = &self.svg {
            write_atomically(path, picture(&ceilings, &rows).svg()?.as_bytes())?;
            display::note(&format!("the picture is in {}", path.display()));
        }
        Ok(())
    }

    fn ceilings(&self, asked: Option<&'static Gpu>, machine: &mut Machine) -> Result<Ceilings, Error> {
        if self.measured {
            if machine.is_software() {
                let problem = "takes a GPU: softcuda counts, and has no speed of its own; take --gpu NAME".to_owned();
                return Err(setting("--measured", "on".to_owned(), problem));
            }
            return measured(&mut machine.bench);
        }
        if let Some(gpu) = asked {
            return Ok(Ceilings::of(gpu));
        }
        if machine.is_software() {
            return Ok(Ceilings::of(gpus::usual()));
        }
        let name = &machine.bench.info().name;
        gpus::find(name).map(Ceilings::of).ok_or_else(|| {
            let problem =
                format!("is not in the table of GPUs; take --measured, or --gpu with one of {}", gpus::names());
            setting("--gpu", name.clone(), problem)
        })
    }

    fn rows(&self, ceilings: &Ceilings, machine: &mut Machine) -> Result<Vec<Row>, Error> {
        // What runs here, and could run on the GPU whose ceilings these are.
        let own = machine.bench.info().compute_capability;
        let capability = gpus::find(&ceilings.gpu).map_or(own, |gpu| gpu.capability.min(own));
        // The kernels that measure ceilings are none of those beneath them.
        let is_beneath = |entry: &&Entry| entry.needs <= capability && !entry.name.starts_with("ceiling/");
        let entries: Vec<&Entry> = ENTRIES.iter().filter(is_beneath).collect();
        let bar = display::progress(entries.len());
        let mut rows = Vec::new();
        for entry in entries {
            bar.set_message(entry.name);
            rows.extend(self.row(entry, ceilings, machine)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(rows)
    }

    /// A kernel's row; None where these ceilings have none for its arithmetic.
    fn row(&self, entry: &'static Entry, ceilings: &Ceilings, machine: &mut Machine) -> Result<Option<Row>, Error> {
        let Some(unit) = ceilings.unit(entry.name) else { return Ok(None) };
        let size = self.size(entry);
        let step = run_step(entry.name, size, false, machine)?;
        let Some(work) = step.work else { return Ok(None) };
        let bound = |bytes: f64| ceilings.bound(work.flop, bytes, unit);
        Ok(Some(Row {
            kernel: entry.name,
            m: size.m,
            n: size.n,
            k: size.k,
            work,
            least: bound(work.bytes),
            moved: step.counts.as_ref().map(|counted| bound(counted.bytes_moved)),
            gflops: step.times.map(|times| times.gflop_per_second),
        }))
    }

    /// The extents that are asked for where the kernel is a product; its usual ones elsewhere.
    fn size(&self, entry: &Entry) -> Size {
        let usual = entry.usual;
        if !entry.axes.contains(&Axis::K) {
            return usual;
        }
        Size { m: self.m.unwrap_or(usual.m), n: self.n.unwrap_or(usual.n), k: self.k.unwrap_or(usual.k) }
    }
}

/// The GPU of this name in the table.
fn known(name: &str) -> Result<&'static Gpu, Error> {
    gpus::find(name).ok_or_else(|| {
        let problem = format!("is no single GPU of the table; choose from {}", gpus::names());
        setting("--gpu", name.to_owned(), problem)
    })
}

fn measured(bench: &mut Bench) -> Result<Ceilings, Error> {
    let ceilings::Ceilings { memory, fp32 } = ceilings::measure(bench)?;
    let gpu = bench.info().name.clone();
    // Tensor cores are not measured: their products lie beneath those of the table, where there is one.
    let table = gpus::find(&gpu);
    let tensor = |rate: fn(&Gpu) -> Option<f64>| table.and_then(rate).map(|tera| 1e3 * tera);
    Ok(Ceilings { gpu, is_measured: true, memory, fp32, tf32: tensor(|gpu| gpu.tf32), bf16: tensor(|gpu| gpu.bf16) })
}

impl Ceilings {
    fn of(gpu: &Gpu) -> Self {
        let giga = |tera: f64| 1e3 * tera;
        let (tf32, bf16) = (gpu.tf32.map(giga), gpu.bf16.map(giga));
        let gpu_name = gpu.name.to_owned();
        Self { gpu: gpu_name, is_measured: false, memory: gpu.memory, fp32: giga(gpu.fp32), tf32, bf16 }
    }

    /// Name and GFLOP/s of the units that a kernel computes on.
    fn unit(&self, kernel: &str) -> Option<(&'static str, f64)> {
        match kernel {
            "gemm/9_tf32" => self.tf32.map(|rate| (TF32, rate)),
            "gemm/10_bf16" => self.bf16.map(|rate| (BF16, rate)),
            _ => Some((FP32, self.fp32)),
        }
    }

    /// What binds `flop` on a unit beside `bytes` of memory.
    fn bound(&self, flop: f64, bytes: f64, (unit, rate): (&'static str, f64)) -> Bound {
        let (moving, computing) = (bytes / self.memory, flop / rate);
        let (by, nanoseconds) = if moving >= computing { (MEMORY, moving) } else { (unit, computing) };
        Bound { intensity: flop / bytes, by, gflops: flop / nanoseconds, microseconds: nanoseconds / 1e3 }
    }

    fn units(&self) -> Vec<Ceiling> {
        let units = [(FP32, Some(self.fp32)), (TF32, self.tf32), (BF16, self.bf16)];
        units.into_iter().filter_map(|(name, rate)| Some(Ceiling { name: name.to_owned(), rate: rate? })).collect()
    }

    fn sentence(&self) -> String {
        let units: Vec<String> =
            self.units().iter().map(|unit| format!("{} {:.1} TFLOP/s", unit.name, unit.rate / 1e3)).collect();
        let source = if self.is_measured { "memory and FP32 measured" } else { "by the published figures" };
        let ridge = self.fp32 / self.memory;
        format!(
            "{}, {source}: memory {:.0} GB/s, {}. In float32 memory binds below {ridge:.1} FLOP for each byte, arithmetic above.",
            self.gpu,
            self.memory,
            units.join(", ")
        )
    }
}

fn text(ceilings: &Ceilings, rows: &[Row], json: bool, names_svg: bool) -> String {
    if json {
        // Numbers and texts alone: there is nothing that JSON could not hold.
        return serde_json::to_string_pretty(&Report { ceilings, kernels: rows }).unwrap_or_default();
    }
    let width = rows.iter().map(|row| row.kernel.len()).max().unwrap_or(0);
    let has_moved = rows.iter().any(|row| row.moved.is_some());
    let has_times = rows.iter().any(|row| row.gflops.is_some());
    let mut text = format!(
        "{}\n\n{:<width$}  {:>15}  {:>9}  {:>8}  {:>10}",
        ceilings.sentence(),
        "",
        "",
        "FLOP/byte",
        "",
        "least"
    );
    let second = |show: bool, text: &str| if show { text.to_owned() } else { String::new() };
    text += &second(has_moved, "   FLOP/byte  time as it\n");
    text += &second(!has_moved, "\n");
    text += &format!("{:<width$}  {:>15}  {:>9}  {:>8}  {:>10}", "kernel", "size", "at least", "bound by", "time, us");
    text += &second(has_moved, "       moved   moves, us");
    text += &second(has_times, "   GFLOP/s  of bound");
    text.push('\n');
    for row in rows {
        text += row.line(width).trim_end();
        text.push('\n');
    }
    if names_svg { text + "\n--svg FILE writes it as a picture\n" } else { text }
}

impl Row {
    fn line(&self, width: usize) -> String {
        let Self { kernel, m, n, k, least, moved, gflops, .. } = self;
        let size = if *k > 1 { format!("{m} x {n} x {k}") } else { format!("{m} x {n}") };
        let mut text = format!(
            "{kernel:<width$}  {size:>15}  {:>9.3}  {:>8}  {:>10.3}",
            least.intensity, least.by, least.microseconds
        );
        if let Some(Bound { intensity, microseconds, .. }) = moved {
            text += &format!("  {intensity:>10.3}  {microseconds:>10.3}");
        }
        if let Some(gflops) = gflops {
            text += &format!("  {gflops:>8.0}  {:>7.0} %", 100.0 * gflops / least.gflops);
        }
        text
    }
}

fn picture(ceilings: &Ceilings, rows: &[Row]) -> Roofline {
    let mark = |row: &Row, intensity: f64, rate: f64, is_solid: bool| Mark {
        name: row.kernel.to_owned(),
        intensity,
        rate,
        is_solid,
    };
    let moved = |row: &Row| row.moved.as_ref().map(|bound| mark(row, bound.intensity, bound.gflops, true));
    let timed = |row: &Row| row.gflops.map(|rate| mark(row, row.least.intensity, rate, true));
    // A kernel that moves about the least has one mark.
    let differs = |row: &&Row| row.moved.as_ref().is_none_or(|bound| 1.6 * bound.intensity < row.least.intensity);
    let mut marks: Vec<Mark> = rows.iter().filter_map(|row| moved(row).or_else(|| timed(row))).collect();
    marks.extend(rows.iter().filter(differs).map(|row| mark(row, row.least.intensity, row.least.gflops, false)));
    let solid = if rows.iter().any(|row| row.gflops.is_some()) {
        "measured"
    } else {
        "bound by the bytes that move before any cache, as softcuda counts them"
    };
    Roofline {
        title: format!("Roofline: latent's kernels under the ceilings of {}", ceilings.gpu),
        sentences: vec![
            ceilings.sentence(),
            "A kernel can be no faster than the line above it. Left of a ridge more FLOP for each byte make it faster, right of it only faster units."
                .to_owned(),
        ],
        memory: Ceiling { name: MEMORY.to_owned(), rate: ceilings.memory },
        units: ceilings.units(),
        marks,
        key: [solid.to_owned(), "bound by the least bytes: each input read once, each result written once".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings() -> Ceilings {
        let (tf32, bf16) = (None, Some(1000.0));
        Ceilings { gpu: "test".to_owned(), is_measured: false, memory: 10.0, fp32: 100.0, tf32, bf16 }
    }

    #[test]
    fn the_lower_ceiling_binds_and_gives_the_least_time() {
        let bound = |flop: f64, bytes: f64| ceilings().bound(flop, bytes, (FP32, 100.0));
        let memory = bound(1e6, 1e6);
        assert_eq!((memory.by, memory.gflops, memory.microseconds, memory.intensity), (MEMORY, 10.0, 100.0, 1.0));
        let units = bound(1e6, 1e4);
        assert_eq!((units.by, units.gflops, units.microseconds, units.intensity), (FP32, 100.0, 10.0, 100.0));
    }

    #[test]
    fn a_kernel_is_held_against_the_units_that_it_computes_on() {
        assert_eq!(ceilings().unit("gemm/10_bf16"), Some((BF16, 1000.0)));
        assert_eq!(ceilings().unit("gemm/9_tf32"), None, "this GPU has none");
        assert_eq!(ceilings().unit("adam"), Some((FP32, 100.0)));
    }

    #[test]
    fn a_kernel_that_moves_about_the_least_has_one_mark() {
        let row = |moved: f64| {
            let bound = |bytes| ceilings().bound(100.0, bytes, (FP32, 100.0));
            let work = Work { flop: 100.0, bytes: 100.0 };
            Row { kernel: "adam", m: 1, n: 1, k: 1, work, least: bound(100.0), moved: Some(bound(moved)), gflops: None }
        };
        assert_eq!(picture(&ceilings(), &[row(105.0)]).marks.len(), 1);
        assert_eq!(picture(&ceilings(), &[row(300.0)]).marks.len(), 2);
    }
}
