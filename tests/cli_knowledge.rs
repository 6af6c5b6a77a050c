//! `plot`, `probe` and `compare`: what a run learnt, drawn, asked for, and beside other runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind, Weights};
use latent::noise::{Address, Stream};
use latent::stats::{LogisticRegression, Settings, balanced_draw};
use latent::tensor::{Array, TensorFile};
use latent::train::write_model;
use program::{Place, stderr, stdout};
use serde_json::Value;

/// Expects exit code 2 and a message with all of `parts`.
#[track_caller]
fn refuse(place: &Place, arguments: &[&str], parts: &[&str]) {
    let output = place.latent(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
    }
}

#[track_caller]
fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&place.succeed(&[arguments, &["--json"]].concat()))).unwrap()
}

fn text(place: &Place, file: &str) -> String {
    String::from_utf8(place.read(file)).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn assert_near(got: f64, want: f64) {
    // Written so that NaN fails.
    assert!((got - want).abs() <= 1e-6 * want.abs(), "{got} is not {want}");
}

/// How many times `part` stands in `text`.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// A set of noisy images in the form of MNIST: of class c the pixels whose number has the remainder c are a little brighter.
struct Noisy {
    place: Place,
    /// Pixels and labels, for training and for testing.
    train: (Vec<u8>, Vec<u8>),
    test: (Vec<u8>, Vec<u8>),
}

impl Noisy {
    const CLASSES: usize = 4;

    fn new() -> Self {
        let place = Place::new();
        fs::create_dir_all(place.path("data/mnist")).unwrap();
        let (train, test) = (Self::draw(300, 1), Self::draw(150, 2));
        for (part, (pixels, labels)) in [("train", &train), ("t10k", &test)] {
            let n = labels.len() as u32;
            Self::write(&place, &format!("{part}-images-idx3-ubyte.gz"), 0x0803, &[n, 28, 28], pixels);
            Self::write(&place, &format!("{part}-labels-idx1-ubyte.gz"), 0x0801, &[n], labels);
        }
        Self { place, train, test }
    }

    fn draw(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 200
        };
        let labels: Vec<u8> = (0..count).map(|i| (i % Self::CLASSES) as u8).collect();
        let mut pixel =
            |i: usize, label: u8| noise() as u8 + if i % Self::CLASSES == usize::from(label) { 10 } else { 0 };
        let pixels = labels.iter().flat_map(|label| (0..784).map(|i| pixel(i, *label)).collect::<Vec<u8>>()).collect();
        (pixels, labels)
    }

    fn write(place: &Place, name: &str, magic: u32, dims: &[u32], contents: &[u8]) {
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        bytes.extend(contents);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).unwrap();
        fs::write(place.path("data/mnist").join(name), gzip.finish().unwrap()).unwrap();
    }

    fn train(&self, command: &str, name: &str, options: &[&str]) {
        let sizes = ["--hidden-dim", "24", "--batch-size", "50"];
        self.place.succeed(&[&[command, "--name", name][..], &sizes, options].concat());
    }

    /// The runs `vae` (5 latent units), `plane` (2), `line` (1) and `ae`, and a model of images of 20 pixels.
    fn runs() -> Self {
        let noisy = Self::new();
        noisy.train("vae", "vae", &["--latent-dim", "5", "--epochs", "8"]);
        noisy.train("ae", "ae", &["--latent-dim", "5", "--epochs", "2"]);
        noisy.train("vae", "plane", &["--latent-dim", "2", "--epochs", "1"]);
        noisy.train("vae", "line", &["--latent-dim", "1", "--epochs", "1"]);
        let dims = Dims { input: 20, hidden: 16, latent: 6 };
        let values = vec![0.01; layout_of(Kind::Variational, dims).len()];
        write_model(&noisy.place.path("other.safetensors"), &Weights { kind: Kind::Variational, dims, values })
            .unwrap();
        noisy
    }
}

