//! `encode` and `decode`: images to codes and back, in files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use latent::tensor::{Array, TensorFile};
use program::{Place, stderr};

fn trained() -> Place {
    let place = Place::new();
    place.train("ae", &["--epochs", "1", "--name", "ae"]);
    place.train("vae", &["--epochs", "1", "--name", "vae"]);
    place
}

fn array(place: &Place, file: &str) -> Array {
    Array::from_bytes(&place.read(file)).unwrap()
}

/// A PNG of 28 x 28 pixels; `pixel` gives the channels of each.
fn png(place: &Place, name: &str, colour: png::ColorType, pixel: impl Fn(usize) -> Vec<u8>) {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 28, 28);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let data: Vec<u8> = (0..784).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    std::fs::write(place.path(name), bytes).unwrap();
}

#[test]
fn codes_of_a_set_hold_means_variances_and_labels() {
    let place = trained();
    place.succeed(&["encode", "runs/vae"]);
    let file = TensorFile::from_bytes(&place.read("runs/vae/codes.safetensors")).unwrap();
    let shapes: Vec<(&str, &[usize])> =
        file.tensors.iter().map(|(name, (shape, _))| (name.as_str(), shape.as_slice())).collect();
    assert_eq!(shapes, [("labels", &[10_000][..]), ("log_var", &[10_000, 4]), ("mean", &[10_000, 4])]);
    assert!(file.tensors["labels"].1.iter().all(|label| (0.0..=9.0).contains(label)));
    place.succeed(&["encode", "runs/vae", "--out", "codes.npy"]);
    assert_eq!(array(&place, "codes.npy").values, file.tensors["mean"].1);
    place.succeed(&["encode", "runs/vae", "--out", "both.npy", "--posterior"]);
    let both = array(&place, "both.npy");
    assert_eq!(both.shape, [10_000, 8]);
    assert_eq!(both.values[..8], [&file.tensors["mean"].1[..4], &file.tensors["log_var"].1[..4]].concat());
    place.succeed(&["encode", "runs/ae", "--split", "train", "--out", "train.npy"]);
    assert_eq!(array(&place, "train.npy").shape, [60_000, 4]);
}

#[test]
fn every_form_of_the_same_image_has_the_same_code() {
    let place = trained();
    let bytes: Vec<u8> = (0..784).map(|i| if i % 28 > 20 { (i % 200) as u8 } else { 0 }).collect();
    let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    png(&place, "grey.png", png::ColorType::Grayscale, |i| vec![bytes[i]]);
    png(&place, "colour.png", png::ColorType::Rgb, |i| vec![bytes[i]; 3]);
    png(&place, "clear.png", png::ColorType::Rgba, |i| vec![255, 255, 255, bytes[i]]);
    png(&place, "paper.png", png::ColorType::Grayscale, |i| vec![255 - bytes[i]]);
    std::fs::write(place.path("flat.npy"), Array::to_bytes(&[1, 784], &values)).unwrap();
    std::fs::write(place.path("square.npy"), Array::to_bytes(&[28, 28], &values)).unwrap();
    std::fs::write(place.path("one.npy"), Array::to_bytes(&[1, 28, 28], &values)).unwrap();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28], &bytes[..]].concat();
    std::fs::write(place.path("images-idx3-ubyte"), idx).unwrap();
    let code = |arguments: &[&str]| {
        place.succeed(&[&["encode", "runs/vae", "--out", "code.npy", "--images"], arguments].concat());
        let code = array(&place, "code.npy");
        assert_eq!(code.shape, [1, 4]);
        code.values
    };
    let want = code(&["grey.png"]);
    for other in ["colour.png", "clear.png", "flat.npy", "square.npy", "one.npy", "images-idx3-ubyte"] {
        let near = code(&[other]).iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(near, "{other}: {:?}, not {want:?}", code(&[other]));
    }
    let turned = code(&["paper.png", "--invert"]);
    assert!(turned.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4));
    let output = place.succeed(&["encode", "runs/vae", "--out", "code.npy", "--images", "paper.png"]);
    assert!(stderr(&output).contains("--invert"), "{}", stderr(&output));
    place.succeed(&["encode", "runs/vae", "--out", "two.npy", "--images", "grey.png", "flat.npy"]);
    assert_eq!(array(&place, "two.npy").shape, [2, 4]);
}

