//! What the compiler says of a kernel, for any architecture that it knows.

use std::collections::BTreeMap;

use nvrtc::Nvrtc;

use super::Error;
use crate::backend::cuda::compile::{CompileError, Source, options};
use crate::backend::cuda::{Error as CudaError, sources};

/// The resources that a kernel takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of shared memory of a block, without what a launch may add.
    pub shared_bytes: u32,
    /// Bytes of local memory of a thread.
    pub stack_bytes: u32,
    /// Bytes that a thread puts from registers into local memory.
    pub spill_stores: u32,
    /// Bytes that it takes back from there.
    pub spill_loads: u32,
}

impl Facts {
    /// Whether everything is kept in registers.
    pub fn is_in_registers(&self) -> bool {
        [self.stack_bytes, self.spill_stores, self.spill_loads] == [0; 3]
    }
}

/// What the compiler says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Each kernel by its name.
    pub kernels: BTreeMap<String, Facts>,
    /// The lines that tell of no kernel's resources.
    pub warnings: Vec<String>,
}

/// What `nvrtc` says of `source` on an architecture, as in 80 for `sm_80`.
///
/// # Errors
/// The compiler does not know the architecture, or refuses the source.
pub fn of(nvrtc: Nvrtc, source: &Source, architecture: u32) -> Result<Told, Error> {
    let known = nvrtc.supported_architectures();
    if !known.contains(&architecture) {
        let known = known.iter().map(|known| format!("sm_{known}")).collect::<Vec<_>>().join(", ");
        return Err(Error::Architecture { architecture, nvrtc: nvrtc.version(), known });
    }
    let unknown = || CudaError::from(CompileError::UnknownSource(source.file));
    let text = sources::text(source.file).ok_or_else(unknown)?;
    let target = format!("sm_{architecture}");
    let mut options = options(source, &target);
    options.push("--ptxas-options=-v".to_owned());
    let program = nvrtc.compile_with_headers(text, source.file, &sources::headers(), &options).map_err(|error| {
        CudaError::from(CompileError::Compiler { file: source.file, architecture: target, source: Box::new(error) })
    })?;
    Ok(read_log(program.log()))
}

/// The compiler of this process, to ask about `file`.
///
/// # Errors
/// There is none.
pub fn compiler(file: &'static str) -> Result<Nvrtc, Error> {
    let no_compiler = |error| CudaError::from(CompileError::NoCompiler { file, source: Box::new(error) });
    Ok(Nvrtc::find().map_err(no_compiler)?)
}

/// Reads what `ptxas -v` tells of each kernel.
fn read_log(log: &str) -> Told {
    let mut told = Told::default();
    let (mut current, mut facts) = (None, Facts::default());
    for line in log.lines().filter(|line| !line.trim().is_empty()) {
        let number = |words: &str| number_before(line, words);
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            (current, facts) = (rest.split_once('\'').map(|(name, _)| name.to_owned()), Facts::default());
        } else if let Some(stack_bytes) = number("bytes stack frame") {
            let [spill_stores, spill_loads] =
                ["bytes spill stores", "bytes spill loads"].map(|words| number(words).unwrap_or_default());
            facts = Facts { stack_bytes, spill_stores, spill_loads, ..facts };
        } else if let (Some(registers), Some(name)) = (number("registers"), current.take_if(|_| line.contains("Used ")))
        {
            let shared_bytes = number("bytes smem").unwrap_or_default();
            told.kernels.insert(name, Facts { registers, shared_bytes, ..facts });
        } else if !line.starts_with("ptxas info") {
            told.warnings.push(line.trim().to_owned());
        }
    }
    told
}

/// The number before `words`.
fn number_before(line: &str, words: &str) -> Option<u32> {
    line.split_once(words)?.0.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "ptxas info    : 0 bytes gmem\n\
        ptxas info    : Compiling entry function 'a' for 'sm_80'\n\
        ptxas info    : Function properties for a\n    \
        0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
        ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem, 376 bytes cmem[0]\n\
        ptxas info    : Compile time = 3.1 ms\n\
        ptxas info    : Compiling entry function 'b' for 'sm_80'\n\
        ptxas info    : Function properties for b\n    \
        96 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n\
        ptxas info    : Used 255 registers, used 0 barriers, 376 bytes cmem[0]\n";

    #[test]
    fn resources_of_each_kernel_are_read() {
        let told = read_log(LOG);
        let a = Facts { registers: 40, shared_bytes: 4096, ..Facts::default() };
        let b = Facts { registers: 255, stack_bytes: 96, spill_stores: 12, spill_loads: 8, ..Facts::default() };
        assert_eq!(told.kernels, [("a".to_owned(), a), ("b".to_owned(), b)].into());
        assert!(told.warnings.is_empty() && a.is_in_registers() && !b.is_in_registers());
    }

    #[test]
    fn what_is_no_information_is_a_warning() {
        let told = read_log(&format!("{LOG}x.cu(3): warning #177-D: never referenced\n"));
        assert_eq!(told.warnings, ["x.cu(3): warning #177-D: never referenced"]);
    }
}
