//! The tables, as Markdown.

use latent::lab::facts::Facts;
use softcuda::chip::Chip;
use softcuda::counts::Traffic;

use crate::compiled::{ARCHITECTURES, Compiled};
use crate::executed::Executed;

/// The architectures whose occupancy is told.
const OCCUPANCY: [u32; 2] = [80, 90];

/// Registers, shared memory and occupancy of each kernel.
pub fn resources(kernels: &[Compiled]) -> String {
    let registers = ARCHITECTURES.map(|architecture| format!("sm_{architecture}"));
    let columns = OCCUPANCY.map(|architecture| format!("occupancy sm_{architecture}"));
    let head = ["kernel", "instance", "threads"].map(str::to_owned);
    let head: Vec<String> = head.into_iter().chain(registers).chain(["shared KiB".to_owned()]).chain(columns).collect();
    let rows = kernels.iter().map(|kernel| {
        let of = |architecture: &u32| kernel.resources.get(architecture);
        let registers = ARCHITECTURES
            .iter()
            .map(|architecture| of(architecture).map_or("-".to_owned(), |r| r.registers.to_string()));
        let shared = kernel.resources.values().map(|resources| resources.shared_bytes).max().unwrap_or(0);
        let occupancy = OCCUPANCY.iter().map(|architecture| {
            of(architecture).map_or("-".to_owned(), |resources| occupancy(*architecture, kernel.block, *resources))
        });
        let first = [format!("`{}`", kernel.entry), instance(&kernel.file, &kernel.defines), kernel.block.to_string()];
        first
            .into_iter()
            .chain(registers)
            .chain([format!("{:.1}", f64::from(shared) / 1024.0)])
            .chain(occupancy)
            .collect()
    });
    table(&head, rows)
}

/// The warps that fit on a multiprocessor, of those it has room for.
fn occupancy(architecture: u32, block: u32, resources: Facts) -> String {
    let chip = Chip::of((architecture / 10, architecture % 10));
    let blocks = chip.occupancy(block, resources.registers, resources.shared_bytes);
    format!("{:.0} %", 100.0 * f64::from(blocks * block) / f64::from(chip.threads))
}

/// What each launch of whole batches executes and moves.
pub fn launches(launches: &[Executed]) -> String {
    let head = [
        "step",
        "kernel",
        "M x N x K",
        "blocks",
        "MFLOP",
        "KiB",
        "sectors: loads",
        "stores",
        "wavefronts: loads",
        "stores",
        "FMA",
    ];
    table(&head.map(str::to_owned), launches.iter().filter(|launch| !launch.is_ragged).map(launch_row))
}

fn launch_row(launch: &Executed) -> Vec<String> {
    let counts = &launch.counts;
    let products: Vec<String> = launch.products.iter().map(|[m, n, k]| format!("{m} x {n} x {k}")).collect();
    let fma = if counts.fmas == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * counts.fma_share()) };
    vec![
        launch.step.clone(),
        format!("`{}`", counts.kernel),
        products.join(" and "),
        counts.grid[0].to_string(),
        format!("{:.2}", counts.flops as f64 / 1e6),
        format!("{:.0}", counts.bytes_moved() as f64 / 1024.0),
        per_request(counts.global_loads),
        per_request(counts.global_stores),
        per_request(counts.shared_loads),
        per_request(counts.shared_stores),
        fma,
    ]
}

fn per_request(traffic: Traffic) -> String {
    if traffic.requests == 0 { "-".to_owned() } else { format!("{:.2}", traffic.per_request()) }
}

/// What distinguishes this instance of a file: the form of each of its products.
fn instance(file: &str, defines: &[String]) -> String {
    let forms: Vec<String> = ["", "_2"].into_iter().filter_map(|suffix| form(defines, suffix)).collect();
    if forms.is_empty() { file.to_owned() } else { format!("{file}: {}", forms.join("; ")) }
}

/// Layout, epilogue, tiles, a thread's share and tiles in flight, from the macros with this suffix.
fn form(defines: &[String], suffix: &str) -> Option<String> {
    let of = |name: &str| defines.iter().find_map(|define| define.strip_prefix(&format!("{name}{suffix}=")));
    let (layout, epilogue) = (of("LAYOUT")?, of("EPILOGUE")?.to_lowercase());
    let (m, n, k, stages) = (of("TILE_M")?, of("TILE_N")?, of("TILE_K")?, of("STAGES")?);
    let (thread_m, thread_n) = (of("THREAD_M")?, of("THREAD_N")?);
    Some(format!("{layout} {epilogue}, {m} x {n} x {k}, {thread_m} x {thread_n}, {stages}"))
}

fn table(head: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    line(head) + &rule + &rows.map(|row| line(&row)).collect::<String>()
}
