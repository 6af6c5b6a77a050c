//! `reconstruct`, `denoise`, `interpolate`, `traverse` and `manifold`: what stands in the pictures, held against an f64 model, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(dead_code, reason = "the oracle has more than is used here")]

mod oracle;
mod program;

use std::fs;

use latent::data::Corruption;
use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind, Weights};
use latent::noise::{Address, Stream};
use latent::train::write_model;
use oracle::{Batch, Model, kl, sigmoid, uniform, widen};
use program::{Place, stderr, stdout};
use serde_json::Value;

const DIMS: Dims = Dims { input: 784, hidden: 12, latent: 4 };
/// Test images, numbered from 0 and labelled by their number's last digit.
const IMAGES: usize = 40;

/// A model of random weights in a folder with images of its own, and the same model in f64.
struct Trained {
    place: Place,
    model: Model,
    params: Vec<f64>,
    images: Vec<f64>,
}

impl Trained {
    fn new(kind: Kind, dims: Dims) -> Self {
        let place = Place::new();
        let values = uniform(7, layout_of(kind, dims).len(), -0.4, 0.4);
        let params = widen(&values);
        fs::create_dir(place.path("run")).unwrap();
        write_model(&place.path("run/model.safetensors"), &Weights { kind, dims, values }).unwrap();
        let labels: Vec<u8> = (0..IMAGES).map(|i| (i % 10) as u8).collect();
        let images = write_set(&place, &labels).iter().map(|byte| f64::from(*byte) / 255.0).collect();
        let trained = Self { place, model: Model::new(kind, dims), params, images };
        trained.configure("");
        trained
    }

    fn vae() -> Self {
        Self::new(Kind::Variational, DIMS)
    }

    fn image(&self, i: usize) -> &[f64] {
        &self.images[i * 784..][..784]
    }

    /// All images with the noise that seed 3 puts on them.
    fn corrupted(&self, corruption: Corruption) -> Vec<f64> {
        let bytes: Vec<u8> = self.images.iter().map(|value| (255.0 * value).round() as u8).collect();
        let address = Address { seed: 3, stream: Stream::Corruption, step: 0 };
        corruption.apply(&bytes, address).into_iter().map(|byte| f64::from(byte) / 255.0).collect()
    }

    /// The code of an image, for the VAE the mean.
    fn code(&self, image: &[f64]) -> Vec<f64> {
        let batch = Batch { x: image.to_vec(), eps: vec![0.0; self.model.dims.latent] };
        self.model.forward(&self.params, &batch).z
    }

    /// Adds lines to the run's settings.
    fn configure(&self, lines: &str) {
        let settings = format!("seed = 3\ndataset = \"mnist\"\n{lines}\n");
        fs::write(self.place.path("run/config.toml"), settings).unwrap();
    }

    /// Mean and log variance of the posterior of image `i`.
    fn posterior(&self, i: usize) -> (Vec<f64>, Vec<f64>) {
        let batch = Batch { x: self.image(i).to_vec(), eps: vec![0.0; self.model.dims.latent] };
        let forward = self.model.forward(&self.params, &batch);
        (forward.mean, forward.log_var)
    }

    fn decode(&self, z: &[f64]) -> Vec<f64> {
        self.model.decode(&self.params, z).1.into_iter().map(sigmoid).collect()
    }

    /// Runs a command on the run and returns what it says as JSON, and the picture.
    fn picture(&self, command: &str, arguments: &[&str]) -> (Value, Picture) {
        let output = self.place.succeed(&[&[command, "run", "--json"], arguments].concat());
        let report = serde_json::from_str(&stdout(&output)).unwrap();
        (report, Picture::new(&self.place.read(&format!("run/{command}.png"))))
    }

    /// Expects exit code 2 and a message with all of `parts`, and no picture.
    fn refuse(&self, command: &str, arguments: &[&str], parts: &[&str]) {
        let output = self.place.latent(&[&[command, "run"], arguments].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command} {arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{command} {arguments:?}: no `{part}` in: {message}");
        }
        assert!(!self.place.path(&format!("run/{command}.png")).exists());
    }
}

