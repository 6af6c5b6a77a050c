//! Compiling with the NVRTC of this machine.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod common;

use std::thread;

use nvrtc::{CompileError, Diagnosis, Nvrtc};

const SCALE: &str = "extern \"C\" __global__ void scale(float* x, float s) { x[threadIdx.x] *= s; }";

fn rejected(result: Result<nvrtc::Program, CompileError>) -> Diagnosis {
    match result {
        Err(CompileError::Rejected(diagnosis)) => diagnosis,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ptx_is_made_for_every_architecture_asked_for() {
    let Some(nvrtc) = common::nvrtc() else { return };
    for architecture in [75, 80, 86, 89, 90] {
        assert!(nvrtc.supported_architectures().contains(&architecture), "{architecture}");
        let options = [format!("--gpu-architecture=compute_{architecture}")];
        let program = nvrtc.compile(SCALE, "scale.cu", &options).unwrap();
        assert!(program.ptx().contains(&format!("\n.target sm_{architecture}\n")), "{}", program.ptx());
        assert!(program.ptx().contains(".visible .entry scale(") && program.ptx().ends_with('\n'));
        assert_eq!((program.cubin(), program.log()), (None, ""));
    }
}

#[test]
fn a_real_architecture_gives_machine_code_beside_the_ptx() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let program = nvrtc.compile(SCALE, "scale.cu", &["--gpu-architecture=sm_80"]).unwrap();
    assert!(program.cubin().unwrap().starts_with(b"\x7fELF"));
    assert!(program.ptx().contains("\n.target sm_80\n"));
}

#[test]
fn options_reach_the_compiler_as_they_are() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let source = "extern \"C\" __global__ void f(float* x) { x[SLOT] = sinf(x[0]) / x[1]; }";
    let plain = nvrtc.compile(source, "f.cu", &["-DSLOT=7"]).unwrap();
    let fast = nvrtc.compile(source, "f.cu", &["-DSLOT=7", "--use_fast_math", "-lineinfo"]).unwrap();
    assert!(plain.ptx().contains("+28]") && plain.ptx().contains("div.rn.f32") && !plain.ptx().contains("\t.loc\t"));
    assert!(
        fast.ptx().contains("div.approx.ftz.f32") && fast.ptx().contains("f.cu\"") && fast.ptx().contains("\t.loc\t")
    );
}

#[test]
fn an_error_tells_its_file_and_line() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let source = "__global__ void f(int* x) {\n    int unused;\n    x[0] = missing;\n    also = 1;\n}\n";
    let diagnosis = rejected(nvrtc.compile(source, "broken.cu", &["--gpu-architecture=compute_80"]));
    assert_eq!(diagnosis.location, Some(("broken.cu".to_owned(), 3)));
    assert_eq!(diagnosis.to_string(), "broken.cu:3: identifier \"missing\" is undefined");
    assert!(diagnosis.log.contains("broken.cu(4): error") && diagnosis.name == "broken.cu", "{}", diagnosis.log);
}

#[test]
fn a_line_directive_moves_the_error() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let diagnosis = rejected(nvrtc.compile("#line 40 \"part.cuh\"\nint x = y;\n", "whole.cu", &[""; 0]));
    assert_eq!(diagnosis.location, Some(("part.cuh".to_owned(), 40)));
}

const HEADERS: [(&str, &str); 2] = [
    ("outer.cuh", "#pragma once\n#include \"parts/inner.cuh\"\n__device__ float six() { return 2.0f * three(); }\n"),
    ("parts/inner.cuh", "#pragma once\n\n__device__ float three() { return THREE; }\n"),
];

const INCLUDER: &str = "#include \"parts/inner.cuh\"\n#include \"outer.cuh\"
extern \"C\" __global__ void f(float* x) { x[0] = six() + three(); }\n";

#[test]
fn headers_are_included_by_the_source_and_by_each_other() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let program = nvrtc.compile_with_headers(INCLUDER, "f.cu", &HEADERS, &["-DTHREE=3.0f"]).unwrap();
    // 9.0f, folded.
    assert!(program.ptx().contains("1091567616") || program.ptx().contains("0f41100000"), "{}", program.ptx());
    assert_eq!(program.log(), "");
}

#[test]
fn an_error_in_a_header_tells_the_headers_name_and_line() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let diagnosis = rejected(nvrtc.compile_with_headers(INCLUDER, "f.cu", &HEADERS, &[""; 0]));
    assert_eq!(diagnosis.location, Some(("parts/inner.cuh".to_owned(), 3)), "{}", diagnosis.log);
    assert!(diagnosis.message.contains("THREE"), "{diagnosis}");
}

