//! The vanilla and the variational autoencoder, and their losses.

use super::perceptron::{Decoder, Encoder, Hidden, Perceptron, VariationalEncoder};
use super::{Dims, Kind, Parameters};
use crate::backend::{Activation, Backend, Draws, Error, Noise, Step, Weighed};
use crate::noise::Stream;
use crate::tensor::Layout;

/// What the training loop needs of a model.
///
/// The required methods enqueue parts of a step and are called inside [`Backend::run`]; the provided ones are whole steps.
pub trait Autoencoder<B: Backend> {
    /// Which model this is.
    fn kind(&self) -> Kind;

    /// What it has in common with the other model.
    fn common(&self) -> &Common<B>;

    /// What it has in common with the other model, to be changed.
    fn common_mut(&mut self) -> &mut Common<B>;

    /// Enqueues forward pass and loss.
    fn loss(&mut self, backend: &mut B, noise: Noise);

    /// Enqueues the backward pass of the last loss.
    fn backward(&mut self, backend: &mut B);

    /// Enqueues the reconstruction of the input from its code, for the VAE the posterior's mean.
    fn reconstruct(&mut self, backend: &mut B);

    /// Enqueues codes drawn from the prior and their decoding; nothing for a model without a prior.
    fn enqueue_sampling(&mut self, backend: &mut B);

    /// Enqueues the code of the input: what [`Autoencoder::encoded`] then holds.
    fn enqueue_encoding(&mut self, backend: &mut B);

    /// The codes of the last encoding `[rows, latent]`; for the VAE mean beside log variance `[rows, 2 latent]`.
    fn encoded(&self) -> &B::Buffer;

    /// `rows` images decoded from codes drawn from the prior, `[rows, pixels]`; none from a model without a prior.
    ///
    /// Step 0 of the sampling stream is drawn each time, so that pictures of different epochs show the same codes.
    ///
    /// # Errors
    /// The device failed.
    fn sample(&mut self, backend: &mut B, rows: usize) -> Result<Option<Vec<f32>>, Error>;

    /// Codes that each image is given, K: so many rows of a step, one after another, are the same image. More than one is for the
    /// importance-weighted loss.
    fn draws(&self) -> usize {
        1
    }

    /// The sizes of its layers.
    fn dims(&self) -> Dims {
        self.common().dims
    }

    /// The most rows a step can take.
    fn batch_size(&self) -> usize {
        self.common().batch_size
    }

    /// Its parameters.
    fn parameters(&self) -> &Parameters<B> {
        &self.common().parameters
    }

    /// Its parameters, to be changed.
    fn parameters_mut(&mut self) -> &mut Parameters<B> {
        &mut self.common_mut().parameters
    }

    /// The images of the step, `[rows, pixels]`.
    fn input_mut(&mut self) -> &mut B::Buffer {
        &mut self.common_mut().x
    }

    /// What the last loss (gradient at the logits) or reconstruction (x_hat) left, `[rows, pixels]`.
    fn output(&self) -> &B::Buffer {
        &self.common().output
    }

    /// Trains on the next `rows` rows of the images' order: loss, gradients, Adam.
    ///
    /// # Errors
    /// The device failed.
    fn train_step(&mut self, backend: &mut B, images: &mut B::Images, rows: usize) -> Result<(), Error> {
        backend.run(training_step(rows), |backend| self.enqueue_training(backend, images))
    }

    // ANCHOR: enqueue_training
    /// Enqueues what a step of training does.
    fn enqueue_training(&mut self, backend: &mut B, images: &mut B::Images) {
        self.common_mut().gather(backend, images);
        self.loss(backend, Noise::Drawn);
        self.backward(backend);
        self.parameters_mut().adam(backend);
    }
    // ANCHOR_END: enqueue_training

