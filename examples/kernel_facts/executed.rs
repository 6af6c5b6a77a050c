//! What the steps of both models launch, on the software driver, and what it counts.

use latent::backend::cuda::compile::Compiler;
use latent::backend::cuda::gemm::Size;
use latent::backend::cuda::{Cuda, device};
use latent::backend::{Backend, Hyperparameters, Noise, Precision, Sums};
use latent::nn::{Autoencoder, Dims, VanillaAE, VariationalAE};
use serde::{Deserialize, Serialize};
use softcuda::Library;
use softcuda::counts::LaunchCounts;
use softcuda::settings::Settings;

use crate::{Result, reading};

/// The sizes that the tutorial trains at, and a ragged last batch.
pub const DIMS: Dims = Dims { input: 784, hidden: 400, latent: 200 };
pub const BATCH: usize = 100;
const RAGGED: usize = 37;

/// One launch: the kernel and what it is compiled with, what it was launched for, and what it executed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Executed {
    /// The step in which it first comes.
    pub step: String,
    /// Whether the step is of a batch that is not whole.
    pub is_ragged: bool,
    pub file: String,
    pub defines: Vec<String>,
    /// M, N and K of the products it multiplies.
    pub products: Vec<[usize; 3]>,
    pub counts: LaunchCounts,
}

/// Everything that is launched on a device of this compute capability, as in 80: once for each kernel and size.
pub fn run(capability: u32) -> Result<Vec<Executed>> {
    let settings = Settings { compute_capability: (capability / 10, capability % 10), ..Settings::default() };
    let mut recorder = Recorder { library: softcuda::preload(&settings)?, seen: Vec::new() };
    for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
        let opened = device::open()?;
        let compiler = Compiler::new(opened.info.compute_capability);
        // A device too old for a precision launches nothing in it.
        let Ok(mut cuda) = Cuda::new(opened, compiler, precision) else { continue };
        let mut steps = Steps { recorder: &mut recorder, cuda: &mut cuda, precision };
        steps.of("VAE", |cuda| VariationalAE::new(cuda, DIMS, BATCH, 1))?;
        steps.of("VAE with 5 draws", |cuda| {
            let mut model = VariationalAE::new(cuda, DIMS, BATCH, 1)?;
            model.weigh_draws(cuda, 5)?;
            Ok(model)
        })?;
        steps.of("AE", |cuda| VanillaAE::new(cuda, DIMS, BATCH, 1))?;
    }
    reading::run(&mut recorder)?;
    Ok(recorder.seen)
}

/// Collects launches that were not seen before.
pub struct Recorder {
    library: Library,
    seen: Vec<Executed>,
}

impl Recorder {
    /// Forgets what was launched so far.
    pub fn begin(&self) -> Result<()> {
        Ok(self.library.reset_counts()?)
    }

    /// Takes what was launched since [`begin`](Self::begin): `kernels` with their products.
    pub fn take(&mut self, step: &str, is_ragged: bool, kernels: &[(&str, &[String], Vec<Size>)]) -> Result<()> {
        let launches = self.library.launches()?;
        if launches.len() != kernels.len() {
            return Err(format!("{step}: {} launches, {} expected", launches.len(), kernels.len()).into());
        }
        for ((file, defines, products), counts) in kernels.iter().zip(launches) {
            let products = products.iter().map(|size| [size.m, size.n, size.k]).collect();
            let (step, file) = (step.to_owned(), (*file).to_owned());
            let launch = Executed { step, is_ragged, file, defines: defines.to_vec(), products, counts };
            if !self.seen.iter().any(|seen| seen.is_like(&launch)) {
                self.seen.push(launch);
            }
        }
        Ok(())
    }
}

impl Executed {
    /// Whether both are the same kernel at the same size.
    fn is_like(&self, other: &Executed) -> bool {
        let key = |launch: &Executed| (launch.file.clone(), launch.defines.clone(), launch.products.clone());
        let geometry = |launch: &Executed| (launch.counts.kernel.clone(), launch.counts.grid);
        key(self) == key(other) && geometry(self) == geometry(other)
    }
}

/// Runs the steps of a model.
struct Steps<'a> {
    recorder: &'a mut Recorder,
    cuda: &'a mut Cuda,
    precision: Precision,
}

impl Steps<'_> {
    fn of<M: Autoencoder<Cuda>>(
        &mut self,
        name: &str,
        model: impl FnOnce(&mut Cuda) -> std::result::Result<M, latent::backend::Error>,
    ) -> Result<()> {
        let mut model = model(self.cuda)?;
        self.cuda.set_hyperparameters(Hyperparameters { learning_rate: 1e-3, beta: 1.0, seed: 1, free_bits: 0.0 });
        let pixels = (0..BATCH * DIMS.input).map(|i| (i % 251) as u8).collect();
        let mut images = self.cuda.load_images(pixels, DIMS.input)?;
        let order: Vec<u32> = (0..BATCH as u32).collect();
        self.cuda.set_sums(Sums::zeros(DIMS.latent));
        for rows in [BATCH, RAGGED] {
            let mut step = |what: &str, body: &mut dyn FnMut(&mut Cuda, &mut M, &mut _) -> Result<()>| -> Result<()> {
                self.cuda.set_order(&mut images, &order, 0)?;
                self.recorder.begin()?;
                body(self.cuda, &mut model, &mut images)?;
                self.cuda.synchronize()?;
                let precision = self.precision;
                record(self.recorder, &format!("{name} {what}, {precision}"), rows == RAGGED, self.cuda)
            };
            step("train", &mut |cuda, model, images| Ok(model.train_step(cuda, images, rows)?))?;
            step("evaluate", &mut |cuda, model, images| {
                Ok(model.evaluation_step(cuda, images, rows, Noise::Drawn)?)
            })?;
            step("decode", &mut |cuda, model, images| Ok(model.reconstruct_next(cuda, images, rows).map(drop)?))?;
        }
        self.recorder.begin()?;
        if model.sample(self.cuda, BATCH)?.is_some() {
            record(self.recorder, &format!("{name} sample, {}", self.precision), false, self.cuda)?;
        }
        Ok(())
    }
}

/// Takes the launches of the backend's last step.
fn record(recorder: &mut Recorder, step: &str, is_ragged: bool, cuda: &Cuda) -> Result<()> {
    let launches = cuda.launches();
    let sources: Vec<_> = launches.iter().map(|launch| launch.kernel.source()).collect();
    let kernels: Vec<_> = launches
        .iter()
        .zip(&sources)
        .map(|(launch, source)| (source.file, source.defines.as_slice(), launch.products()))
        .collect();
    recorder.take(step, is_ragged, &kernels)
}
