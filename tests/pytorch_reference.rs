//! Forward pass, losses, gradients and Adam against values that PyTorch computed.
//!
//! Reads every `*.safetensors` of `$REFERENCE_DIR` (default `tests/fixtures`). Their form: float32 unless a key says f64;
//! `x`, `eps.K` (VAE), `init.P`, `fwd.*`, `loss.K` = (BCE, KL) before the update of step K, `grad.P`, `grad_f64.P`, `step1.P`,
//! `step3.P`, `loss_f64.0`. Of files called `*_large_weights`, whose sigmoids saturate in float32, only inputs, `fwd.*` and the f64
//! keys count.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod emulated;
mod oracle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use latent::backend::cpu::Cpu;
use latent::backend::{Backend, Hyperparameters, Noise, Precision, Step, Sums};
use latent::nn::weights::{layout_of, to_tensors};
use latent::nn::{Autoencoder, Dims, Kind, VanillaAE, VariationalAE};
use latent::noise::Stream;
use oracle::{Batch, Model, relative_error, widen, within};
use safetensors::{Dtype, SafeTensors};

/// Bounds on the norm of the difference over the norm.
const GRADIENT: f64 = 1e-5;
const BCE: f64 = 1e-6;
const KL: f64 = 1e-5;
const PARAMETERS: f64 = 1e-6;
/// PyTorch's own float32 forward pass is within this of ours.
const FORWARD: f64 = 1e-5;

/// One file: every tensor as f64, with its dimensions.
struct Reference {
    path: PathBuf,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Reference {
    fn read(path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let values = |view: &safetensors::tensor::TensorView<'_>| match view.dtype() {
            Dtype::F32 => {
                view.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
            }
            Dtype::F64 => view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            other => panic!("{}: numbers of type {other:?}", path.display()),
        };
        let tensors = file.iter().map(|(name, v)| (name.to_owned(), (v.shape().to_vec(), values(&v)))).collect();
        Self { path, tensors }
    }

    fn get(&self, name: &str) -> &[f64] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.path.display())).1
    }

    fn get_f32(&self, name: &str) -> Vec<f32> {
        self.get(name).iter().map(|v| *v as f32).collect()
    }

    fn dims_of(&self, name: &str) -> &[usize] {
        self.get(name);
        &self.tensors[name].0
    }

    fn kind(&self) -> Kind {
        if self.tensors.contains_key("init.encoder.FC_latent.weight") { Kind::Vanilla } else { Kind::Variational }
    }

    fn dims(&self) -> Dims {
        let weight = self.dims_of("init.encoder.FC_input.weight");
        Dims { input: weight[1], hidden: weight[0], latent: self.dims_of("init.decoder.FC_hidden.weight")[1] }
    }

    fn rows(&self) -> usize {
        self.dims_of("x")[0]
    }

    /// The values of an arena, from the tensors `PREFIX.P`.
    fn arena(&self, prefix: &str) -> Vec<f32> {
        let layout = layout_of(self.kind(), self.dims());
        layout.slots().iter().flat_map(|slot| self.get_f32(&format!("{prefix}.{}", slot.name))).collect()
    }

    fn saturates(&self) -> bool {
        self.path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_large_weights"))
    }
}

/// Collects the errors of one file and remembers the worst in relation to its bound.
struct Comparison {
    name: String,
    worst: (f64, String),
    failures: Vec<String>,
}

impl Comparison {
    fn check(&mut self, what: &str, got: &[f64], want: &[f64], bound: f64) {
        let error = relative_error(got, want);
        if !within(error, bound) {
            self.failures.push(format!("{}: {what} is off by {error:.2e}, allowed {bound:.0e}", self.name));
        }
        if !within(error / bound, self.worst.0) {
            self.worst = (error / bound, format!("{what} {error:.2e} of {bound:.0e}"));
        }
    }
}

