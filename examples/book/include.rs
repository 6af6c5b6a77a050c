//! Code shown in a page: `<!-- include FILE#NAME -->` takes what stands between `// ANCHOR: NAME` and `// ANCHOR_END: NAME` in a file of
//! the repository, `<!-- include FILE -->` all of it but the comment that it begins with.

use std::ops::Range;
use std::path::Path;

use super::blocks::{Fault, fenced};

/// A named part of a source: its lines, from 0, without those of its markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its name.
    pub name: String,
    /// Its lines.
    pub lines: Range<usize>,
}

/// Whether a line opens (true) or closes (false) an anchor, and its name.
fn anchor_line(line: &str) -> Option<(bool, &str)> {
    let line = line.trim();
    let comment = line.strip_prefix("// ").or_else(|| line.strip_prefix("# "))?;
    let opens = comment.strip_prefix("ANCHOR: ").map(|name| (true, name));
    opens.or_else(|| comment.strip_prefix("ANCHOR_END: ").map(|name| (false, name)))
}

/// The anchors of a source, in the order in which they close.
///
/// # Errors
/// One that opens twice, does not close, or closes without having been opened.
pub fn anchors(text: &str) -> Result<Vec<Anchor>, Fault> {
    let (mut open, mut closed): (Vec<(&str, usize)>, Vec<Anchor>) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let fault = |name: &str, what: &str| Err(Fault { line: index + 1, problem: format!("anchor {name} {what}") });
        match anchor_line(line) {
            None => {}
            Some((true, name)) => {
                if open.iter().any(|(other, _)| *other == name) || closed.iter().any(|other| other.name == name) {
                    return fault(name, "opens a second time");
                }
                open.push((name, index + 1));
            }
            Some((false, name)) => {
                let Some(at) = open.iter().position(|(other, _)| *other == name) else {
                    return fault(name, "closes but was not opened");
                };
                let (_, start) = open.remove(at);
                closed.push(Anchor { name: name.to_owned(), lines: start..index });
            }
        }
    }
    match open.first() {
        None => Ok(closed),
        Some((name, line)) => Err(Fault { line: *line, problem: format!("anchor {name} is not closed") }),
    }
}

/// The part of a source that an include names, dedented; the whole without its leading comment where `name` is none.
///
/// # Errors
/// No such anchor, or anchors that do not pair.
pub fn part(text: &str, name: Option<&str>) -> Result<String, String> {
    let anchors = anchors(text).map_err(|fault| format!("line {fault}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let range = match name {
        None => lines.iter().take_while(|line| line.starts_with("//") || line.is_empty()).count()..lines.len(),
        Some(name) => {
            let found = anchors.into_iter().find(|anchor| anchor.name == name);
            found.ok_or(format!("there is no `// ANCHOR: {name}`"))?.lines
        }
    };
    let shown: Vec<&str> = lines[range].iter().copied().filter(|line| anchor_line(line).is_none()).collect();
    Ok(dedented(&shown))
}

fn dedented(lines: &[&str]) -> String {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let least = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(least..).unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The file and the anchor that an include's arguments name.
pub fn target(arguments: &str) -> (&str, Option<&str>) {
    arguments.split_once('#').map_or((arguments, None), |(file, name)| (file, Some(name)))
}

/// A block of code with a link to its file above it. `page` is relative to `root`, as the file is.
///
/// # Errors
/// The file cannot be read or has no such part.
pub fn block(root: &Path, page: &Path, arguments: &str) -> Result<String, String> {
    let (file, name) = target(arguments);
    let text = std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
    let code = part(&text, name).map_err(|problem| format!("{file}: {problem}"))?;
    let up = "../".repeat(page.components().count() - 1);
    Ok(format!("[`{file}`]({up}{file})\n{}", fenced(language(file), &code)))
}

/// The Markdown that a file holds, as part of the page.
///
/// # Errors
/// The file cannot be read.
pub fn table(root: &Path, _page: &Path, file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
    Ok(format!("\n{}\n\n", text.trim_end()))
}

fn language(file: &str) -> &'static str {
    match Path::new(file).extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "rust",
        Some("cu" | "cuh") => "cpp",
        Some("toml") => "toml",
        Some("sh") => "sh",
        _ => "text",
    }
}
