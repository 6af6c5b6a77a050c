//! Compiling kernels and keeping them: what the cache spares, and what it survives.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use latent::backend::cuda::cache::Cache;
use latent::backend::cuda::compile::{CompileError, Compiler, Source};
use nvrtc::{Nvrtc, Search};

/// The architecture that the tests compile for.
const CAPABILITY: (u32, u32) = (8, 0);

fn source(define: &str) -> Source {
    Source { file: "block_sum.cuh", defines: vec![define.to_owned()] }
}

/// The NVRTCs of this machine: the one that is found, and version 12 where `./data-fetch.sh nvrtc12` put it beside.
fn compilers() -> Vec<Search> {
    let Ok(nvrtc) = Nvrtc::find() else {
        println!("skipped: NVRTC not found (./data-fetch.sh nvrtc brings it)");
        return Vec::new();
    };
    let twelve = nvrtc.path().parent().and_then(Path::parent).map(|data| data.join("nvrtc12"));
    let paths = [Some(nvrtc.path().to_owned()), twelve.filter(|path| path.is_dir())];
    paths.into_iter().flatten().map(|path| Search { variable: Some(path), ..Search::default() }).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_warm_start_compiles_nothing_and_gives_the_same_code() {
    for search in compilers() {
        let folder = tempfile::tempdir().unwrap();
        let start = || Compiler::with(CAPABILITY, Cache::at(folder.path()), search.clone());
        let mut cold = start();
        let images = ["A=1", "A=2"].map(|define| cold.image(&source(define)).unwrap());
        assert_eq!((cold.compiled(), cold.note()), (2, None));
        assert!(images[0].cubin.as_ref().unwrap().starts_with(b"\x7fELF") && images[0].ptx.contains(".target sm_80"));

        let mut warm = start();
        assert_eq!(["A=1", "A=2"].map(|define| warm.image(&source(define)).unwrap()), images);
        assert_eq!(warm.compiled(), 0);
        println!("NVRTC {:?}: {} entries", images[0].nvrtc, entries(folder.path()).len());
    }
}

#[test]
fn another_architecture_is_compiled_anew() {
    for search in compilers().into_iter().take(1) {
        let folder = tempfile::tempdir().unwrap();
        for capability in [(7, 5), (8, 0), (8, 6), (9, 0)] {
            let mut compiler = Compiler::with(capability, Cache::at(folder.path()), search.clone());
            let image = compiler.image(&source("A=1")).unwrap();
            assert_eq!(compiler.compiled(), 1);
            assert!(image.ptx.contains(&format!(".target sm_{}{}", capability.0, capability.1)));
        }
    }
}

#[test]
fn an_architecture_newer_than_the_compiler_gets_ptx_of_the_newest_it_knows() {
    for search in compilers() {
        let newest = *Nvrtc::find_in(&search).unwrap().supported_architectures().last().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let image = Compiler::with((99, 0), Cache::at(folder.path()), search).image(&source("A=1")).unwrap();
        assert_eq!(image.cubin, None);
        assert!(image.ptx.contains(&format!(".target sm_{newest}")), "{}", image.ptx);
    }
}

#[test]
fn each_nvrtc_has_entries_of_its_own_and_without_one_the_newest_serve() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let mut newest = None;
    for search in compilers() {
        let mut compiler = Compiler::with(CAPABILITY, cache.clone(), search);
        let image = compiler.image(&source("A=1")).unwrap();
        assert_eq!(compiler.compiled(), 1);
        newest = newest.max(Some(image.nvrtc));
    }
    let Some(newest) = newest else { return };
    let mut without = Compiler::with(CAPABILITY, cache, Search::default());
    assert_eq!(without.image(&source("A=1")).unwrap().nvrtc, newest);
    let message = without.image(&source("A=2")).unwrap_err().to_string();
    for part in [
        "there is nothing to compile kernels/block_sum.cuh with",
        "./data-fetch.sh nvrtc",
        "pip install nvidia-cuda-nvrtc",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(without.compiled(), 0);
}

#[test]
fn a_wrong_variable_is_told_even_where_the_cache_is_warm() {
    let Some(search) = compilers().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    Compiler::with(CAPABILITY, Cache::at(folder.path()), search).image(&source("A=1")).unwrap();
    let wrong = Search { variable: Some("/no/such/nvrtc".into()), ..Search::default() };
    let error = Compiler::with(CAPABILITY, Cache::at(folder.path()), wrong).image(&source("A=1")).unwrap_err();
    assert!(error.to_string().contains("LATENT_NVRTC: /no/such/nvrtc"), "{error}");
}

#[test]
fn a_damaged_entry_is_rebuilt() {
    let Some(search) = compilers().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || Compiler::with(CAPABILITY, Cache::at(folder.path()), search.clone());
    let image = start().image(&source("A=1")).unwrap();
    let path = entries(folder.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 0x20;
    for damaged in [&good[..good.len() / 2], b"", b"#!/bin/sh\n", &changed] {
        fs::write(&path, damaged).unwrap();
        let mut compiler = start();
        assert_eq!(compiler.image(&source("A=1")).unwrap(), image);
        assert_eq!(compiler.compiled(), 1, "an entry of {} bytes", damaged.len());
        assert_eq!(fs::read(&path).unwrap(), good, "it is whole again");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_noted_and_no_error() {
    let Some(search) = compilers().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // A part of the path is a file: that stops root too, whom permissions do not.
    let mut compiler = Compiler::with(CAPABILITY, Cache::at(file.join("kernels")), search);
    for define in ["A=1", "A=2"] {
        compiler.image(&source(define)).unwrap();
    }
    let note = compiler.note().unwrap();
    assert!(note.starts_with("compiled kernels are not kept for the next start: cannot create "), "{note}");
    assert_eq!(compiler.compiled(), 2);
}

#[test]
fn a_folder_that_may_not_be_written_still_serves() {
    let Some(search) = compilers().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || Compiler::with(CAPABILITY, Cache::at(folder.path()), search.clone());
    start().image(&source("A=1")).unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let mut compiler = start();
    compiler.image(&source("A=1")).unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(compiler.compiled(), 0);
}

#[test]
fn several_at_once_share_a_cache() {
    let Some(search) = compilers().into_iter().next() else { return };
    let folder = tempfile::tempdir().unwrap();
    let all = || {
        let mut compiler = Compiler::with(CAPABILITY, Cache::at(folder.path()), search.clone());
        ["A=1", "A=2", "A=3"].map(|define| compiler.image(&source(define)).unwrap())
    };
    let images = thread::scope(|scope| [(); 3].map(|()| scope.spawn(all)).map(|thread| thread.join().unwrap()));
    assert!(images.iter().all(|image| *image == images[0]));
    let names = entries(folder.path());
    assert!(names.len() == 3 && names.iter().all(|name| name.extension().unwrap() == "kernel"), "{names:?}");
}

#[test]
fn a_source_that_does_not_compile_is_told_with_file_line_and_log() {
    for search in compilers() {
        let folder = tempfile::tempdir().unwrap();
        let mut compiler = Compiler::with(CAPABILITY, Cache::at(folder.path()), search);
        let broken = Source { file: "gemm/product.cuh", defines: vec!["Control=missing type".to_owned()] };
        let error = compiler.image(&broken).unwrap_err();
        assert!(matches!(error, CompileError::Compiler { .. }));
        let message = error.to_string();
        let first = "kernels/gemm/product.cuh does not compile for sm_80: control.cuh:";
        assert!(message.starts_with(first) && message.contains("missing"), "{message}");
        assert!(message.contains("gemm/product.cuh(") && message.contains("errors detected"), "{message}");
        assert_eq!((compiler.compiled(), entries(folder.path()).len()), (0, 0));
    }
}

#[test]
fn a_device_before_turing_is_refused_before_anything_is_looked_for() {
    let mut compiler = Compiler::with((7, 0), Cache::at("/nowhere"), Search::default());
    let message = compiler.image(&source("A=1")).unwrap_err().to_string();
    assert!(message.contains("compute capability 7.0 is too old") && message.contains("--device cpu"), "{message}");
}