#[test]
fn plots_show_the_test_images_and_what_was_recorded() {
    let place = Noisy::runs().place;
    let report = json(&place, &["plot", "latent", "runs/vae"]);
    let svg = text(&place, "runs/vae/latent-pca.svg");
    // A dot is drawn as a line of no length.
    assert_eq!((count(&svg, "h0"), report["count"].as_u64()), (150, Some(150)));
    let shares: Vec<f64> = report["explained_share"].as_array().unwrap().iter().map(number).collect();
    assert!(shares.len() == 2 && shares[0] >= shares[1] && shares[0] + shares[1] <= 1.0 + 1e-9, "{shares:?}");
    let report = json(&place, &["plot", "latent", "runs/ae", "--method", "tsne", "--count", "40", "--out", "map.svg"]);
    assert_eq!((count(&text(&place, "map.svg"), "h0"), &report["explained_share"]), (40, &Value::Null));
    place.succeed(&["plot", "latent", "runs/plane", "--count", "50"]);
    assert!(text(&place, "runs/plane/latent-pca.svg").contains("latent unit 1"));

    let report = json(&place, &["plot", "kl", "runs/vae"]);
    let units = report["units"].as_array().unwrap();
    let kl: Vec<f64> = units.iter().map(|unit| number(&unit["kl"])).collect();
    assert!(kl.len() == 5 && kl.is_sorted_by(|a, b| a >= b), "{kl:?}");
    // The divergence takes no noise: it is that of the last validation, which is on the same images.
    let validated = place.losses("runs/vae", "validation").pop().unwrap();
    assert!((kl.iter().sum::<f64>() - number(&validated["kl"])).abs() < 1e-4, "{kl:?} {validated}");
    assert_eq!(report["active_units"], validated["active_units"]);
    let active = units.iter().filter(|unit| unit["active"] == true).count() as u64;
    assert_eq!(report["active_units"], active);
    assert_eq!(place.read("runs/vae/kl.svg")[..4], *b"<svg");

    let report = json(&place, &["plot", "losses", "runs/vae", "runs/ae"]);
    assert_eq!(report["runs"], serde_json::json!(["vae", "ae"]));
    let svg = text(&place, "runs/losses.svg");
    assert!(svg.contains("\nvae\n") && svg.contains("\nae\n") && svg.contains("validation dashed"), "{svg}");
    place.succeed(&["plot", "losses", "runs/vae", "runs/ae", "--quantity", "kl", "--out", "kl.svg"]);
}

#[test]
fn plots_of_nothing_are_refused() {
    let place = Noisy::runs().place;
    fs::create_dir(place.path("empty")).unwrap();
    refuse(&place, &["plot", "latent", "runs/line"], &["runs/line", "one unit"]);
    refuse(&place, &["plot", "latent", "runs/vae", "--count", "1"], &["--count = 1", "between 2 and 150"]);
    refuse(&place, &["plot", "latent", "runs/vae", "--count", "151"], &["--count = 151"]);
    refuse(&place, &["plot", "latent", "runs/vae", "--method", "tsne", "--count", "9"], &["between 10 and 150"]);
    refuse(&place, &["plot", "latent", "runs"], &["runs/model.safetensors", "cannot read"]);
    refuse(&place, &["plot", "kl", "runs/ae"], &["vanilla", "latent vae"]);
    refuse(&place, &["plot", "losses", "runs/vae", "empty"], &["empty", "metrics.jsonl"]);
    refuse(&place, &["plot", "losses", "runs/vae", "none"], &["none", "cannot read"]);
    refuse(&place, &["plot", "losses", "runs/vae", "runs/ae/../vae"], &["given twice"]);
    refuse(&place, &["plot", "losses", "runs/ae", "--quantity", "kl"], &["--quantity = KL", "loss or bce"]);
    refuse(&place, &["plot", "losses"], &["RUN"]);
    fs::write(place.path("runs/ae/metrics.jsonl"), "{\"epoch\":1}\n").unwrap();
    refuse(&place, &["plot", "losses", "runs/ae"], &["metrics.jsonl", "line 1"]);
    for plot in ["latent", "kl"] {
        refuse(&place, &["plot", plot, "other.safetensors"], &["images of 20 pixels", "mnist have 784"]);
    }
}

