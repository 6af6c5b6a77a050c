//! `kernels show`: what a kernel is, and what the compiler makes of it.

use std::collections::{BTreeMap, btree_map};

use clap::Args;
use serde_json::{Value, json};
use softcuda::chip::Chip;

use super::machine::Architecture;
use super::text::{Align, kibibytes, quantity, table, wrapped};
use crate::backend::cuda::compile::Source;
use crate::backend::cuda::sources;
use crate::cli::{Error, display};
use crate::lab::case::{Case, Launch, Work};
use crate::lab::catalogue::{self, Entry};
use crate::lab::facts::{self, Facts};

/// Options of `kernels show`.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The kernel, as `latent kernels list` names it
    name: String,
    /// Architecture that the compiler is asked about
    #[arg(long, value_name = "sm_XX", default_value = "sm_80")]
    arch: Architecture,
    /// The sources of its kernels as well
    #[arg(long)]
    source: bool,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// What is shown of an entry.
struct Shown {
    entry: &'static Entry,
    arch: Architecture,
    nvrtc: (u32, u32),
    work: Work,
    kernels: Vec<Kernel>,
    warnings: Vec<String>,
}

/// A kernel as it is launched at the usual size.
struct Kernel {
    entry: &'static str,
    source: Source,
    grid: u32,
    block: u32,
    facts: Facts,
    /// Blocks on a multiprocessor, and what allows no more.
    blocks: u32,
    limit: String,
    /// Threads on a multiprocessor, of those it has room for.
    occupancy: f64,
}

impl Show {
    /// Shows the kernel.
    ///
    /// # Errors
    /// There is no such kernel or architecture, or no compiler.
    pub fn run(&self) -> Result<(), Error> {
        let shown = Shown::new(catalogue::named(&self.name)?, self.arch)?;
        if self.json {
            display::line(&shown.as_json(self.source).to_string());
        } else {
            shown.lines(self.source).iter().for_each(|line| display::line(line));
        }
        Ok(())
    }
}

impl Shown {
    fn new(entry: &'static Entry, arch: Architecture) -> Result<Self, Error> {
        let nvrtc = facts::compiler(entry.files[0])?;
        // An architecture that the compiler does not know is told as that, also where it would be too old.
        let known = arch.capability() < entry.needs && nvrtc.supported_architectures().contains(&arch.0);
        let capability = if known { arch.capability() } else { arch.capability().max(entry.needs) };
        let case = entry.case(capability, entry.usual)?;
        let mut told = BTreeMap::new();
        for source in case.launches.iter().map(|launch| &launch.source) {
            let key = (source.file, source.defines.clone());
            if let btree_map::Entry::Vacant(place) = told.entry(key) {
                place.insert(facts::of(nvrtc, source, arch.0)?);
            }
        }
        let kernel = |launch: &Launch| {
            let of_source = &told[&(launch.source.file, launch.source.defines.clone())];
            Kernel::new(launch, of_source.kernels.get(launch.entry).copied().unwrap_or_default(), arch)
        };
        let kernels = distinct(&case).into_iter().map(kernel).collect();
        let warnings = told.values().flat_map(|told| told.warnings.iter().cloned()).collect();
        Ok(Self { entry, arch, nvrtc: nvrtc.version(), work: case.work, kernels, warnings })
    }

    fn as_json(&self, with_source: bool) -> Value {
        let header = self.entry.header();
        let sections: serde_json::Map<String, Value> =
            header.sections.into_iter().map(|(name, text)| (name.to_lowercase(), text.into())).collect();
        let axes =
            self.entry.axes.iter().zip(self.entry.counted).map(
                |(axis, counted)| json!({"axis": axis.name(), "counts": counted, "usual": axis.of(self.entry.usual)}),
            );
        let mut value = json!({
            "name": self.entry.name,
            "what": header.what,
            "header": sections,
            "files": self.entry.files,
            "needs": format!("{}.{}", self.entry.needs.0, self.entry.needs.1),
            "axes": axes.collect::<Vec<_>>(),
            "work": self.work,
            "architecture": self.arch.to_string(),
            "nvrtc": format!("{}.{}", self.nvrtc.0, self.nvrtc.1),
            "kernels": self.kernels.iter().map(Kernel::as_json).collect::<Vec<_>>(),
            "warnings": self.warnings,
        });
        if with_source {
            let texts = self.entry.files.iter().map(|file| ((*file).to_owned(), sources::text(file).into()));
            value["sources"] = Value::Object(texts.collect());
        }
        value
    }

