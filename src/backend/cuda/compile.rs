//! Kernels from their sources: out of the cache, or else from NVRTC, for the device's own architecture.

use nvrtc::{Nvrtc, Program, Search};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Hash, Key};
use super::device::Version;
use super::sources;

/// The oldest compute capability that the kernels run on: Turing.
pub const OLDEST_CAPABILITY: Version = Version(7, 5);

/// What all kernels are compiled with. Contraction is off, so that a sum has the same bits here and on the processor: a fused multiply-add is written `fmaf`.
pub const OPTIONS: [&str; 3] = ["--std=c++17", "--fmad=false", "-lineinfo"];

/// A file of kernels and the settings of its macros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The file, relative to `kernels/`.
    pub file: &'static str,
    /// Macros, as in `TILE=64`.
    pub defines: Vec<String>,
}

/// What the driver loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Machine code, where the compiler knows the device's architecture.
    pub cubin: Option<Vec<u8>>,
    /// What the driver itself can compile, if it is not older than the compiler.
    pub ptx: String,
    /// The version of NVRTC that made it.
    pub nvrtc: (u32, u32),
}

/// Why there is no code for the device.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The device is older than the kernels allow.
    #[error(
        "compute capability {capability} is too old: {OLDEST_CAPABILITY} (Turing) or newer is needed; use --device cpu"
    )]
    DeviceTooOld {
        /// The device's compute capability.
        capability: Version,
    },
    /// The device is older than the compiler allows.
    #[error(
        "NVRTC {}.{} compiles for sm_{oldest} and newer, and this device is sm_{architecture}; use an older NVRTC: run \
         ./data-fetch.sh nvrtc12 and set LATENT_NVRTC=data/nvrtc12",
        .nvrtc.0, .nvrtc.1
    )]
    ArchitectureUnknown {
        /// The device's architecture.
        architecture: u32,
        /// The oldest that the compiler knows.
        oldest: u32,
        /// The compiler's version.
        nvrtc: (u32, u32),
    },
    /// No compiler, and the kernel is not in the cache.
    #[error("there is nothing to compile {file} with: {source}")]
    NoCompiler {
        /// The file.
        file: String,
        /// Where NVRTC was looked for.
        source: Box<nvrtc::Error>,
    },
    /// No such file among the sources.
    #[error("kernels/{0} is not among the embedded sources; add it to src/backend/cuda/sources.rs")]
    UnknownSource(&'static str),
    /// The compiler refuses the source. Its message tells file and line.
    #[error("{file} does not compile for {architecture}: {source}; correct the source, or try another NVRTC with \
        LATENT_NVRTC{}", log_text(.source))]
    Compiler {
        /// The file that was compiled. The error may be in a header.
        file: String,
        /// The architecture it was compiled for.
        architecture: String,
        /// What the compiler says.
        source: Box<nvrtc::CompileError>,
    },
}

/// All that the compiler wrote, where the first error is not all of it.
fn log_text(error: &nvrtc::CompileError) -> String {
    match error {
        nvrtc::CompileError::Rejected(diagnosis) => format!("\n{}", diagnosis.log.trim_end()),
        _ => String::new(),
    }
}

/// Compiles for one kind of device, or takes from the cache what was compiled before.
pub struct Compiler {
    capability: (u32, u32),
    cache: Cache,
    search: Search,
    nvrtc: Option<Result<Nvrtc, nvrtc::Error>>,
    compiled: usize,
    note: Option<String>,
}

impl Compiler {
    /// A compiler for devices of this compute capability, with this process's cache and NVRTC.
    pub fn new(capability: (u32, u32)) -> Self {
        Self::with(capability, Cache::of_this_process(), Search::of_this_process())
    }

    /// A compiler with this cache, which looks for NVRTC in the places of `search`.
    pub fn with(capability: (u32, u32), cache: Cache, search: Search) -> Self {
        Self { capability, cache, search, nvrtc: None, compiled: 0, note: None }
    }

