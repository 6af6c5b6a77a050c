//! Notes the commit that is built, for `environment.json`. A source tree without git builds as well, without a commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Every commit and checkout appends to this log.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    let Ok(output) = Command::new("git").args(["rev-parse", "HEAD"]).output() else { return };
    if output.status.success() {
        println!("cargo::rustc-env=LATENT_COMMIT={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
