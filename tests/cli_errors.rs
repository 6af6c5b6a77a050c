//! Bad input: what is wrong, where, and what to do; nothing half-written; exit code 2 where the input is at fault, 1 where the
//! run failed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use latent::tensor::TensorFile;
use program::{Place, SMALL, stderr};

/// Expects exit code `code` and a message with all of `parts`; returns the message.
fn refuse(place: &Place, code: i32, arguments: &[&str], parts: &[&str]) -> String {
    let output = place.latent(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
    }
    message
}

fn small<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["vae"], &SMALL[..], &["--epochs", "1"], arguments].concat()
}

#[test]
fn settings_without_sense_are_refused_before_anything_is_written() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 20] = [
        (&["--dataset", "cifar"], &["cifar", "mnist, fashion-mnist, digits"]),
        (&["--hidden-dim", "0"], &["--hidden-dim = 0", "between 1 and"]),
        (&["--latent-dim", "0"], &["--latent-dim = 0", "between 1 and"]),
        (&["--hidden-dim", "1000000"], &["--hidden-dim = 1000000", "between 1 and"]),
        (&["--hidden-dim", "60000"], &["--hidden-dim = 60000", "MiB are free", "choose smaller"]),
        (&["--latent-dim", "1000000000000000000000000000000"], &["--latent-dim", "too large"]),
        (&["--batch-size", "0"], &["--batch-size = 0", "between 1 and"]),
        (&["--batch-size", "60001"], &["--batch-size = 60001", "60000 training images", "smaller batch"]),
        (&["--val-split", "0.5", "--batch-size", "30001"], &["--batch-size = 30001", "30000 training images"]),
        (&["--lr", "-1"], &["--lr = -1", "positive"]),
        (&["--lr", "0"], &["--lr = 0", "positive"]),
        (&["--lr", "nan"], &["--lr = NaN", "positive"]),
        (&["--lr", "inf"], &["--lr = inf", "positive"]),
        (&["--beta", "nan"], &["--beta = NaN"]),
        (&["--beta", "-1"], &["--beta = -1"]),
        (&["--val-split", "1"], &["--val-split = 1"]),
        (&["--threads", "0"], &["--threads = 0"]),
        (&["--epochs", "0"], &["--epochs = 0"]),
        (&["--name", "a/b"], &["--name", "a/b", "--out"]),
        (&["--name", ""], &["--name", "--out"]),
    ];
    for (arguments, parts) in cases {
        let set = if arguments[0] == "--dataset" { &[][..] } else { &["--dataset", "digits"] };
        refuse(&place, 2, &[&["vae"], set, arguments].concat(), parts);
    }
    refuse(&place, 2, &small(&["--name", ".."]), &["--name", ".."]);
    assert_eq!(place.files(), [""; 0], "something was written");
}

#[test]
fn configuration_files_are_checked() {
    let place = Place::new();
    let write = |text: &str| fs::write(place.path("c.toml"), text).unwrap();
    write("lr = 0.1\nlearning_rate = 1\n");
    refuse(&place, 2, &["vae", "--config", "c.toml"], &["c.toml", "line 2", "learning_rate", "`lr`"]);
    write("lr = \"fast\"\n");
    refuse(&place, 2, &["vae", "--config", "c.toml"], &["c.toml", "line 1", "fast"]);
    write("batch_size = -5\n");
    refuse(&place, 2, &["vae", "--config", "c.toml"], &["c.toml", "line 1", "-5"]);
    write("dataset = \"cifar\"\n");
    refuse(&place, 2, &["vae", "--config", "c.toml"], &["c.toml", "cifar", "fashion-mnist"]);
    refuse(&place, 2, &["vae", "--config", "none.toml"], &["none.toml", "cannot read"]);
}