/// The share of `test` whose label most of its five neighbours in `train` have; of several labels the smallest.
fn knn(train: &[f32], labels: &[u8], test: &[f32], test_labels: &[u8], columns: usize) -> f64 {
    let vote = |query: &[f32]| {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let distance = |point: &[f32]| -> f64 { point.iter().zip(query).map(square).sum() };
        let mut order: Vec<(f64, u8)> = train.chunks(columns).map(distance).zip(labels.iter().copied()).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let votes = |label: u8| order[..5].iter().filter(|(_, other)| *other == label).count();
        (0..10).rev().max_by_key(|label| votes(*label)).unwrap()
    };
    let right = test.chunks(columns).zip(test_labels).filter(|(query, label)| vote(query) == **label).count();
    right as f64 / test_labels.len() as f64
}

fn values(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect()
}

#[test]
fn probe_tells_the_accuracies_of_plainly_written_classifiers() {
    let Noisy { place, train: (train, labels), test: (test, test_labels) } = &Noisy::runs();
    let report = json(place, &["probe", "runs/vae", "--against", "runs/ae"]);
    let found = |i: usize| &report["representations"][i];
    let names: Vec<&str> = (0..3).map(|i| found(i)["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vae", "ae", "raw pixels"]);
    assert!(found(0)["active_units"].is_u64() && found(1)["active_units"].is_null());
    for (i, run) in ["runs/vae", "runs/ae"].into_iter().enumerate() {
        let codes = ["train", "test"].map(|split| {
            place.succeed(&["encode", run, "--split", split, "--out", "codes.npy"]);
            Array::from_bytes(&place.read("codes.npy")).unwrap().values
        });
        assert_near(number(&found(i)["knn"]["mean"]), knn(&codes[0], labels, &codes[1], test_labels, 5));
    }
    let (train, test) = (values(train), values(test));
    let want = knn(&train, labels, &test, test_labels, 784);
    assert!(0.3 < want && want < 0.95, "{want} would be reached by chance or by anything");
    assert_near(number(&found(2)["knn"]["mean"]), want);
    let model = LogisticRegression::fit(&train, labels, 784, Noisy::CLASSES, Settings::default()).unwrap();
    let right = model.classify(&test).iter().zip(test_labels).filter(|(a, b)| a == b).count();
    assert_near(number(&found(2)["logistic"]["mean"]), right as f64 / test_labels.len() as f64);
    assert_eq!(found(2)["logistic_converged"], model.converged);
    assert_eq!(found(2)["knn"]["deviation"], Value::Null);

    let few = json(place, &["probe", "runs/vae", "--labels", "40", "--draws", "3", "--seed", "9"]);
    let shares: Vec<f64> = (0..3)
        .map(|draw| {
            let address = Address { seed: 9, stream: Stream::Shuffling, step: (1 << 40) + draw };
            let chosen = balanced_draw(labels, 40, address);
            let rows: Vec<f32> = chosen.iter().flat_map(|i| train[784 * i..][..784].to_vec()).collect();
            let chosen: Vec<u8> = chosen.iter().map(|i| labels[*i]).collect();
            knn(&rows, &chosen, &test, test_labels, 784)
        })
        .collect();
    let mean = shares.iter().sum::<f64>() / 3.0;
    let deviation = (shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let pixels = &few["representations"][1];
    assert!(deviation > 0.0);
    assert_near(number(&pixels["knn"]["mean"]), mean);
    assert_near(number(&pixels["knn"]["deviation"]), deviation);
    let table = stdout(&place.succeed(&["probe", "runs/vae", "--labels", "40", "--draws", "3", "--seed", "9"]));
    assert!(table.contains(&format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * deviation)), "{table}");
}

