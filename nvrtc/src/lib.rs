//! Finds, loads and calls NVRTC, NVIDIA's run-time compiler of CUDA C++.
//!
//! ```no_run
//! let nvrtc = nvrtc::Nvrtc::find()?;
//! let program = nvrtc.compile("__global__ void nothing() {}", "nothing.cu", &["--gpu-architecture=compute_80"])?;
//! println!("{}", program.ptx());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The library is found at run time, never linked: in the order of [`Search`], which [`Nvrtc::find`] applies to this
//! process. It stays loaded until the process ends, so that a client that later opens NVRTC by its bare name gets it too.
//! Any version from 12.0 on will do.

#![cfg(unix)]

mod error;
mod library;
mod program;
mod search;

use std::path::Path;

pub use error::{CompileError, Diagnosis, Error, LoadError};
pub use program::Program;
pub use search::{Candidate, Found, Search};

use library::Library;
use program::Input;

/// NVRTC, loaded. Copies stand for the same library; all functions may be called from several threads at once.
#[derive(Clone, Copy)]
pub struct Nvrtc {
    library: &'static Library,
    found: Found,
}

impl Nvrtc {
    /// The first NVRTC among the places of this process.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] where `$LATENT_NVRTC` is set and wrong, [`Error::NotFound`] where no place holds a usable one.
    pub fn find() -> Result<Self, Error> {
        Self::find_in(&Search::of_this_process())
    }

    /// The first NVRTC among the places of `search`.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn find_in(search: &Search) -> Result<Self, Error> {
        search.first().map(|(library, found)| Self { library, found })
    }

    /// The NVRTC at `path`, a library or a folder that holds one.
    ///
    /// # Errors
    ///
    /// [`LoadError`] where it is missing, cannot be loaded, or is not NVRTC 12 or newer.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Ok(Self { library: search::at(path.as_ref())?, found: Found::Path })
    }

    /// Major and minor version.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.library.version
    }

    /// The architectures it compiles for, as in 80 for `sm_80`, ascending.
    #[must_use]
    pub fn supported_architectures(&self) -> &[u32] {
        &self.library.architectures
    }

    /// The library's absolute path, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.library.path
    }

    /// How it was found.
    #[must_use]
    pub fn found(&self) -> Found {
        self.found
    }

    /// Compiles `source`, which messages and line tables call `name`. The options reach NVRTC as they are.
    ///
    /// # Errors
    ///
    /// [`CompileError::Rejected`] with the first error's file and line where the source or an option is wrong.
    pub fn compile<S: AsRef<str>>(&self, source: &str, name: &str, options: &[S]) -> Result<Program, CompileError> {
        self.compile_with_headers(source, name, &[], options)
    }

    /// Compiles like [`compile`](Self::compile), where `source` may include `headers`: the name by which each is included, and
    /// its text. They may include each other.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile); an error in a header is told with the header's name and line.
    pub fn compile_with_headers<S: AsRef<str>>(
        &self,
        source: &str,
        name: &str,
        headers: &[(&str, &str)],
        options: &[S],
    ) -> Result<Program, CompileError> {
        program::compile(self.library, Input { source, name, headers, expressions: &[] }, options)
    }

    /// Compiles like [`compile`](Self::compile), and instantiates what `expressions` name: `scale<float>`, for example,
    /// whose name in the PTX [`Program::lowered_name`] then tells.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile); an expression that names nothing is rejected too.
    pub fn compile_named<S: AsRef<str>>(
        &self,
        source: &str,
        name: &str,
        options: &[S],
        expressions: &[&str],
    ) -> Result<Program, CompileError> {
        program::compile(self.library, Input { source, name, headers: &[], expressions }, options)
    }
}

impl std::fmt::Debug for Nvrtc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, version) = (self.path(), self.version());
        f.debug_struct("Nvrtc").field("path", &path).field("version", &version).field("found", &self.found).finish()
    }
}