    /// The code of `source`.
    ///
    /// # Errors
    /// See [`CompileError`]. Whatever is wrong with the cache is none; [`note`](Self::note) tells it.
    pub fn image(&mut self, source: &Source) -> Result<Image, CompileError> {
        let architecture = self.architecture()?;
        let text = sources::text(source.file).ok_or(CompileError::UnknownSource(source.file))?;
        let key = Key { architecture, hash: hash(source, text) };
        let file = || format!("kernels/{}", source.file);
        let no_compiler = |error| CompileError::NoCompiler { file: file(), source: Box::new(error) };
        let nvrtc = match self.nvrtc() {
            Ok(nvrtc) => nvrtc,
            // Any version will do where none can be had; but a wrong $LATENT_NVRTC is told, not passed over.
            Err(error @ nvrtc::Error::Variable(_)) => return Err(no_compiler(error)),
            Err(error) => return self.cache.newest(&key).ok_or_else(|| no_compiler(error)),
        };
        if let Some(image) = self.cache.get(&key, nvrtc.version()) {
            return Ok(image);
        }
        let program = Text { name: source.file, shown: &file(), text, defines: &source.defines };
        let image = compile(nvrtc, program, architecture)?;
        self.compiled += 1;
        if let Err(reason) = self.cache.put(&key, &image) {
            self.note.get_or_insert(format!("compiled kernels are not kept for the next start: {reason}"));
        }
        Ok(image)
    }

    /// The code of a kernel of one's own, `text`, which messages call `name`. It is compiled as latent's own kernels are, may
    /// include the headers of `kernels/`, and is not kept for the next start.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn image_of_text(&mut self, name: &str, text: &str) -> Result<Image, CompileError> {
        let architecture = self.architecture()?;
        let no_compiler = |error| CompileError::NoCompiler { file: name.to_owned(), source: Box::new(error) };
        let nvrtc = self.nvrtc().map_err(no_compiler)?;
        let image = compile(nvrtc, Text { name, shown: name, text, defines: &[] }, architecture)?;
        self.compiled += 1;
        Ok(image)
    }

    /// How many sources went through NVRTC.
    pub fn compiled(&self) -> usize {
        self.compiled
    }

    /// What a person should know about the cache: the first reason for which a kernel could not be kept.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The device's architecture, as in 80 for `sm_80`.
    fn architecture(&self) -> Result<u32, CompileError> {
        let capability = Version(self.capability.0, self.capability.1);
        let too_old = CompileError::DeviceTooOld { capability };
        if capability < OLDEST_CAPABILITY { Err(too_old) } else { Ok(10 * capability.0 + capability.1) }
    }

    /// NVRTC, looked for at the first call.
    fn nvrtc(&mut self) -> Result<Nvrtc, nvrtc::Error> {
        self.nvrtc.get_or_insert_with(|| Nvrtc::find_in(&self.search)).clone()
    }
}

/// What is done to the compiler's code before it is kept; another word for another form.
const FORM: &str = "own names";

/// A checksum of all that the code depends on besides architecture and compiler.
fn hash(source: &Source, text: &str) -> Hash {
    let headers = sources::headers().into_iter().flat_map(|(name, text)| [name, text]);
    let defines = source.defines.iter().map(String::as_str);
    let parts =
        [env!("CARGO_PKG_VERSION"), FORM, source.file, text].into_iter().chain(OPTIONS).chain(defines).chain(headers);
    let mut sha = Sha256::new();
    for part in parts {
        // Lengths keep apart what would be the same text end to end.
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().into()
}

/// What NVRTC is given to compile.
struct Text<'a> {
    /// What the compiler calls it.
    name: &'a str,
    /// What a person calls it.
    shown: &'a str,
    text: &'a str,
    /// Macros, as in `TILE=64`.
    defines: &'a [String],
}

fn compile(nvrtc: Nvrtc, source: Text<'_>, architecture: u32) -> Result<Image, CompileError> {
    let target = target(architecture, nvrtc.supported_architectures(), nvrtc.version())?;
    let options = options(source.defines, &target);
    let program: Program =
        nvrtc.compile_with_headers(source.text, source.name, &sources::headers(), &options).map_err(|error| {
            CompileError::Compiler { file: source.shown.to_owned(), architecture: target, source: Box::new(error) }
        })?;
    let cubin = program.cubin().map(<[u8]>::to_vec);
    Ok(Image { cubin, ptx: with_own_names(program.ptx(), source.name), nvrtc: nvrtc.version() })
}

