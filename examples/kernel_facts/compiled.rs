//! What the compiler says of each kernel: it is asked for every architecture, and must not warn or spill.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use latent::backend::cuda::compile::Source;
use latent::backend::cuda::sources;
use latent::lab::facts::{self, Facts};
use nvrtc::Nvrtc;

use crate::Result;
use crate::executed::Executed;

/// The architectures that kernels are compiled for.
pub const ARCHITECTURES: [u32; 7] = [75, 80, 86, 89, 90, 100, 120];

/// A file and the settings of its macros.
type Module = (String, Vec<String>);

/// A kernel, compiled.
pub struct Compiled {
    pub file: String,
    pub defines: Vec<String>,
    pub entry: String,
    /// Threads of a block.
    pub block: u32,
    /// For each architecture that it is for.
    pub resources: BTreeMap<u32, Facts>,
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
        let resources: BTreeMap<u32, Facts> = of_kernel.collect();
        let (file, defines, entry) = (file.clone(), defines.clone(), counts.kernel.clone());
        kernels.push(Compiled { file, defines, entry, block: counts.block[0], resources });
    }
    Ok(kernels)
}

/// What the compiler says of the kernels of each job, by name.
fn compile(jobs: &[(&Module, u32)]) -> Result<Vec<BTreeMap<String, Facts>>> {
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

/// A warning of the compiler is an error here, and so is a register that lies in memory.
fn compile_one(
    nvrtc: Nvrtc,
    (file, defines): &Module,
    architecture: u32,
) -> std::result::Result<BTreeMap<String, Facts>, String> {
    let known = sources::FILES.iter().find(|(name, _)| name == file);
    let (file, _) = known.ok_or_else(|| format!("kernels/{file} is not embedded"))?;
    let place = || format!("kernels/{file} {} for sm_{architecture}", defines.join(" "));
    let told = facts::of(nvrtc, &Source { file, defines: defines.clone() }, architecture)
        .map_err(|error| format!("{}: {error}", place()))?;
    if let Some(warning) = told.warnings.first() {
        return Err(format!("{}: the compiler warns: {warning}", place()));
    }
    if let Some((kernel, facts)) = told.kernels.iter().find(|(_, facts)| !facts.is_in_registers()) {
        return Err(format!("{}: {kernel} does not keep everything in registers: {facts:?}", place()));
    }
    if told.kernels.is_empty() {
        Err(format!("{}: the compiler tells of no kernel", place()))
    } else {
        Ok(told.kernels)
    }
}