/// Writes a small set of images of squares of random greys under the names of MNIST; returns the pixels of the test images.
fn write_set(place: &Place, labels: &[u8]) -> Vec<u8> {
    let dir = place.path("data/mnist");
    fs::create_dir_all(&dir).unwrap();
    let greys = uniform(1, labels.len() * 16, 0.0, 255.0);
    let pixel = |i: usize| greys[i / 784 * 16 + i % 784 / 28 / 7 * 4 + i % 28 / 7] as u8;
    let pixels: Vec<u8> = (0..labels.len() * 784).map(pixel).collect();
    let header = |magic: u32, dims: &[u32]| -> Vec<u8> {
        [&[magic], dims].concat().into_iter().flat_map(u32::to_be_bytes).collect()
    };
    let count = labels.len() as u32;
    for part in ["train", "t10k"] {
        let images = [header(0x0803, &[count, 28, 28]), pixels.clone()].concat();
        fs::write(dir.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [header(0x0801, &[count]), labels.to_vec()].concat();
        fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
    pixels
}

/// A decoded PNG.
struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn new(png: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width as usize, pixels: bytes.as_chunks::<3>().0.to_vec() }
    }

    fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// Where `image` stands, magnified twice, to within one of 255 greys; panics unless it is at exactly one place.
    #[track_caller]
    fn find(&self, what: &str, image: &[f64]) -> (usize, usize) {
        let shows = |x: usize, y: usize| {
            (0..56 * 56).all(|i| {
                let [red, green, blue] = self.at(x + i % 56, y + i / 56);
                let value = image[i / 56 / 2 * 28 + i % 56 / 2];
                red == green && green == blue && (f64::from(red) - 255.0 * value).abs() <= 1.0
            })
        };
        let places = (0..self.height() - 55).flat_map(|y| (0..self.width - 55).map(move |x| (x, y)));
        let found: Vec<_> = places.filter(|(x, y)| shows(*x, *y)).collect();
        assert_eq!(found.len(), 1, "{what} stands at {found:?}");
        found[0]
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

/// Side of an image in a picture, with the gap to the next.
const STEP: usize = 60;

fn close(got: &Value, want: f64) -> bool {
    (got.as_f64().unwrap() - want).abs() <= 1e-4 * want.abs()
}

#[test]
fn reconstruct_shows_images_over_their_reconstructions_and_measures_them() {
    let vae = Trained::vae();
    let (report, picture) = vae.picture("reconstruct", &["--images", "5,17,3"]);
    for (place, number) in [5, 17, 3].into_iter().enumerate() {
        let output = vae.decode(&vae.code(vae.image(number)));
        let (x, y) = picture.find("the image", vae.image(number));
        assert_eq!(picture.find("the output", &output), (x, y + STEP));
        let line = &report["images"][place];
        assert_eq!((line["image"].as_u64(), line["label"].as_u64()), (Some(number as u64), Some(number as u64 % 10)));
        let pairs = output.iter().zip(vae.image(number));
        let bce: f64 = pairs.map(|(p, t)| -t * p.ln() - (1.0 - t) * (1.0 - p).ln()).sum();
        let mse = mse(&output, vae.image(number));
        assert!(close(&line["bce"], bce) && close(&line["mse"], mse), "{line} {bce} {mse}");
        assert!(close(&line["psnr"], 10.0 * (1.0 / mse).log10()), "{line}");
    }
    let mse: f64 = report["images"].as_array().unwrap().iter().map(|line| line["mse"].as_f64().unwrap()).sum();
    assert!(close(&report["mean"]["mse"], mse / 3.0));
}

fn mse(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64
}

#[test]
fn denoise_shows_input_output_and_truth_and_measures_all_images() {
    let vae = Trained::vae();
    let cases: [(&str, &[&str], Corruption); 3] = [
        ("", &[], Corruption::Gaussian(0.3)),
        ("corrupt = \"mask:0.5\"", &[], Corruption::Mask(0.5)),
        ("corrupt = \"mask:0.5\"", &["--corrupt", "salt:0.25"], Corruption::Salt(0.25)),
    ];
    for (settings, arguments, corruption) in cases {
        vae.configure(settings);
        let (report, picture) = vae.picture("denoise", &[&["--images", "8,11"], arguments].concat());
        assert_eq!(
            (&report["corrupt"], &report["count"]),
            (&Value::from(corruption.to_string()), &Value::from(IMAGES))
        );
        let inputs = vae.corrupted(corruption);
        let outputs: Vec<f64> = inputs.chunks_exact(784).flat_map(|image| vae.decode(&vae.code(image))).collect();
        let decibels = |mse: f64| 10.0 * (1.0 / mse).log10();
        let (before, after) = (decibels(mse(&inputs, &vae.images)), decibels(mse(&outputs, &vae.images)));
        assert!(
            close(&report["psnr_before"], before) && close(&report["psnr_after"], after),
            "{report} {before} {after}"
        );
        assert!(close(&report["gain"], after - before), "{report}");
        for (place, number) in [8, 11].into_iter().enumerate() {
            let [input, output] = [&inputs, &outputs].map(|images| &images[number * 784..][..784]);
            let (x, y) = picture.find("the input", input);
            let below = picture.find("the output", output);
            assert!(below.0 == x && below.1 > y + 56, "{below:?} below {x}, {y}");
            assert_eq!(picture.find("the truth", vae.image(number)), (x, 2 * below.1 - y));
            let line = &report["images"][place];
            assert!(close(&line["psnr_before"], decibels(mse(input, vae.image(number)))), "{line}");
            assert!(close(&line["psnr_after"], decibels(mse(output, vae.image(number)))), "{line}");
        }
    }
}

#[test]
fn images_are_black_and_white_where_the_run_made_them_so() {
    let vae = Trained::vae();
    vae.configure("binarize = \"threshold\"");
    let (_, picture) = vae.picture("reconstruct", &["--images", "3"]);
    let image: Vec<f64> = vae.image(3).iter().map(|value| if *value > 0.5 { 1.0 } else { 0.0 }).collect();
    let (x, y) = picture.find("the image", &image);
    assert_eq!(picture.find("its reconstruction", &vae.decode(&vae.code(&image))), (x, y + STEP));
}

#[test]
fn what_is_drawn_depends_on_the_seed_alone() {
    let vae = Trained::vae();
    let drawn: [&[&str]; 4] = [
        &["denoise", "--images", "1,2"],
        &["reconstruct", "--count", "4"],
        &["reconstruct", "--images", "1,2", "--sampled"],
        &["interpolate", "--steps", "3", "--pairs", "2"],
    ];
    for arguments in drawn {
        let bytes = |seed: &str| {
            let (command, rest) = arguments.split_first().unwrap();
            vae.place.succeed(&[&[*command, "run", "--seed", seed], rest].concat());
            vae.place.read(&format!("run/{command}.png"))
        };
        let first = bytes("1");
        assert!(first == bytes("1"), "{arguments:?}: another picture from the same seed");
        assert!(first != bytes("2"), "{arguments:?}: the same picture from another seed");
    }
    let (report, _) = vae.picture("reconstruct", &["--count", "40"]);
    let mut numbers: Vec<u64> =
        report["images"].as_array().unwrap().iter().map(|line| line["image"].as_u64().unwrap()).collect();
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..40), "an image twice");
}

