//! `eval` and `anomaly`: figures of a trained model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use latent::nn::weights::layout_of;
use latent::nn::{Dims, Kind, Weights};
use latent::train::write_model;
use program::{Place, stderr, stdout};
use serde_json::Value;

fn report(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&place.succeed(arguments))).unwrap()
}

fn f64_of(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {report}"))
}

/// A VAE that decodes every code to the same image, whatever its posterior says: the last layer's weights are 0 and its biases
/// `logit`. So -ln p(x) is the BCE of that image exactly. The posterior is N(`mean`, e^`log_var`) in both units for every image.
fn constant_decoder(place: &Place, logit: f32, (mean, log_var): (f32, f32)) -> String {
    let (kind, dims) = (Kind::Variational, Dims { input: 784, hidden: 3, latent: 2 });
    let layout = layout_of(kind, dims);
    let mut values = vec![0.0; layout.len()];
    let mut fill = |name: &str, value: f32| values[layout.get(name).unwrap().range()].fill(value);
    fill("decoder.FC_output.bias", logit);
    fill("encoder.FC_mean.bias", mean);
    fill("encoder.FC_var.bias", log_var);
    write_model(&place.path("constant.safetensors"), &Weights { kind, dims, values }).unwrap();
    "constant.safetensors".to_owned()
}

#[test]
fn likelihood_and_bounds_are_those_of_a_model_where_they_are_known() {
    let place = Place::new();
    let model = constant_decoder(&place, -1.5, (0.5, -0.3));
    let flags = ["--dataset", "digits", "--nll-images", "40", "--nll-samples", "4000", "--worst", "0", "--json"];
    let eval = |k: &str| report(&place, &[&["eval", &model, "--iwae-k", k], &flags[..]].concat());
    let (one, many) = (eval("1"), eval("50"));
    // Both posteriors' units have the same divergence.
    let kl = 2.0 * 0.5 * (0.25 + (-0.3f64).exp() - 1.0 + 0.3);
    assert!((f64_of(&one, "/kl") - kl).abs() < 1e-4);
    // With the code without effect, BCE does not depend on it: on the same images -ELBO = BCE + KL, and -ln p(x) = BCE.
    let nll = f64_of(&one, "/nll/nats");
    let bound = |report: &Value| f64_of(report, "/iwae/nats");
    assert!((-bound(&one) - (nll + kl)).abs() < 0.02, "L_1 is {}, -ln p(x) {nll}, KL {kl}", bound(&one));
    assert!(bound(&many) > bound(&one) + 0.8 * kl && -bound(&many) >= nll - 0.01, "{} {}", bound(&many), bound(&one));
    // All 10,000 images, of which 40 are 40: the mean over them is near the BCE of all.
    let (bce, error) = (f64_of(&one, "/deterministic_bce"), f64_of(&one, "/nll/standard_error"));
    assert!((nll - bce).abs() < 5.0 * error && error > 0.0, "{nll} and {bce} +- {error}");
    assert!((f64_of(&one, "/rate_bits") - kl / std::f64::consts::LN_2).abs() < 1e-3);
    assert!((f64_of(&one, "/deterministic_elbo") + bce + kl).abs() < 1e-3);
}

#[test]
fn distortion_is_that_of_a_model_that_draws_one_grey() {
    let place = Place::new();
    let model = constant_decoder(&place, 0.0, (0.0, 0.0));
    let eval = report(&place, &["eval", &model, "--dataset", "digits", "--json"]);
    // Against half ink everywhere, BCE is ln 2 a pixel whatever the image.
    assert!((f64_of(&eval, "/deterministic_bce") - 784.0 * std::f64::consts::LN_2).abs() < 1e-2);
    let mse = f64_of(&eval, "/mse");
    assert!(mse > 0.1 && mse < 0.25, "{mse}");
    assert!((f64_of(&eval, "/psnr") + 10.0 * mse.log10()).abs() < 1e-9);
    assert_eq!(f64_of(&eval, "/kl"), 0.0);
    assert_eq!(eval["worst"].as_array().unwrap().len(), 20);
    assert!(place.read("constant/worst.png").starts_with(b"\x89PNG"));
}

#[test]
fn figures_do_not_depend_on_threads() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "vae"]);
    let eval = |threads: &str| {
        let flags = ["--nll-samples", "20", "--nll-images", "30", "--iwae-k", "5", "--json", "--threads", threads];
        stdout(&place.succeed(&[&["eval", "runs/vae"], &flags[..]].concat()))
    };
    assert_eq!(eval("1"), eval("3"));
}