/// PTX whose line information names sources as the repository does, not by the folder in which they happened to be compiled.
fn with_own_names(ptx: &str, name: &str) -> String {
    let own = |path: &str| {
        let is_of = |file: &str| path == file || path.ends_with(&format!("/{file}"));
        let known = sources::FILES.iter().find(|(file, _)| is_of(file));
        known.map(|(file, _)| format!("kernels/{file}")).or_else(|| is_of(name).then(|| name.to_owned()))
    };
    let line = |line: &str| {
        let path = line.trim_start().strip_prefix(".file").and_then(|_| line.split('"').nth(1));
        let named = path.and_then(|path| Some(line.replacen(path, &own(path)?, 1)));
        named.unwrap_or_else(|| line.to_owned())
    };
    ptx.split_inclusive('\n').map(line).collect()
}

/// What a source with these macros is compiled with for `target`.
pub(crate) fn options(defines: &[String], target: &str) -> Vec<String> {
    let mut options: Vec<String> = OPTIONS.iter().map(ToString::to_string).collect();
    options.push(format!("--gpu-architecture={target}"));
    options.extend(defines.iter().map(|define| format!("-D{define}")));
    options
}

/// What to compile for: the device's own architecture, which gives machine code, or else the newest one before it, whose
/// PTX the driver of a newer device compiles further.
fn target(architecture: u32, known: &[u32], nvrtc: (u32, u32)) -> Result<String, CompileError> {
    match known.iter().rev().find(|known| **known <= architecture) {
        Some(same) if *same == architecture => Ok(format!("sm_{architecture}")),
        Some(older) => Ok(format!("compute_{older}")),
        None => {
            let oldest = known.first().copied().unwrap_or_default();
            Err(CompileError::ArchitectureUnknown { architecture, oldest, nvrtc })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KNOWN: [u32; 4] = [75, 80, 90, 100];

    #[test]
    fn a_known_architecture_is_compiled_for_as_it_is() {
        for architecture in KNOWN {
            assert_eq!(target(architecture, &KNOWN, (13, 5)).unwrap(), format!("sm_{architecture}"));
        }
    }

    #[test]
    fn an_unknown_architecture_takes_the_newest_before_it() {
        assert_eq!(target(89, &KNOWN, (13, 5)).unwrap(), "compute_80");
        assert_eq!(target(130, &KNOWN, (13, 5)).unwrap(), "compute_100");
    }

    #[test]
    fn a_device_older_than_the_compiler_is_told_with_both() {
        let message = target(75, &KNOWN[1..], (14, 0)).unwrap_err().to_string();
        assert!(message.starts_with("NVRTC 14.0 compiles for sm_80 and newer, and this device is sm_75"), "{message}");
    }

    #[test]
    fn line_information_names_sources_as_the_repository_does() {
        let ptx = "\t.file\t1 \"/a/b/gemm/1_naive.cu\"\n.file 2 \"math.cuh\"\n\t.file 3 \"/c/own.cu\"\nret; // \"math.cuh\"\n";
        let named = "\t.file\t1 \"kernels/gemm/1_naive.cu\"\n.file 2 \"kernels/math.cuh\"\n\t.file 3 \"own.cu\"\nret; // \"math.cuh\"\n";
        assert_eq!(with_own_names(ptx, "own.cu"), named);
    }

    #[test]
    fn the_checksum_depends_on_file_text_and_defines() {
        let source =
            |defines: &[&str]| Source { file: "math.cuh", defines: defines.iter().map(ToString::to_string).collect() };
        let base = hash(&source(&["A=1", "B=2"]), "text");
        assert_eq!(base, hash(&source(&["A=1", "B=2"]), "text"));
        assert_ne!(base, hash(&source(&["A=1B", "=2"]), "text"));
        assert_ne!(base, hash(&source(&["A=1"]), "text"));
        assert_ne!(base, hash(&source(&["A=1", "B=2"]), "texts"));
        assert_ne!(base, hash(&Source { file: "control.cuh", ..source(&["A=1", "B=2"]) }, "text"));
    }
}
