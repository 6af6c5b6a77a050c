//! Several runs beside each other: what to call them, and what they recorded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::trained::setting;
use crate::plot::curves::Colour;
use crate::train::{self, Record, Run};

/// The most runs side by side: as many as there are colours.
pub const MOST: usize = Colour::ORDER.len();

/// The name and the records of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// What tells it from the others.
    pub name: String,
    /// What it recorded, oldest first.
    pub records: Vec<Record>,
}

/// Names that tell `paths` apart: the last part of each, and as many before it as that takes.
///
/// # Errors
/// There are too many of them, one is not there, or is there twice.
pub fn names(paths: &[PathBuf]) -> Result<Vec<String>, Error> {
    if paths.len() > MOST {
        return Err(setting("RUN", format!("{} runs", paths.len()), format!("are more than the {MOST} colours")));
    }
    let mut parts: Vec<Vec<String>> = Vec::new();
    for path in paths {
        let fault = |source| train::Error::Read { path: path.clone(), source };
        let whole = path.canonicalize().map_err(fault)?;
        let own: Vec<String> = whole.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.contains(&own) {
            return Err(setting("RUN", path.display(), "is given twice; leave one out"));
        }
        parts.push(own);
    }
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let named = |length: usize| -> Vec<String> {
        parts.iter().map(|own| own[own.len().saturating_sub(length)..].join("/")).collect()
    };
    let differ = |names: &Vec<String>| names.iter().collect::<HashSet<_>>().len() == names.len();
    Ok((1..longest).map(named).find(differ).unwrap_or_else(|| named(longest)))
}

/// Where results about all of `paths` belong: the folder of a single run, else the folder that holds all, else the current one.
pub fn folder(paths: &[PathBuf]) -> PathBuf {
    let parent = |path: &PathBuf| path.canonicalize().ok()?.parent().map(Path::to_owned);
    match paths {
        [run] if run.is_dir() => run.clone(),
        [first, rest @ ..] if rest.iter().all(|path| parent(path) == parent(first)) => {
            // As it was typed, where it ends in a name: shorter to read than the whole path.
            let typed = first.parent().filter(|_| first.file_name().is_some()).map(Path::to_owned);
            typed.or_else(|| parent(first)).unwrap_or_default()
        }
        _ => PathBuf::new(),
    }
}

/// What the run in `dir` recorded, oldest first; nothing for a model's file.
///
/// # Errors
/// `metrics.jsonl` cannot be read.
pub fn records(dir: &Path) -> Result<Vec<Record>, Error> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    Ok(Run::open(dir, u32::MAX)?.records().to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;

    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let paths = |parts: &[&str]| -> Vec<PathBuf> {
            let paths: Vec<PathBuf> = parts.iter().map(|part| dir.path().join(part)).collect();
            paths.iter().for_each(|path| create_dir_all(path).unwrap());
            paths
        };
        assert_eq!(names(&paths(&["runs/vae-1", "runs/vae-2"])).unwrap(), ["vae-1", "vae-2"]);
        assert_eq!(names(&paths(&["a/vae", "b/vae", "b/ae"])).unwrap(), ["a/vae", "b/vae", "b/ae"]);
        assert_eq!(names(&paths(&["a/x/vae", "a/vae/../x"])).unwrap(), ["vae", "x"]);
        assert!(names(&paths(&["a/vae", "b/../a/vae"])).unwrap_err().is_input_fault());
        let many: Vec<String> = (0..=MOST).map(|i| i.to_string()).collect();
        assert!(names(&paths(&many.iter().map(String::as_str).collect::<Vec<_>>())).is_err());
        assert!(names(&[dir.path().join("none")]).unwrap_err().is_input_fault());
    }
}