    /// Makes ready what training and evaluation on batches of `rows` rows will need.
    ///
    /// # Errors
    /// Something is missing, or the device failed.
    fn prepare(&mut self, backend: &mut B, images: &mut B::Images, rows: usize) -> Result<(), Error> {
        backend.prepare(training_step(rows), |backend| self.enqueue_training(backend, images))?;
        backend.prepare(Step::once(Stream::Validation, rows), |backend| self.reconstruct(backend))?;
        backend.prepare(Step::once(Stream::Sampling, rows), |backend| self.enqueue_sampling(backend))
    }

    /// Adds the losses of the next `rows` rows of the images' order to the sums.
    ///
    /// # Errors
    /// The device failed.
    fn evaluation_step(
        &mut self,
        backend: &mut B,
        images: &mut B::Images,
        rows: usize,
        noise: Noise,
    ) -> Result<(), Error> {
        let name = match noise {
            Noise::Drawn => "evaluate",
            Noise::Given => "evaluate with given noise",
            Noise::Mean => "evaluate the mean",
        };
        backend.run(Step::repeated(name, Stream::Validation, rows), |backend| {
            self.common_mut().gather(backend, images);
            self.loss(backend, noise);
        })
    }

    /// The codes of `images` `[rows, pixels]`, at most a batch of them: `[rows, latent]`, or `[rows, 2 latent]` for the VAE,
    /// mean beside log variance.
    ///
    /// # Errors
    /// The device failed.
    fn encode(&mut self, backend: &mut B, images: &[f32]) -> Result<Vec<f32>, Error> {
        let Dims { input, latent, .. } = self.dims();
        let rows = images.len() / input;
        backend.write(self.input_mut(), images)?;
        backend.run(Step::once(Stream::Validation, rows), |backend| self.enqueue_encoding(backend))?;
        let columns = match self.kind() {
            Kind::Vanilla => latent,
            Kind::Variational => 2 * latent,
        };
        backend.read(self.encoded(), rows * columns)
    }

    /// What the decoder makes of `codes` `[rows, latent]`, at most a batch of them: `[rows, pixels]`, the logits or, through
    /// [`Activation::Sigmoid`], the images.
    ///
    /// # Errors
    /// The device failed.
    fn decode(&mut self, backend: &mut B, codes: &[f32], activation: Activation) -> Result<Vec<f32>, Error> {
        let Dims { input, latent, .. } = self.dims();
        let rows = codes.len() / latent;
        backend.write(&mut self.common_mut().z, codes)?;
        backend.run(Step::once(Stream::Sampling, rows), |backend| self.common_mut().decode(backend, activation))?;
        backend.read(self.output(), rows * input)
    }

    /// The next `rows` images and their reconstructions, `[rows, pixels]` each.
    ///
    /// # Errors
    /// The device failed.
    fn reconstruct_next(
        &mut self,
        backend: &mut B,
        images: &mut B::Images,
        rows: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), Error> {
        backend.run(Step::once(Stream::Validation, rows), |backend| {
            backend.gather(images, self.input_mut());
            self.reconstruct(backend);
        })?;
        let len = rows * self.dims().input;
        Ok((backend.read(self.input_mut(), len)?, backend.read(self.output(), len)?))
    }
}

/// The step in which a model is trained on `rows` rows.
fn training_step(rows: usize) -> Step {
    Step::repeated("train", Stream::Training, rows)
}

/// What both models hold beside their encoder: parameters, decoder and the buffers of one step.
pub struct Common<B: Backend> {
    dims: Dims,
    batch_size: usize,
    parameters: Parameters<B>,
    decoder: Decoder,
    x: B::Buffer,
    /// What x should become, where that is something else than x.
    target: Option<B::Buffer>,
    encoder_hidden: Hidden<B::Buffer>,
    z: B::Buffer,
    decoder_hidden: Hidden<B::Buffer>,
    output: B::Buffer,
    /// Gradients at the hidden layers, of the decoder and then of the encoder.
    dhidden: Hidden<B::Buffer>,
    dz: B::Buffer,
}