/// The point at `t` on the great circle, for vectors of any length, as the docs of `slerp` have it.
fn slerp(a: &[f64], b: &[f64], t: f64) -> Vec<f64> {
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let angle = (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / norm(a) / norm(b)).acos();
    let length = (1.0 - t) * norm(a) + t * norm(b);
    let part = |t: f64, norm: f64| length * (t * angle).sin() / angle.sin() / norm;
    a.iter().zip(b).map(|(x, y)| part(1.0 - t, norm(a)) * x + part(t, norm(b)) * y).collect()
}

fn lerp(a: &[f64], b: &[f64], t: f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| (1.0 - t) * a + t * b).collect()
}

#[test]
fn interpolate_goes_from_image_to_image_by_their_reconstructions() {
    type Between = fn(&[f64], &[f64], f64) -> Vec<f64>;
    let cases: [(Kind, &[&str], &str, Between); 3] = [
        (Kind::Variational, &[], "spherical", slerp),
        (Kind::Variational, &["--linear"], "linear", lerp),
        (Kind::Vanilla, &[], "linear", lerp),
    ];
    for (kind, arguments, way, between) in cases {
        let model = Trained::new(kind, DIMS);
        let (from, to) = (model.code(model.image(2)), model.code(model.image(31)));
        let (report, picture) =
            model.picture("interpolate", &[&["--from", "2", "--to", "31", "--steps", "4"], arguments].concat());
        assert_eq!(report["path"], way);
        let (x, y) = picture.find("the first image", model.image(2));
        assert_eq!(picture.at(x - 2, y - 2), [0xd5, 0x5e, 0x00], "no frame");
        for (step, t) in [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0].into_iter().enumerate() {
            let want = model.decode(&between(&from, &to, t));
            assert_eq!(picture.find(&format!("{t}"), &want), (x + STEP * (step + 1), y));
        }
        assert_eq!(picture.find("the second image", model.image(31)), (x + 5 * STEP, y));
    }
}