#[test]
fn decoded_codes_come_as_arrays_tensors_and_pictures() {
    let place = trained();
    std::fs::write(place.path("codes.npy"), Array::to_bytes(&[3, 4], &[0.5; 12])).unwrap();
    place.succeed(&["decode", "runs/vae", "codes.npy", "--out", "images.npy"]);
    let images = array(&place, "images.npy");
    assert_eq!(images.shape, [3, 28, 28]);
    assert!(images.values.iter().all(|value| (0.0..=1.0).contains(value)));
    assert_eq!(images.values[..784], images.values[784..1568]);
    place.succeed(&["decode", "runs/vae", "codes.npy", "--out", "images.safetensors"]);
    let file = TensorFile::from_bytes(&place.read("images.safetensors")).unwrap();
    assert_eq!(file.tensors["images"], (vec![3, 28, 28], images.values.clone()));
    place.succeed(&["decode", "runs/vae", "codes.npy"]);
    assert!(place.read("runs/vae/decoded.png").starts_with(b"\x89PNG"));
    // Means beside log variances: the means count. And what encode writes, decode takes.
    let both: Vec<f32> = [[0.5; 4], [-3.0; 4]].concat().repeat(3);
    std::fs::write(place.path("both.npy"), Array::to_bytes(&[3, 8], &both)).unwrap();
    place.succeed(&["decode", "runs/vae", "both.npy", "--out", "again.npy"]);
    assert_eq!(array(&place, "again.npy"), images);
    place.succeed(&["encode", "runs/vae"]);
    place.succeed(&["decode", "runs/vae", "runs/vae/codes.safetensors", "--out", "all.npy"]);
    assert_eq!(array(&place, "all.npy").shape, [10_000, 28, 28]);
}

#[test]
fn what_cannot_be_used_is_refused_and_nothing_is_written() {
    let place = trained();
    let save = |name: &str, shape: &[usize], values: &[f32]| {
        std::fs::write(place.path(name), Array::to_bytes(shape, values)).unwrap();
    };
    save("nan.npy", &[1, 784], &{
        let mut values = [0.5; 784];
        values[3] = f32::NAN;
        values
    });
    save("bright.npy", &[2, 784], &[&[0.5; 784][..], &[7.0; 784]].concat());
    save("small.npy", &[1, 8, 8], &[0.5; 64]);
    save("none.npy", &[0, 28, 28], &[]);
    save("cube.npy", &[1, 1, 28, 28], &[0.5; 784]);
    save("codes.npy", &[2, 5], &[0.5; 10]);
    save("enormous.npy", &[2, 4], &[[f32::MAX; 4], [f32::MIN; 4]].concat());
    save("infinite.npy", &[1, 4], &[0.0, f32::INFINITY, 0.0, 0.0]);
    std::fs::write(place.path("empty"), b"").unwrap();
    std::fs::write(place.path("text.png"), b"\x89PNG and so on").unwrap();
    let before = place.files();
    let cases: [(&[&str], &[&str]); 16] = [
        (&["encode", "runs/vae", "--images", "nan.npy"], &["nan.npy", "pixel 3 of image 0 is NaN"]),
        (&["encode", "runs/vae", "--images", "bright.npy"], &["pixel 0 of image 1 is 7", "from 0 to 1"]),
        (&["encode", "runs/vae", "--images", "small.npy"], &["8 x 8", "784", "28 x 28"]),
        (&["encode", "runs/vae", "--images", "none.npy"], &["no image"]),
        (&["encode", "runs/vae", "--images", "cube.npy"], &["[1, 1, 28, 28]", "[count, rows, columns]"]),
        (&["encode", "runs/vae", "--images", "empty"], &["empty", "PNG, .npy or IDX"]),
        (&["encode", "runs/vae", "--images", "text.png"], &["text.png", "PNG"]),
        (&["encode", "runs/vae", "--images", "missing.png"], &["missing.png", "cannot read"]),
        (&["encode", "runs/vae", "--out", "codes.txt"], &["codes.txt", ".npy or .safetensors"]),
        (&["encode", "runs/ae", "--posterior"], &["vanilla autoencoder", "latent vae"]),
        (&["decode", "runs/vae", "codes.npy"], &["[2, 5]", "[n, 4]"]),
        (&["decode", "runs/vae", "enormous.npy", "--out", "o.npy"], &["enormous.npy", "too large"]),
        (&["decode", "runs/vae", "infinite.npy"], &["inf at element 1"]),
        (&["decode", "runs/vae", "runs/vae/model.safetensors"], &["no tensor `mean`"]),
        (&["decode", "runs/vae", "empty"], &["empty"]),
        (&["decode", "runs/vae", "missing.npy"], &["missing.npy"]),
    ];
    for (arguments, parts) in cases {
        let output = place.latent(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
        }
    }
    assert_eq!(place.files(), before);
}
