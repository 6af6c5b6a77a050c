//! The same run, whatever the threads, and wherever it was interrupted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::time::{Duration, Instant};

use program::{Place, SMALL, stderr};

#[test]
fn threads_do_not_change_a_bit() {
    let place = Place::new();
    // Odd sizes, and a last batch of 60,000 - 8 x 7,001 = 3,992 images.
    let sizes = ["--dataset", "digits", "--hidden-dim", "37", "--latent-dim", "5", "--batch-size", "7001"];
    for command in ["ae", "vae"] {
        let train = |threads: &str| {
            let name = format!("{command}{threads}");
            let arguments = [&[command][..], &sizes, &["--epochs", "1", "--threads", threads, "--name", &name]];
            place.succeed(&arguments.concat());
            place.read(&format!("runs/{name}/model.safetensors"))
        };
        let one = train("1");
        for threads in ["2", "3", "5"] {
            assert!(train(threads) == one, "{command} with {threads} threads differs from one thread");
        }
    }
}

#[test]
fn another_seed_gives_another_model() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "a"]);
    place.train("vae", &["--epochs", "1", "--name", "b", "--seed", "2"]);
    assert_ne!(place.read("runs/a/model.safetensors"), place.read("runs/b/model.safetensors"));
}

#[test]
fn resume_equals_uninterrupted_run_bit_for_bit() {
    let place = Place::new();
    let kinds: [(&str, &[&str]); 3] =
        [("ae", &[]), ("vae", &[]), ("vae", &["--kl-warmup", "3", "--val-split", "0.1", "--batch-size", "701"])];
    for (i, (command, extra)) in kinds.into_iter().enumerate() {
        let settings: Vec<&str> = if extra.is_empty() { SMALL.to_vec() } else { [&SMALL[..6], extra].concat() };
        let (whole, parts) = (format!("whole{i}"), format!("parts{i}"));
        place.succeed(&[&[command][..], &settings, &["--epochs", "3", "--name", &whole]].concat());
        place.succeed(&[&[command][..], &settings, &["--epochs", "1", "--name", &parts]].concat());
        let run = format!("runs/{parts}");
        place.succeed(&[command, "--resume", &run, "--epochs", "3", "--threads", "1"]);
        let read = |run: &str| place.read(&format!("runs/{run}/model.safetensors"));
        assert!(read(&whole) == read(&parts), "{command} {extra:?}");
        assert_eq!(place.losses(&format!("runs/{whole}"), "train"), place.losses(&run, "train"), "{command} {extra:?}");
    }
}

#[test]
fn an_interrupted_epoch_goes_on_where_it_stopped() {
    let place = Place::new();
    // An epoch of some seconds: time to interrupt it in the middle.
    let settings = ["vae", "--dataset", "digits", "--hidden-dim", "128", "--latent-dim", "16", "--batch-size", "20"];
    place.succeed(&[&settings[..], &["--epochs", "1", "--name", "whole"]].concat());

    let mut child = place.command(&[&settings[..], &["--epochs", "1", "--name", "parts"]].concat()).spawn().unwrap();
    let (start, last) = (Instant::now(), place.path("runs/parts/checkpoints/last"));
    while !last.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no first checkpoint");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130), "the epoch was over before the signal came");
    assert!(!place.path("runs/parts/metrics.jsonl").exists(), "no epoch is complete");

    let output = place.succeed(&["vae", "--resume", "runs/parts"]);
    assert!(!stderr(&output).contains("error"));
    assert_eq!(place.losses("runs/whole", "train"), place.losses("runs/parts", "train"));
    assert!(place.read("runs/whole/model.safetensors") == place.read("runs/parts/model.safetensors"));
}

#[test]
fn each_setting_changes_the_loss_that_it_claims_to_change() {
    let place = Place::new();
    let run = |name: &str, extra: &[&str]| {
        place.train("vae", &[&["--epochs", "2", "--name", name][..], extra].concat());
        place.losses(&format!("runs/{name}"), "train")
    };
    let base = run("base", &[]);
    let of = |records: &[serde_json::Value], epoch: usize, key: &str| records[epoch][key].as_f64().unwrap();
    for (name, extra) in [
        ("lr", ["--lr", "0.01"]),
        ("seed", ["--seed", "2"]),
        ("split", ["--val-split", "0.5"]),
        ("latent", ["--kl-warmup", "2"]),
    ] {
        assert_ne!(run(name, &extra), base, "{extra:?}");
    }
    let strong = run("strong", &["--beta", "20"]);
    assert!(of(&strong, 1, "kl") < of(&base, 1, "kl"), "a larger beta presses the KL divergence down");
    let (loss, bce, kl) = (of(&strong, 1, "loss"), of(&strong, 1, "bce"), of(&strong, 1, "kl"));
    assert!((loss - (bce + 20.0 * kl)).abs() <= 1e-9 * loss);
    let warm = run("warm", &["--kl-warmup", "4"]);
    assert_eq!([of(&warm, 0, "beta"), of(&warm, 1, "beta")], [0.25, 0.5]);
    assert!((of(&warm, 0, "loss") - of(&warm, 0, "bce") - 0.25 * of(&warm, 0, "kl")).abs() <= 1e-9 * loss);
    assert!(of(&warm, 0, "kl") > of(&base, 0, "kl"), "less weight leaves more KL divergence");
}
