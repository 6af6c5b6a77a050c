//! From a file of CUDA C++ or PTX to PTX.

use nvrtc::{CompileError, Nvrtc};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A kernel's source that does not become PTX.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("{} cannot be read: {cause}; name a file of CUDA C++ (.cu) or PTX (.ptx)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        cause: io::Error,
    },
    /// The name does not tell what the file holds.
    #[error("{} is neither CUDA C++ nor PTX by its name: call it .cu or .ptx", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// No compiler.
    #[error("{0}")]
    Missing(#[from] nvrtc::Error),
    /// The compiler rejects the source.
    #[error("{error}{log}")]
    Rejected {
        /// What is wrong.
        error: Box<CompileError>,
        /// All that the compiler wrote.
        log: String,
    },
}

/// How CUDA C++ is compiled.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the code is made for.
    pub architecture: Architecture,
    /// Macros, as `NAME=VALUE` or `NAME`.
    pub defines: Vec<String>,
    /// Further options, as they are.
    pub others: Vec<String>,
}

/// An architecture by its number, which may be followed by a letter: `80`, `90a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture(String);

/// A text that is no architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an architecture: write it like sm_80")]
pub struct ArchitectureError;

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Architecture, ArchitectureError> {
        let number = text.strip_prefix("sm_").or_else(|| text.strip_prefix("compute_")).unwrap_or(text);
        let digits = number.strip_suffix(['a', 'f']).unwrap_or(number);
        let known = (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if known { Ok(Architecture(number.to_owned())) } else { Err(ArchitectureError) }
    }
}

impl Architecture {
    /// That of a device.
    pub fn of((major, minor): (u32, u32)) -> Architecture {
        Architecture(format!("{major}{minor}"))
    }
}

/// PTX, and what the kernel asked for is called in it.
#[derive(Debug)]
pub struct Source {
    /// The text.
    pub ptx: String,
    /// The kernel's name there, where the compiler told it.
    pub kernel: Option<String>,
}

/// Reads PTX, or compiles CUDA C++; an instance of a template, such as `scale<float>`, is made if `kernel` names one.
///
/// # Errors
/// See [`SourceError`].
pub fn load(path: &Path, kernel: Option<&str>, options: &Options) -> Result<Source, SourceError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let read =
        || std::fs::read_to_string(path).map_err(|cause| SourceError::Unreadable { path: path.to_owned(), cause });
    match extension {
        Some("ptx") => Ok(Source { ptx: read()?, kernel: kernel.map(str::to_owned) }),
        Some("cu") => compile(path, &read()?, kernel, options),
        _ => Err(SourceError::Kind { path: path.to_owned() }),
    }
}

fn compile(path: &Path, text: &str, kernel: Option<&str>, options: &Options) -> Result<Source, SourceError> {
    // Reports name the file by the path that the compiler got: an absolute one can be opened from anywhere.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut flags = vec![
        format!("--gpu-architecture=compute_{}", options.architecture.0),
        "-lineinfo".to_owned(),
        format!("--include-path={}", folder.display()),
    ];
    flags.extend(options.defines.iter().map(|define| format!("--define-macro={define}")));
    flags.extend(options.others.iter().cloned());
    let template = kernel.filter(|name| name.contains('<'));
    let instances: Vec<&str> = template.into_iter().collect();
    let program =
        Nvrtc::find()?.compile_named(text, &path.display().to_string(), &flags, &instances).map_err(rejected)?;
    let lowered = template.and_then(|name| program.lowered_name(name));
    Ok(Source { ptx: program.ptx().to_owned(), kernel: lowered.or(kernel).map(str::to_owned) })
}

fn rejected(error: CompileError) -> SourceError {
    let log = match &error {
        CompileError::Rejected(diagnosis) if !diagnosis.log.trim().is_empty() => {
            format!("\n{}", diagnosis.log.trim_end())
        }
        _ => String::new(),
    };
    SourceError::Rejected { error: Box::new(error), log }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_read_with_and_without_a_prefix() {
        for (text, number) in
            [("sm_80", "80"), ("compute_75", "75"), ("90", "90"), ("sm_90a", "90a"), ("sm_120", "120")]
        {
            assert_eq!(text.parse(), Ok(Architecture(number.to_owned())));
        }
        for text in ["", "sm_", "sm_8", "sm_8x", "sm_90b", "ampere", "sm_1000"] {
            assert_eq!(text.parse::<Architecture>(), Err(ArchitectureError), "{text}");
        }
        assert_eq!(Architecture::of((8, 9)), Architecture("89".to_owned()));
    }
}
