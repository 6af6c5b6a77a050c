// The page: what is shown of the model, and what a person can do with it.
"use strict";

/**
 * What the program wrote into the page.
 * @type {{
 *   kind: "ae" | "vae", rows: number, columns: number,
 *   dims: {input: number, hidden: number, latent: number}, weights: string,
 *   units: number[], strength: number[], active: number | null, centre: number[], scale: number[],
 *   points: [number, number, number][], examples: string[],
 * }}
 */
const data = JSON.parse(document.getElementById("data").textContent);
const model = new Model(data.dims, data.weights);
const element = (id) => document.getElementById(id);

/** How far the plane and the sliders reach, in standard deviations. */
const REACH = 3;
/** Steps of the arrow keys. */
const STEP = 0.1;
const FAR_STEP = 0.5;
/** The side of the field to draw in, and the width of its pen. */
const FIELD = 280;
const PEN = 20;
/** Colours of labels, for light and dark paper alike. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d5a", "#b5a600", "#8c959f", "#7a5cc0"];
/** The units of the plane: left and right, up and down. */
const PLANE = [data.units[0], data.units[Math.min(1, data.units.length - 1)]];

/** The code that is shown, in the model's own units. */
const code = Float32Array.from(data.centre);

/** A unit's value in standard deviations from the middle. */
const placeOf = (unit) => (code[unit] - data.centre[unit]) / data.scale[unit];
const setPlace = (unit, place) => { code[unit] = data.centre[unit] + place * data.scale[unit]; };
const within = (place) => Math.max(-REACH, Math.min(REACH, place));

/** Draws pixels from 0 to 1 on a canvas, one to one; style sheets magnify. */
function drawPixels(canvas, pixels) {
  [canvas.width, canvas.height] = [data.columns, data.rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(data.columns, data.rows);
  pixels.forEach((value, i) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
  context.putImageData(image, 0, 0);
}

/** Where the point of the plane (x, y), in standard deviations, lies on its canvas, and back. */
const toCanvas = (place, side, up) => side * (0.5 + ((up ? -1 : 1) * place) / (2 * REACH));
const fromCanvas = (at, side, up) => within((at / side - 0.5) * 2 * REACH * (up ? -1 : 1));

/** The plane without the ring, which changes with the colour scheme alone. */
function planeBackground() {
  const side = element("plane").width;
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--paper");
  context.fillRect(0, 0, side, side);
  context.fillStyle = style.getPropertyValue("--line");
  context.fillRect(side / 2 - 1, 0, 2, side);
  context.fillRect(0, side / 2 - 1, side, 2);
  context.globalAlpha = 0.45;
  for (const [x, y, label] of data.points) {
    context.fillStyle = COLOURS[label % COLOURS.length];
    context.beginPath();
    context.arc(toCanvas(x, side, false), toCanvas(y, side, true), 3.5, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  context.font = "22px system-ui, sans-serif";
  for (const [text, x, y] of [[`unit ${PLANE[0]} →`, side - 120, side / 2 - 14], [`unit ${PLANE[1]} ↑`, side / 2 + 12, 30]]) {
    context.lineWidth = 6;
    context.strokeStyle = style.getPropertyValue("--paper");
    context.strokeText(text, x, y);
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillText(text, x, y);
  }
  return canvas;
}

let background = planeBackground();

function drawPlane() {
  const canvas = element("plane");
  const [context, side] = [canvas.getContext("2d"), canvas.width];
  context.drawImage(background, 0, 0);
  const [x, y] = [toCanvas(within(placeOf(PLANE[0])), side, false), toCanvas(within(placeOf(PLANE[1])), side, true)];
  for (const [width, colour] of [[12, "--paper"], [6, "--ink"]]) {
    context.lineWidth = width;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(colour);
    context.beginPath();
    context.arc(x, y, 16, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Shows the code everywhere: in the plane, on the sliders, as an image. */
function show() {
  drawPlane();
  for (const slider of document.querySelectorAll("#sliders input")) {
    const place = placeOf(Number(slider.dataset.unit));
    slider.value = place;
    slider.nextElementSibling.textContent = place.toFixed(2);
  }
  const [x, y] = PLANE.map((unit) => placeOf(unit).toFixed(2));
  element("place").textContent = `unit ${PLANE[0]}: ${x}, unit ${PLANE[1]}: ${y} standard deviations from the middle`;
  drawPixels(element("image"), model.decode(code));
}

/** Moves the ring; the other units stay as they are. */
function moveTo(x, y) {
  setPlace(PLANE[0], within(x));
  if (PLANE[1] !== PLANE[0]) setPlace(PLANE[1], within(y));
  show();
}

function listenToPlane() {
  const plane = element("plane");
  const follow = (event) => {
    const box = plane.getBoundingClientRect();
    moveTo(fromCanvas(event.clientX - box.left, box.width, false), fromCanvas(event.clientY - box.top, box.height, true));
  };
  plane.addEventListener("pointerdown", (event) => {
    plane.setPointerCapture(event.pointerId);
    follow(event);
  });
  plane.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  plane.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const step = event.shiftKey ? FAR_STEP : STEP;
    moveTo(placeOf(PLANE[0]) + step * way[0], placeOf(PLANE[1]) + step * way[1]);
  });
}

function makeSliders() {
  data.units.forEach((unit, i) => {
    const label = document.createElement("label");
    const name = document.createElement("span");
    name.textContent = data.kind === "vae" ? `unit ${unit}, ${data.strength[i].toFixed(2)} nats` : `unit ${unit}`;
    const slider = Object.assign(document.createElement("input"), { type: "range", min: -REACH, max: REACH, step: 0.01 });
    slider.dataset.unit = unit;
    slider.addEventListener("input", () => {
      setPlace(unit, Number(slider.value));
      show();
    });
    label.append(name, slider, document.createElement("output"));
    element("sliders").append(label);
  });
  element("reset").addEventListener("click", () => {
    code.set(data.centre);
    show();
  });
}

/** Encodes an image, moves everything to its code, and shows what became of it. */
function takeImage(pixels) {
  code.set(model.encode(pixels));
  drawPixels(element("seen"), pixels);
  drawPixels(element("reconstruction"), model.decode(code));
  show();
}

/** The field to draw in. What is drawn is encoded once a frame. */
function listenToDrawing() {
  const field = element("drawing");
  const context = field.getContext("2d", { willReadFrequently: true });
  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, FIELD, FIELD);
  };
  let waiting = false;
  const encodeSoon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const { data: channels } = context.getImageData(0, 0, FIELD, FIELD);
      const ink = Float32Array.from({ length: FIELD * FIELD }, (_, i) => channels[4 * i] / 255);
      takeImage(asDigit(ink, FIELD, data.rows));
    });
  };
  let last = null;
  const stroke = (event) => {
    const box = field.getBoundingClientRect();
    const at = [(event.clientX - box.left) * (FIELD / box.width), (event.clientY - box.top) * (FIELD / box.height)];
    Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...(last ?? at));
    context.lineTo(...at);
    context.stroke();
    last = at;
    encodeSoon();
  };
  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  field.addEventListener("pointermove", (event) => { if (event.buttons) stroke(event); });
  element("clear").addEventListener("click", () => {
    clear();
    for (const id of ["seen", "reconstruction"]) drawPixels(element(id), new Float32Array(data.dims.input));
  });
  clear();
}

