//! The generated blocks of a page: what stands between `<!-- KIND ARGUMENTS -->` and `<!-- KIND ends -->`, each on a line of its own.

use std::fmt;
use std::ops::Range;

/// What a block's last line has in place of arguments.
const ENDS: &str = "ends";
/// What a block of another program has: such a block is passed over.
const BEGINS: &str = "begins";

/// A generated block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What makes its content.
    pub kind: String,
    /// What it is made of.
    pub arguments: String,
    /// The line of its marker, from 1.
    pub line: usize,
    /// The bytes of its content in the page.
    pub content: Range<usize>,
}

/// What is wrong with a page, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.problem)
    }
}

/// The word and the rest of a line that is a marker.
fn marker(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim_end().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    Some(inner.split_once(' ').unwrap_or((inner, "")))
}

/// The run of backticks or tildes that a line opens or closes a fenced block with.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|mark| ['`', '~'].contains(mark))?;
    let run = &line[..line.len() - line.trim_start_matches(mark).len()];
    (run.len() >= 3).then_some(run)
}

/// The blocks of a page. Markers in fenced code are none, nor is a comment that no line ends.
///
/// # Errors
/// A block that does not end before the next one of its kind, or ends without having begun.
pub fn blocks(text: &str) -> Result<Vec<Block>, Fault> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut fenced): (Option<Block>, Option<&str>) = (None, None);
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let (number, end) = (index + 1, start + line.len());
        let fault = |problem: String| Err(Fault { line: number, problem });
        match (&mut open, fenced, marker(line)) {
            (Some(block), _, Some((kind, ENDS))) if kind == block.kind => {
                block.content.end = start;
                blocks.extend(open.take().filter(|block| block.arguments != BEGINS));
            }
            (Some(block), _, Some((kind, _))) if kind == block.kind => {
                return fault(format!(
                    "the block of line {} has no `<!-- {kind} {ENDS} -->` before this one",
                    block.line
                ));
            }
            (Some(_), ..) => {}
            (None, Some(run), _) => {
                fenced = fence(line).filter(|end| end.starts_with(run) && line.trim() == *end).map_or(fenced, |_| None)
            }
            (None, None, Some((kind, ENDS))) => return fault(format!("no block of kind {kind} begins before this")),
            (None, None, Some((kind, arguments)))
                if text[end..].lines().any(|line| marker(line) == Some((kind, ENDS))) =>
            {
                let (kind, arguments) = (kind.to_owned(), arguments.to_owned());
                open = Some(Block { kind, arguments, line: number, content: end..end });
            }
            (None, None, _) => fenced = fence(line),
        }
        start = end;
    }
    Ok(blocks)
}

/// A page with its blocks made anew, and where it differed: a line for each stale block. A block that `make` has nothing for stays
/// as it is.
///
/// # Errors
/// The page's markers do not pair, or a block cannot be made.
pub fn renew(
    text: &str,
    make: impl Fn(&Block) -> Result<Option<String>, String>,
) -> Result<(String, Vec<Fault>), Fault> {
    let (mut page, mut stale, mut done) = (String::new(), Vec::new(), 0);
    for block in blocks(text)? {
        let line = block.line;
        let Some(new) = make(&block).map_err(|problem| Fault { line, problem })? else { continue };
        let old = &text[block.content.clone()];
        stale.extend(difference(old, &new).map(|(at, problem)| Fault { line: line + at, problem }));
        page += &text[done..block.content.start];
        page += &new;
        done = block.content.end;
    }
    page += &text[done..];
    Ok((page, stale))
}

/// The first line, from 1, in which two contents differ, and how.
fn difference(old: &str, new: &str) -> Option<(usize, String)> {
    if old == new {
        return None;
    }
    let same = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let of = |text: &str| text.lines().nth(same).unwrap_or("(no line)").to_owned();
    Some((same + 1, format!("is {:?}, should be {:?}", of(old), of(new))))
}

/// `content` as a fenced block, its fence longer than any in it.
pub fn fenced(language: &str, content: &str) -> String {
    let longest = content.lines().filter_map(fence).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n", content.trim_end())
}
