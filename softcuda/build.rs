//! Gives the shared library the name under which CUDA programs look for their driver, and names the build.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed=src");
    // The loader answers a later request for this bare name with the library that is already there. The file itself is
    // called otherwise: Cargo puts its target folder on the library path, where it would hide a real driver.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
    // Its threads run until the process ends, so its code must stay.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-env=SOFTCUDA_BUILD={:016x}", identity());
}

/// A hash (FNV-1a) of the crate's sources: a loaded library and the code that loads it must agree on what crosses between
/// them.
fn identity() -> u64 {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("build.rs")];
    collect(Path::new("src"), &mut files);
    files.sort();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for file in files {
        let text = std::fs::read(&file).unwrap_or_default();
        for byte in file.to_string_lossy().bytes().chain(text) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