/// Runs the three steps of one file on `model`.
fn compare<B: Backend, M: Autoencoder<B>>(
    backend: &mut B,
    model: &mut M,
    file: &Reference,
    set_noise: impl Fn(&mut B, &mut M, usize),
    forward: impl Fn(&mut B, &mut M) -> Vec<(&'static str, Vec<f64>)>,
) -> Comparison {
    let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
    let mut result = Comparison { name, worst: (0.0, String::new()), failures: Vec::new() };
    let (rows, dims, variational) = (file.rows(), file.dims(), file.kind() == Kind::Variational);
    let layout = layout_of(file.kind(), dims);
    backend.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 });
    backend.write(&mut model.parameters_mut().values.storage, &file.arena("init")).unwrap();
    backend.write(model.input_mut(), &file.get_f32("x")).unwrap();
    for k in 0..3 {
        set_noise(backend, model, k);
        backend.set_sums(Sums::zeros(dims.latent));
        let step = Step::once(Stream::Training, rows);
        // The step counter is that of Adam, so the forward pass for its own sake must not count.
        if k == 0 {
            for (what, got) in forward(backend, model) {
                result.check(what, &got, file.get(what), FORWARD);
            }
            set_noise(backend, model, k);
            backend.set_sums(Sums::zeros(dims.latent));
            backend.set_step(Stream::Training, 0);
        }
        backend
            .run(step, |backend| {
                model.loss(backend, Noise::Given);
                model.backward(backend);
                model.parameters_mut().adam(backend);
            })
            .unwrap();
        let sums = backend.sums().unwrap();
        if k == 0 {
            let want = file.get("loss_f64.0");
            result.check("BCE in f64", &[sums.bce], &want[..1], BCE);
            result.check("loss in f64", &[sums.bce + sums.kl], &[want[0] + want[1]], BCE);
            if variational {
                result.check("KL in f64", &[sums.kl], &want[1..], KL);
            }
            let gradients = backend.read(&model.parameters().gradients.storage, layout.len()).unwrap();
            for (name, (_, got)) in to_tensors(&layout, "grad_f64.", &gradients) {
                result.check(&name, &widen(&got), file.get(&name), GRADIENT);
            }
        }
        if file.saturates() {
            break;
        }
        let want = file.get(&format!("loss.{k}"));
        result.check(&format!("BCE of step {k}"), &[sums.bce], &want[..1], BCE);
        if variational {
            result.check(&format!("KL of step {k}"), &[sums.kl], &want[1..], KL);
        }
        if k != 1 {
            let values = backend.read(&model.parameters().values.storage, layout.len()).unwrap();
            let prefix = format!("step{}", k + 1);
            result.check(&format!("parameters of {prefix}"), &widen(&values), &widen(&file.arena(&prefix)), PARAMETERS);
        }
    }
    assert!(backend.non_finite().unwrap().is_none());
    result
}

/// Mean or log variance out of rows that hold both.
fn half(values: &[f32], latent: usize, second: bool) -> Vec<f64> {
    let first = if second { latent } else { 0 };
    values.chunks_exact(2 * latent).flat_map(|row| widen(&row[first..first + latent])).collect()
}

fn compare_vae<B: Backend>(backend: &mut B, file: &Reference) -> Comparison {
    let (dims, rows) = (file.dims(), file.rows());
    let mut model = VariationalAE::new(backend, dims, rows, 1).unwrap();
    let set_noise = |backend: &mut B, model: &mut VariationalAE<B>, k: usize| {
        backend.write(model.noise_mut(), &file.get_f32(&format!("eps.{k}"))).unwrap();
    };
    let forward = |backend: &mut B, model: &mut VariationalAE<B>| {
        backend.run(Step::once(Stream::Training, rows), |b| model.loss(b, Noise::Given)).unwrap();
        let posterior = backend.read(model.posterior(), 2 * rows * dims.latent).unwrap();
        let gradient = backend.read(model.output(), rows * dims.input).unwrap();
        let x_hat = gradient.iter().zip(file.get("x")).map(|(g, x)| f64::from(*g) + x).collect();
        vec![
            ("fwd.mean", half(&posterior, dims.latent, false)),
            ("fwd.log_var", half(&posterior, dims.latent, true)),
            // The gradient at the logits is x_hat - x.
            ("fwd.x_hat", x_hat),
        ]
    };
    compare(backend, &mut model, file, set_noise, forward)
}

