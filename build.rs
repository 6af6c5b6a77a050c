//! Notes the commit that is built, for `environment.json`, and the compiler, for benchmarks. A source tree without git builds as well,
//! without a commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Every commit and checkout appends to this log.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    note("LATENT_COMMIT", Command::new("git").args(["rev-parse", "HEAD"]));
    note("LATENT_RUSTC", Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version"));
}

/// Gives the program what `command` prints, where it succeeds.
fn note(variable: &str, command: &mut Command) {
    let Ok(output) = command.output() else { return };
    if output.status.success() {
        println!("cargo::rustc-env={variable}={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
