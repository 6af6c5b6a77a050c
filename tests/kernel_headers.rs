//! Every kernel begins with a header that is true: its sections, the tests it names, and the numbers that can be checked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;

use std::path::Path;

use latent::backend::cuda::{Cuda, Kernel, sources};
use latent::backend::{Backend, Hyperparameters, Precision, Sums};
use latent::nn::{Autoencoder, Dims, VariationalAE};
use softcuda::counts::LaunchCounts;

/// A kernel's header has these, in this order; that of an included file those which apply to it.
const SECTIONS: [&str; 7] = ["Shapes", "Launch", "Cost", "Bound", "Order", "Idea", "Checked"];

const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
const BATCH: usize = 100;

/// A header: the name in its first line, and its sections.
struct Header {
    name: String,
    sections: Vec<(String, String)>,
}

impl Header {
    /// The header that `text` begins with. More may follow its sections, after a line of its own.
    fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().take_while(|line| line.starts_with("//")).collect();
        let [first, "//", rest @ ..] = lines.as_slice() else {
            return Err("the first line is followed by `//` alone".to_owned());
        };
        let (name, _) = first.strip_prefix("// ").and_then(|line| line.split_once(": ")).ok_or("no `// NAME: `")?;
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in rest.iter().take_while(|line| **line != "//") {
            // The text of a section begins at column 13, in each of its lines.
            let (word, text) = line.split_at_checked(12).ok_or(format!("no text in {line:?}"))?;
            match (word.trim_start_matches('/').trim(), sections.last_mut()) {
                ("", Some((_, section))) => *section += &format!(" {text}"),
                ("", None) => return Err(format!("{line:?} belongs to no section")),
                (word, _) => sections.push((word.to_owned(), text.to_owned())),
            }
        }
        Ok(Self { name: name.to_owned(), sections })
    }

    fn section(&self, name: &str) -> Option<&str> {
        self.sections.iter().find(|(word, _)| word == name).map(|(_, text)| text.as_str())
    }

    /// What is wrong with it as the header of `file`.
    fn faults(&self, file: &str) -> Vec<String> {
        let words: Vec<&str> = self.sections.iter().map(|(word, _)| word.as_str()).collect();
        let ordered: Vec<&str> = SECTIONS.into_iter().filter(|section| words.contains(section)).collect();
        let is_kernel = file.ends_with(".cu");
        let has = |section: &str| words.contains(&section);
        let rules = [
            (self.name == file.strip_suffix(".cu").unwrap_or(file), "the first line names another file"),
            (words == ordered, "sections are unknown, repeated or out of order"),
            (!is_kernel || ordered.len() == SECTIONS.len(), "a section is missing"),
            (has("Shapes") || has("Idea"), "neither Shapes nor Idea"),
            (self.section("Checked").is_some_and(|text| text.contains("tests/")), "Checked names no test"),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned());
        let missing =
            self.paths().into_iter().filter(|path| !Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists());
        broken.chain(missing.map(|path| format!("{path} does not exist"))).collect()
    }

    /// The files and folders of tests and sources that it names.
    fn paths(&self) -> Vec<String> {
        let texts = self.sections.iter().flat_map(|(_, text)| text.split([' ', ',', ';', '(', ')', ':']));
        texts.filter(|word| ["tests/", "src/"].iter().any(|room| word.starts_with(room))).map(str::to_owned).collect()
    }

    /// The number before `words` in a section.
    fn number_before(&self, section: &str, words: &str) -> Option<f64> {
        let (before, _) = self.section(section)?.split_once(words)?;
        before.split_whitespace().last()?.parse().ok()
    }

    /// The number after `word` in a section.
    fn number_after(&self, section: &str, word: &str) -> Option<f64> {
        let mut words = self.section(section)?.split([' ', ',', ';']).skip_while(|other| *other != word);
        words.nth(1)?.parse().ok()
    }
}

fn header_of(file: &str) -> Header {
    Header::parse(sources::text(file).unwrap()).unwrap_or_else(|fault| panic!("kernels/{file}: {fault}"))
}

#[test]
fn every_header_has_its_sections_and_names_tests_that_exist() {
    for (file, _) in sources::FILES {
        let faults = header_of(file).faults(file);
        assert!(faults.is_empty(), "kernels/{file}: {}", faults.join("; "));
    }
}

#[test]
fn what_is_wrong_with_a_header_is_found() {
    let whole = "// a: b.\n//\n// Shapes    s\n// Launch    l\n// Cost      c\n// Bound     b\n// Order     o\n// Idea      i\n";
    let whole = format!("{whole}// Checked   tests/oracle\n");
    let faults = |text: &str| Header::parse(text).map(|header| header.faults("a.cu"));
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
        Kernel::StandardNormal | Kernel::Reparameterise | Kernel::ReparameteriseBackward => Some(BATCH * DIMS.latent),
        Kernel::Adam => Some(latent::nn::weights::layout_of(latent::nn::Kind::Variational, DIMS).len()),
        Kernel::Finish | Kernel::Gemm(_) => None,
    }
}

/// Counts of the launches of training, evaluating and sampling at the real sizes.
fn launches() -> Vec<LaunchCounts> {
    let settings = emulated::unchecked();
    let mut cuda: Cuda = emulated::backend(&settings, Precision::Fp32);
    cuda.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1 });
    let mut model = VariationalAE::new(&mut cuda, DIMS, BATCH, 1).unwrap();
    let pixels = (0..BATCH * DIMS.input).map(|i| (i % 251) as u8).collect();
    let mut images = cuda.load_images(pixels, DIMS.input).unwrap();
    cuda.set_sums(Sums::zeros(DIMS.latent));
    model.train_step(&mut cuda, &mut images, BATCH).unwrap();
    cuda.set_order(&mut images, &(0..BATCH as u32).collect::<Vec<_>>(), 0).unwrap();
    model.reconstruct_next(&mut cuda, &mut images, BATCH).unwrap();
    model.sample(&mut cuda, BATCH).unwrap();
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
        let block = header.number_after("Launch", "block");
        assert_eq!(block, Some(f64::from(counts.block[0])), "kernels/{file}: threads of a block");
        let Some(elements) = elements(kernel) else { continue };
        // The counts have more: a number of the control is asked for by every lane, and moves a whole sector.
        let asked = counts.global_loads.bytes + counts.global_stores.bytes;
        let bytes = asked.min(counts.bytes_moved()) as f64 / elements as f64;
        let told = header.number_before("Cost", "bytes of global memory").unwrap();
        println!("{file}: {bytes:.3} bytes an element, {told} told");
        assert!((told..=1.25 * told).contains(&bytes), "kernels/{file}: {bytes} bytes an element, {told} told");
    }
}
