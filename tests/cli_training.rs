//! What the training commands and `eval` print and leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::collections::BTreeSet;

use latent::tensor::TensorFile;
use program::{Place, shapes, stdout};
use serde_json::Value;

#[test]
fn a_run_leaves_what_the_readme_names() {
    let place = Place::new();
    for (command, samples) in [("ae", false), ("vae", true)] {
        place.train(command, &["--epochs", "2", "--validate-every", "1", "--name", command]);
        let run = format!("runs/{command}");
        let mut names = BTreeSet::from([
            "README.md",
            "checkpoints/best",
            "checkpoints/last",
            "config.toml",
            "environment.json",
            "loss.svg",
            "metrics.jsonl",
            "model.safetensors",
            "reconstructions/epoch_001.png",
            "reconstructions/epoch_002.png",
        ]);
        if samples {
            names.extend(["samples/epoch_001.png", "samples/epoch_002.png"]);
        }
        let prefix = format!("{run}/");
        let files = place.files();
        let found: BTreeSet<&str> = files.iter().filter_map(|file| file.strip_prefix(&prefix)).collect();
        assert_eq!(found, names);
        let page = String::from_utf8(place.read(&format!("{run}/README.md"))).unwrap();
        let links: Vec<&str> = page.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert_eq!(links.len(), if samples { 3 } else { 2 });
        for link in links {
            assert!(place.path(&run).join(link).exists(), "{link}");
        }
    }
}

#[test]
fn records_hold_averages_that_add_up() {
    let place = Place::new();
    place.train("vae", &["--epochs", "2", "--beta", "0.5", "--name", "vae"]);
    place.train("ae", &["--epochs", "1", "--name", "ae"]);
    let records = place.records("runs/vae");
    let which: Vec<_> = records.iter().map(|r| (r["epoch"].as_u64().unwrap(), r["split"].as_str().unwrap())).collect();
    assert_eq!(which, [(1, "train"), (2, "train"), (2, "validation")]);
    for record in &records {
        let of = |key: &str| record[key].as_f64().unwrap();
        assert!((of("loss") - of("bce") - 0.5 * of("kl")).abs() <= 1e-9 * of("loss"), "{record}");
        assert!(of("kl") > 0.0 && of("images_per_second") > 0.0 && of("seconds") > 0.0);
        assert!((0..=4).contains(&record["active_units"].as_u64().unwrap()));
    }
    for record in place.records("runs/ae") {
        assert_eq!((record["kl"].as_f64(), &record["active_units"]), (Some(0.0), &Value::Null));
        assert_eq!(record["loss"], record["bce"]);
    }
}

