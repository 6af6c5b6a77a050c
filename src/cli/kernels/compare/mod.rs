//! `kernels compare`: every step of a staircase on the same problem, as one table and one picture.

pub(super) mod figures;
mod gains;
mod picture;
mod table;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::figures::{Counted, Step};
use self::table::Table;
use super::machine::{Machine, Where};
use crate::backend::cuda::gemm::Size;
use crate::cli::{Error, display};
use crate::files::{can_be_written, write_atomically};
use crate::lab;
use crate::lab::catalogue::{self, Axis, Staircase};
use crate::lab::measure::measure;

/// Extents of a product that is compared where no others are given: seconds on softcuda.
const SQUARE: Size = Size { m: 512, n: 512, k: 512 };

/// Options of `kernels compare`.
#[derive(Args, Clone, Debug)]
pub struct Compare {
    /// Staircase: gemm, bce or epilogue
    staircase: String,
    /// Rows of the result
    #[arg(long, value_name = "ROWS")]
    m: Option<usize>,
    /// Columns of the result
    #[arg(long, value_name = "COLUMNS")]
    n: Option<usize>,
    /// Terms of each sum of a product
    #[arg(long, value_name = "TERMS")]
    k: Option<usize>,
    #[command(flatten)]
    place: Where,
    /// Print everything as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table in Markdown
    #[arg(long)]
    markdown: bool,
    /// Write the picture to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// A staircase on a problem on a device.
#[derive(Serialize)]
struct Comparison {
    staircase: &'static str,
    what: &'static str,
    device: String,
    compute_capability: String,
    m: usize,
    n: usize,
    k: usize,
    steps: Vec<Step>,
}

impl Compare {
    /// Runs every step and shows what came of it.
    ///
    /// # Errors
    /// The input is at fault, a step computed something else, or the device failed.
    pub fn run(&self) -> Result<(), Error> {
        let staircase = self.staircase()?;
        self.svg.as_deref().map(can_be_written).transpose()?;
        let mut machine = Machine::open(self.place)?;
        let comparison = self.compare(staircase, &mut machine)?;
        self.show(&comparison);
        if let Some(path) = &self.svg {
            let svg = comparison.picture().svg()?;
            write_atomically(path, svg.as_bytes())?;
            display::note(&format!("the picture is in {}", path.display()));
        }
        Ok(())
    }

    fn staircase(&self) -> Result<&'static Staircase, Error> {
        catalogue::staircase(&self.staircase).ok_or_else(|| {
            let known: Vec<&str> = catalogue::STAIRCASES.iter().map(|staircase| staircase.name).collect();
            let problem = format!("is no staircase; choose from {}", known.join(", "));
            super::machine::setting("STAIRCASE", self.staircase.clone(), problem)
        })
    }

    /// The extents that are asked for, over those that are usual.
    fn size(&self, staircase: &Staircase) -> Size {
        let usual = match staircase.steps.first().and_then(|step| catalogue::find(step)) {
            Some(entry) if staircase.name != "gemm" => entry.usual,
            _ => SQUARE,
        };
        Size { m: self.m.unwrap_or(usual.m), n: self.n.unwrap_or(usual.n), k: self.k.unwrap_or(usual.k) }
    }

    fn compare(&self, staircase: &'static Staircase, machine: &mut Machine) -> Result<Comparison, Error> {
        let size = self.size(staircase);
        let progress = display::progress(staircase.steps.len());
        let mut steps = Vec::new();
        for name in staircase.steps {
            progress.set_message(*name);
            steps.push(run_step(name, size, true, machine)?);
            progress.inc(1);
        }
        progress.finish_and_clear();
        let info = machine.bench.info();
        gains::tell(&mut steps, info.multiprocessors);
        let (major, minor) = info.compute_capability;
        Ok(Comparison {
            staircase: staircase.name,
            what: staircase.what,
            device: info.name.clone(),
            compute_capability: format!("{major}.{minor}"),
            m: size.m,
            n: size.n,
            k: size.k,
            steps,
        })
    }

    fn show(&self, comparison: &Comparison) {
        let text = if self.json {
            // Numbers and texts alone: there is nothing that JSON could not hold.
            serde_json::to_string_pretty(comparison).unwrap_or_default()
        } else if self.markdown {
            Table::of(&comparison.steps).markdown() + "\n" + &comparison.gains("- ")
        } else {
            comparison.text(self.svg.is_none())
        };
        display::line(text.trim_end());
    }
}

/// Verifies a kernel, then counts or times it. One that the device is too old for is told of. Where occupancy is of interest, the
/// compiler is asked for it.
pub(super) fn run_step(name: &str, size: Size, asks_compiler: bool, machine: &mut Machine) -> Result<Step, Error> {
    let mut step = Step { name: name.to_owned(), ..Step::default() };
    let Some(entry) = catalogue::find(name) else {
        step.unavailable = Some("not in the catalogue".to_owned());
        return Ok(step);
    };
    let case = match entry.case(machine.bench.info().compute_capability, size) {
        Ok(case) => case,
        Err(lab::Error::TooOld { needs, .. }) => {
            step.unavailable = Some(format!("needs sm_{}{} or newer", needs.0, needs.1));
            return Ok(step);
        }
        Err(error) => return Err(error.into()),
    };
    let (agreement, mut launches) = machine.counted(|bench| {
        let placed = bench.place(&case)?;
        Ok(bench.verify(&placed)?)
    })?;
    if asks_compiler {
        machine.take_occupancy(&case, &mut launches);
    }
    (step.agreement, step.work) = (Some(agreement), Some(case.work));
    let elements = (!entry.axes.contains(&Axis::K)).then_some(size.m * size.n);
    step.counts = Counted::new(&launches, case.work, elements);
    if step.counts.is_none() {
        let placed = machine.bench.place(&case)?;
        step.times = Some(measure(&machine.bench, &placed, case.work)?);
    }
    Ok(step)
}

impl Comparison {
    fn title(&self) -> String {
        let Self { staircase, what, device, compute_capability, m, n, k, .. } = self;
        let size = if *k > 1 { format!("M {m}, N {n}, K {k}") } else { format!("{m} x {n}") };
        // The software device has its compute capability in its name.
        let capability =
            if device.contains(compute_capability) { String::new() } else { format!(" ({compute_capability})") };
        format!("{staircase}, {what}: {size}, on {device}{capability}")
    }

    /// The table, what each step gained, and bars.
    fn text(&self, names_svg: bool) -> String {
        let table = Table::of(&self.steps).plain();
        let bars = picture::for_terminal(&self.steps);
        let hint = if names_svg { "\n--svg FILE writes all of it as a picture\n" } else { "" };
        format!("{}\n\n{table}\n{}\n{bars}{hint}", self.title(), self.gains(""))
    }

    /// A line for each step that gained something.
    fn gains(&self, before: &str) -> String {
        let line = |step: &Step| Some(format!("{before}{}: {}\n", step.short(), step.gain.as_ref()?));
        self.steps.iter().filter_map(line).collect()
    }

    fn picture(&self) -> crate::plot::bars::Bars {
        let touched = if self.staircase == "gemm" { picture::first_two_steps(&self.steps, self.k) } else { None };
        picture::bars(self.title(), &self.steps, touched)
    }
}