function makeExamples() {
  data.examples.forEach((text, i) => {
    const pixels = Float32Array.from(bytesOf(text), (byte) => byte / 255);
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.setAttribute("aria-label", `test image ${i + 1}`);
    const canvas = document.createElement("canvas");
    drawPixels(canvas, pixels);
    button.append(canvas);
    button.addEventListener("click", () => takeImage(pixels));
    element("examples").append(button);
  });
}

/** Words that depend on the model. */
function writeTexts() {
  const { input, hidden, latent } = data.dims;
  const vae = data.kind === "vae";
  element("intro").textContent =
    `An autoencoder of ${input}-${hidden}-${hidden}-${latent} numbers. Its encoder makes a code of ${latent} numbers of an image, its decoder an image of a code. ` +
    `Here you choose the code and see the image at once.`;
  element("units-help").textContent = vae
    ? `Each code is ${latent} numbers, of which ${data.active} say anything about an image: a unit costs the nats that it says, and one that says nothing falls silent. ` +
      `0 is the middle of the prior, and nearly all codes lie within ${REACH} standard deviations of it.`
    : `The units whose codes vary most over the test images; 0 is their mean, and 1 a standard deviation away.`;
  const labels = [...new Set(data.points.map(([, , label]) => label))].sort((a, b) => a - b);
  for (const label of labels) {
    const span = document.createElement("b");
    span.textContent = label;
    span.style.color = COLOURS[label % COLOURS.length];
    element("legend").append(span, " ");
  }
  element("plane").setAttribute("aria-label", `the plane of units ${PLANE[0]} and ${PLANE[1]}, with a ring at the code that is shown`);
}

writeTexts();
makeSliders();
makeExamples();
listenToPlane();
for (const id of ["seen", "reconstruction"]) drawPixels(element(id), new Float32Array(data.dims.input));
if (data.rows === data.columns) {
  listenToDrawing();
} else {
  element("drawing").remove();
  element("clear").remove();
  element("draw-help").textContent = "This model's images are not square, so there is no field to draw in.";
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  background = planeBackground();
  drawPlane();
});
show();
