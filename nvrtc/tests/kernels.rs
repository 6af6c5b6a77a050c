//! The kernels that the software driver is tested with: each compiles, and the kept snapshots are of today's sources.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURES: [u32; 5] = [75, 80, 86, 89, 90];

fn tests_of_softcuda() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../softcuda/tests")
}

/// Name and source of every kernel file.
fn kernels() -> Vec<(String, String)> {
    let mut kernels: Vec<(String, String)> = fs::read_dir(tests_of_softcuda().join("kernels"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    kernels.sort();
    assert!(kernels.len() >= 14, "only {} kernel files", kernels.len());
    kernels
}

/// The names of the entry functions, in the order of the text.
fn entries(ptx: &str) -> Vec<&str> {
    ptx.split(".visible .entry ").skip(1).map(|rest| rest.split('(').next().unwrap()).collect()
}

fn entries_of_source(source: &str) -> usize {
    source.matches("extern \"C\" __global__").count()
}

#[test]
fn every_kernel_compiles_without_a_warning_for_every_architecture() {
    let Some(nvrtc) = common::nvrtc() else { return };
    for (name, source) in kernels() {
        for architecture in ARCHITECTURES {
            let options = [format!("--gpu-architecture=compute_{architecture}"), "-lineinfo".to_owned()];
            let program = nvrtc.compile(&source, &format!("{name}.cu"), &options).unwrap();
            assert_eq!(program.log().trim(), "", "{name} for {architecture}");
            assert_eq!(entries(program.ptx()).len(), entries_of_source(&source), "{name} for {architecture}");
            assert!(program.ptx().contains("\t.loc\t"), "{name} for {architecture} has no line table");
        }
    }
}

#[test]
fn every_kernel_assembles_to_machine_code() {
    let Some(nvrtc) = common::nvrtc() else { return };
    for (name, source) in kernels() {
        let program = nvrtc.compile(&source, &format!("{name}.cu"), &["--gpu-architecture=sm_80"]).unwrap();
        assert!(program.cubin().is_some_and(|cubin| cubin.starts_with(b"\x7fELF")), "{name}");
    }
}

#[test]
fn tensor_cores_and_asynchronous_copies_appear_from_sm_80_on() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let instructions = [
        ("gemm_bf16", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"),
        ("gemm_bf16", "ldmatrix.sync.aligned.m8n8.x4.shared.b16"),
        ("gemm_tf32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"),
        ("gemm_tf32", "cvt.rna.tf32.f32"),
        ("gemm_cp_async", "cp.async.cg.shared.global"),
        ("features", "redux.sync.add"),
    ];
    let kernels = kernels();
    for (name, instruction) in instructions {
        let (_, source) = kernels.iter().find(|(kernel, _)| kernel == name).unwrap();
        for (architecture, want) in [(75, false), (80, true)] {
            let options = [format!("--gpu-architecture=compute_{architecture}")];
            let program = nvrtc.compile(source, name, &options).unwrap();
            assert_eq!(program.ptx().contains(instruction), want, "{instruction} in {name} for {architecture}");
        }
    }
}

#[test]
fn every_kernel_has_a_small_snapshot_of_all_its_entries_without_a_path_of_a_machine() {
    for (name, source) in kernels() {
        let path = tests_of_softcuda().join("ptx").join(format!("{name}.sm_80.ptx"));
        let ptx = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(ptx.len() < 300_000, "{name}: {} bytes", ptx.len());
        assert_eq!(entries(&ptx).len(), entries_of_source(&source), "{name}: cargo run -p nvrtc --example snapshot");
        let file = format!("\t.file\t1 \"softcuda/tests/kernels/{name}.cu\"");
        assert!(ptx.contains(&file) && ptx.matches(".file").count() == 1, "{name}");
        assert!(ptx.contains("\n.target sm_80\n"), "{name}");
    }
}
