//! What the compiler says of each kernel: it is asked for every architecture, and must not warn or spill.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use latent::backend::cuda::compile::OPTIONS;
use latent::backend::cuda::sources;
use nvrtc::Nvrtc;

use crate::Result;
use crate::executed::Executed;

/// The architectures that kernels are compiled for.
pub const ARCHITECTURES: [u32; 7] = [75, 80, 86, 89, 90, 100, 120];

/// A file and the settings of its macros.
type Module = (String, Vec<String>);

/// What the compiler says of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub registers: u32,
    /// Bytes of a block.
    pub shared: u32,
}

/// A kernel, compiled.
pub struct Compiled {
    pub file: String,
    pub defines: Vec<String>,
    pub entry: String,
    /// Threads of a block.
    pub block: u32,
    /// For each architecture that it is for.
    pub resources: BTreeMap<u32, Resources>,
}

/// Compiles everything that was launched: for every architecture what an old device launched, from 8.0 on what only a newer
/// one did.
pub fn all(old: &[Executed], newer: &[Executed]) -> Result<Vec<Compiled>> {
    let module = |launch: &Executed| (launch.file.clone(), launch.defines.clone());
    let for_old: BTreeSet<Module> = old.iter().map(module).collect();
    let modules: BTreeSet<Module> = for_old.iter().cloned().chain(newer.iter().map(module)).collect();
    let jobs: Vec<(&Module, u32)> = modules
        .iter()
        .flat_map(|module| ARCHITECTURES.map(|architecture| (module, architecture)))
        .filter(|(module, architecture)| *architecture >= 80 || for_old.contains(module))
        .collect();
    let resources = compile(&jobs)?;

    let mut kernels: Vec<Compiled> = Vec::new();
    for launch in newer.iter().chain(old) {
        let Executed { file, defines, counts, .. } = launch;
        if kernels.iter().any(|known| (&known.file, &known.defines, &known.entry) == (file, defines, &counts.kernel)) {
            continue;
        }
        let of_module =
            jobs.iter().zip(&resources).filter(|((module, _), _)| **module == (file.clone(), defines.clone()));
        let of_kernel =
            of_module.filter_map(|((_, architecture), kernels)| Some((*architecture, *kernels.get(&counts.kernel)?)));
        let resources: BTreeMap<u32, Resources> = of_kernel.collect();
        let (file, defines, entry) = (file.clone(), defines.clone(), counts.kernel.clone());
        kernels.push(Compiled { file, defines, entry, block: counts.block[0], resources });
    }
    Ok(kernels)
}

/// What the compiler says of the kernels of each job, by name.
fn compile(jobs: &[(&Module, u32)]) -> Result<Vec<BTreeMap<String, Resources>>> {
    let nvrtc = Nvrtc::find()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Ok(BTreeMap::new()); jobs.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((module, architecture)) = jobs.get(index) else { break };
                    let result = compile_one(nvrtc, module, *architecture);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = result;
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let faults: Vec<&str> = results.iter().filter_map(|result| result.as_ref().err()).map(String::as_str).collect();
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    Ok(results.into_iter().flatten().collect())
}

fn compile_one(
    nvrtc: Nvrtc,
    (file, defines): &Module,
    architecture: u32,
) -> std::result::Result<BTreeMap<String, Resources>, String> {
    let text = sources::text(file).ok_or_else(|| format!("kernels/{file} is not embedded"))?;
    let mut options: Vec<String> = OPTIONS.iter().map(ToString::to_string).collect();
    options.extend([format!("--gpu-architecture=sm_{architecture}"), "--ptxas-options=-v".to_owned()]);
    options.extend(defines.iter().map(|define| format!("-D{define}")));
    let place = || format!("kernels/{file} {} for sm_{architecture}", defines.join(" "));
    let program = nvrtc
        .compile_with_headers(text, file, &sources::headers(), &options)
        .map_err(|error| format!("{}: {error}", place()))?;
    read_log(program.log()).map_err(|line| format!("{}: {line}", place()))
}

/// What `ptxas -v` calls local memory, which every thread has in device memory.
const LOCAL_MEMORY: [&str; 3] = ["bytes stack frame", "bytes spill stores", "bytes spill loads"];

/// Reads what `ptxas -v` tells of each kernel. A line that it does not know is a warning, thus an error; so is local memory.
fn read_log(log: &str) -> std::result::Result<BTreeMap<String, Resources>, String> {
    let mut kernels: BTreeMap<String, Resources> = BTreeMap::new();
    let mut current = None;
    for line in log.lines().filter(|line| !line.trim().is_empty()) {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            current = rest.split_once('\'').map(|(name, _)| name.to_owned());
        } else if line.contains("bytes spill stores") {
            let is_zero = |what: &&str| number_before(line, what) == Some(0);
            if let Some(what) = LOCAL_MEMORY.into_iter().find(|what| !is_zero(what)) {
                return Err(format!("not all is kept in registers, {what}: {}", line.trim()));
            }
        } else if let Some(registers) = number_before(line, "registers") {
            let name = current.take().ok_or("registers of no kernel")?;
            let shared = number_before(line, "bytes smem").unwrap_or(0);
            kernels.insert(name, Resources { registers, shared });
        } else if !line.starts_with("ptxas info") {
            return Err(format!("the compiler warns: {line}"));
        }
    }
    if kernels.is_empty() { Err("the compiler tells of no kernel".to_owned()) } else { Ok(kernels) }
}

/// The number before `words`.
fn number_before(line: &str, words: &str) -> Option<u32> {
    line.split_once(words)?.0.split_whitespace().last()?.parse().ok()
}