#[test]
fn probe_names_what_makes_no_sense() {
    let place = &Noisy::runs().place;
    let probe = |arguments: &[&str], parts: &[&str]| refuse(place, &[&["probe", "runs/ae"], arguments].concat(), parts);
    probe(&["--k", "0"], &["--k = 0", "between 1 and the 300"]);
    probe(&["--k", "301"], &["--k = 301"]);
    probe(&["--labels", "9"], &["--labels = 9", "between 10 and 300"]);
    probe(&["--labels", "301"], &["--labels = 301"]);
    probe(&["--labels", "20", "--k", "21"], &["--labels = 20", "between 21 and 300"]);
    probe(&["--labels", "20", "--draws", "0"], &["--draws = 0", "between 1 and 1000"]);
    probe(&["--draws", "3"], &["--labels"]);
    probe(&["--against", "runs/ae"], &["given twice"]);
    probe(&["--against", "runs/none"], &["runs/none", "cannot read"]);
    probe(&["--against", "other.safetensors"], &["other.safetensors", "images of 20 pixels", "mnist have 784"]);
    let mut file = TensorFile::from_bytes(&place.read("runs/ae/model.safetensors")).unwrap();
    file.tensors.get_mut("decoder.FC_output.bias").unwrap().1[7] = f32::NAN;
    fs::write(place.path("nan.safetensors"), file.to_bytes().unwrap()).unwrap();
    probe(&["--against", "nan.safetensors"], &["nan.safetensors", "NaN"]);
    let one = vec![3; 300];
    Noisy::write(place, "train-labels-idx1-ubyte.gz", 0x0801, &[300], &one);
    probe(&[], &["one class"]);
}

/// What stands in the page between `from` and the next `to`, every time.
fn between<'a>(page: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    page.split(from).skip(1).map(|part| part.split(to).next().unwrap()).collect()
}

