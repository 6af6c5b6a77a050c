//! The training flags beyond the tutorial: each changes what it says it changes, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::process::Command;

use program::{Place, stderr, stdout};
use serde_json::Value;

fn f64_of(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_else(|| panic!("{field} of {record}"))
}

/// The last training record of a run of two epochs.
fn trained(place: &Place, name: &str, arguments: &[&str]) -> Value {
    place.train("vae", &[&["--epochs", "2", "--name", name], arguments].concat());
    place.losses(&format!("runs/{name}"), "train").last().unwrap().clone()
}

#[test]
fn binarised_images_have_no_grey_and_another_loss() {
    let place = Place::new();
    let grey = trained(&place, "grey", &[]);
    let threshold = trained(&place, "threshold", &["--binarize", "threshold"]);
    let sample = trained(&place, "sample", &["--binarize", "sample"]);
    assert!(f64_of(&threshold, "bce") != f64_of(&grey, "bce"));
    // Drawn pixels cannot be foretold: what is left of their entropy is added to the loss.
    assert!(f64_of(&sample, "bce") > f64_of(&threshold, "bce") + 1.0, "{sample} {threshold}");
    for name in ["threshold", "sample"] {
        let picture = place.read(&format!("runs/{name}/reconstructions/epoch_002.png"));
        assert!(greys_of_first_image(&picture).iter().all(|grey| [0, 255].contains(grey)), "{name}");
    }
    assert!(greys_of_first_image(&place.read("runs/grey/reconstructions/epoch_002.png")).iter().any(|g| *g % 255 > 0));
}

/// The pixels of the first input in a picture of reconstructions.
fn greys_of_first_image(bytes: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let width = reader.next_frame(&mut pixels).unwrap().width as usize;
    (2..2 + 56).flat_map(|row| pixels[row * width + 2..][..56].to_vec()).collect()
}

#[test]
fn corrupted_inputs_are_harder_and_their_targets_stay_clean() {
    let place = Place::new();
    let clean = trained(&place, "clean", &[]);
    let untouched = trained(&place, "untouched", &["--corrupt", "mask:0"]);
    let masked = trained(&place, "masked", &["--corrupt", "mask:0.7"]);
    for field in ["loss", "bce", "kl"] {
        assert_eq!(untouched[field], clean[field], "a mask that hides nothing changes nothing");
    }
    assert!(f64_of(&masked, "bce") > f64_of(&clean, "bce") + 1.0, "{masked} {clean}");
    // Were the masked image the target, an all but empty one, the loss would be far below.
    assert!(f64_of(&masked, "bce") > 0.7 * f64_of(&clean, "bce"), "{masked} {clean}");
    let config = String::from_utf8(place.read("runs/masked/config.toml")).unwrap();
    assert!(config.contains("corrupt = \"mask:0.7\""), "{config}");
}

#[test]
fn a_resume_draws_the_same_noise_bit_for_bit() {
    let place = Place::new();
    let flags = ["--binarize", "sample", "--corrupt", "salt:0.2"];
    place.train("vae", &[&["--epochs", "3", "--name", "whole"], &flags[..]].concat());
    place.train("vae", &[&["--epochs", "1", "--name", "parts", "--threads", "1"], &flags[..]].concat());
    place.succeed(&["vae", "--resume", "runs/parts", "--epochs", "3", "--threads", "3"]);
    assert!(place.read("runs/whole/model.safetensors") == place.read("runs/parts/model.safetensors"));
    assert_eq!(place.losses("runs/whole", "train"), place.losses("runs/parts", "train"));
}

/// Four units of a small VAE, with nats for nothing, say more than they are worth to the loss.
#[test]
fn free_bits_keep_units_from_falling_silent() {
    let place = Place::new();
    let kl = |name: &str, nats: &str| f64_of(&trained(&place, name, &["--free-bits", nats]), "kl");
    let (none, some) = (kl("none", "0"), kl("some", "3"));
    assert!(some > none + 1.0, "{some} with free bits, {none} without");
    assert_eq!(none, f64_of(&trained(&place, "default", &[]), "kl"));
    let output = place.latent(&["vae", "--dataset", "digits", "--free-bits", "-1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--free-bits = -1"));
}

