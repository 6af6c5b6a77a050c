//! Every kernel begins with a header that is true: its sections, the tests it names, and the numbers that can be checked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;

use std::path::Path;

use latent::backend::cuda::{Cuda, Kernel, sources};
use latent::backend::{Backend, Hyperparameters, Precision, Sums};
use latent::lab::header::{Header, SECTIONS};
use latent::nn::{Autoencoder, Dims, VariationalAE};
use softcuda::counts::LaunchCounts;

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;

/// What is wrong with a header as that of `file`.
fn faults(header: &Header, file: &str) -> Vec<String> {
    let words: Vec<&str> = header.sections.iter().map(|(word, _)| word.as_str()).collect();
    let ordered: Vec<&str> = SECTIONS.into_iter().filter(|section| words.contains(section)).collect();
    let is_kernel = file.ends_with(".cu");
    let has = |section: &str| words.contains(&section);
    let rules = [
        (header.name == file.strip_suffix(".cu").unwrap_or(file), "the first line names another file"),
        (words == ordered, "sections are unknown, repeated or out of order"),
        (!is_kernel || ordered.len() == SECTIONS.len(), "a section is missing"),
        (has("Shapes") || has("Idea"), "neither Shapes nor Idea"),
        (header.section("Checked").is_some_and(|text| text.contains("tests/")), "Checked names no test"),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned());
    let missing = paths(header).into_iter().filter(|path| !Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists());
    broken.chain(missing.map(|path| format!("{path} does not exist"))).collect()
}

/// The files and folders of tests and sources that a header names.
fn paths(header: &Header) -> Vec<String> {
    let texts = header.sections.iter().flat_map(|(_, text)| text.split([' ', ',', ';', '(', ')', ':']));
    texts.filter(|word| ["tests/", "src/"].iter().any(|room| word.starts_with(room))).map(str::to_owned).collect()
}

/// The number before `words` in a section.
fn number_before(header: &Header, section: &str, words: &str) -> Option<f64> {
    let (before, _) = header.section(section)?.split_once(words)?;
    before.split_whitespace().last()?.parse().ok()
}

/// The number after `word` in a section.
fn number_after(header: &Header, section: &str, word: &str) -> Option<f64> {
    let mut words = header.section(section)?.split([' ', ',', ';']).skip_while(|other| *other != word);
    words.nth(1)?.parse().ok()
}

fn header_of(file: &str) -> Header {
    Header::parse(sources::text(file).unwrap()).unwrap_or_else(|fault| panic!("kernels/{file}: {fault}"))
}

#[test]
fn every_header_has_its_sections_and_names_tests_that_exist() {
    for (file, _) in sources::FILES {
        let faults = faults(&header_of(file), file);
        assert!(faults.is_empty(), "kernels/{file}: {}", faults.join("; "));
    }
}

#[test]
fn what_is_wrong_with_a_header_is_found() {
    let whole = "// a: b.\n//\n// Shapes    s\n// Launch    l\n// Cost      c\n// Bound     b\n// Order     o\n// Idea      i\n";
    let whole = format!("{whole}// Checked   tests/oracle\n");
    let faults = |text: &str| Header::parse(text).map(|header| faults(&header, "a.cu"));
    assert_eq!(faults(&whole), Ok(Vec::new()));
    for (from, to) in [
        ("// a:", "// b:"),
        ("// Cost      c\n", ""),
        ("// Cost      c\n// Bound     b\n", "// Bound     b\n// Cost      c\n"),
        ("// Cost      c\n", "// Cost      c\n// Cost      c\n"),
        ("tests/oracle", "tests/nowhere"),
        ("tests/oracle", "by eye"),
    ] {
        assert_eq!(faults(&whole.replace(from, to)).unwrap().len(), 1, "{from:?} as {to:?}");
    }
    assert!(faults(&whole.replace("//\n", "")).is_err());
}

/// A kernel that a step launches, and the elements that its cost is told for.
fn elements(kernel: Kernel) -> Option<usize> {
    match kernel {
        Kernel::Gather => Some(BATCH * DIMS.input),
        Kernel::StandardNormal
        | Kernel::Reparameterise
        | Kernel::ReparameteriseBackward
        | Kernel::ImportanceBackward => Some(BATCH * DIMS.latent),
        Kernel::ImportanceWeights => Some(BATCH * DIMS.input),
        Kernel::Adam => Some(latent::nn::weights::layout_of(latent::nn::Kind::Variational, DIMS).len()),
        Kernel::Finish | Kernel::Gemm(_) => None,
    }
}

/// Counts of the launches of training, evaluating and sampling at the real sizes.
fn launches() -> Vec<LaunchCounts> {
    let settings = emulated::unchecked();
    let mut cuda: Cuda = emulated::backend(&settings, Precision::Fp32);
    cuda.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 });
    let mut model = VariationalAE::new(&mut cuda, DIMS, BATCH, 1).unwrap();
    let pixels = (0..BATCH * DIMS.input).map(|i| (i % 251) as u8).collect();
    let mut images = cuda.load_images(pixels, DIMS.input).unwrap();
    cuda.set_sums(Sums::zeros(DIMS.latent));
    model.train_step(&mut cuda, &mut images, BATCH).unwrap();
    cuda.set_order(&mut images, &(0..BATCH as u32).collect::<Vec<_>>(), 0).unwrap();
    model.reconstruct_next(&mut cuda, &mut images, BATCH).unwrap();
    model.sample(&mut cuda, BATCH).unwrap();
    cuda.set_order(&mut images, &(0..BATCH as u32).collect::<Vec<_>>(), 0).unwrap();
    model.weigh_draws(&mut cuda, 5).unwrap();
    model.train_step(&mut cuda, &mut images, BATCH).unwrap();
    cuda.synchronize().unwrap();
    emulated::driver(&settings).launches().unwrap()
}

#[test]
fn blocks_and_bytes_are_those_that_softcuda_counts() {
    if !emulated::has_compiler() {
        return;
    }
    let launches = launches();
    for kernel in Kernel::ELEMENTWISE {
        let (file, header) = (kernel.source().file, header_of(kernel.source().file));
        let counts = launches.iter().find(|launch| launch.kernel == kernel.entry()).unwrap();
        let block = number_after(&header, "Launch", "block");
        assert_eq!(block, Some(f64::from(counts.block[0])), "kernels/{file}: threads of a block");
        let Some(elements) = elements(kernel) else { continue };
        // The counts have more: a number of the control is asked for by every lane, and moves a whole sector.
        let asked = counts.global_loads.bytes + counts.global_stores.bytes;
        let bytes = asked.min(counts.bytes_moved()) as f64 / elements as f64;
        let told = number_before(&header, "Cost", "bytes of global memory").unwrap();
        println!("{file}: {bytes:.3} bytes an element, {told} told");
        assert!((told..=1.25 * told).contains(&bytes), "kernels/{file}: {bytes} bytes an element, {told} told");
    }
}