fn compare_ae<B: Backend>(backend: &mut B, file: &Reference) -> Comparison {
    let (dims, rows) = (file.dims(), file.rows());
    let mut model = VanillaAE::new(backend, dims, rows, 1).unwrap();
    let forward = |backend: &mut B, model: &mut VanillaAE<B>| {
        backend.run(Step::once(Stream::Training, rows), |b| model.reconstruct(b)).unwrap();
        let code = backend.read(model.code(), rows * dims.latent).unwrap();
        let x_hat = backend.read(model.output(), rows * dims.input).unwrap();
        vec![("fwd.latent", widen(&code)), ("fwd.x_hat", widen(&x_hat))]
    };
    compare(backend, &mut model, file, |_, _, _| (), forward)
}

fn reference_files() -> Vec<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = std::env::var_os("REFERENCE_DIR").map_or(default, PathBuf::from);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("reference folder {}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    files.sort();
    assert!(!files.is_empty(), "no *.safetensors in the reference folder {}", folder.display());
    files
}

fn compare_all<B: Backend>(name: &str, mut new_backend: impl FnMut() -> B) {
    let mut failures = Vec::new();
    for path in reference_files() {
        let file = Reference::read(path);
        let result = match file.kind() {
            Kind::Vanilla => compare_ae(&mut new_backend(), &file),
            Kind::Variational => compare_vae(&mut new_backend(), &file),
        };
        println!("{name}: {}: worst {}", result.name, result.worst.1);
        failures.extend(result.failures);
    }
    assert!(failures.is_empty(), "{name} disagrees with PyTorch:\n{}", failures.join("\n"));
}

#[test]
fn cpu_agrees_with_pytorch() {
    for threads in [1, 2, 3] {
        compare_all(&format!("cpu, {threads} threads"), || Cpu::new(threads).unwrap());
    }
}

#[test]
fn cuda_agrees_with_pytorch() {
    if emulated::has_compiler() {
        let settings = emulated::checked();
        compare_all("cuda", || emulated::backend(&settings, Precision::Fp32));
        emulated::assert_no_report(&settings);
    }
}

/// What the other tests compare with is itself compared with what PyTorch computed in float64.
#[test]
fn oracle_agrees_with_pytorch_in_float64() {
    for file in reference_files().into_iter().map(Reference::read) {
        let model = Model::new(file.kind(), file.dims());
        let eps = if file.kind() == Kind::Variational { file.get("eps.0").to_vec() } else { Vec::new() };
        let (params, batch) = (widen(&file.arena("init")), Batch { x: file.get("x").to_vec(), eps });
        let (forward, gradients) = (model.forward(&params, &batch), model.gradients(&params, &batch, 1.0));
        let losses = [forward.bce, forward.kl];
        let want = file.get("loss_f64.0");
        let mut errors = vec![("loss".to_owned(), relative_error(&losses[..want.len()], want))];
        for slot in model.layout.slots() {
            let want = file.get(&format!("grad_f64.{}", slot.name));
            errors.push((slot.name.clone(), relative_error(&gradients[slot.range()], want)));
        }
        for (what, error) in errors {
            assert!(within(error, 1e-9), "{}: {what} is off by {error:.2e}", file.path.display());
        }
    }
}

#[test]
fn the_comparison_rejects_what_is_not_a_number() {
    let mut result = Comparison { name: String::new(), worst: (0.0, String::new()), failures: Vec::new() };
    result.check("NaN", &[1.0, f64::NAN], &[1.0, 2.0], 1e9);
    assert_eq!(result.failures.len(), 1);
    result.check("off", &[1.0, 2.1], &[1.0, 2.0], 1e-2);
    assert_eq!(result.failures.len(), 2);
    result.check("close", &[1.0, 2.001], &[1.0, 2.0], 1e-2);
    assert_eq!(result.failures.len(), 2);
}