#[test]
fn interpolate_draws_pairs_of_different_digits() {
    let vae = Trained::vae();
    let pairs = |arguments: &[&str]| -> Vec<[usize; 2]> {
        let (report, _) = vae.picture("interpolate", &[&["--steps", "2"], arguments].concat());
        let number = |pair: &Value, end: &str| pair[end].as_u64().unwrap() as usize;
        report["pairs"].as_array().unwrap().iter().map(|pair| [number(pair, "from"), number(pair, "to")]).collect()
    };
    let drawn = pairs(&["--pairs", "15"]);
    assert!(drawn.len() == 15 && drawn.iter().all(|[from, to]| from % 10 != to % 10), "{drawn:?}");
    let to_four = pairs(&["--to", "4"]);
    assert!(to_four.len() == 6 && to_four.iter().all(|[from, to]| *to == 4 && from % 10 != 4), "{to_four:?}");
    let from_four = pairs(&["--from", "4", "--pairs", "9"]);
    assert!(from_four.iter().all(|[from, to]| *from == 4 && to % 10 != 4), "{from_four:?}");
}

#[test]
fn traverse_changes_one_unit_at_a_time_the_most_active_first() {
    let vae = Trained::vae();
    let posteriors: Vec<_> = (0..IMAGES).map(|i| vae.posterior(i)).collect();
    let kl_of = |unit: usize| posteriors.iter().map(|(m, v)| kl(m[unit], v[unit])).sum::<f64>() / IMAGES as f64;
    let mut order: Vec<usize> = (0..4).collect();
    order.sort_by(|a, b| kl_of(*b).total_cmp(&kl_of(*a)));
    for (arguments, base) in [(&[][..], vec![0.0; 4]), (&["--image", "6"], posteriors[6].0.clone())] {
        let options = ["--dims", "3", "--steps", "3", "--range", "2"];
        let (report, picture) = vae.picture("traverse", &[&options[..], arguments].concat());
        let mut corner = None;
        for (row, unit) in order[..3].iter().enumerate() {
            let line = &report["units"][row];
            assert!(line["unit"] == *unit && close(&line["kl"], kl_of(*unit)), "{line} {unit}");
            for (column, value) in [(0, -2.0), (2, 2.0)] {
                let mut z = base.clone();
                z[*unit] = value;
                let (x, y) = picture.find(&format!("unit {unit} at {value}"), &vae.decode(&z));
                let own = (x - STEP * column, y - STEP * row);
                assert_eq!(*corner.get_or_insert(own), own);
            }
        }
    }
}

#[test]
fn the_ae_is_traversed_in_standard_deviations_around_its_mean_code() {
    let ae = Trained::new(Kind::Vanilla, DIMS);
    let codes: Vec<_> = (0..IMAGES).map(|i| ae.code(ae.image(i))).collect();
    let mean = |f: &dyn Fn(&Vec<f64>) -> f64| codes.iter().map(f).sum::<f64>() / IMAGES as f64;
    let means: Vec<f64> = (0..4).map(|unit| mean(&|code| code[unit])).collect();
    let deviation = |unit: usize| mean(&|code| (code[unit] - means[unit]).powi(2)).sqrt();
    let unit = (0..4).max_by(|a, b| deviation(*a).total_cmp(&deviation(*b))).unwrap();
    let (report, picture) = ae.picture("traverse", &["--dims", "1", "--steps", "3"]);
    let line = &report["units"][0];
    assert!(line["unit"] == unit && close(&line["deviation"], deviation(unit)), "{line}");
    for step in [-3.0, 0.0, 3.0] {
        let mut z = means.clone();
        z[unit] += step * deviation(unit);
        picture.find(&format!("{step} deviations"), &ae.decode(&z));
    }
}

#[test]
fn manifold_decodes_normal_quantiles_to_the_right_and_upwards() {
    // The quantiles of 1/6 and 5/6, from tables.
    const SIXTH: f64 = 0.967_421_6;
    let vae = Trained::vae();
    for (arguments, base) in [(&[][..], vec![0.0; 4]), (&["--image", "9"], vae.code(vae.image(9)))] {
        let (report, picture) = vae.picture("manifold", &[&["--dims", "3,1", "--side", "3"], arguments].concat());
        assert_eq!(report["dims"], serde_json::json!([3, 1]));
        let places = [(-SIXTH, 0), (0.0, 56), (SIXTH, 112)];
        let mut corner = None;
        for (right, x) in places {
            for (up, y) in places {
                let mut z = base.clone();
                (z[3], z[1]) = (right, up);
                let place = picture.find(&format!("{right}, {up}"), &vae.decode(&z));
                let own = (place.0 - x, place.1 + y);
                assert_eq!(*corner.get_or_insert(own), own);
            }
        }
    }
}