/// An IDX file with these dimensions and contents, gzipped.
fn idx(magic: u32, dims: &[u32], contents: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(contents);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn damaged_data_is_named_by_file_and_place() {
    const IMAGES: u32 = 0x0803;
    const LABELS: u32 = 0x0801;
    let images = |count: u32| idx(IMAGES, &[count, 28, 28], &vec![7; count as usize * 784]);
    let labels = |count: u32| idx(LABELS, &[count], &vec![1; count as usize]);
    let file = "train-images-idx3-ubyte.gz";
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        (file, images(20)[..40].to_vec(), &["gzip"]),
        (file, idx(0x0802, &[20, 784], &[0; 20 * 784]), &["dimension"]),
        (file, idx(IMAGES, &[21, 28, 28], &[0; 20 * 784]), &["byte 15696", "16480 bytes"]),
        (file, Vec::new(), &["empty"]),
        ("train-labels-idx1-ubyte.gz", labels(19), &["19", "20"]),
        ("t10k-labels-idx1-ubyte.gz", idx(LABELS, &[10], &[10; 10]), &["label"]),
    ];
    for (name, contents, parts) in cases {
        let place = Place::new();
        let dir = place.path("data/mnist");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("train-images-idx3-ubyte.gz"), images(20)).unwrap();
        fs::write(dir.join("train-labels-idx1-ubyte.gz"), labels(20)).unwrap();
        fs::write(dir.join("t10k-images-idx3-ubyte.gz"), images(10)).unwrap();
        fs::write(dir.join("t10k-labels-idx1-ubyte.gz"), labels(10)).unwrap();
        fs::write(dir.join(name), contents).unwrap();
        let stem = name.strip_suffix(".gz").unwrap();
        let message = refuse(&place, 2, &["vae", "--batch-size", "5"], &[stem, "./data-fetch.sh mnist"]);
        for part in parts {
            assert!(message.to_lowercase().contains(part), "{name}: no `{part}` in: {message}");
        }
        assert!(!place.path("runs").exists());
    }
}

#[test]
fn missing_data_name_the_command_that_fetches_them() {
    let place = Place::new();
    refuse(&place, 2, &["vae"], &["data/mnist", "./data-fetch.sh mnist"]);
    refuse(&place, 2, &["ae", "--dataset", "fashion-mnist"], &["./data-fetch.sh fashion-mnist"]);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_run_that_exists_is_refused_and_untouched() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "x"]);
    let before = place.read("runs/x/metrics.jsonl");
    refuse(&place, 2, &small(&["--name", "x"]), &["runs/x", "--resume", "--name"]);
    assert_eq!(place.read("runs/x/metrics.jsonl"), before);
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    refuse(&place, 2, &small(&["--out", "file"]), &["file", "--out"]);
    refuse(&place, 2, &small(&["--out", "file/below"]), &["file/below", "--out"]);
    // Nobody can make a folder here, not even root, whom permissions do not bind.
    refuse(&place, 2, &small(&["--out", "/proc/runs"]), &["/proc/runs", "--out"]);
    assert_eq!(place.files(), ["file"]);
}

#[test]
fn only_a_run_of_the_same_model_can_be_resumed() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "x"]);
    let resume = |arguments: &[&'static str], parts: &[&str]| {
        refuse(&place, 2, &[&["vae", "--resume", "runs/x"], arguments].concat(), parts);
    };
    resume(&[], &["--epochs = 1", "total"]);
    resume(&["--epochs", "2", "--lr", "0.5"], &["config.toml", "lr is 0.001", "0.5"]);
    resume(&["--epochs", "2", "--hidden-dim", "17"], &["hidden_dim is 16", "17"]);
    refuse(&place, 2, &["ae", "--resume", "runs/x", "--epochs", "2"], &["vae", "latent vae"]);
    refuse(&place, 2, &["vae", "--resume", "runs"], &["runs/config.toml", "cannot read"]);
    refuse(&place, 2, &["vae", "--resume", "nowhere"], &["nowhere", "cannot read"]);
    let config = String::from_utf8(place.read("runs/x/config.toml")).unwrap();
    fs::write(place.path("runs/x/config.toml"), config.replace("hidden_dim = 16", "hidden_dim = 20")).unwrap();
    resume(&["--epochs", "2"], &["checkpoints/last", "784-16-16-4", "784-20-20-4"]);
    fs::write(place.path("runs/x/config.toml"), config.replace("seed = 1", "seed = 2")).unwrap();
    resume(&["--epochs", "2"], &["checkpoints/last", "other data", "digest"]);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let place = Place::new();
    place.train("ae", &["--epochs", "1", "--name", "x"]);
    let path = place.path("runs/x/checkpoints/last");
    let whole = fs::read(&path).unwrap();
    let resume = ["ae", "--resume", "runs/x", "--epochs", "2"];
    for len in [0, 5, 300, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        refuse(&place, 2, &resume, &["checkpoints/last", "another checkpoint"]);
    }
    for place_of_flip in [3, 100, 600, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place_of_flip] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        refuse(&place, 2, &resume, &["checkpoints/last"]);
    }
    fs::write(&path, place.read("runs/x/model.safetensors")).unwrap();
    refuse(&place, 2, &resume, &["checkpoints/last", "no checkpoint"]);
    fs::write(&path, whole).unwrap();
    place.succeed(&resume);
}