impl<B: Backend> Common<B> {
    fn new(
        backend: &mut B,
        (layout, decoder): (Layout, Decoder),
        dims: Dims,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        Ok(Self {
            dims,
            batch_size,
            parameters: Parameters::new(backend, layout, seed)?,
            decoder,
            x: backend.zeros(batch_size * dims.input)?,
            target: None,
            encoder_hidden: Hidden::zeros(backend, batch_size, dims.hidden)?,
            z: backend.zeros(batch_size * dims.latent)?,
            decoder_hidden: Hidden::zeros(backend, batch_size, dims.hidden)?,
            output: backend.zeros(batch_size * dims.input)?,
            dhidden: Hidden::zeros(backend, batch_size, dims.hidden)?,
            dz: backend.zeros(batch_size * dims.latent)?,
        })
    }

    /// Makes room for targets that are not the input: the loss then compares with what [`Backend::gather_target`] takes.
    ///
    /// # Errors
    /// Out of memory.
    pub fn add_targets(&mut self, backend: &mut B) -> Result<(), Error> {
        self.target = Some(backend.zeros(self.batch_size * self.dims.input)?);
        Ok(())
    }

    /// Enqueues taking the next images, and their targets where the model has some.
    fn gather(&mut self, backend: &mut B, images: &mut B::Images) {
        if let Some(target) = &mut self.target {
            backend.gather_target(images, target);
        }
        backend.gather(images, &mut self.x);
    }

    /// From the code to the loss and its gradient at the logits.
    fn decoder_loss(&mut self, backend: &mut B) {
        let params = &self.parameters.values.storage;
        let decoder = self.decoder.0;
        decoder.hidden(backend, params, &self.z, &mut self.decoder_hidden);
        let target = self.target.as_ref().unwrap_or(&self.x);
        backend.linear_bce(decoder.last, params, &self.decoder_hidden.second, target, &mut self.output);
    }

    /// From the gradient at the logits to the one at the code.
    fn decoder_backward(&mut self, backend: &mut B) {
        self.decoder.0.backward(
            backend,
            &self.parameters.values.storage,
            &self.z,
            &self.decoder_hidden,
            &self.output,
            &mut self.dhidden,
            &mut self.parameters.gradients.storage,
            Some(&mut self.dz),
        );
    }

    /// From the code to the logits, or through [`Activation::Sigmoid`] to the image.
    fn decode(&mut self, backend: &mut B, activation: Activation) {
        let params = &self.parameters.values.storage;
        self.decoder.decode(backend, params, &self.z, &mut self.decoder_hidden, &mut self.output, activation);
    }

    fn encoder_hidden(&mut self, backend: &mut B, encoder: Perceptron) {
        encoder.hidden(backend, &self.parameters.values.storage, &self.x, &mut self.encoder_hidden);
    }
}

/// The vanilla autoencoder: x -> z -> x_hat.
pub struct VanillaAE<B: Backend> {
    encoder: Encoder,
    common: Common<B>,
}

impl<B: Backend> VanillaAE<B> {
    /// A freshly initialised model, with buffers for batches of up to `batch_size` images.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(backend: &mut B, dims: Dims, batch_size: usize, seed: u64) -> Result<Self, Error> {
        let mut layout = Layout::default();
        let encoder = Encoder::new(&mut layout, dims);
        let decoder = Decoder::new(&mut layout, dims);
        Ok(Self { encoder, common: Common::new(backend, (layout, decoder), dims, batch_size, seed)? })
    }

    /// The codes of the last loss or reconstruction, `[rows, latent]`.
    pub fn code(&self) -> &B::Buffer {
        &self.common.z
    }
}

/// Enqueues the vanilla loss of the model's input: L = BCE(x_hat, x), summed over pixels and images, from the logits.
///
/// Its gradient at the logits, sigmoid(a) - x, is left for [`Autoencoder::backward`].
pub fn vanilla_loss<B: Backend>(backend: &mut B, model: &mut VanillaAE<B>) {
    model.enqueue_encoding(backend);
    model.common.decoder_loss(backend);
}

impl<B: Backend> Autoencoder<B> for VanillaAE<B> {
    fn kind(&self) -> Kind {
        Kind::Vanilla
    }

