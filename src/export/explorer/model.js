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
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Half-precision floats, little-endian, in base 64.
 * @param {string} text
 * @returns {Float32Array}
 */
function floatsOf(text) {
  const halves = new DataView(bytesOf(text).buffer);
  return Float32Array.from({ length: halves.byteLength / 2 }, (_, i) => halfToFloat(halves.getUint16(2 * i, true)));
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

/** The least extent of a drawing, as a share of the field, that is scaled up to a whole digit: a dot stays small. */
const LEAST_EXTENT = 0.2;

/**
 * A drawing as MNIST has its digits: scaled so that its ink fits a box of 20 of the 28 pixels, its centre of mass in the middle.
 * @param {ArrayLike<number>} ink [side, side] from 0 to 1
 * @param {number} side of the drawing
 * @param {number} size of the image
 * @returns {Float32Array} [size, size]
 */
function asDigit(ink, side, size) {
  let [left, right, top, bottom, mass, sumX, sumY] = [side, -1, side, -1, 0, 0, 0];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const value = ink[y * side + x];
      if (value < 0.05) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      [mass, sumX, sumY] = [mass + value, sumX + value * (x + 0.5), sumY + value * (y + 0.5)];
    }
  }
  const image = new Float32Array(size * size);
  if (mass === 0) return image;
  const extent = Math.max(right - left + 1, bottom - top + 1, LEAST_EXTENT * side);
  const pixel = extent / (size * (20 / 28));
  const [centreX, centreY] = [sumX / mass, sumY / mass];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      image[y * size + x] = average(ink, side, centreX + (x - size / 2) * pixel, centreY + (y - size / 2) * pixel, pixel);
    }
  }
  return image;
}

/** The mean ink of the square of `pixel` by `pixel` from (left, top); none outside of the drawing. */
function average(ink, side, left, top, pixel) {
  let [sum, area] = [0, 0];
  for (let y = Math.floor(top); y < top + pixel; y++) {
    for (let x = Math.floor(left); x < left + pixel; x++) {
      const width = Math.min(x + 1, left + pixel) - Math.max(x, left);
      const height = Math.min(y + 1, top + pixel) - Math.max(y, top);
      const inside = x >= 0 && y >= 0 && x < side && y < side;
      sum += width * height * (inside ? ink[y * side + x] : 0);
      area += width * height;
    }
  }
  return sum / area;
}
