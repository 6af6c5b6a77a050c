//! Compiles the test kernels of the software driver and writes their PTX to `softcuda/tests/ptx`, for tests that run
//! without NVRTC. Run it from anywhere after a kernel changed:
//!
//! ```text
//! cargo run -p nvrtc --example snapshot
//! ```
#![cfg(unix)]

use std::error::Error;
use std::fs;
use std::path::Path;

use nvrtc::Nvrtc;

/// Where the kernels lie, relative to the workspace; the line tables name them so.
const KERNELS: &str = "softcuda/tests/kernels";
const SNAPSHOTS: &str = "softcuda/tests/ptx";

/// Kernels whose PTX differs most between architectures or that stand for the rest.
const FOR_MORE_ARCHITECTURES: [&str; 3] = ["features", "reduce", "sgemm_tiled"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let nvrtc = Nvrtc::find()?;
    fs::create_dir_all(root.join(SNAPSHOTS))?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(root.join(KERNELS))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "cu") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    for name in names {
        let all = FOR_MORE_ARCHITECTURES.contains(&name.as_str());
        for architecture in if all { &[75, 80, 90][..] } else { &[80] } {
            write_snapshot(&nvrtc, &root, &name, *architecture)?;
        }
    }
    Ok(())
}

fn write_snapshot(nvrtc: &Nvrtc, root: &Path, name: &str, architecture: u32) -> Result<(), Box<dyn Error>> {
    let file = format!("{KERNELS}/{name}.cu");
    let source = fs::read_to_string(root.join(&file))?;
    let options = [format!("--gpu-architecture=compute_{architecture}"), "-lineinfo".to_owned()];
    let program = nvrtc.compile(&source, &file, &options)?;
    // The compiler makes a relative name absolute by the current folder.
    let current = format!("{}/", std::env::current_dir()?.display());
    let target = format!("{SNAPSHOTS}/{name}.sm_{architecture}.ptx");
    fs::write(root.join(&target), program.ptx().replace(&current, ""))?;
    println!("{target}");
    Ok(())
}