    fn common(&self) -> &Common<B> {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common<B> {
        &mut self.common
    }

    fn loss(&mut self, backend: &mut B, _noise: Noise) {
        vanilla_loss(backend, self);
    }

    fn backward(&mut self, backend: &mut B) {
        let Self { encoder, common } = self;
        common.decoder_backward(backend);
        encoder.0.backward(
            backend,
            &common.parameters.values.storage,
            &common.x,
            &common.encoder_hidden,
            &common.dz,
            &mut common.dhidden,
            &mut common.parameters.gradients.storage,
            None,
        );
    }

    fn reconstruct(&mut self, backend: &mut B) {
        self.enqueue_encoding(backend);
        self.common.decode(backend, Activation::Sigmoid);
    }

    fn enqueue_sampling(&mut self, _backend: &mut B) {}

    fn enqueue_encoding(&mut self, backend: &mut B) {
        let Self { encoder, common } = self;
        common.encoder_hidden(backend, encoder.0);
        let params = &common.parameters.values.storage;
        backend.linear(encoder.0.last, params, &common.encoder_hidden.second, &mut common.z, Activation::Identity);
    }

    fn encoded(&self) -> &B::Buffer {
        &self.common.z
    }

    fn sample(&mut self, _backend: &mut B, _rows: usize) -> Result<Option<Vec<f32>>, Error> {
        Ok(None)
    }
}

/// The variational autoencoder: x -> posterior N(mean, e^log_var) -> z -> x_hat.
pub struct VariationalAE<B: Backend> {
    encoder: VariationalEncoder,
    common: Common<B>,
    /// Mean beside log variance, `[rows, 2 latent]`.
    posterior: B::Buffer,
    eps: B::Buffer,
    dposterior: B::Buffer,
    importance: Option<Importance<B>>,
}

/// What the importance-weighted loss needs.
struct Importance<B: Backend> {
    /// Codes an image.
    draws: usize,
    /// Of each draw its share in the image's loss.
    weights: B::Buffer,
}

impl<B: Backend> VariationalAE<B> {
    /// A freshly initialised model, with buffers for batches of up to `batch_size` images.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(backend: &mut B, dims: Dims, batch_size: usize, seed: u64) -> Result<Self, Error> {
        let mut layout = Layout::default();
        let encoder = VariationalEncoder::new(&mut layout, dims);
        let decoder = Decoder::new(&mut layout, dims);
        Ok(Self {
            encoder,
            posterior: backend.zeros(2 * batch_size * dims.latent)?,
            eps: backend.zeros(batch_size * dims.latent)?,
            dposterior: backend.zeros(2 * batch_size * dims.latent)?,
            importance: None,
            common: Common::new(backend, (layout, decoder), dims, batch_size, seed)?,
        })
    }

    /// Makes the loss the importance-weighted one, with `draws` codes an image. They have to be drawn or given: the mean alone
    /// ([`Noise::Mean`]) has no weight.
    ///
    /// # Errors
    /// Out of memory.
    pub fn weigh_draws(&mut self, backend: &mut B, draws: usize) -> Result<(), Error> {
        self.importance = Some(Importance { draws, weights: backend.zeros(self.common.batch_size)? });
        Ok(())
    }

    /// The noise of the next loss with [`Noise::Given`], `[rows, latent]`.
    pub fn noise_mut(&mut self) -> &mut B::Buffer {
        &mut self.eps
    }

    /// Mean beside log variance of the last loss or reconstruction, `[rows, 2 latent]`.
    pub fn posterior(&self) -> &B::Buffer {
        &self.posterior
    }

    fn enqueue_posterior(&mut self, backend: &mut B, noise: Noise) {
        let Self { encoder, common, posterior, eps, .. } = self;
        common.encoder_hidden(backend, encoder.0);
        let params = &common.parameters.values.storage;
        backend.linear(encoder.0.last, params, &common.encoder_hidden.second, posterior, Activation::Identity);
        backend.reparameterise(common.dims.latent, posterior, noise, eps, &mut common.z);
    }
}

