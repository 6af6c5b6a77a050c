//! The pages hold what they promise: links lead somewhere, code is that of the sources, commands can be typed, and what is named in
//! backticks exists.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../examples/book/blocks.rs"]
mod blocks;
mod commands;
#[path = "../emulated/mod.rs"]
mod emulated;
#[path = "../../examples/book/include.rs"]
mod include;
mod launches;
mod links;
mod markdown;
mod names;
#[allow(dead_code, reason = "commands are run by the example alone")]
#[path = "../../examples/book/output.rs"]
mod output;
#[path = "../../examples/book/pages.rs"]
mod pages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blocks::{Block, blocks, renew};
use links::Pages;
use markdown::Page;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Folders whose sources may have parts that pages include.
const SOURCES: [&str; 7] = ["src", "kernels", "tests", "examples", "benches", "softcuda", "nvrtc"];

fn texts() -> BTreeMap<PathBuf, String> {
    let read = |page: PathBuf| {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&page)).unwrap();
        (page, text)
    };
    pages::all(Path::new(ROOT)).unwrap().into_iter().map(read).collect()
}

fn parsed() -> Pages {
    texts().into_iter().map(|(path, text)| (path, Page::parse(&text))).collect()
}

#[track_caller]
fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The faults that `look` finds in all pages; it must have looked at `least` things or more.
#[track_caller]
fn assert_all_pages(least: usize, look: impl Fn(&Path, &Page) -> (Vec<String>, usize)) {
    let (faults, counts): (Vec<_>, Vec<_>) = parsed().iter().map(|(path, page)| look(path, page)).unzip();
    let count: usize = counts.iter().sum();
    println!("{count} looked at");
    assert_none(faults.concat());
    assert!(count >= least, "only {count} found: is the form that is looked for still in use?");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = parsed();
    assert_none(pages.keys().flat_map(|page| links::faults(Path::new(ROOT), &pages, page)).collect());
}

#[test]
fn the_table_of_contents_lists_every_chapter() {
    assert_none(links::unlisted(&parsed()));
}

#[test]
fn every_path_and_every_function_named_exists() {
    assert_all_pages(20, |path, page| names::faults(Path::new(ROOT), path, page));
}

#[test]
fn every_command_can_be_typed() {
    assert_all_pages(20, |path, page| commands::faults(Path::new(ROOT), path, page));
}

#[test]
fn code_shown_is_that_of_the_sources() {
    for (path, text) in texts() {
        let make = |block: &Block| match block.kind.as_str() {
            "include" => pages::make(Path::new(ROOT), &path, block).map(Some),
            kind if pages::KINDS.iter().any(|(known, _)| *known == kind) => Ok(None),
            kind => Err(format!("{kind:?} is no kind of block")),
        };
        let (_, stale) = renew(&text, make).unwrap_or_else(|fault| panic!("{}:{fault}", path.display()));
        let lines =
            stale.iter().map(|fault| format!("{}:{fault}; run `cargo run --release --example book`", path.display()));
        assert_none(lines.collect());
    }
}

#[test]
fn every_anchor_in_the_sources_closes_and_is_shown_by_a_page() {
    let mut shown: Vec<String> = Vec::new();
    for text in texts().values() {
        let included = blocks(text).unwrap().into_iter().filter(|block| block.kind == "include");
        shown.extend(included.map(|block| block.arguments));
    }
    let mut files = Vec::new();
    for room in SOURCES {
        pages::files(Path::new(ROOT), Path::new(room), &["rs", "cu", "cuh", "toml", "sh"], &mut files).unwrap();
    }
    let unused = |file: &PathBuf| {
        let text = std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        let anchors = include::anchors(&text).unwrap_or_else(|fault| panic!("{}:{fault}", file.display()));
        let names = anchors.into_iter().map(|anchor| format!("{}#{}", file.display(), anchor.name));
        names.filter(|name| !shown.contains(name)).map(|name| format!("no page shows {name}")).collect::<Vec<_>>()
    };
    assert_none(files.iter().flat_map(unused).collect());
}

#[test]
fn blocks_are_found_and_made_anew() {
    let text = "a\n<!-- include x.rs#y -->\nold\n<!-- include ends -->\n<!-- a note -->\n```md\n<!-- include z -->\n```\n\
                <!-- other begins -->\n<!-- include ends -->\n<!-- other ends -->\nb\n";
    let found = blocks(text).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind.as_str(), found[0].arguments.as_str(), found[0].line), ("include", "x.rs#y", 2));
    let (new, stale) = renew(text, |_| Ok(Some("new\n".to_owned()))).unwrap();
    assert_eq!(new, text.replace("old", "new"));
    assert_eq!((stale.len(), stale[0].line), (1, 3));
    assert_eq!(renew(&new, |_| Ok(Some("new\n".to_owned()))).unwrap(), (new.clone(), Vec::new()));
    assert_eq!(renew(text, |_| Err("gone".to_owned())).unwrap_err().line, 2);
}

#[test]
fn blocks_that_do_not_pair_are_found() {
    assert_eq!(blocks("<!-- include ends -->\n").unwrap_err().line, 1);
    let twice = "<!-- include a -->\n<!-- include b -->\n<!-- include ends -->\n";
    assert_eq!(blocks(twice).unwrap_err().line, 2);
}

#[test]
fn a_part_of_a_source_is_dedented_and_has_no_markers() {
    let source = "// head\n//\n\nfn f() {\n    // ANCHOR: a\n    if x {\n        // ANCHOR: b\n        y();\n        // ANCHOR_END: b\n\n    }\n    // ANCHOR_END: a\n}\n";
    assert_eq!(include::part(source, Some("a")).unwrap(), "if x {\n    y();\n\n}");
    assert_eq!(include::part(source, Some("b")).unwrap(), "y();");
    assert_eq!(include::part(source, None).unwrap(), "fn f() {\n    if x {\n        y();\n\n    }\n}");
    assert!(include::part(source, Some("c")).is_err());
}

#[test]
fn anchors_that_do_not_pair_are_found() {
    for (source, line) in [
        ("// ANCHOR: a\n", 1),
        ("x\n// ANCHOR_END: a\n", 2),
        ("// ANCHOR: a\n// ANCHOR_END: a\n# ANCHOR: a\n# ANCHOR_END: a\n", 3),
    ] {
        assert_eq!(include::anchors(source).unwrap_err().line, line, "{source:?}");
    }
}