#[test]
fn a_plane_needs_no_images_where_nothing_depends_on_them() {
    let vae = Trained::new(Kind::Variational, Dims { latent: 2, ..DIMS });
    let (whole, _) = vae.picture("manifold", &["--side", "2", "--image", "1"]);
    assert_eq!(whole["dims"], serde_json::json!([0, 1]));
    fs::remove_dir_all(vae.place.path("data")).unwrap();
    vae.picture("manifold", &["--side", "2"]);
    // A model of images of another size, and not square.
    let oblong = Trained::new(Kind::Variational, Dims { input: 20, ..DIMS });
    let (_, picture) = oblong.picture("manifold", &["--dims", "3,0", "--side", "2"]);
    assert!(picture.width > 2 * 5 * 11 && picture.height() > 2 * 4 * 11);
}

#[test]
fn options_without_sense_are_refused() {
    let vae = Trained::vae();
    let cases: [(&str, &[&str], &[&str]); 24] = [
        ("denoise", &["--corrupt", "rain:1"], &["--corrupt", "rain:1", "gaussian:0.3"]),
        ("denoise", &["--images", "40"], &["--images = 40", "0 to 39"]),
        ("reconstruct", &["--images", "3,40"], &["--images = 40", "0 to 39"]),
        ("reconstruct", &["--images", ""], &["--images"]),
        ("reconstruct", &["--images", "one"], &["one", "--images"]),
        ("reconstruct", &["--images", "1", "--count", "2"], &["--images", "--count"]),
        ("reconstruct", &["--count", "0"], &["--count = 0", "between 1 and"]),
        ("reconstruct", &["--count", "41"], &["--count = 41", "40"]),
        ("interpolate", &["--from", "40"], &["--from = 40", "0 to 39"]),
        ("interpolate", &["--to", "40"], &["--to = 40", "0 to 39"]),
        ("interpolate", &["--steps", "1"], &["--steps = 1", "between 2 and"]),
        ("interpolate", &["--pairs", "0"], &["--pairs = 0", "between 1 and"]),
        ("interpolate", &["--from", "1", "--to", "2", "--pairs", "2"], &["--pairs = 2", "leave out"]),
        ("interpolate", &["--pairs", "21"], &["--pairs = 21", "ask for fewer"]),
        ("traverse", &["--dims", "0"], &["--dims = 0", "between 1 and 4"]),
        ("traverse", &["--dims", "5"], &["--dims = 5", "between 1 and 4"]),
        ("traverse", &["--steps", "1"], &["--steps = 1", "between 2 and"]),
        ("traverse", &["--range", "0"], &["--range = 0", "above 0"]),
        ("traverse", &["--range", "nan"], &["--range = NaN", "above 0"]),
        ("traverse", &["--image", "40"], &["--image = 40", "0 to 39"]),
        ("manifold", &["--dims", "1"], &["--dims = 1", "two different units"]),
        ("manifold", &["--dims", "1,1"], &["--dims = 1,1", "two different units"]),
        ("manifold", &["--dims", "0,4"], &["--dims = 0,4", "from 0 to 3"]),
        ("manifold", &["--side", "0"], &["--side = 0", "between 1 and"]),
    ];
    for (command, arguments, parts) in cases {
        vae.refuse(command, arguments, parts);
    }
    vae.refuse("manifold", &["--out", "nowhere/picture.png"], &["nowhere/picture.png", "create the folder"]);
}

#[test]
fn models_and_images_that_do_not_do_are_refused() {
    let ae = Trained::new(Kind::Vanilla, DIMS);
    ae.refuse("reconstruct", &["--sampled"], &["vanilla", "--sampled", "latent vae"]);
    let line = Trained::new(Kind::Variational, Dims { latent: 1, ..DIMS });
    line.refuse("manifold", &[], &["latent units = 1", "latent traverse"]);
    line.picture("traverse", &["--steps", "3"]);
    let alike = Trained::vae();
    write_set(&alike.place, &[7; 20]);
    alike.refuse("interpolate", &[], &["different labels"]);
    let foreign = Trained::new(Kind::Variational, Dims { input: 20, ..DIMS });
    for command in ["reconstruct", "denoise", "interpolate", "traverse", "manifold"] {
        foreign.refuse(command, &[], &["20 pixels", "784"]);
        let empty = Trained::vae();
        write_set(&empty.place, &[]);
        empty.refuse(command, &[], &["images-idx3-ubyte", "0"]);
        let mut weights = latent::train::read_model(&empty.place.path("run/model.safetensors")).unwrap();
        weights.values[5] = f32::NAN;
        write_model(&empty.place.path("run/model.safetensors"), &weights).unwrap();
        empty.refuse(command, &[], &["encoder.FC_input.weight", "NaN", "element 5"]);
    }
}