#[test]
fn plain_lines_begin_with_the_text_of_the_tutorial() {
    let place = Place::new();
    let output = place.train("vae", &["--epochs", "2"]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let record = &place.records("runs/vae-1")[1];
    let loss = record["loss"].as_f64().unwrap();
    assert!(lines[1].starts_with(&format!("Epoch 2, Avg Training Loss: {loss:.4}  BCE ")), "{text}");
    assert!(lines[1].contains("  KL "), "{text}");
    assert!(lines[2].starts_with("Epoch 2, Avg Validation Loss: "), "{text}");
}

#[test]
fn the_model_has_the_names_and_shapes_of_pytorch() {
    let place = Place::new();
    let shape = |name: &str, dims: &[usize]| (name.to_owned(), dims.to_vec());
    let decoder = [
        shape("decoder.FC_hidden.bias", &[16]),
        shape("decoder.FC_hidden.weight", &[16, 4]),
        shape("decoder.FC_hidden2.bias", &[16]),
        shape("decoder.FC_hidden2.weight", &[16, 16]),
        shape("decoder.FC_output.bias", &[784]),
        shape("decoder.FC_output.weight", &[784, 16]),
        shape("encoder.FC_input.bias", &[16]),
        shape("encoder.FC_input.weight", &[16, 784]),
        shape("encoder.FC_input2.bias", &[16]),
        shape("encoder.FC_input2.weight", &[16, 16]),
    ];
    for (command, heads) in [("ae", &["FC_latent"][..]), ("vae", &["FC_mean", "FC_var"])] {
        place.train(command, &["--epochs", "1", "--name", command]);
        let mut expected = decoder.to_vec();
        for head in heads {
            expected.push(shape(&format!("encoder.{head}.bias"), &[4]));
            expected.push(shape(&format!("encoder.{head}.weight"), &[4, 16]));
        }
        expected.sort();
        assert_eq!(shapes(&place.read(&format!("runs/{command}/model.safetensors"))), expected);
    }
}

#[test]
fn runs_without_a_name_are_numbered() {
    let place = Place::new();
    for _ in 0..2 {
        place.train("ae", &["--epochs", "1", "--out", "elsewhere"]);
    }
    assert!(place.path("elsewhere/ae-1/model.safetensors").exists());
    assert!(place.path("elsewhere/ae-2/model.safetensors").exists());
}

#[test]
fn both_trains_both_and_can_share_the_decoder() {
    let place = Place::new();
    place.train("both", &["--epochs", "1", "--name", "own"]);
    place.train("both", &["--epochs", "1", "--name", "shared", "--share-decoder"]);
    let model = |run: &str| place.read(&format!("runs/{run}/model.safetensors"));
    assert_eq!(model("own/ae"), model("shared/ae"));
    assert_ne!(model("own/vae"), model("shared/vae"));
    // The decoder that the AE trained draws digits already.
    let loss = |run: &str| place.loss(&format!("runs/{run}"), "train");
    assert!(loss("shared/vae") < loss("own/vae") - 5.0, "{} and {}", loss("shared/vae"), loss("own/vae"));
    // Resumed as a whole, it does what a longer run does.
    place.train("both", &["--epochs", "2", "--name", "long", "--share-decoder"]);
    place.succeed(&["both", "--resume", "runs/own", "--epochs", "2"]);
    assert_eq!(model("long/ae"), model("own/ae"));
    // Where only the AE was trained, the VAE takes its settings and its decoder.
    let before = model("shared/vae");
    std::fs::remove_dir_all(place.path("runs/shared/vae")).unwrap();
    place.succeed(&["both", "--resume", "runs/shared", "--share-decoder"]);
    assert_eq!(model("shared/vae"), before);
}

#[test]
fn a_runs_settings_reproduce_it_and_the_command_line_overrides_them() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--lr", "0.002", "--name", "first"]);
    place.succeed(&["vae", "--config", "runs/first/config.toml", "--name", "again"]);
    assert_eq!(place.read("runs/first/model.safetensors"), place.read("runs/again/model.safetensors"));
    place.succeed(&["vae", "--config", "runs/first/config.toml", "--name", "other", "--latent-dim", "3"]);
    let config: toml::Table = String::from_utf8(place.read("runs/other/config.toml")).unwrap().parse().unwrap();
    let integer = |key: &str| config[key].as_integer().unwrap();
    // From the command line, from the file, and by default.
    assert_eq!([integer("latent_dim"), integer("hidden_dim"), integer("validate_every")], [3, 16, 5]);
    assert_eq!(config["lr"].as_float(), Some(0.002));
}

#[test]
fn eval_measures_runs_and_files_alike() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "vae"]);
    let json = |arguments: &[&str]| -> Value {
        let output = place.succeed(&[&["eval"], arguments, &["--json"]].concat());
        let text = stdout(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let of_run = json(&["runs/vae"]);
    let keys: BTreeSet<&str> = of_run.as_object().unwrap().keys().map(String::as_str).collect();
    let always = ["active_units", "bce", "bce_floor", "deterministic_bce", "deterministic_elbo", "elbo", "iwae", "kl"];
    let more =
        ["kl_of_units", "loss", "mse", "nll", "psnr", "rate_bits", "rate_bits_per_pixel", "worst", "worst_picture"];
    assert_eq!(keys, always.into_iter().chain(more).collect());
    assert_eq!([&of_run["iwae"], &of_run["nll"]], [&Value::Null; 2], "nobody asked for them");
    assert_eq!(of_run["loss"].as_f64().unwrap(), place.loss("runs/vae", "validation"));
    assert!(of_run["bce"].as_f64().unwrap() > of_run["bce_floor"].as_f64().unwrap());

    let mean = json(&["runs/vae", "--deterministic"]);
    assert!(mean["bce"].as_f64().unwrap() < of_run["bce"].as_f64().unwrap(), "the mean is the best guess");
    assert_eq!(mean["kl"], of_run["kl"]);
    assert_eq!(mean, json(&["runs/vae", "--deterministic", "--threads", "1"]));

    let close = |a: &Value, b: &Value| {
        let (a, b) = (a["loss"].as_f64().unwrap(), b["loss"].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-6 * b, "{a} and {b}");
    };
    // Batches of another size pair images with other noise; decoding the mean needs none.
    close(&json(&["runs/vae/model.safetensors", "--dataset", "digits", "--deterministic"]), &mean);
    // As PyTorch writes it: the same tensors, without our entry.
    let mut file = TensorFile::from_bytes(&place.read("runs/vae/model.safetensors")).unwrap();
    file.note = None;
    let views = file.tensors.iter().map(|(name, (dims, values))| {
        let bytes = bytemuck::cast_slice(values);
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, dims.clone(), bytes).unwrap())
    });
    std::fs::write(place.path("torch.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    close(&json(&["torch.safetensors", "--dataset", "digits", "--deterministic"]), &mean);
}
