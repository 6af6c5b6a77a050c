//! The operations that a training step is made of, and the devices that carry them out.
//!
//! Operations only *enqueue*: they return nothing and cannot fail. A step's body is a closure handed to [`Backend::run`]; the
//! CPU carries it out at once, a GPU may record it and replay the recording for a [`Step`] of the same name. So a body must depend
//! on nothing but the step and the buffers it names: counters, learning rate, beta and loss sums live in the
//! backend. What came of it is read explicitly, with [`Backend::read`] and [`Backend::sums`].
//!
//! Matrices are row-major f32, one image a row. A buffer may have room for more rows than the step has.

pub mod cpu;
pub mod cuda;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::noise::Stream;

/// LeakyReLU's slope for negative arguments, the tutorial's 0.2.
pub const NEGATIVE_SLOPE: f32 = 0.2;

/// Adam's constants (Kingma and Ba 2015, algorithm 1, with their suggested values).
pub mod adam {
    /// Decay of the first moment.
    pub const BETA_1: f64 = 0.9;
    /// Decay of the second moment.
    pub const BETA_2: f64 = 0.999;
    /// Added to the root of the second moment.
    pub const EPSILON: f64 = 1e-8;

    // ANCHOR: corrections
    /// What an update multiplies with at step `step`, counted from 0, so that t = `step` + 1: the step size with the bias
    /// correction of the first moment, lr / (1 - beta_1^t), and that of the root of the second, 1 / sqrt(1 - beta_2^t).
    ///
    /// The powers are taken by squaring, as the kernels take them: the same step gives the same bits everywhere.
    pub fn corrections(learning_rate: f64, step: u64) -> (f32, f32) {
        let t = step.saturating_add(1);
        let step_size = learning_rate / (1.0 - power(BETA_1, t));
        (step_size as f32, (1.0 / (1.0 - power(BETA_2, t)).sqrt()) as f32)
    }
    // ANCHOR_END: corrections

    fn power(mut base: f64, mut exponent: u64) -> f64 {
        let mut result = 1.0;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result *= base;
            }
            base *= base;
            exponent >>= 1;
        }
        result
    }
}

/// Why a backend could not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Worker threads could not be started.
    #[error("cannot start {threads} threads: {source}; choose fewer with --threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// Memory ran out.
    #[error("cannot allocate {bytes} bytes for {purpose}; choose a smaller --batch-size, --hidden-dim or --latent-dim")]
    OutOfMemory {
        /// The size asked for.
        bytes: usize,
        /// What it was for.
        purpose: &'static str,
    },
    /// The GPU, its driver or its compiler.
    #[error(transparent)]
    Cuda(#[from] cuda::Error),
}

impl Error {
    /// Whether the user can mend it by asking for something else.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Self::Threads { .. } | Self::OutOfMemory { .. } => true,
            Self::Cuda(error) => error.is_input_fault(),
        }
    }
}

/// What is applied to a linear layer's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `a` where positive, [`NEGATIVE_SLOPE`] `a` elsewhere.
    LeakyRelu,
    /// 1 / (1 + e^-a).
    Sigmoid,
}

/// A linear layer: y = x W^T + b, with W `[outputs, inputs]` and b `[outputs]` at these offsets of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Columns of x.
    pub inputs: usize,
    /// Columns of y.
    pub outputs: usize,
    /// Offset of W.
    pub weight: usize,
    /// Offset of b.
    pub bias: usize,
}

/// Where [`Backend::reparameterise`] takes its standard normals from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Drawn at the step's address and written to the noise buffer.
    Drawn,
    /// Whatever the noise buffer holds.
    Given,
    /// None: z is the mean. The noise buffer is not touched.
    Mean,
}

/// How products are computed. Weights, activations and sums are f32 in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 throughout.
    #[default]
    Fp32,
    /// Tensor cores; factors rounded to 10 bits of mantissa.
    Tf32,
    /// Tensor cores; factors rounded to 7 bits of mantissa.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

/// What a step is for and how many images it handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// The stream that its noise comes from; each stream counts its own steps.
    pub stream: Stream,
    /// Images in this step's batch.
    pub rows: usize,
    /// Steps that are equal, with a name, do the same to the same operands, so that a recording of one serves for all. A step
    /// without a name is on its own.
    pub name: Option<&'static str>,
}

impl Step {
    /// A step that comes again and again.
    pub const fn repeated(name: &'static str, stream: Stream, rows: usize) -> Self {
        Self { stream, rows, name: Some(name) }
    }

