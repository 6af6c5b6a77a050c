//! The pages of the repository, and what makes the blocks in them.

use std::io;
use std::path::{Path, PathBuf};

use super::blocks::Block;
use super::{include, output};

/// Makes the content of a block of `page` from its arguments. Paths are relative to the repository's root, the first argument.
pub type Handler = fn(&Path, &Path, &str) -> Result<String, String>;

/// The kinds of blocks.
pub const KINDS: [(&str, Handler); 4] =
    [("include", include::block), ("table", include::table), ("output", output::block), ("markdown", output::markdown)];

/// The content of `block`, of any of `KINDS`.
///
/// # Errors
/// Its kind is unknown, or it cannot be made.
pub fn make(root: &Path, page: &Path, block: &Block) -> Result<String, String> {
    let known = KINDS.iter().find(|(kind, _)| *kind == block.kind);
    let (_, handler) = known.ok_or_else(|| format!("{:?} is no kind of block", block.kind))?;
    handler(root, page, &block.arguments)
}

/// Files of the root and folders that hold pages.
const PLACES: [&str; 7] =
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "kernels", "softcuda/README.md", "nvrtc"];

/// All pages, relative to `root`, in order of their paths.
///
/// # Errors
/// A folder cannot be read.
pub fn all(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for place in PLACES {
        files(root, Path::new(place), &["md"], &mut pages)?;
    }
    Ok(pages)
}

/// Adds the files at or below `path` whose names end in one of `extensions`, relative to `root` as `path` is.
///
/// # Errors
/// A folder cannot be read.
pub fn files(root: &Path, path: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let full = root.join(path);
    if full.is_dir() {
        let mut names = std::fs::read_dir(full)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        return names.iter().try_for_each(|name| files(root, &path.join(name), extensions, found));
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if full.is_file() && extension.is_some_and(|extension| extensions.contains(&extension)) {
        found.push(path.to_owned());
    }
    Ok(())
}
