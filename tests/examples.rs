//! The example programs as a reader runs them: what they print, what they leave, and their exit codes.
//!
//! `cargo test` builds them; `cargo test --test examples` alone needs `cargo build --examples` before it, in the same profile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use latent::backend::cpu::Cpu;
use latent::nn::{Dims, VanillaAE, Weights};
use latent::train::write_model;

/// The executable of an example: it lies in `examples` beside `deps`, where this test's own is.
fn example(name: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.is_file(), "{} is not built: run cargo build --examples in the same profile", path.display());
    Command::new(path)
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!stderr.contains("panicked"), "{command:?} panicked:\n{stderr}");
    (status.code(), stdout, stderr)
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(0), "{command:?}\n{stdout}{stderr}");
    stdout
}

/// The number that follows `label` in a line.
fn number_after(line: &str, label: &str) -> f64 {
    let rest = line.split_once(label).unwrap_or_else(|| panic!("no {label:?} in {line:?}")).1;
    rest.split_whitespace().next().unwrap().trim_end_matches(',').parse().unwrap()
}

#[test]
fn training_on_an_array_lowers_the_loss_to_near_the_rows_entropy() {
    let text = succeed(&mut example("train_on_an_array"));
    let losses: Vec<f64> =
        text.lines().filter(|line| line.starts_with("epoch")).map(|line| number_after(line, "loss")).collect();
    assert_eq!(losses.len(), 12, "{text}");
    assert!(losses.windows(2).take(5).all(|pair| pair[1] < pair[0]), "{losses:?}");
    assert!(losses[11] <= 10.0 && losses[0] >= 13.0, "{losses:?}");
    let held_out = text.lines().find(|line| line.starts_with("held out")).unwrap();
    let (loss, mean) = (number_after(held_out, "loss"), number_after(held_out, "mean"));
    let floor = number_after(&text, "no model's BCE is below");
    // The rows that were never trained on are no worse than those that were, and no number is below what is possible.
    assert!((loss - losses[11]).abs() <= 0.5 && floor < mean && mean <= floor + 1.5, "{text}");
}

#[test]
fn the_gradient_check_accepts_the_derivation_and_notices_both_mistakes() {
    let text = succeed(&mut example("gradient_check"));
    let errors = |row: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("no {row}:\n{text}"));
        line[14..].split_whitespace().map(|error| error.parse().unwrap()).collect()
    };
    assert!(errors("as derived").iter().all(|error| *error <= 1e-6), "{text}");
    assert!(errors("NoDerivative").iter().all(|error| *error > 0.1), "{text}");
    assert!(errors("NoSkip")[2] > 0.1, "{text}");
    assert!(text.ends_with("both mistakes are noticed\n"), "{text}");
}

#[test]
fn a_custom_kernel_agrees_with_plain_rust() {
    if let Err(error) = nvrtc::Nvrtc::find() {
        println!("skipped: {error}");
        return;
    }
    let text = succeed(&mut example("custom_kernel"));
    let first = text.lines().next().unwrap();
    if first.starts_with("no GPU here: softcuda in its place, softcuda") {
        assert!(text.contains("\nsoftcuda checked every access: 0 findings\n"), "{text}");
    } else {
        assert!(first.starts_with("a GPU, "), "{text}");
    }
    assert!(number_after(&text, "off by more than") <= 1e-5, "{text}");
}

#[test]
fn a_custom_kernel_without_a_compiler_says_how_to_get_one_and_exits_with_2() {
    let place = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(example("custom_kernel")
        .env("LATENT_NVRTC", place.path().join("nothing"))
        .env("LATENT_CACHE", place.path()));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("there is nothing to compile") && stderr.contains("LATENT_NVRTC"), "{stderr}");
}

/// Width, height and pixels of a grey PNG.
fn picture(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn a_model_trained_for_a_moment_is_sampled_into_a_picture() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("samples.png");
    let text = succeed(example("sample_a_model").arg(&path));
    assert!(text.contains("a VAE of 784-128-128-16\n64 samples in "), "{text}");
    let (width, height, pixels) = picture(&path);
    // 8 x 8 images of 28 pixels, magnified twice, a grey pixel around each.
    assert_eq!((width, height), (2 * (8 * 29 + 1), 2 * (8 * 29 + 1)));
    // Digits: mostly black, with some white ink.
    let share =
        |of: &dyn Fn(u8) -> bool| pixels.iter().filter(|pixel| of(**pixel)).count() as f64 / pixels.len() as f64;
    let (black, white) = (share(&|pixel| pixel < 32), share(&|pixel| pixel > 224));
    assert!(black > 0.5 && (0.03..0.3).contains(&white), "{black} black, {white} white");
}

#[test]
fn sampling_refuses_what_is_no_model_of_images_with_a_prior() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut cpu = Cpu::new(1).unwrap();
    let model = VanillaAE::new(&mut cpu, Dims { input: 9, hidden: 4, latent: 2 }, 1, 1).unwrap();
    let vanilla = place.path().join("vanilla.safetensors");
    write_model(&vanilla, &Weights::of(&mut cpu, &model).unwrap()).unwrap();
    let cases = [
        (vanilla, "has no prior to draw from"),
        (write("junk.safetensors", b"junk"), "not a whole safetensors file"),
        (place.path().join("missing"), "cannot read"),
    ];
    for (model, message) in cases {
        let (code, _, stderr) = run(example("sample_a_model").arg(place.path().join("no.png")).arg(&model));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
    let (code, _, stderr) = run(&mut example("sample_a_model"));
    assert!(code == Some(1) && stderr.contains("usage: sample_a_model PICTURE.png"), "{stderr}");
}

#[test]
fn the_page_of_benchmarks_shows_the_figures_of_its_reports() {
    let text = succeed(example("bench_tables").arg("--check"));
    assert!(text.ends_with("benchmarks.md shows the figures of its reports\n"), "{text}");
}

#[test]
fn a_page_of_benchmarks_that_does_not_fit_its_reports_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (page, figures) = (place.path().join("benchmarks.md"), place.path().join("figures"));
    std::fs::create_dir(&figures).unwrap();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/figures/step.json");
    let refused = |text: &str, message: &str| {
        std::fs::write(&page, text).unwrap();
        for arguments in [&["--check"][..], &[]] {
            let (code, _, stderr) = run(example("bench_tables").args(arguments).arg(place.path()));
            assert!(code == Some(1) && stderr.contains(message), "{stderr}");
        }
    };
    refused("<!-- bench step begins -->\n<!-- bench step ends -->\n", "step.json: No such file");
    std::fs::copy(docs, figures.join("step.json")).unwrap();
    refused("# A page\n", "has no line <!-- bench step begins -->");
    refused("<!-- bench step begins -->\n<!-- bench epoch ends -->\n", "no line <!-- bench step ends -->");
    // Markers around nothing are out of date, and then filled.
    std::fs::write(&page, "# A page\n<!-- bench step begins -->\n<!-- bench step ends -->\nEnd.\n").unwrap();
    let (code, _, stderr) = run(example("bench_tables").arg("--check").arg(place.path()));
    assert!(code == Some(1) && stderr.contains("is out of date"), "{stderr}");
    succeed(example("bench_tables").arg(place.path()));
    succeed(example("bench_tables").arg("--check").arg(place.path()));
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("# A page\n") && text.ends_with("<!-- bench step ends -->\nEnd.\n"), "{text}");
    assert!(text.contains("\n| CUDA: training step of the VAE "), "{text}");
    std::fs::write(figures.join("step.json"), "{}").unwrap();
    refused(&text, "step.json: no report");
}