/// Panics unless every element that opens is closed in turn.
fn assert_well_formed(page: &str) {
    let style = page.find("<style>").unwrap()..page.find("</style>").unwrap();
    let page = format!("{}{}", &page[..style.start], &page[style.end + "</style>".len()..]);
    let mut open = Vec::new();
    for tag in page.split('<').skip(2) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.split([' ', '\n']).next().unwrap();
        assert!(count(tag, "\"").is_multiple_of(2), "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "</{name}> closes another element"),
            None if tag.ends_with('/') || ["meta", "link", "img"].contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn compare_shows_figures_and_pictures_of_every_run() {
    let place = Noisy::runs().place;
    let strange = "a<b>&\"c'";
    fs::rename(place.path("runs/plane"), place.path("runs").join(strange)).unwrap();
    let strange_path = format!("runs/{strange}");
    let report = json(&place, &["compare", "runs/vae", "runs/ae", &strange_path]);
    assert_eq!(report["page"], "runs/compare.html");
    let run = |i: usize| &report["runs"][i];
    for (i, path) in ["runs/vae", "runs/ae", &strange_path].into_iter().enumerate() {
        let eval = json(&place, &["eval", path]);
        for (ours, theirs) in [("bce", "deterministic_bce"), ("mse", "mse"), ("psnr", "psnr")] {
            assert_near(number(&run(i)["test"][ours]), number(&eval[theirs]));
        }
        let training = place.losses(path, "train").pop().unwrap();
        assert_eq!(run(i)["training"]["loss"], training["loss"]);
        assert_eq!(run(i)["validation"]["bce"], place.losses(path, "validation").pop().unwrap()["bce"]);
    }
    assert_near(number(&run(0)["test"]["elbo"]), number(&json(&place, &["eval", "runs/vae"])["deterministic_elbo"]));
    assert!(run(1)["test"]["elbo"].is_null() && run(1)["kl_of_units"].as_array().unwrap().is_empty());
    let differing: Vec<&str> = report["differing"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    assert_eq!(differing, ["model", "epochs", "latent_dim"]);
    assert_eq!(report["notes"].as_array().unwrap().len(), 1, "only that codes differ in size: {}", report["notes"]);

    let page = text(&place, "runs/compare.html");
    assert_well_formed(&page);
    assert!(!page.contains("<b>") && page.contains("a&lt;b&gt;&amp;&quot;c&#39;"));
    // Loss, BCE, KL and the units; the images, three reconstructions, two grids of samples.
    assert_eq!((count(&page, "role=\"img\""), count(&page, "<img")), (4, 6));
    assert!(between(&page, "src=\"", "\"").iter().all(|source| source.starts_with("data:image/png;base64,iVBOR")));
    assert!(!page.contains("href=\"http") && !page.contains("url(") && !page.contains("<script"));
    let best: Vec<&str> = between(&page, "<td class=\"best\">", "<");
    assert_eq!(best.len(), 4, "BCE, ELBO, MSE and PSNR: {best:?}");
}

#[test]
fn equal_models_draw_and_reconstruct_the_same() {
    let place = Noisy::runs().place;
    fs::create_dir(place.path("copy")).unwrap();
    for file in ["config.toml", "model.safetensors"] {
        fs::copy(place.path("runs/vae").join(file), place.path("copy").join(file)).unwrap();
    }
    // Trained from another seed, as far as the settings say: samples share one all the same.
    let config = text(&place, "copy/config.toml");
    fs::write(place.path("copy/config.toml"), config.replace("seed = 1\n", "seed = 5\n")).unwrap();
    let report = json(&place, &["compare", "runs/vae", "copy"]);
    assert_eq!((&report["differing"], &report["page"]), (&serde_json::json!(["seed"]), &"compare.html".into()));
    assert!(report["notes"][0].as_str().unwrap().contains("copy: no curves"), "{}", report["notes"]);
    let pictures = |page: &str| -> Vec<String> {
        between(&text(&place, page), "src=\"", "\"").iter().map(ToString::to_string).collect()
    };
    let seen = pictures("compare.html");
    let [images, one, other, samples, same] = &seen[..] else { panic!("{} pictures", seen.len()) };
    assert!(one == other && samples == same && images != one && one != samples);
    assert!(!text(&place, "compare.html").contains("class=\"best\""), "none of two equal ones is the best");
    place.succeed(&["compare", "runs/vae", "copy", "--seed", "7", "--out", "seven.html"]);
    assert!(pictures("seven.html")[3] != seen[3], "the seed decides nothing");
}

#[test]
fn compare_says_what_cannot_be_compared() {
    let place = &Noisy::runs().place;
    place.train("vae", &["--epochs", "1", "--name", "digits", "--corrupt", "mask:0.5"]);
    let output = stdout(&place.succeed(&["compare", "runs/vae", "runs/digits", "other.safetensors"]));
    for part in [
        "different sets",
        "images of 20 pixels",
        "digits: trained on binarised or corrupted",
        "no curves",
        "codes differ in size",
    ] {
        assert!(output.contains(part), "no `{part}` in: {output}");
    }
    let page = text(place, "compare.html");
    assert_well_formed(&page);
    // Two sets of images with a reconstruction each, and samples of three models.
    assert_eq!((count(&page, "<img"), count(&page, "class=\"best\"")), (7, 0));
    fs::remove_file(place.path("compare.html")).unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    refuse(place, &["compare", "runs/vae", "empty"], &["empty/model.safetensors", "cannot read"]);
    refuse(place, &["compare", "runs/vae", "none"], &["none", "cannot read"]);
    refuse(place, &["compare", "runs/vae"], &["RUN"]);
    refuse(place, &["compare", "runs/vae", "./runs/vae"], &["given twice"]);
    refuse(place, &["compare", "runs/vae", "runs/digits", "--out", "no/such.html"], &["no/such.html", "folder"]);
    refuse(place, &["compare", "runs/vae", "runs/digits", "--dataset", "fashion-mnist"], &["fashion-mnist"]);
    let many: Vec<String> = (0..8).map(|i| i.to_string()).collect();
    refuse(place, &[&["compare"], &many.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat(), &["8 runs"]);
    assert!(!place.path("compare.html").exists());
}
