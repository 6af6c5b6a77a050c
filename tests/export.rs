//! Models in other programs' formats compute what latent computes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod program;

use std::collections::HashMap;
use std::process::Command;

use latent::backend::cpu::Cpu;
use latent::export::onnx::{GraphProto, ModelProto};
use latent::inference::{Codec, Trained};
use latent::nn::{Kind, Weights};
use latent::tensor::Array;
use latent::train::{read_model, write_model};
use program::{Place, stderr, stdout};
use prost::Message;

/// Bound on the difference of any output.
const BOUND: f64 = 1e-5;

/// A run of each model, exported.
fn exported() -> Place {
    let place = Place::new();
    for kind in ["ae", "vae"] {
        place.train(kind, &["--epochs", "1", "--name", kind]);
        place.succeed(&["export", &format!("runs/{kind}"), "--json"]);
    }
    place
}

fn images(rows: usize, pixels: usize) -> Vec<f32> {
    (0..rows * pixels).map(|i| (i * 37 % 256) as f32 / 255.0).collect()
}

fn codes(rows: usize, latent: usize) -> Vec<f32> {
    (0..rows * latent).map(|i| (i * 29 % 17) as f32 / 4.0 - 2.0).collect()
}

/// What latent makes of `rows` images and codes: the outputs of both files by name.
fn expected(weights: &Weights, rows: usize) -> HashMap<String, Vec<f32>> {
    let mut backend = Cpu::new(1).unwrap();
    let run = |codec: &mut dyn Codec| {
        let (x, z) = (images(rows, weights.dims.input), codes(rows, weights.dims.latent));
        let encoded = codec.encode(&x).unwrap();
        let mut outputs = vec![("logits", codec.logits(&z).unwrap()), ("image", codec.decode(&z).unwrap())];
        match encoded.log_var {
            Some(log_var) => outputs.extend([("mean", encoded.mean), ("log_var", log_var)]),
            None => outputs.push(("code", encoded.mean)),
        }
        outputs.into_iter().map(|(name, values)| (name.to_owned(), values)).collect()
    };
    match weights.kind {
        Kind::Vanilla => run(&mut Trained::vanilla(&mut backend, weights).unwrap()),
        Kind::Variational => run(&mut Trained::variational(&mut backend, weights).unwrap()),
    }
}

/// Computes a graph's nodes one after the other in f64.
fn interpret(graph: &GraphProto, input: &str, x: &[f32]) -> HashMap<String, Vec<f64>> {
    let mut values = HashMap::from([(input.to_owned(), x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>())]);
    for tensor in &graph.initializer {
        let (quads, _) = tensor.raw_data.as_chunks::<4>();
        assert_eq!(tensor.dims.iter().product::<i64>() as usize, quads.len());
        values.insert(tensor.name.clone(), quads.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect());
    }
    for node in &graph.node {
        let of = |i: usize| &values[&node.input[i]];
        let result = match node.op_type.as_str() {
            "Gemm" => {
                assert!(node.attribute.iter().any(|attribute| attribute.name == "transB" && attribute.i == Some(1)));
                let (x, w, b) = (of(0), of(1), of(2));
                let columns = w.len() / b.len();
                let unit = |x: &[f64], j: usize| -> f64 {
                    b[j] + x.iter().zip(&w[j * columns..]).map(|(x, w)| x * w).sum::<f64>()
                };
                x.chunks_exact(columns).flat_map(|x| (0..b.len()).map(|j| unit(x, j)).collect::<Vec<_>>()).collect()
            }
            "LeakyRelu" => {
                let slope = f64::from(node.attribute[0].f.unwrap());
                of(0).iter().map(|x| if *x > 0.0 { *x } else { slope * x }).collect()
            }
            "Sigmoid" => of(0).iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
            other => panic!("{other}"),
        };
        values.insert(node.output[0].clone(), result);
    }
    values
}

