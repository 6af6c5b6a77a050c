//! Encoders and decoder: three linear layers with LeakyReLU after the first two.

use crate::backend::{Activation, Backend, InputGradient, Linear};
use crate::nn::Dims;
use crate::tensor::{Layout, Shape};

/// Three linear layers. What follows the last one is up to who uses it.
#[derive(Clone, Copy, Debug)]
pub struct Perceptron {
    first: Linear,
    second: Linear,
    /// The last layer, without activation.
    pub last: Linear,
}

/// One buffer for each of the two hidden layers: their outputs, or the gradients at their pre-activations.
pub struct Hidden<S> {
    /// `[rows, hidden]`
    pub first: S,
    /// `[rows, hidden]`
    pub second: S,
}

impl<S> Hidden<S> {
    /// Room for `rows` rows of `units` units.
    ///
    /// # Errors
    /// Out of memory.
    pub fn zeros<B: Backend<Buffer = S>>(
        backend: &mut B,
        rows: usize,
        units: usize,
    ) -> Result<Self, crate::backend::Error> {
        Ok(Self { first: backend.zeros(rows * units)?, second: backend.zeros(rows * units)? })
    }
}

impl Perceptron {
    /// Its layers, first to last.
    pub fn layers(&self) -> [Linear; 3] {
        [self.first, self.second, self.last]
    }

    /// Enqueues the two hidden layers: h1 = f(x W1^T + b1), h2 = f(h1 W2^T + b2), f = LeakyReLU.
    pub fn hidden<B: Backend>(
        &self,
        backend: &mut B,
        params: &B::Buffer,
        x: &B::Buffer,
        hidden: &mut Hidden<B::Buffer>,
    ) {
        backend.linear(self.first, params, x, &mut hidden.first, Activation::LeakyRelu);
        backend.linear(self.second, params, &hidden.first, &mut hidden.second, Activation::LeakyRelu);
    }

    /// Enqueues the backward pass from `dout`, the gradient at the last layer's result, and writes all gradients to `grads`.
    ///
    /// With pre-activations p1 = x W1^T + b1 and p2 = h1 W2^T + b2, the chain rule gives, from the top:
    /// dL/dp2 = (dout W3) f'(p2), dL/dp1 = (dL/dp2 W2) f'(p1), dL/dx = dL/dp1 W1; and at each layer the gradients of its weight and
    /// bias from its own input. One operation does all of a layer. `dhidden` receives dL/dp1 and dL/dp2, `dx` dL/dx for an
    /// x that is the result of a layer without activation, or is left out where x is an image.
    #[expect(clippy::too_many_arguments, reason = "the operands of the chain rule, each by its name")]
    pub fn backward<B: Backend>(
        &self,
        backend: &mut B,
        params: &B::Buffer,
        x: &B::Buffer,
        hidden: &Hidden<B::Buffer>,
        dout: &B::Buffer,
        dhidden: &mut Hidden<B::Buffer>,
        grads: &mut B::Buffer,
        dx: Option<&mut B::Buffer>,
    ) {
        // ANCHOR: backward
        let input = Some(InputGradient { dx: &mut dhidden.second, activation: Activation::LeakyRelu });
        backend.linear_backward(self.last, params, &hidden.second, dout, grads, input);
        let input = Some(InputGradient { dx: &mut dhidden.first, activation: Activation::LeakyRelu });
        backend.linear_backward(self.second, params, &hidden.first, &dhidden.second, grads, input);
        let input = dx.map(|dx| InputGradient { dx, activation: Activation::Identity });
        backend.linear_backward(self.first, params, x, &dhidden.first, grads, input);
        // ANCHOR_END: backward
    }
}

/// The vanilla encoder: image to code. Layers `FC_input`, `FC_input2`, `FC_latent`.
#[derive(Clone, Copy, Debug)]
pub struct Encoder(pub Perceptron);

impl Encoder {
    /// Appends this encoder's parameters to `layout`.
    pub fn new(layout: &mut Layout, dims: Dims) -> Self {
        Self(Perceptron {
            first: linear(layout, "encoder.FC_input", dims.input, dims.hidden),
            second: linear(layout, "encoder.FC_input2", dims.hidden, dims.hidden),
            last: linear(layout, "encoder.FC_latent", dims.hidden, dims.latent),
        })
    }
}

/// The variational encoder: image to the mean and log variance of the code. Layers `FC_input`, `FC_input2`, and `FC_mean` beside
/// `FC_var`, which lie side by side in the arena and are computed as one layer of 2 latent units.
#[derive(Clone, Copy, Debug)]
pub struct VariationalEncoder(pub Perceptron);

impl VariationalEncoder {
    /// Appends this encoder's parameters to `layout`.
    pub fn new(layout: &mut Layout, dims: Dims) -> Self {
        let first = linear(layout, "encoder.FC_input", dims.input, dims.hidden);
        let second = linear(layout, "encoder.FC_input2", dims.hidden, dims.hidden);
        let weight = layout.push("encoder.FC_mean.weight", Shape::Matrix(dims.latent, dims.hidden));
        layout.push("encoder.FC_var.weight", Shape::Matrix(dims.latent, dims.hidden));
        let bias = layout.push("encoder.FC_mean.bias", Shape::Vector(dims.latent));
        layout.push("encoder.FC_var.bias", Shape::Vector(dims.latent));
        Self(Perceptron { first, second, last: Linear { inputs: dims.hidden, outputs: 2 * dims.latent, weight, bias } })
    }
}

/// The decoder of both models: code to the logits of an image. Layers `FC_hidden`, `FC_hidden2`, `FC_output`.
#[derive(Clone, Copy, Debug)]
pub struct Decoder(pub Perceptron);

impl Decoder {
    /// Appends this decoder's parameters to `layout`.
    pub fn new(layout: &mut Layout, dims: Dims) -> Self {
        Self(Perceptron {
            first: linear(layout, "decoder.FC_hidden", dims.latent, dims.hidden),
            second: linear(layout, "decoder.FC_hidden2", dims.hidden, dims.hidden),
            last: linear(layout, "decoder.FC_output", dims.hidden, dims.input),
        })
    }

    /// Enqueues the logits `[rows, pixels]` of the codes z `[rows, latent]`, or x_hat = sigmoid(logits), as `activation` says.
    pub fn decode<B: Backend>(
        &self,
        backend: &mut B,
        params: &B::Buffer,
        z: &B::Buffer,
        hidden: &mut Hidden<B::Buffer>,
        out: &mut B::Buffer,
        activation: Activation,
    ) {
        self.0.hidden(backend, params, z, hidden);
        backend.linear(self.0.last, params, &hidden.second, out, activation);
    }
}

/// Appends weight `[outputs, inputs]` and bias `[outputs]`, PyTorch's layout of `Linear`.
fn linear(layout: &mut Layout, name: &str, inputs: usize, outputs: usize) -> Linear {
    let weight = layout.push(format!("{name}.weight"), Shape::Matrix(outputs, inputs));
    let bias = layout.push(format!("{name}.bias"), Shape::Vector(outputs));
    Linear { inputs, outputs, weight, bias }
}
