//! Paths and functions in backticks exist.
//!
//! A function is named after its file and a colon: `` `src/backend/mod.rs`: `Backend::linear`, `Backend::adam` ``.

use std::path::Path;

use crate::markdown::Page;

/// What paths of the repository begin with.
const ROOMS: [&str; 9] = [".ci", "benches", "docs", "examples", "kernels", "nvrtc", "softcuda", "src", "tests"];

/// An operation is known by its trait wherever it is named.
const OPERATION: &str = "Backend::";
const OPERATIONS: &str = "src/backend/mod.rs";

/// Whether code in backticks is meant as a path from the root.
fn is_path(code: &str) -> bool {
    let mut parts = code.split('/');
    let room = parts.next().is_some_and(|room| ROOMS.contains(&room));
    room && parts.next().is_some() && !code.contains(char::is_whitespace)
}

/// Whether a path exists; one with a `*` where its folder has a file of such an ending.
fn exists(root: &Path, path: &str) -> bool {
    let Some((folder, ending)) = path.split_once('*') else { return root.join(path).exists() };
    let names = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().ends_with(ending))
}

/// Paths that do not exist, and functions that their file does not have. Beside them, how many functions were looked for.
pub fn faults(root: &Path, path: &Path, page: &Page) -> (Vec<String>, usize) {
    let (mut faults, mut looked_for) = (Vec::new(), 0);
    let mut file = None;
    // What stands between a file and its first function, then between functions.
    let mut joints: &[&str] = &[];
    for span in &page.spans {
        let fault = |problem: String| format!("{}:{}: {problem}", path.display(), span.line);
        if is_path(&span.code) {
            (file, joints) = (root.join(&span.code).is_file().then_some(&span.code), &[": "]);
            faults.extend((!exists(root, &span.code)).then(|| fault(format!("`{}` does not exist", span.code))));
            continue;
        }
        file = file.filter(|_| joints.contains(&span.before.as_deref().unwrap_or("")));
        joints = &[", ", " and ", ", and "];
        let of_backend = || span.code.starts_with(OPERATION).then_some(OPERATIONS);
        let Some(file) = file.map(String::as_str).or_else(of_backend) else { continue };
        looked_for += 1;
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        faults.extend((!has(&source, &span.code)).then(|| fault(format!("{file} has no `{}`", span.code))));
    }
    (faults, looked_for)
}

/// Whether a source defines `name`, all its parts.
fn has(source: &str, name: &str) -> bool {
    let words = |line: &str| -> Vec<String> {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let name = name.trim_end_matches("()");
    let (owner, item) = name.rsplit_once("::").unwrap_or(("", name));
    let code: Vec<Vec<String>> =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).map(words).collect();
    let owned = owner.is_empty() || code.iter().flatten().any(|word| word == owner);
    owned && code.iter().any(|line| defines(line, item))
}

/// Whether a line's words define `item`, in Rust by a keyword before it, in CUDA by a type or as an enumerator.
fn defines(line: &[String], item: &str) -> bool {
    const KEYWORDS: [&str; 18] = [
        "fn",
        "struct",
        "enum",
        "trait",
        "const",
        "type",
        "static",
        "mod",
        "void",
        "bool",
        "float",
        "int",
        "double",
        "float2",
        "float4",
        "uint4",
        "constexpr",
        "T",
    ];
    let at = line.iter().position(|word| word == item);
    at.is_some_and(|at| at == 0 || KEYWORDS.contains(&line[at - 1].as_str()))
}

#[test]
fn paths_and_functions_that_are_not_there_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let faults = |text: &str| faults(root, Path::new("docs/x.md"), &Page::parse(text));
    for (good, functions) in [
        ("`src/nn/models.rs` and `kernels/*.cuh`, `tests/operations`, `and/or`, `config.toml`", 0),
        ("`src/backend/mod.rs`: `Backend::linear`, `Backend::adam` and `Step`; then `whatever`", 3),
        ("[`kernels/math.cuh`](x): `leaky_relu_derivative`, `NEGATIVE_SLOPE`", 2),
        ("`kernels/gemm/product.cuh`: `BIAS_BCE`", 1),
        ("| h | `Backend::linear` |", 1),
        ("`src/nn/models.rs` holds `whatever`", 0),
        ("| `src/nn/models.rs` | `whatever` |\n", 0),
    ] {
        assert_eq!(faults(good), (Vec::new(), functions), "{good}");
    }
    for bad in [
        "`src/nn/model.rs`",
        "`kernels/*.cuda`",
        "`src/backend/mod.rs`: `Backend::linea`",
        "the operation `Backend::linea`",
        "`src/backend/mod.rs`: `Backends::linear`",
        "`src/backend/mod.rs`: `Backend::linear`, `Backend::nothing`",
        "`kernels/math.cuh`: `leaky`",
    ] {
        assert_eq!(faults(bad).0.len(), 1, "{bad}");
    }
}