    /// A step that is on its own.
    pub const fn once(stream: Stream, rows: usize) -> Self {
        Self { stream, rows, name: None }
    }
}

/// What a step needs to know beside its operands. It may change between steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    /// Adam's step size.
    pub learning_rate: f64,
    /// Weight of the KL divergence in the loss.
    pub beta: f64,
    /// KL divergence, in nats, that each latent unit of each image has for nothing: below it the divergence has no gradient.
    pub free_bits: f64,
    /// Seed of all noise.
    pub seed: u64,
}

/// What was summed since [`Backend::set_sums`], over all images of all steps. In nats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// How many images.
    pub images: u64,
    /// Binary cross-entropy.
    pub bce: f64,
    /// KL divergence of the posteriors from the prior, not weighted by beta.
    pub kl: f64,
    /// Importance-weighted loss; 0 where none was taken.
    #[serde(default)]
    pub bound: f64,
    /// For each latent unit: its posterior mean.
    pub mean: Vec<f64>,
    /// For each latent unit: the square of its posterior mean.
    pub mean_squared: Vec<f64>,
}

impl Sums {
    /// Zeros, with room for `units` latent units (0 for a model without posterior, or where the first posterior is to say it).
    pub fn zeros(units: usize) -> Self {
        Self { mean: vec![0.0; units], mean_squared: vec![0.0; units], ..Self::default() }
    }
}

/// The first number that was not finite. From there on parameters are not updated any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonFinite {
    /// The step of the stream in which it appeared, from 0.
    pub step: u64,
    /// The tensor.
    pub tensor: &'static str,
    /// The image in the batch.
    pub row: usize,
    /// The column.
    pub column: usize,
    /// The value found.
    pub value: f32,
}

/// What a backend can tell at once, without waiting for the steps that are under way: how things stood a little while ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glance {
    /// [`Sums::images`].
    pub images: u64,
    /// [`Sums::bce`].
    pub bce: f64,
    /// [`Sums::kl`].
    pub kl: f64,
    /// [`Sums::bound`].
    pub bound: f64,
    /// What [`Backend::non_finite`] said.
    pub non_finite: Option<NonFinite>,
}

/// What [`Backend::linear_backward`] needs to compute the gradient at a layer's input.
pub struct InputGradient<'a, S> {
    /// Receives dL/d(pre-activation of x), `[rows, inputs]`.
    pub dx: &'a mut S,
    /// The activation that made x. Only [`Activation::Identity`] and [`Activation::LeakyRelu`] make inputs of layers.
    pub activation: Activation,
}

/// The codes of images of which each has several rows, one after another, and what they were drawn with.
pub struct Draws<'a, S> {
    /// Rows of an image, K.
    pub per_image: usize,
    /// Units of a code.
    pub latent: usize,
    /// Mean beside log variance, `[rows, 2 latent]`.
    pub posterior: &'a S,
    /// The noise, `[rows, latent]`.
    pub eps: &'a S,
    /// The codes, `[rows, latent]`.
    pub z: &'a S,
}

/// What [`Backend::linear_importance`] leaves.
pub struct Weighed<'a, S> {
    /// Of each draw its share in the image's loss, `[rows]`; those of an image have the sum 1.
    pub weights: &'a mut S,
    /// The gradient at the logits, `[rows, outputs]`.
    pub dlogits: &'a mut S,
}