/// Jensen's inequality: the bound of one model lies above its evidence lower bound, and training on it leads to a higher one.
#[test]
fn several_draws_make_the_bound_tighter() {
    let place = Place::new();
    let default = trained(&place, "default", &[]);
    let one = trained(&place, "one", &["--iwae-k", "1"]);
    for field in ["loss", "bce", "kl"] {
        assert_eq!(one[field], default[field], "one draw is the evidence lower bound");
    }
    let five = trained(&place, "five", &["--iwae-k", "5"]);
    assert!(f64_of(&five, "loss") < f64_of(&five, "bce") + f64_of(&five, "kl") - 1.0, "{five}");
    assert!(f64_of(&five, "loss") < f64_of(&one, "loss"), "{five} {one}");
    let readme = String::from_utf8(place.read("runs/five/README.md")).unwrap();
    assert!(readme.contains("bound of 5 codes an image"), "{readme}");
    let vanilla = |name: &str, arguments: &[&str]| {
        place.train("ae", &[&["--epochs", "1", "--name", name], arguments].concat());
        place.read(&format!("runs/{name}/model.safetensors"))
    };
    assert!(vanilla("plain", &[]) == vanilla("weighed", &["--iwae-k", "3"]), "the AE draws nothing");
}

#[test]
fn an_importance_weighted_run_is_resumed_bit_for_bit() {
    let place = Place::new();
    let flags = ["--iwae-k", "3", "--kl-warmup", "2", "--corrupt", "mask:0.2"];
    place.train("vae", &[&["--epochs", "3", "--name", "whole"], &flags[..]].concat());
    place.train("vae", &[&["--epochs", "1", "--name", "parts", "--threads", "1"], &flags[..]].concat());
    place.succeed(&["vae", "--resume", "runs/parts", "--epochs", "3", "--threads", "3"]);
    assert!(place.read("runs/whole/model.safetensors") == place.read("runs/parts/model.safetensors"));
    assert_eq!(place.losses("runs/whole", "train"), place.losses("runs/parts", "train"));
    let output = place.latent(&["vae", "--resume", "runs/parts", "--epochs", "4", "--iwae-k", "4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("iwae_k is 3 in this run"), "{}", stderr(&output));
}

#[test]
fn schedules_set_the_step_size_of_each_epoch() {
    let place = Place::new();
    let rates = |name: &str, arguments: &[&str]| -> Vec<f64> {
        place.train("vae", &[&["--epochs", "3", "--name", name], arguments].concat());
        place.losses(&format!("runs/{name}"), "train").iter().map(|record| f64_of(record, "lr")).collect()
    };
    assert_eq!(rates("constant", &[]), [1e-3; 3]);
    let near = |got: Vec<f64>, want: [f64; 3]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12);
    assert!(near(rates("cosine", &["--lr-schedule", "cosine", "--lr-final", "0.2"]), [1e-3, 6e-4, 2e-4]));
    assert!(near(rates("exponential", &["--lr-schedule", "exponential"]), [1e-3, 1e-4, 1e-5]));
    let loss = |name: &str| place.loss(&format!("runs/{name}"), "train");
    assert!(loss("exponential") > loss("constant") + 1.0, "steps a hundredth as long lead less far");
    let output = place.latent(&["vae", "--resume", "runs/cosine", "--epochs", "5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("fall over 3 epochs"), "{}", stderr(&output));
}

#[test]
fn patience_ends_a_run_that_does_not_get_better() {
    let place = Place::new();
    // No step is taken that would be seen, so that no validation after the first is better.
    let still = ["--lr", "1e-12", "--validate-every", "1", "--epochs", "9", "--checkpoint-every", "9"];
    let run = |name: &str, arguments: &[&str]| {
        place.train("ae", &[&["--name", name], &still[..], arguments].concat());
        place.losses(&format!("runs/{name}"), "validation").len()
    };
    assert_eq!(run("patient", &[]), 9);
    let epochs = run("hasty", &["--patience", "2"]);
    assert!((3..9).contains(&epochs), "{epochs} epochs");
    // It has come to its end: to resume it does nothing, and with more patience it goes on.
    place.succeed(&["ae", "--resume", "runs/hasty"]);
    assert_eq!(place.losses("runs/hasty", "validation").len(), epochs);
    place.succeed(&["ae", "--resume", "runs/hasty", "--patience", "0"]);
    assert_eq!(place.losses("runs/hasty", "validation"), place.losses("runs/patient", "validation"));
}

#[test]
fn a_class_that_is_held_out_is_not_trained_on() {
    let place = Place::new();
    let output = place.train("ae", &["--epochs", "1", "--name", "without", "--holdout-class", "3"]);
    let all = place.train("ae", &["--epochs", "1", "--name", "all"]);
    let count = |text: String| -> usize {
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "images,").unwrap();
        words[at - 1].parse().unwrap()
    };
    let (without, all) = (count(stderr(&output)), count(stderr(&all)));
    assert!(all == 60_000 && (50_000..58_000).contains(&without), "{without} of {all}");
    let config = String::from_utf8(place.read("runs/without/config.toml")).unwrap();
    assert!(config.contains("holdout_class = 3"), "{config}");
}

#[test]
fn events_hold_every_record_once_also_after_a_resume() {
    let place = Place::new();
    place.train("vae", &["--epochs", "2", "--name", "run", "--tensorboard"]);
    place.succeed(&["vae", "--resume", "runs/run", "--epochs", "3"]);
    let file = "runs/run/tensorboard/events.out.tfevents.latent";
    let scalars = scalars(&place.read(file));
    let mut want = Vec::new();
    for record in place.records("runs/run") {
        let (split, epoch) = (record["split"].as_str().unwrap(), record["epoch"].as_u64().unwrap());
        for (tag, field) in [("loss", "loss"), ("bce", "bce"), ("kl", "kl"), ("active_units", "active_units")] {
            want.push((format!("{tag}/{split}"), epoch, f64_of(&record, field) as f32));
        }
        if split == "train" {
            want.push(("learning_rate".to_owned(), epoch, f64_of(&record, "lr") as f32));
        }
    }
    assert_eq!(scalars, want);
    read_by_tensorboard(&place, file, want.len());
}

/// The length of the message and where it begins, by the format of protocol buffers.
fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    value
}

/// The fields of a message: number, wire type, content.
fn fields(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let (mut at, mut fields) = (0, Vec::new());
    while at < bytes.len() {
        let key = varint(bytes, &mut at);
        let content = match key & 7 {
            0 => varint(bytes, &mut at).to_le_bytes().to_vec(),
            wire => {
                let length = match wire {
                    1 => 8,
                    5 => 4,
                    _ => varint(bytes, &mut at) as usize,
                };
                at += length;
                bytes[at - length..at].to_vec()
            }
        };
        fields.push((key >> 3, content));
    }
    fields
}

/// CRC-32C by its definition, bit by bit.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    });
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Tag, step and value of every scalar in an event file, whose checksums must be right.
fn scalars(mut bytes: &[u8]) -> Vec<(String, u64, f32)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let (event, rest) = (&bytes[12..12 + length], &bytes[12 + length..]);
        assert_eq!(bytes[8..12], masked_crc32c(&bytes[..8]).to_le_bytes());
        assert_eq!(rest[..4], masked_crc32c(event).to_le_bytes());
        let event = fields(event);
        let step = event.iter().find(|(number, _)| *number == 2);
        let step = step.map_or(0, |(_, step)| u64::from_le_bytes(step[..8].try_into().unwrap()));
        for (_, summary) in event.iter().filter(|(number, _)| *number == 5) {
            for (_, value) in fields(summary) {
                let value = fields(&value);
                let of = |number| value.iter().find(|(n, _)| *n == number).map(|(_, content)| content.clone());
                let tag = String::from_utf8(of(1).unwrap()).unwrap();
                let number = of(2).map_or(0.0, |bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
                found.push((tag, step, number));
            }
        }
        bytes = &rest[4..];
    }
    found
}

