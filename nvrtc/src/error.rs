//! What can go wrong, each with the place and the mend.

use std::fmt;
use std::path::PathBuf;

use crate::search::{Candidate, VARIABLE};

/// Why one library could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The path cannot be resolved.
    #[error("{path} cannot be read ({reason})", path = .path.display())]
    Unreadable {
        /// The path as it was given.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A folder that holds no library of NVRTC.
    #[error("{path} holds no libnvrtc.so, neither directly nor in lib64, lib or targets/*/lib", path = .path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The system's loader refused the file.
    #[error("{path} cannot be loaded: {reason}", path = .path.display())]
    Unloadable {
        /// The file.
        path: PathBuf,
        /// The loader's reason.
        reason: String,
    },
    /// A library without NVRTC's functions.
    #[error("{path} is not NVRTC 12 or newer: it has no {symbol}", path = .path.display())]
    NotNvrtc {
        /// The file.
        path: PathBuf,
        /// The first function that is missing.
        symbol: String,
    },
    /// NVRTC before version 12, or one that does not tell its version.
    #[error("{path} is NVRTC {found}; 12.0 or newer is needed", path = .path.display(), found = version_text(*.version))]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version, if it tells one.
        version: Option<(u32, u32)>,
    },
}

/// Why no NVRTC was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The environment variable names something unusable. Nothing else is tried: what a user names is what runs.
    #[error("{VARIABLE}: {0}; name NVRTC's library or its folder, or unset {VARIABLE}")]
    Variable(LoadError),
    /// No place holds a usable library.
    #[error(
        "NVRTC was not found. Tried: {}. Run ./data-fetch.sh nvrtc or pip install nvidia-cuda-nvrtc, install a CUDA \
         toolkit, or set {VARIABLE} to libnvrtc.so or its folder",
        tried_text(.tried, .failures)
    )]
    NotFound {
        /// The places that were searched, in order.
        tried: Vec<Candidate>,
        /// Libraries that were there but could not be used.
        failures: Vec<LoadError>,
    },
}

/// Why a source did not become a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A text that C cannot hold.
    #[error("{what} contains a NUL character at byte {at}: remove it")]
    Nul {
        /// Which text, and of which file.
        what: String,
        /// Where the character stands.
        at: usize,
    },
    /// More options than NVRTC's call can count.
    #[error("{name}: {count} options are more than a call takes")]
    TooManyOptions {
        /// The source's name.
        name: String,
        /// How many there were.
        count: usize,
    },
    /// More headers than NVRTC's call can count.
    #[error("{name}: {count} headers are more than a call takes")]
    TooManyHeaders {
        /// The source's name.
        name: String,
        /// How many there were.
        count: usize,
    },
    /// NVRTC rejects the source or an option.
    #[error("{0}")]
    Rejected(Diagnosis),
    /// A call fails for another reason.
    #[error("{name}: {call} failed with {status}{}", log_text(.log))]
    Failed {
        /// The source's name.
        name: String,
        /// NVRTC's function.
        call: &'static str,
        /// NVRTC's name of the status.
        status: String,
        /// What the compiler wrote up to then.
        log: String,
    },
}

/// What NVRTC says about a source that it rejects. It prints as the first error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The name under which the source was compiled.
    pub name: String,
    /// Where the first error stands: file and line. None for errors of options.
    pub location: Option<(String, u32)>,
    /// The text of the first error.
    pub message: String,
    /// All that the compiler wrote.
    pub log: String,
}

impl Diagnosis {
    /// Reads the first error of `log`: a line `file(line): error: text`, or one that only says `error: text`.
    pub(crate) fn parse(name: &str, log: String) -> Self {
        let first = log.lines().find_map(split_error);
        let (place, message) = first.unwrap_or(("", log.lines().next().unwrap_or("rejected without a reason")));
        let (location, message) = (parse_place(place), message.trim().to_owned());
        Self { name: name.to_owned(), location, message, log }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some((file, line)) => write!(f, "{file}:{line}: {}", self.message),
            None => write!(f, "{}: {}", self.name, self.message),
        }
    }
}

/// The place and the text of a line that reports an error. Besides `error:` the compiler writes `catastrophic error:`, and
/// some errors carry a number, as `error #123:`.
fn split_error(line: &str) -> Option<(&str, &str)> {
    let start = line.find("error")?;
    let (place, rest) = line.split_at(start);
    let (number, message) = rest["error".len()..].split_once(':')?;
    let number = number.trim();
    (number.is_empty() || number.starts_with('#')).then_some((place, message))
}

fn parse_place(place: &str) -> Option<(String, u32)> {
    let (before, _) = place.rsplit_once("):")?;
    let (file, line) = before.rsplit_once('(')?;
    Some((file.to_owned(), line.parse().ok()?))
}

fn version_text(version: Option<(u32, u32)>) -> String {
    version.map_or_else(|| "of an unknown version".to_owned(), |(major, minor)| format!("{major}.{minor}"))
}

/// The places by their kind, in the order of the search; of many places of a kind only the first are told.
fn tried_text(tried: &[Candidate], failures: &[LoadError]) -> String {
    const TOLD: usize = 4;
    let kinds = tried.chunk_by(|one, other| one.found == other.found).map(|places| {
        let mut told: Vec<String> = places.iter().take(TOLD).map(|place| place.path.display().to_string()).collect();
        if places.len() > TOLD {
            told.push(format!("{} more", places.len() - TOLD));
        }
        format!("{} ({})", places[0].found, told.join(", "))
    });
    kinds.chain(failures.iter().map(ToString::to_string)).collect::<Vec<_>>().join("; ")
}

fn log_text(log: &str) -> String {
    if log.trim().is_empty() { String::new() } else { format!(": {}", log.trim()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_error_of_a_log_is_read_with_file_and_line() {
        let log =
            "a.cu(2): warning #177-D: unused\n\na.cu(7): error: identifier \"x\" is undefined\na.cu(9): error: y\n";
        let diagnosis = Diagnosis::parse("a.cu", log.to_owned());
        assert_eq!(diagnosis.location, Some(("a.cu".to_owned(), 7)));
        assert_eq!(diagnosis.to_string(), "a.cu:7: identifier \"x\" is undefined");
        assert_eq!(diagnosis.log, log);
    }

    #[test]
    fn a_file_name_with_parentheses_keeps_them() {
        let diagnosis = Diagnosis::parse("b (1).cu", "b (1).cu(3): catastrophic error: too deep".to_owned());
        assert_eq!(diagnosis.location, Some(("b (1).cu".to_owned(), 3)));
        assert_eq!(diagnosis.message, "too deep");
    }

    #[test]
    fn an_error_of_an_option_has_no_line() {
        let log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
        let diagnosis = Diagnosis::parse("c.cu", log.to_owned());
        assert_eq!(diagnosis.location, None);
        assert_eq!(diagnosis.to_string(), "c.cu: invalid value for --gpu-architecture (-arch)");
    }

    #[test]
    fn an_empty_log_still_gives_a_message() {
        assert_eq!(Diagnosis::parse("d.cu", String::new()).to_string(), "d.cu: rejected without a reason");
    }
}