/// A device and the operations on it.
pub trait Backend: 'static {
    /// f32 values that lie where the backend computes.
    type Buffer;
    /// Images of one byte a pixel, and the order in which batches take them.
    type Images;

    /// What computes, for a person: "cpu, 2 threads", or the GPU's name and precision.
    fn describe(&self) -> String;

    /// Bytes that a run can still allocate where the backend computes; `None` where that is the program's own memory.
    ///
    /// # Errors
    /// The device failed.
    fn free_memory(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Bytes that the backend allocates for itself to train `layers` on batches of `rows` images.
    fn scratch(&self, layers: &[Linear], rows: usize) -> u64 {
        let _ = (layers, rows);
        0
    }

    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// Out of memory.
    fn zeros(&mut self, len: usize) -> Result<Self::Buffer, Error>;

    /// Copies `values` to the front of `buffer`.
    ///
    /// # Errors
    /// The device failed.
    fn write(&mut self, buffer: &mut Self::Buffer, values: &[f32]) -> Result<(), Error>;

    /// The first `len` elements of `buffer`, after everything enqueued has been done.
    ///
    /// # Errors
    /// The device failed.
    fn read(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Vec<f32>, Error>;

    /// Takes over `pixels`, whole images of `pixels_per_image` bytes, to be read in order.
    ///
    /// # Errors
    /// Out of memory.
    fn load_images(&mut self, pixels: Vec<u8>, pixels_per_image: usize) -> Result<Self::Images, Error>;

    /// Replaces the pixels of `images` by as many others, in place: recorded steps go on with them.
    ///
    /// # Errors
    /// The device failed.
    fn replace_pixels(&mut self, images: &mut Self::Images, pixels: &[u8]) -> Result<(), Error>;

    /// Gives each of `images` a target of its own, which [`Backend::gather_target`] then takes; in place where they had some.
    ///
    /// # Errors
    /// Out of memory, or the device failed.
    fn set_targets(&mut self, images: &mut Self::Images, pixels: &[u8]) -> Result<(), Error>;

    /// Sets the order of the images (a list of their indices) and the place in it from which the next batch is taken.
    ///
    /// # Errors
    /// The device failed.
    fn set_order(&mut self, images: &mut Self::Images, order: &[u32], position: usize) -> Result<(), Error>;

    /// Sets what the steps to come will use.
    fn set_hyperparameters(&mut self, hyperparameters: Hyperparameters);

    /// Sets the number of the next step of `stream`. Every stream begins at 0.
    fn set_step(&mut self, stream: Stream, step: u64);

    /// The number of the next step of `stream`.
    fn step(&self, stream: Stream) -> u64;

    /// Sets the sums that steps add to.
    fn set_sums(&mut self, sums: Sums);

    /// The sums so far.
    ///
    /// # Errors
    /// The device failed.
    fn sums(&mut self) -> Result<Sums, Error>;

    /// The first number that was not finite, if there was one.
    ///
    /// # Errors
    /// The device failed.
    fn non_finite(&mut self) -> Result<Option<NonFinite>, Error>;

    /// How things stood a little while ago, since [`Backend::set_sums`]; `None` where nothing new is known yet. Never waits.
    ///
    /// # Errors
    /// A step failed.
    fn glance(&mut self) -> Result<Option<Glance>, Error>;

    /// Makes ready what a step like this will need, so that what is missing shows before anything begins and the first step is as
    /// quick as the others. Carries nothing out.
    ///
    /// # Errors
    /// Something is missing, or the device failed.
    fn prepare(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), Error> {
        let _ = (step, body);
        Ok(())
    }

    /// Carries out `body` as the next step of its stream.
    ///
    /// # Errors
    /// The device failed.
    fn run(&mut self, step: Step, body: impl FnOnce(&mut Self)) -> Result<(), Error>;

    /// batch `[rows, pixels]` = the next images in order, bytes divided by 255. Counts them in [`Sums::images`].
    fn gather(&mut self, images: &mut Self::Images, batch: &mut Self::Buffer);

    /// batch `[rows, pixels]` = the targets of the images that [`Backend::gather`] takes next in this step; the images themselves
    /// where they have none. Counts nothing.
    fn gather_target(&mut self, images: &mut Self::Images, batch: &mut Self::Buffer);

    /// out `[rows, columns]` = standard normals at the step's address.
    fn standard_normal(&mut self, out: &mut Self::Buffer, columns: usize);

    /// y `[rows, outputs]` = activation(x W^T + b), x `[rows, inputs]`.
    fn linear(
        &mut self,
        layer: Linear,
        params: &Self::Buffer,
        x: &Self::Buffer,
        y: &mut Self::Buffer,
        activation: Activation,
    );

    /// The output layer and its loss: logits a = x W^T + b; adds the binary cross-entropy of sigmoid(a) against `target`
    /// to the sums and writes its gradient at the logits.
    ///
    /// BCE(a, t) = max(a, 0) - a t + ln(1 + e^-|a|), which is -t ln s - (1 - t) ln(1 - s) at s = sigmoid(a) without the
    /// cancellation and the infinite logarithms of the latter. d BCE / da = sigmoid(a) - t.
    /// `target` and `dlogits` are `[rows, outputs]`.
    fn linear_bce(
        &mut self,
        layer: Linear,
        params: &Self::Buffer,
        x: &Self::Buffer,
        target: &Self::Buffer,
        dlogits: &mut Self::Buffer,
    );

    /// Both gradients of a linear layer, from dy = dL/d(x W^T + b) `[rows, outputs]`.
    ///
    /// y_ij = sum_k x_ik W_jk + b_j, so dL/dW_jk = sum_i dy_ij x_ik, that is dW = dy^T x, and dL/db_j = sum_i dy_ij; both are
    /// written to `grads` at the layer's offsets. dL/dx_ik = sum_j dy_ij W_jk, that is dy W; where x = f(p) came from an
    /// activation, the gradient at p is that times f'(p). LeakyReLU's f' is 1 where x > 0 and [`NEGATIVE_SLOPE`] elsewhere: it
    /// keeps the sign, so x tells.
    fn linear_backward(
        &mut self,
        layer: Linear,
        params: &Self::Buffer,
        x: &Self::Buffer,
        dy: &Self::Buffer,
        grads: &mut Self::Buffer,
        input: Option<InputGradient<'_, Self::Buffer>>,
    );

    /// Samples the posterior and adds its divergence from the prior to the sums (Kingma and Welling 2014).
    ///
    /// `posterior` is `[rows, 2 latent]`: mean m beside log variance v. z = m + e^(v/2) noise, `[rows, latent]`, and
    /// KL = -1/2 sum(1 + v - m^2 - e^v). Adds m and m^2 of every unit to [`Sums::mean`] and [`Sums::mean_squared`].
    fn reparameterise(
        &mut self,
        latent: usize,
        posterior: &Self::Buffer,
        noise: Noise,
        eps: &mut Self::Buffer,
        z: &mut Self::Buffer,
    );

    /// The gradient at the posterior's parameters, from dz = dL/dz `[rows, latent]`, for a z that was sampled with `eps`.
    ///
    /// z = m + e^(v/2) eps gives dz/dm = 1 and dz/dv = eps e^(v/2) / 2; KL gives m and (e^v - 1) / 2. So
    /// dL/dm = dz + beta m and dL/dv = dz eps e^(v/2) / 2 + beta (e^v - 1) / 2.
    ///
    /// The loss counts max(free bits, KL) of each unit of each image, so beta is 0 where a unit's KL is less than
    /// [`Hyperparameters::free_bits`] (Kingma and others 2016, who average over the batch first; here no image depends on another).
    fn reparameterise_backward(
        &mut self,
        latent: usize,
        posterior: &Self::Buffer,
        eps: &Self::Buffer,
        dz: &Self::Buffer,
        dposterior: &mut Self::Buffer,
    );

    /// [`Backend::linear_bce`] for images of which each has K rows with a code of its own (Burda, Grosse and Salakhutdinov 2016,
    /// section 3): the loss of an image is L = -log (w_1 + ... + w_K) / K with
    /// log w = -BCE + beta (log p(z) - log q(z|x)) = -BCE + beta (eps^2 + v - z^2) / 2, summed over units.
    ///
    /// dL/dw_k = -1 / (w_1 + ... + w_K), so a draw counts by its share s_k = w_k / (w_1 + ... + w_K): the gradient at its logits is
    /// s_k (sigmoid(a) - target). Each row adds its BCE to the sums, and its image's loss. Rows that are left over at the end
    /// are an image with fewer draws.
    fn linear_importance(
        &mut self,
        layer: Linear,
        params: &Self::Buffer,
        x: &Self::Buffer,
        target: &Self::Buffer,
        draws: Draws<'_, Self::Buffer>,
        weighed: Weighed<'_, Self::Buffer>,
    );

    /// The gradient of [`Backend::linear_importance`]'s loss at the posterior's parameters, from dz = dL/dz `[rows, latent]`, in
    /// which the shares are already.
    ///
    /// log w has z in log p(z), and as eps does not change, log q(z|x) has only v: with d = dz + beta s z,
    /// dL/dm = d and dL/dv = d eps e^(v/2) / 2 - beta s / 2.
    fn importance_backward(
        &mut self,
        draws: Draws<'_, Self::Buffer>,
        weights: &Self::Buffer,
        dz: &Self::Buffer,
        dposterior: &mut Self::Buffer,
    );

    /// One step of Adam over a whole arena of `len` parameters, unless a number was not finite before.
    ///
    /// With t the number of this step from 1 (Kingma and Ba 2015, algorithm 1): m = beta_1 m + (1 - beta_1) g,
    /// v = beta_2 v + (1 - beta_2) g^2, p = p - lr (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon).
    fn adam(
        &mut self,
        len: usize,
        params: &mut Self::Buffer,
        grads: &Self::Buffer,
        first_moment: &mut Self::Buffer,
        second_moment: &mut Self::Buffer,
    );
}
