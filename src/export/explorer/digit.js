// A drawing as MNIST has its digits. Nothing here knows the page.
"use strict";

/** The box that the ink of a digit fits, and the width of its pen, as shares of the image's side. */
const BOX = 20 / 28;
const PEN = 2.5 / 28;
/** A drawing of a smaller share of its field is not magnified to the whole box: a dot stays a dot. */
const LEAST_EXTENT = 0.25;

/**
 * Where a pen was, right and down from the corner: in shares of the field's side, or in pixels.
 * @typedef {[number, number]} Point
 */

/**
 * A stroke with its corners cut: each line between two points gives way to its middle half (Chaikin 1974).
 * @param {Point[]} stroke
 * @returns {Point[]}
 */
function smoothed(stroke) {
  if (stroke.length < 3) return stroke;
  const middles = stroke.slice(1).flatMap(([x, y], i) => {
    const [u, v] = stroke[i];
    return [[0.75 * u + 0.25 * x, 0.75 * v + 0.25 * y], [0.25 * u + 0.75 * x, 0.25 * v + 0.75 * y]];
  });
  return [stroke[0], ...middles, stroke[stroke.length - 1]];
}

/**
 * The image of a drawing: scaled so that its ink fits the box, its centre of mass in the middle.
 * @param {Point[][]} strokes in shares of the field
 * @param {number} size of the image
 * @returns {Float32Array} [size, size] from 0 to 1
 */
function digitOf(strokes, size) {
  const points = strokes.flat();
  if (points.length === 0) return new Float32Array(size * size);
  const [left, right] = rangeOf(points.map(([x]) => x));
  const [top, bottom] = rangeOf(points.map(([, y]) => y));
  const scale = ((BOX - PEN) * size) / Math.max(right - left, bottom - top, LEAST_EXTENT);
  /** @param {Point} middle what comes into the middle of the image */
  const imageAround = (middle) => {
    const place = ([x, y]) => [(x - middle[0]) * scale + size / 2, (y - middle[1]) * scale + size / 2];
    return rasterised(strokes.map((stroke) => stroke.map(place)), PEN * size, size);
  };
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const [x, y] = centreOfMass(imageAround(middle), size);
  return imageAround([middle[0] + (x - size / 2) / scale, middle[1] + (y - size / 2) / scale]);
}

/** @param {number[]} values @returns {[number, number]} the least and the greatest */
function rangeOf(values) {
  return values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
}

/** @param {Float32Array} image [size, size] @param {number} size @returns {Point} */
function centreOfMass(image, size) {
  let [mass, sumX, sumY] = [0, 0, 0];
  image.forEach((ink, i) => {
    mass += ink;
    sumX += ink * ((i % size) + 0.5);
    sumY += ink * (Math.floor(i / size) + 0.5);
  });
  return [sumX / mass, sumY / mass];
}

/**
 * Strokes of a round pen, with smooth edges.
 * @param {Point[][]} strokes in pixels
 * @param {number} width of the pen
 * @param {number} size of the image
 * @returns {Float32Array} [size, size]
 */
function rasterised(strokes, width, size) {
  const image = new Float32Array(size * size);
  for (const stroke of strokes) {
    // A stroke of one point is a line of no length.
    for (let i = 0; i < Math.max(1, stroke.length - 1); i++) inkLine(image, size, stroke[i], stroke[i + 1] ?? stroke[i], width / 2);
  }
  return image;
}

/** Inks the pixels within `radius` of the line from `a` to `b`, those at its edge in part. */
function inkLine(image, size, a, b, radius) {
  const reach = radius + 1;
  const first = (axis) => Math.max(0, Math.floor(Math.min(a[axis], b[axis]) - reach));
  const last = (axis) => Math.min(size - 1, Math.ceil(Math.max(a[axis], b[axis]) + reach));
  for (let y = first(1); y <= last(1); y++) {
    for (let x = first(0); x <= last(0); x++) {
      const ink = Math.min(1, radius + 0.5 - distanceToLine([x + 0.5, y + 0.5], a, b));
      image[y * size + x] = Math.max(image[y * size + x], ink);
    }
  }
}

/** @param {Point} point @param {Point} a @param {Point} b the line's ends @returns {number} */
function distanceToLine([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
