//! What the compiler says of the steps.

use latent::backend::cuda::compile::{OPTIONS, Source};
use latent::backend::cuda::gemm::Size;
use latent::backend::cuda::sources;
use latent::lab::staircase::Step;
use std::collections::HashSet;

use crate::emulated;

const ARCHITECTURES: [u32; 7] = [75, 80, 86, 89, 90, 100, 120];

/// Sizes that take a large tile, a small one, and copies of single floats.
const SIZES: [Size; 3] =
    [Size { m: 4096, n: 4096, k: 4096 }, Size { m: 100, n: 400, k: 784 }, Size { m: 127, n: 65, k: 33 }];

#[test]
fn every_step_compiles_for_every_architecture_without_a_warning_or_a_spill() {
    if !emulated::has_compiler() {
        return;
    }
    let launches = Step::ALL.into_iter().flat_map(|step| SIZES.map(|size| (step, step.launch(size).source)));
    for (step, source) in launches.collect::<HashSet<_>>() {
        let (major, minor) = step.oldest_capability();
        for architecture in ARCHITECTURES.into_iter().filter(|architecture| *architecture >= 10 * major + minor) {
            let log = compiler_log(&source, architecture);
            assert!(!log.contains("warning"), "sm_{architecture} {source:?}: {log}");
            assert!(log.contains(" 0 bytes spill stores, 0 bytes spill loads"), "sm_{architecture} {source:?}: {log}");
        }
    }
}

#[test]
fn asynchronous_copies_take_fewer_registers() {
    if !emulated::has_compiler() {
        return;
    }
    for (size, architecture) in SIZES.into_iter().take(2).flat_map(|size| [80, 90].map(|other| (size, other))) {
        let [through, past] = [Step::Vectorised, Step::AsyncCopy].map(|step| {
            let log = compiler_log(&step.launch(size).source, architecture);
            let (before, _) = log.split_once(" registers").unwrap();
            before.split_whitespace().last().unwrap().parse::<u32>().unwrap()
        });
        println!("sm_{architecture} {size:?}: {through} registers, then {past}");
        assert!(past < through, "sm_{architecture} {size:?}: {past}, {through} before");
    }
}

fn compiler_log(source: &Source, architecture: u32) -> String {
    let mut options: Vec<String> = OPTIONS.iter().map(ToString::to_string).collect();
    options.extend([format!("--gpu-architecture=sm_{architecture}"), "--ptxas-options=-v".to_owned()]);
    options.extend(source.defines.iter().map(|define| format!("-D{define}")));
    let (nvrtc, text) = (nvrtc::Nvrtc::find().unwrap(), sources::text(source.file).unwrap());
    let program = nvrtc.compile_with_headers(text, source.file, &sources::headers(), &options).unwrap();
    program.log().to_owned()
}