/// Enqueues the variational loss of the model's input: L = BCE(x_hat, x) + beta KL(posterior, prior), summed over pixels,
/// latent units and images: the negative evidence lower bound (Kingma and Welling 2014), with one sample of z an image.
///
/// z carries the gradient from the decoder to the posterior (the reparameterisation trick); KL adds its own there. Both meet in
/// [`Backend::reparameterise_backward`].
pub fn variational_loss<B: Backend>(backend: &mut B, model: &mut VariationalAE<B>, noise: Noise) {
    model.enqueue_posterior(backend, noise);
    model.common.decoder_loss(backend);
}

/// Enqueues the importance-weighted loss of the model's input, in which each image has several rows: L = -log of the mean weight of
/// its codes, the negative of a bound that is nearer to the likelihood the more codes there are (Burda, Grosse and Salakhutdinov
/// 2016).
///
/// See [`Backend::linear_importance`] and [`Backend::importance_backward`].
fn importance_loss<B: Backend>(backend: &mut B, model: &mut VariationalAE<B>, noise: Noise) {
    model.enqueue_posterior(backend, noise);
    let VariationalAE { common, posterior, eps, importance: Some(Importance { draws, weights }), .. } = model else {
        return;
    };
    let draws = Draws { per_image: *draws, latent: common.dims.latent, posterior, eps, z: &common.z };
    let params = &common.parameters.values.storage;
    let decoder = common.decoder.0;
    decoder.hidden(backend, params, &common.z, &mut common.decoder_hidden);
    let target = common.target.as_ref().unwrap_or(&common.x);
    let weighed = Weighed { weights, dlogits: &mut common.output };
    backend.linear_importance(decoder.last, params, &common.decoder_hidden.second, target, draws, weighed);
}

impl<B: Backend> Autoencoder<B> for VariationalAE<B> {
    fn kind(&self) -> Kind {
        Kind::Variational
    }

    fn common(&self) -> &Common<B> {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common<B> {
        &mut self.common
    }

    fn loss(&mut self, backend: &mut B, noise: Noise) {
        match self.importance {
            None => variational_loss(backend, self, noise),
            Some(_) => importance_loss(backend, self, noise),
        }
    }

    fn backward(&mut self, backend: &mut B) {
        let Self { encoder, common, posterior, eps, dposterior, importance } = self;
        common.decoder_backward(backend);
        let latent = common.dims.latent;
        match importance {
            None => backend.reparameterise_backward(latent, posterior, eps, &common.dz, dposterior),
            Some(Importance { draws, weights }) => {
                let draws = Draws { per_image: *draws, latent, posterior, eps, z: &common.z };
                backend.importance_backward(draws, weights, &common.dz, dposterior);
            }
        }
        encoder.0.backward(
            backend,
            &common.parameters.values.storage,
            &common.x,
            &common.encoder_hidden,
            dposterior,
            &mut common.dhidden,
            &mut common.parameters.gradients.storage,
            None,
        );
    }

    fn draws(&self) -> usize {
        self.importance.as_ref().map_or(1, |importance| importance.draws)
    }

    fn reconstruct(&mut self, backend: &mut B) {
        self.enqueue_posterior(backend, Noise::Mean);
        self.common.decode(backend, Activation::Sigmoid);
    }

    fn enqueue_sampling(&mut self, backend: &mut B) {
        backend.standard_normal(&mut self.common.z, self.common.dims.latent);
        self.common.decode(backend, Activation::Sigmoid);
    }

    fn enqueue_encoding(&mut self, backend: &mut B) {
        self.enqueue_posterior(backend, Noise::Mean);
    }

    fn encoded(&self) -> &B::Buffer {
        &self.posterior
    }

    fn sample(&mut self, backend: &mut B, rows: usize) -> Result<Option<Vec<f32>>, Error> {
        backend.set_step(Stream::Sampling, 0);
        backend.run(Step::once(Stream::Sampling, rows), |backend| self.enqueue_sampling(backend))?;
        Ok(Some(backend.read(&self.common.output, rows * self.common.dims.input)?))
    }
}