#[test]
fn a_label_that_was_not_trained_on_scores_higher() {
    let place = Place::new();
    let flags = ["--holdout-class", "0", "--epochs", "3", "--name", "found", "--json"];
    let small = program::SMALL;
    let found = report(&place, &[&["anomaly"], &small[..], &flags].concat());
    assert_eq!(found["model"], "runs/found/class-0/model.safetensors");
    assert_eq!(found["detections"][0]["score"], "elbo");
    let auc = f64_of(&found, "/detections/0/roc_auc");
    assert!(auc > 0.55, "{auc}");
    assert!(place.read("runs/found/class-0/anomaly.png").starts_with(b"\x89PNG"));
    let svg = String::from_utf8(place.read("runs/found/class-0/anomaly-roc.svg")).unwrap();
    assert!(svg.contains("ROC-AUC"), "{svg}");
    // The run knows which label it was trained without; scored again it gives the same.
    let again = report(&place, &["anomaly", "runs/found/class-0", "--json"]);
    assert_eq!(again["detections"], found["detections"]);
    let by_bce = report(&place, &["anomaly", "runs/found/class-0", "--score", "bce", "--json"]);
    assert_eq!(by_bce["detections"][0], found["detections"][1]);
    // A label that was trained on is not found as one that was not.
    let other = report(&place, &["anomaly", "runs/found/class-0", "--holdout-class", "1", "--json"]);
    assert_ne!(other["detections"], found["detections"]);
}

#[test]
fn all_classes_are_trained_once_and_stand_in_one_table() {
    let place = Place::new();
    let small = ["--dataset", "digits", "--hidden-dim", "4", "--latent-dim", "2", "--batch-size", "2000"];
    let first = [&["anomaly", "--all-classes"], &small[..], &["--epochs", "1", "--name", "all", "--json"]].concat();
    let table = report(&place, &first);
    let classes = table["classes"].as_array().unwrap();
    let labels: Vec<u64> = classes.iter().map(|class| class["holdout_class"].as_u64().unwrap()).collect();
    assert_eq!(labels, (0..10).collect::<Vec<u64>>());
    let mean = classes.iter().map(|class| f64_of(class, "/detections/0/roc_auc")).sum::<f64>() / 10.0;
    assert!((f64_of(&table, "/mean_roc_auc") - mean).abs() < 1e-12);
    let page = String::from_utf8(place.read("runs/all/anomaly.md")).unwrap();
    assert_eq!(page.lines().count(), 13, "{page}");
    // Again: nothing is trained, and the table is the same.
    let model = place.read("runs/all/class-7/model.safetensors");
    std::fs::remove_dir_all(place.path("runs/all/class-9")).unwrap();
    let resumed = [&["anomaly", "--all-classes"], &small[..], &["--epochs", "1", "--resume", "runs/all", "--json"]];
    assert_eq!(report(&place, &resumed.concat()), table);
    assert!(place.read("runs/all/class-7/model.safetensors") == model);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    place.train("ae", &["--epochs", "1", "--name", "ae"]);
    let cases: [(&[&str], &[&str]); 10] = [
        (&["eval", "runs/ae", "--nll-samples", "10"], &["vanilla autoencoder", "--nll-samples", "latent vae"]),
        (&["eval", "runs/ae", "--iwae-k", "10"], &["--iwae-k"]),
        (&["eval", "runs/ae", "--nll-images", "0"], &["--nll-images = 0"]),
        (&["eval", "runs/none"], &["runs/none"]),
        (&["anomaly"], &["--holdout-class", "--all-classes"]),
        (&["anomaly", "runs/ae"], &["--holdout-class", "trained on all labels"]),
        (&["anomaly", "runs/ae", "--holdout-class", "3", "--score", "elbo"], &["vanilla", "--score bce"]),
        (&["anomaly", "runs/ae", "--holdout-class", "99"], &["one class"]),
        (&["anomaly", "runs/ae", "--all-classes"], &["--all-classes", "cannot be used"]),
        (&["anomaly", "--all-classes", "--dataset", "digits", "--epochs", "0"], &["--epochs = 0"]),
    ];
    for (arguments, parts) in cases {
        let output = place.latent(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
        }
    }
}