#[test]
fn graphs_compute_what_latent_computes() {
    let place = exported();
    for kind in ["ae", "vae"] {
        let weights = read_model(&place.path(&format!("runs/{kind}/model.safetensors"))).unwrap();
        let rows = 7;
        let expected = expected(&weights, rows);
        let mut seen = 0;
        for (file, input, x) in [
            ("encoder", "image", images(rows, weights.dims.input)),
            ("decoder", "code", codes(rows, weights.dims.latent)),
        ] {
            let bytes = place.read(&format!("runs/{kind}/export/{file}.onnx"));
            let values = interpret(&ModelProto::decode(&bytes[..]).unwrap().graph.unwrap(), input, &x);
            for (name, want) in expected.iter().filter(|(name, _)| *name != input && values.contains_key(*name)) {
                seen += 1;
                for (got, want) in values[name].iter().zip(want) {
                    assert!((got - f64::from(*want)).abs() <= BOUND, "{kind} {name}: {got}, not {want}");
                }
            }
        }
        assert_eq!(seen, expected.len(), "{kind}");
    }
}

#[test]
fn onnxruntime_computes_what_latent_computes() {
    let Some(python) = std::env::var_os("LATENT_PYTHON") else {
        return println!("skipped: LATENT_PYTHON names no Python that has onnxruntime");
    };
    let place = exported();
    for kind in ["ae", "vae"] {
        let weights = read_model(&place.path(&format!("runs/{kind}/model.safetensors"))).unwrap();
        for rows in [1, 7] {
            let save = |name: &str, columns: usize, values: &[f32]| {
                std::fs::write(place.path(&format!("{name}.npy")), Array::to_bytes(&[rows, columns], values)).unwrap();
            };
            save("image-in", weights.dims.input, &images(rows, weights.dims.input));
            save("code-in", weights.dims.latent, &codes(rows, weights.dims.latent));
            let script = "import sys, numpy, onnx, onnxruntime\n\
                for part, key in (('encoder', 'image'), ('decoder', 'code')):\n\
                \x20   path = f'runs/{sys.argv[1]}/export/{part}.onnx'\n\
                \x20   onnx.checker.check_model(onnx.load(path), full_check=True)\n\
                \x20   session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])\n\
                \x20   names = [output.name for output in session.get_outputs()]\n\
                \x20   for name, value in zip(names, session.run(names, {key: numpy.load(key + '-in.npy')})):\n\
                \x20       numpy.save(name + '.npy', value)\n\
                \x20       print(name)";
            let mut command = Command::new(&python);
            let output = command.args(["-c", script, kind]).current_dir(place.dir.path()).output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            let expected = expected(&weights, rows);
            assert_eq!(stdout(&output).lines().count(), expected.len());
            for name in stdout(&output).lines() {
                let array = Array::from_bytes(&place.read(&format!("{name}.npy"))).unwrap();
                assert_eq!(array.values.len(), expected[name].len());
                for (got, want) in array.values.iter().zip(&expected[name]) {
                    assert!(f64::from(got - want).abs() <= BOUND, "{kind}, {rows} rows, {name}: {got}, not {want}");
                }
            }
        }
    }
}

#[test]
fn the_exported_weights_are_the_models() {
    let place = exported();
    for kind in ["ae", "vae"] {
        let read = |file: &str| read_model(&place.path(&format!("runs/{kind}/{file}"))).unwrap();
        assert_eq!(read("model.safetensors"), read("export/model.safetensors"));
    }
    place.succeed(&["export", "runs/vae", "--onnx", "--out", "elsewhere"]);
    assert!(place.path("elsewhere/encoder.onnx").exists() && !place.path("elsewhere/model.safetensors").exists());
    let output = place.latent(&["export", "runs/none"]);
    assert_eq!(output.status.code(), Some(2));
    let mut weights = read_model(&place.path("runs/vae/model.safetensors")).unwrap();
    weights.values[0] = 1e5;
    write_model(&place.path("large.safetensors"), &weights).unwrap();
    let output = place.latent(&["export", "large.safetensors", "--explorer", "--dataset", "digits"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("beyond 65504"), "{}", stderr(&output));
}
