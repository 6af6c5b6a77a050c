//! `sample`: pictures of images drawn from the prior.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind, Weights};
use latent::train::write_model;
use program::{Place, stderr, stdout};
use serde_json::Value;

/// A run of each model, named `ae` and `vae`.
fn trained() -> Place {
    let place = Place::new();
    place.train("ae", &["--epochs", "1", "--name", "ae"]);
    place.train("vae", &["--epochs", "1", "--name", "vae"]);
    place
}

/// Width, height and pixels of a grey PNG.
fn read(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn samples_depend_on_the_seed_alone_and_lie_in_the_runs_folder() {
    let place = trained();
    let output = place.succeed(&["sample", "runs/vae", "--json"]);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["picture"], "runs/vae/sample.png");
    assert_eq!(report["count"], 64);
    let first = place.read("runs/vae/sample.png");
    // Eight by eight images of 28 pixels and a line between, each magnified twice.
    let (width, height, _) = read(&first);
    assert_eq!([width, height], [2 * (8 * 29 + 1); 2]);
    let drawn = |arguments: &[&str]| {
        place.succeed(&[&["sample", "runs/vae", "--out", "other.png"], arguments].concat());
        place.read("other.png")
    };
    assert!(drawn(&["--threads", "1"]) == first);
    assert!(drawn(&["--seed", "1"]) == first, "the run's own seed is 1");
    assert!(drawn(&["--seed", "2"]) != first);
    assert!(drawn(&["--temperature", "0.5"]) != first);
}

#[test]
fn without_temperature_all_samples_are_the_same_image() {
    let place = trained();
    place.succeed(&["sample", "runs/vae", "--temperature", "0", "-n", "4"]);
    let (width, _, pixels) = read(&place.read("runs/vae/sample.png"));
    let side = 2 * 28;
    let image = |x: usize, y: usize| -> Vec<u8> {
        let (left, top) = (2 + x * (side + 2), 2 + y * (side + 2));
        (top..top + side).flat_map(|row| pixels[row * width + left..][..side].to_vec()).collect()
    };
    let first = image(0, 0);
    assert!(first.iter().any(|pixel| *pixel > 0));
    assert!([image(1, 0), image(0, 1), image(1, 1)].iter().all(|other| *other == first));
}

#[test]
fn a_file_of_other_dimensions_is_sampled_beside_itself() {
    let place = Place::new();
    let (kind, dims) = (Kind::Variational, Dims { input: 12, hidden: 5, latent: 2 });
    let values = (0..layout_of(kind, dims).len()).map(|i| (i % 7) as f32 - 3.0).collect();
    write_model(&place.path("tiny.safetensors"), &Weights { kind, dims, values }).unwrap();
    place.succeed(&["sample", "tiny.safetensors", "-n", "3"]);
    // Two by two places for images of 3 x 4.
    let (width, height, _) = read(&place.read("tiny/sample.png"));
    assert_eq!((width, height), (2 * (2 * 5 + 1), 2 * (2 * 4 + 1)));
}

#[test]
fn a_model_without_units_is_refused() {
    let place = Place::new();
    let (kind, dims) = (Kind::Variational, Dims { input: 12, hidden: 5, latent: 0 });
    let values = vec![0.5; layout_of(kind, dims).len()];
    write_model(&place.path("none.safetensors"), &Weights { kind, dims, values }).unwrap();
    let output = place.latent(&["sample", "none.safetensors"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("none.safetensors"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_sampled_is_refused_and_nothing_is_written() {
    let place = trained();
    let before = place.files();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["runs/ae"], &["vanilla autoencoder", "latent vae"]),
        (&["runs/none"], &["runs/none", "folder of a run"]),
        (&["runs"], &["runs/model.safetensors", "folder of a run"]),
        (&["runs/vae/config.toml"], &["config.toml"]),
        (&["runs/vae", "-n", "0"], &["--count = 0", "between 1 and 10000"]),
        (&["runs/vae", "--temperature", "nan"], &["--temperature = NaN", "1 is the prior"]),
        (&["runs/vae", "--temperature", "3e38"], &["--temperature = 300000", "too large"]),
        (&["runs/vae", "--out", "missing/sample.png"], &["missing/sample.png", "create the folder"]),
    ];
    for (arguments, parts) in cases {
        let output = place.latent(&[&["sample"], arguments].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
        }
    }
    assert_eq!(place.files(), before);
}
