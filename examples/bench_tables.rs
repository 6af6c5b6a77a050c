//! Renders the reports of benchmarks as tables.
//!
//! ```text
//! cargo run --release --example bench_tables               # writes the tables of docs/benchmarks.md anew
//! cargo run --release --example bench_tables -- --check    # fails where they are out of date
//! cargo run --release --example bench_tables -- --show target/bench/cpu_ops.json
//! ```
//!
//! The table of group G stands between the lines `<!-- bench G begins -->` and `<!-- bench G ends -->` of the page and is made of
//! `figures/G.json` beside it. Markers without a file and a file without markers are errors. Another folder than `docs` may be
//! named last.

#[path = "../benches/harness/mod.rs"]
mod harness;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use latent::files::write_atomically;

use harness::{Failure, Report};

const USAGE: &str = "usage: bench_tables [--check] [FOLDER], or bench_tables --show REPORT.json ...";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs").as_ref();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--show", files @ ..] if !files.is_empty() => files.iter().try_for_each(|file| show(file.as_ref())),
        ["--check"] => check(docs),
        ["--check", folder] => check(folder.as_ref()),
        [] => write(docs),
        [folder] if !folder.starts_with('-') => write(folder.as_ref()),
        _ => Err(USAGE.into()),
    }
}

fn show(file: &Path) -> Result<(), Failure> {
    let report = Report::read(file)?;
    println!("## {}\n\n{}", report.group, body(&report));
    Ok(())
}

fn write(folder: &Path) -> Result<(), Failure> {
    let (path, _, new) = page(folder)?;
    Ok(write_atomically(&path, new.as_bytes())?)
}

fn check(folder: &Path) -> Result<(), Failure> {
    let (path, old, new) = page(folder)?;
    if old == new {
        println!("{} shows the figures of its reports", path.display());
        return Ok(());
    }
    let differ = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    let (old, new) = differ.unwrap_or(("(other lines)", ""));
    let advice = "is out of date; run `cargo run --release --example bench_tables`";
    Err(format!("{} {advice}\n- {old}\n+ {new}", path.display()).into())
}

/// The page's path, the page as it is, and as it should be.
fn page(folder: &Path) -> Result<(PathBuf, String, String), Failure> {
    let path = folder.join("benchmarks.md");
    let old = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut new, mut shown, mut lines) = (String::new(), BTreeSet::new(), old.split_inclusive('\n'));
    while let Some(line) = lines.next() {
        new += line;
        let Some(group) = marked(line, "begins") else { continue };
        let ending = |line: &&str| marked(line, "ends") == Some(group);
        let end = lines.find(ending).ok_or(format!("{}: no line <!-- bench {group} ends -->", path.display()))?;
        let report = Report::read(&folder.join("figures").join(group).with_extension("json"))?;
        new += &format!("\n{}\n{end}", body(&report));
        shown.insert(group.to_owned());
    }
    let missing: Vec<String> = reports(&folder.join("figures"))?.difference(&shown).cloned().collect();
    match missing.as_slice() {
        [] => Ok((path, old, new)),
        [group, ..] => {
            let text = "has no line <!-- bench {group} begins -->".replace("{group}", group);
            Err(format!("{} {text}, but there is figures/{group}.json", path.display()).into())
        }
    }
}

/// The group of a marker line.
fn marked<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix("<!-- bench ")?.strip_suffix(" -->")?.strip_suffix(word)?.strip_suffix(' ')
}

/// The groups that have a report in `folder`.
fn reports(folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let files = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut groups = BTreeSet::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            groups.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(groups)
}

fn body(report: &Report) -> String {
    format!("{}\n\n{}", report.setting, report.tables())
}
