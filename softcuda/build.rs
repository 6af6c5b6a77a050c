//! Gives the shared library the name under which CUDA programs look for their driver.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The loader answers a later request for this bare name with the library that is already there. The file itself is
    // called otherwise: Cargo puts its target folder on the library path, where it would hide a real driver.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
}
