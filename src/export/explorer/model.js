// The model: layers, encoder and decoder. Nothing here knows the page.
"use strict";

/** Slope of LeakyReLU for negative arguments, as latent trains with. */
const NEGATIVE_SLOPE = 0.2;

/**
 * The number that 16 bits of an IEEE half-precision float stand for.
 * @param {number} bits
 * @returns {number}
 */
function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The bytes that a text in base 64 stands for.
 * @param {string} text
 * @returns {Uint8Array}
 */
function bytesOf(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/**
 * Half-precision floats, little-endian, in base 64.
 * @param {string} text
 * @returns {Float32Array}
 */
function floatsOf(text) {
  const halves = new DataView(bytesOf(text).buffer);
  const floats = new Float32Array(halves.byteLength / 2);
  for (let i = 0; i < floats.length; i++) floats[i] = halfToFloat(halves.getUint16(2 * i, true));
  return floats;
}

/** A linear layer, y = x W^T + b. */
class Linear {
  /**
   * @param {Float32Array} weight [outputs, inputs], as PyTorch has it
   * @param {Float32Array} bias [outputs]
   */
  constructor(weight, bias) {
    this.inputs = weight.length / bias.length;
    this.outputs = bias.length;
    this.bias = bias;
    // [inputs, outputs]: an input of 0, as most pixels are, then costs nothing.
    this.columns = new Float32Array(weight.length);
    for (let j = 0; j < this.outputs; j++) {
      for (let k = 0; k < this.inputs; k++) this.columns[k * this.outputs + j] = weight[j * this.inputs + k];
    }
  }

  /**
   * @param {ArrayLike<number>} x
   * @returns {Float32Array}
   */
  apply(x) {
    const { inputs, outputs, columns } = this;
    const y = Float32Array.from(this.bias);
    for (let k = 0; k < inputs; k++) {
      const value = x[k];
      if (value === 0) continue;
      const first = k * outputs;
      for (let j = 0; j < outputs; j++) y[j] += value * columns[first + j];
    }
    return y;
  }
}

/** An autoencoder: three layers down to the code, three up to the image. */
class Model {
  /**
   * @param {{input: number, hidden: number, latent: number}} dims
   * @param {string} weights all layers, first to last, each its weight and then its bias: half-precision floats in base 64
   */
  constructor(dims, weights) {
    this.dims = dims;
    const { input, hidden, latent } = dims;
    const sizes = [input, hidden, hidden, latent, hidden, hidden, input];
    const values = floatsOf(weights);
    let next = 0;
    const take = (count) => values.subarray(next, (next += count));
    this.layers = sizes.slice(1).map((outputs, i) => {
      const inputs = sizes[i];
      return new Linear(take(outputs * inputs), take(outputs));
    });
  }

  /**
   * Two hidden layers with LeakyReLU and a last one without.
   * @param {ArrayLike<number>} x
   * @param {Linear[]} layers
   */
  static perceptron(x, [first, second, last]) {
    const leaky = (values) => values.map((value) => (value > 0 ? value : NEGATIVE_SLOPE * value));
    return last.apply(leaky(second.apply(leaky(first.apply(x)))));
  }

  /**
   * The code of an image, for a variational autoencoder the posterior's mean.
   * @param {ArrayLike<number>} image pixels from 0 to 1
   * @returns {Float32Array}
   */
  encode(image) {
    return Model.perceptron(image, this.layers.slice(0, 3));
  }

  /**
   * The image of a code.
   * @param {ArrayLike<number>} code
   * @returns {Float32Array} pixels from 0 to 1
   */
  decode(code) {
    return Model.perceptron(code, this.layers.slice(3)).map((logit) => 1 / (1 + Math.exp(-logit)));
  }
}
