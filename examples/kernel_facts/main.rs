//! What the compiler makes of the kernels and what they execute, as the tables of `docs/kernels.md`:
//!
//! ```text
//! cargo run --release --example kernel_facts              # writes the tables anew
//! cargo run --release --example kernel_facts -- --check   # fails where they are out of date
//! ```
//!
//! Both fail where the compiler warns or spills a register. It needs NVRTC (`./data-fetch.sh nvrtc`) and no GPU: the steps of both
//! models at the real sizes run on the software driver, once on a device of compute capability 8.0 and once on one of 7.5. A process
//! has one device, so each of these runs is a process of its own, which prints what it launched as JSON.

mod compiled;
mod executed;
mod reading;
mod table;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use latent::files::write_atomically;

use executed::Executed;

/// What can go wrong is told as it is.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The option of a process that runs the steps on a device of a compute capability, as in 80.
const EXECUTE: &str = "--execute";

/// The page, and between which lines of it the tables stand.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kernels.md");
const BEGIN: &str = "<!-- kernel_facts begins -->\n";
const END: &str = "<!-- kernel_facts ends -->\n";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kernel_facts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(write_atomically(Path::new(PAGE), page()?.1.as_bytes())?),
        ["--check"] => check(),
        [EXECUTE, capability] => {
            serde_json::to_writer(std::io::stdout().lock(), &executed::run(capability.parse()?)?)?;
            Ok(())
        }
        _ => Err("usage: kernel_facts [--check]".into()),
    }
}

fn check() -> Result<()> {
    let (old, new) = page()?;
    let stale = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    if old == new {
        println!("docs/kernels.md is up to date: no warning, no spill");
        return Ok(());
    }
    let (old, new) = stale.unwrap_or(("(other lines)", ""));
    Err(format!("docs/kernels.md is out of date; run `cargo run --release --example kernel_facts`\n- {old}\n+ {new}")
        .into())
}

/// The page as it is, and as it should be.
fn page() -> Result<(String, String)> {
    let old = std::fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let markers = || format!("{PAGE}: the lines {BEGIN:?} and {END:?} are missing; write them where the tables belong");
    let (before, rest) = old.split_once(BEGIN).ok_or_else(markers)?;
    let (_, after) = rest.split_once(END).ok_or_else(markers)?;
    let new = format!("{before}{BEGIN}{}{END}{after}", tables()?);
    Ok((old.clone(), new))
}

fn tables() -> Result<String> {
    let (turing, modern) = (execute(75)?, execute(80)?);
    let kernels = compiled::all(&turing, &modern)?;
    let (major, minor) = nvrtc::Nvrtc::find()?.version();
    let (resources, launches) = (table::resources(&kernels), table::launches(&modern));
    Ok(format!("\n### Resources, by NVRTC {major}.{minor}\n\n{resources}\n### Launches\n\n{launches}\n"))
}

/// The launches on a device of a compute capability, in another process.
fn execute(capability: u32) -> Result<Vec<Executed>> {
    let child = Command::new(std::env::current_exe()?).args([EXECUTE, &capability.to_string()]).output()?;
    if !child.status.success() {
        let text = String::from_utf8_lossy(&child.stderr);
        return Err(format!("the steps on a device of compute capability {capability} failed:\n{text}").into());
    }
    Ok(serde_json::from_slice(&child.stdout)?)
}