    fn lines(&self, with_source: bool) -> Vec<String> {
        let mut lines = self.about();
        lines.push(String::new());
        let (major, minor) = self.nvrtc;
        lines.push(format!("On {}, by NVRTC {major}.{minor}, as launched at that size:", self.arch));
        lines.extend(self.resources());
        lines.extend(self.warnings.iter().map(|warning| format!("the compiler warns: {warning}")));
        if with_source {
            for file in self.entry.files {
                lines.extend([String::new(), format!("kernels/{file}:"), String::new()]);
                lines.extend(sources::text(file).unwrap_or_default().lines().map(str::to_owned));
            }
        }
        lines
    }

    /// The header, the files, and the size.
    fn about(&self) -> Vec<String> {
        const INDENT: usize = 10;
        let header = self.entry.header();
        let mut lines = wrapped(&format!("{}:", header.name), header.name.len() + 2, &header.what);
        lines.push(String::new());
        for (name, text) in &header.sections {
            lines.extend(wrapped(name, INDENT, text));
        }
        let files: Vec<String> = self.entry.files.iter().map(|file| format!("kernels/{file}")).collect();
        lines.extend(wrapped("Files", INDENT, &files.join(", ")));
        let axes = self.entry.axes.iter().zip(self.entry.counted);
        let axes = axes.map(|(axis, counted)| format!("--{} {} ({counted})", axis.name(), axis.of(self.entry.usual)));
        lines.extend(wrapped("Usually", INDENT, &axes.collect::<Vec<_>>().join(" ")));
        let Work { flop, bytes } = self.work;
        let (flop, bytes, intensity) = (quantity(flop, "FLOP"), quantity(bytes, "B"), self.work.intensity());
        lines.extend(wrapped("At least", INDENT, &format!("{flop} and {bytes} there, {intensity:.2} FLOP a byte")));
        lines
    }

    fn resources(&self) -> Vec<String> {
        use Align::{Left, Right};
        let head = ["kernel", "blocks", "threads", "registers", "shared", "blocks/SM", "occupancy", "limit", "spills"];
        let rows: Vec<[String; 9]> =
            [head.map(str::to_owned)].into_iter().chain(self.kernels.iter().map(Kernel::row)).collect();
        table([Left, Right, Right, Right, Right, Right, Right, Left, Left], &rows)
    }
}

/// The launches without those of a kernel that came before.
fn distinct(case: &Case) -> Vec<&Launch> {
    let mut launches: Vec<&Launch> = Vec::new();
    for launch in &case.launches {
        if !launches.iter().any(|other| (&other.source, other.entry) == (&launch.source, launch.entry)) {
            launches.push(launch);
        }
    }
    launches
}

impl Kernel {
    fn new(launch: &Launch, facts: Facts, arch: Architecture) -> Self {
        let chip = Chip::of(arch.capability());
        let (limit, blocks) = chip.limit(launch.block, facts.registers, facts.shared_bytes);
        let warps = f64::from(blocks * launch.block.div_ceil(32));
        Self {
            entry: launch.entry,
            source: launch.source.clone(),
            grid: launch.grid,
            block: launch.block,
            facts,
            blocks,
            limit: limit.to_string(),
            occupancy: warps * 32.0 / f64::from(chip.threads),
        }
    }

    fn as_json(&self) -> Value {
        json!({
            "kernel": self.entry,
            "file": self.source.file,
            "defines": self.source.defines,
            "blocks": self.grid,
            "threads": self.block,
            "facts": self.facts,
            "blocks_per_multiprocessor": self.blocks,
            "occupancy": self.occupancy,
            "limited_by": self.limit,
        })
    }

    fn row(&self) -> [String; 9] {
        let Facts { registers, shared_bytes, stack_bytes, spill_stores, spill_loads } = self.facts;
        let spills = match (spill_stores + spill_loads, stack_bytes) {
            (0, 0) => "none".to_owned(),
            (0, stack) => format!("none; {stack} B of stack"),
            (_, stack) => format!("{spill_stores} B out, {spill_loads} B in; {stack} B of stack"),
        };
        [
            self.entry.to_owned(),
            self.grid.to_string(),
            self.block.to_string(),
            registers.to_string(),
            kibibytes(shared_bytes),
            self.blocks.to_string(),
            format!("{:.0} %", 100.0 * self.occupancy),
            self.limit.trim_end_matches(" memory").to_owned(),
            spills,
        ]
    }
}