#[test]
fn a_run_that_diverges_fails_and_keeps_its_last_good_checkpoint() {
    let place = Place::new();
    let parts = ["not finite", "step ", "mean[", "NaN", "runs/x/checkpoints/last", "--lr"];
    refuse(&place, 1, &small(&["--lr", "1e30", "--name", "x"]), &parts);
    place.succeed(&["eval", "runs/x/checkpoints/last", "--dataset", "digits"]);
    assert!(!place.path("runs/x/model.safetensors").exists(), "a model of NaN is of no use");
    // The log variance overflows first where the learning rate is merely high.
    let message = refuse(&place, 1, &small(&["--lr", "10", "--name", "y"]), &["not finite", "step "]);
    assert!(message.contains("log_var[") || message.contains("mean[") || message.contains("logits["), "{message}");
}

#[test]
fn eval_names_what_is_wrong_with_a_model() {
    let place = Place::new();
    place.train("vae", &["--epochs", "1", "--name", "x"]);
    let file = TensorFile::from_bytes(&place.read("runs/x/model.safetensors")).unwrap();
    let eval = |change: &dyn Fn(&mut TensorFile), parts: &[&str]| {
        let mut file = file.clone();
        change(&mut file);
        fs::write(place.path("m.safetensors"), file.to_bytes().unwrap()).unwrap();
        refuse(&place, 2, &["eval", "m.safetensors", "--dataset", "digits"], &[&["m.safetensors"], parts].concat());
    };
    eval(&|file| drop(file.tensors.remove("encoder.FC_var.bias")), &["encoder.FC_var.bias", "missing"]);
    eval(&|file| file.tensors.clear(), &["encoder.FC_input.weight", "missing"]);
    let name = "decoder.FC_output.bias";
    eval(&|file| drop(file.tensors.insert(name.to_owned(), (vec![3], vec![0.0; 3]))), &[name, "[3]", "[784]"]);
    eval(&|file| file.tensors.get_mut(name).unwrap().1[7] = f32::NAN, &[name, "NaN", "element 7"]);
    fs::write(place.path("text"), "not a model").unwrap();
    refuse(&place, 2, &["eval", "text"], &["text", "safetensors"]);
    refuse(&place, 2, &["eval", "none"], &["none", "cannot read"]);
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vae_20_16_6.safetensors");
    refuse(&place, 2, &["eval", fixture, "--dataset", "digits"], &["F64", ".float()"]);
    let small_images = |file: &mut TensorFile| {
        let sizes =
            [("encoder.FC_input.weight", vec![16, 20]), ("decoder.FC_output.weight", vec![20, 16]), (name, vec![20])];
        for (name, dims) in sizes {
            let values = vec![0.0; dims.iter().product()];
            file.tensors.insert(name.to_owned(), (dims, values));
        }
    };
    eval(&small_images, &["20 pixels", "784"]);
}

#[test]
fn a_full_disk_fails_the_run_and_leaves_no_half_file() {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"]).arg(&disk).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: this user may not mount a small disk");
        return;
    }
    let output = place.latent(&small(&["--out", "disk"]));
    let files = place.files();
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("checkpoints/last") && stderr(&output).contains("free some space"));
    assert_eq!(files, ["disk/vae-1/config.toml", "disk/vae-1/environment.json"]);
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_run() {
    let place = Place::new();
    let mut child = place.command(&small(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert!(child.wait().unwrap().success(), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    assert!(place.path("runs/vae-1/model.safetensors").exists());
}