/// TensorBoard itself, with the Python that `LATENT_PYTHON` names, finds as many scalars.
fn read_by_tensorboard(place: &Place, file: &str, count: usize) {
    let Some(python) = std::env::var_os("LATENT_PYTHON") else {
        return println!("not read by TensorBoard: LATENT_PYTHON names no Python that has it");
    };
    let script = "import sys\n\
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as A\n\
        a = A(sys.argv[1]); a.Reload()\n\
        print(sum(len(a.Scalars(t)) for t in a.Tags()['scalars']))";
    let output = Command::new(python).args(["-c", script]).arg(place.path(file)).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).trim(), count.to_string());
}

#[test]
fn flags_without_sense_are_refused_before_anything_is_written() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 11] = [
        (&["--corrupt", "gauss:1"], &["`gauss:1`", "gaussian:0.3"]),
        (&["--corrupt", "gaussian:-1"], &["`gaussian:-1`", "gaussian:0.3"]),
        (&["--corrupt", "mask:1.5"], &["`mask:1.5`", "PROBABILITY"]),
        (&["--binarize", "half"], &["half", "threshold", "sample"]),
        (&["--lr-schedule", "linear"], &["linear", "cosine"]),
        (&["--lr-final", "0"], &["--lr-final = 0", "share"]),
        (&["--lr-final", "nan"], &["--lr-final = NaN"]),
        (&["--holdout-class", "12"], &["--holdout-class = 12", "0 to 9"]),
        (&["--patience", "many"], &["--patience"]),
        (&["--iwae-k", "0"], &["--iwae-k = 0", "between 1 and"]),
        (&["--iwae-k", "5", "--free-bits", "1"], &["--iwae-k = 5", "leave out --free-bits"]),
    ];
    for (arguments, parts) in cases {
        let output = place.latent(&[&["vae", "--dataset", "digits"], arguments].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: no `{part}` in: {message}");
        }
    }
    assert!(place.files().is_empty());
}