#[test]
fn a_header_that_is_not_given_is_an_error_where_it_is_included() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let diagnosis = rejected(nvrtc.compile_with_headers(INCLUDER, "f.cu", &HEADERS[..1], &["-DTHREE=3.0f"]));
    assert_eq!(diagnosis.location, Some(("f.cu".to_owned(), 1)), "{}", diagnosis.log);
    assert!(diagnosis.message.contains("parts/inner.cuh"), "{diagnosis}");
}

#[test]
fn a_wrong_option_is_rejected_with_its_name() {
    let Some(nvrtc) = common::nvrtc() else { return };
    for option in ["--gpu-architecture=compute_1", "--no-such-option"] {
        let diagnosis = rejected(nvrtc.compile(SCALE, "scale.cu", &[option]));
        assert_eq!(diagnosis.location, None, "{option}");
        assert!(diagnosis.log.contains(option.split('=').next().unwrap()), "{option}: {}", diagnosis.log);
    }
}

#[test]
fn a_warning_stands_in_the_log_with_the_sources_name() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let source = "__global__ void f() {\n    int never_used;\n}\n";
    let program = nvrtc.compile(source, "warns.cu", &["--gpu-architecture=compute_80"]).unwrap();
    assert!(program.log().contains("warns.cu(2): warning"), "{}", program.log());
}

#[test]
fn a_nul_in_source_name_or_option_is_an_error_that_says_where() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let cases = [
        (nvrtc.compile("int a;\0", "a.cu", &[""; 0]), "the source of a.cu contains a NUL character at byte 6"),
        (nvrtc.compile("", "a\0.cu", &[""; 0]), "the name \"a\\0.cu\" contains a NUL character at byte 1"),
        (nvrtc.compile_with_headers("", "a.cu", &[("b.cuh", "\0")], &[""; 0]), "the header b.cuh contains a NUL"),
        (
            nvrtc.compile_with_headers("", "a.cu", &[("\0", "")], &[""; 0]),
            "the name of header 1 for a.cu contains a NUL",
        ),
        (nvrtc.compile("", "a.cu", &["-w", "-D\0"]), "option 2 for a.cu contains a NUL character at byte 2"),
    ];
    for (result, want) in cases {
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(want), "{message}");
    }
}

#[test]
fn a_name_expression_instantiates_a_template_and_tells_its_name() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let source = "template <typename T> __global__ void twice(T* x) { x[0] *= T(2); }";
    let program = nvrtc.compile_named(source, "t.cu", &[""; 0], &["twice<float>", "twice<double>"]).unwrap();
    for expression in ["twice<float>", "twice<double>"] {
        let name = program.lowered_name(expression).unwrap();
        assert!(program.ptx().contains(&format!(".entry {name}(")), "{name}");
    }
    assert_ne!(program.lowered_name("twice<float>"), program.lowered_name("twice<double>"));
    assert_eq!(program.lowered_name("twice<int>"), None);

    let wrong = nvrtc.compile_named(source, "t.cu", &[""; 0], &["thrice<float>"]);
    assert!(rejected(wrong).log.contains("thrice"));
}

#[test]
fn threads_compile_at_once_and_get_their_own_programs() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let one = |number: usize| {
        let source = format!("extern \"C\" __global__ void kernel_{number}(int* x) {{ x[0] = {number}; }}");
        nvrtc.compile(&source, "k.cu", &["--gpu-architecture=compute_80"]).unwrap().ptx().to_owned()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || one(number))).collect();
        for (number, thread) in threads.into_iter().enumerate() {
            assert!(thread.join().unwrap().contains(&format!(".entry kernel_{number}(")), "{number}");
        }
    });
}

#[test]
fn a_library_is_loaded_once_by_whatever_path_it_is_named() {
    let Some(nvrtc) = common::nvrtc() else { return };
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("libnvrtc.so");
    std::os::unix::fs::symlink(nvrtc.path(), &link).unwrap();
    for path in [link.as_path(), folder.path(), nvrtc.path()] {
        let again = Nvrtc::load(path).unwrap();
        assert_eq!((again.path(), again.version()), (nvrtc.path(), nvrtc.version()));
        assert!(std::ptr::eq(again.supported_architectures(), nvrtc.supported_architectures()));
    }
}
