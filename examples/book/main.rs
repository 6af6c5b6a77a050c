//! Writes the generated blocks of the book's pages: code from the sources, and what commands print.
//!
//! ```text
//! cargo build --release && cargo run --release --example book              # writes what is stale
//! cargo build --release && cargo run --release --example book -- --check   # says what is, and fails
//! ```
//!
//! A block stands between two comments, which a page keeps; what lies between them is made anew:
//!
//! ```text
//! <!-- include src/nn/models.rs#enqueue_training -->      (the lines between // ANCHOR: and // ANCHOR_END: enqueue_training)
//! <!-- include ends -->
//! <!-- include kernels/reparameterise_backward.cu -->     (all of it but its header)
//! <!-- include ends -->
//! <!-- table docs/results/anomaly.txt -->                 (a file that holds Markdown, as part of the page)
//! <!-- table ends -->
//! <!-- output latent vae --memory --threads 2 -->         (the command and what it prints)
//! <!-- output ends -->
//! <!-- markdown latent kernels compare gemm --markdown --> (the command, and what it prints as part of the page)
//! <!-- markdown ends -->
//! ```
//!
//! Another kind of block is one more module and one more line in `pages::KINDS`.

mod blocks;
mod include;
mod output;
mod pages;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use latent::files::write_atomically;

/// What can go wrong is told as it is.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => write(),
        ["--check"] => check(),
        _ => Err("usage: book [--check]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("book: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Brings every page up to date.
fn write() -> Result<()> {
    for page in pages::all(Path::new(ROOT))? {
        let (new, stale) = renewed(&page)?;
        if !stale.is_empty() {
            write_atomically(&Path::new(ROOT).join(&page), new.as_bytes())?;
            println!("{}: {} blocks written", page.display(), stale.len());
        }
    }
    Ok(())
}

/// Fails where a page is stale.
fn check() -> Result<()> {
    let mut lines = Vec::new();
    for page in pages::all(Path::new(ROOT))? {
        let stale = renewed(&page)?.1.into_iter();
        lines.extend(stale.map(|fault| format!("{}:{fault}", page.display())));
    }
    if lines.is_empty() {
        println!("the book is up to date");
        return Ok(());
    }
    Err(format!("pages are stale; run `cargo run --release --example book`\n{}", lines.join("\n")).into())
}

/// A page with its blocks made anew, and which of them were stale.
fn renewed(page: &PathBuf) -> Result<(String, Vec<blocks::Fault>)> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(page))?;
    let make = |block: &blocks::Block| pages::make(Path::new(ROOT), page, block).map(Some);
    Ok(blocks::renew(&text, make).map_err(|fault| format!("{}:{fault}", page.display()))?)
}
