// The page: what is shown of the model, and what a person can do with it.
"use strict";

/**
 * What the program wrote into the page.
 * @type {{
 *   kind: "ae" | "vae", rows: number, columns: number,
 *   dims: {input: number, hidden: number, latent: number}, weights: string,
 *   units: number[], activity: number[], active: number, centre: number[], scale: number[],
 *   points: [number, number, number][], examples: {label: number, pixels: string}[],
 * }}
 */
const data = JSON.parse(document.getElementById("data").textContent);
const model = new Model(data.dims, data.weights);
const element = (id) => document.getElementById(id);

/** The units of the plane, to the right and upwards; the same one twice where the model has no other. */
const PLANE = [data.units[0], data.units[Math.min(1, data.units.length - 1)]];

/** The code that is shown, in the model's own units. */
const code = Float32Array.from(data.centre);

/** A unit's value in standard deviations from the middle. */
const placeOf = (unit) => (code[unit] - data.centre[unit]) / data.scale[unit];
const setPlace = (unit, place) => { code[unit] = data.centre[unit] + place * data.scale[unit]; };

/** @type {Plane} */
const plane = new Plane(element("plane"), PLANE.map((unit) => `unit ${unit}`), data.points, (place) => {
  PLANE.forEach((unit, axis) => setPlace(unit, place[axis]));
  show();
});

/** What was drawn: strokes, first to last. @type {Point[][]} */
const strokes = [];

/**
 * Draws pixels on a canvas, one to one; the style sheet magnifies.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} pixels [rows, columns] from 0 to 1
 */
function drawPixels(canvas, pixels) {
  [canvas.width, canvas.height] = [data.columns, data.rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(data.columns, data.rows);
  pixels.forEach((value, i) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
  context.putImageData(image, 0, 0);
}

/**
 * Shows the code everywhere: in the plane, on the sliders, as an image.
 * @returns {Float32Array} the image
 */
function show() {
  plane.show(PLANE.map(placeOf));
  for (const slider of document.querySelectorAll("#sliders input")) {
    const place = placeOf(Number(slider.dataset.unit));
    slider.value = place;
    slider.nextElementSibling.textContent = place.toFixed(2);
  }
  element("place").textContent = [...new Set(PLANE)].map((unit) => `unit ${unit} at ${placeOf(unit).toFixed(2)}`).join(", ");
  const image = model.decode(code);
  drawPixels(element("image"), image);
  return image;
}

/** Encodes an image, moves everything to its code, and shows what became of it. */
function takeImage(pixels) {
  code.set(model.encode(pixels));
  drawPixels(element("seen"), pixels);
  drawPixels(element("reconstruction"), show());
}

/** How much a unit says, in words: `rank` 0 is the most active. */
function activityOf(rank) {
  const amount = data.activity[rank].toFixed(2);
  return data.kind === "vae" ? `${amount} nats` : `sd ${amount}`;
}

function makeSliders() {
  data.units.forEach((unit, rank) => {
    const id = `slider-${unit}`;
    const row = document.createElement("div");
    const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: `unit ${unit} ` });
    label.append(Object.assign(document.createElement("small"), { textContent: activityOf(rank) }));
    const slider = Object.assign(document.createElement("input"), { id, type: "range", min: -REACH, max: REACH, step: 0.01 });
    slider.dataset.unit = unit;
    slider.addEventListener("input", () => {
      setPlace(unit, Number(slider.value));
      show();
    });
    row.append(label, slider, document.createElement("output"));
    element("sliders").append(row);
  });
  element("reset").addEventListener("click", () => {
    code.set(data.centre);
    show();
  });
}

/** Shows the strokes in the field to draw in, or that there are none yet. */
function drawStrokes() {
  const field = element("drawing");
  const context = field.getContext("2d");
  context.clearRect(0, 0, field.width, field.height);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN * field.width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    // The first point twice: a line of no length is a dot.
    for (const [x, y] of [stroke[0], ...smoothed(stroke)]) context.lineTo(x * field.width, y * field.height);
    context.stroke();
  }
  element("hint").hidden = strokes.length > 0;
}

function clearDrawing() {
  strokes.length = 0;
  drawStrokes();
}

function listenToDrawing() {
  const field = element("drawing");
  /** @returns {Point} */
  const pointOf = (event) => {
    const box = field.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const update = () => {
    drawStrokes();
    takeImage(digitOf(strokes.map(smoothed), data.rows));
  };
  field.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary) return;
    field.setPointerCapture(event.pointerId);
    strokes.push([pointOf(event)]);
    update();
  });
  field.addEventListener("pointermove", (event) => {
    if (!field.hasPointerCapture(event.pointerId)) return;
    strokes[strokes.length - 1].push(pointOf(event));
    update();
  });
  element("clear").addEventListener("click", () => {
    clearDrawing();
    for (const id of ["seen", "reconstruction"]) drawPixels(element(id), new Float32Array(data.dims.input));
  });
}

function makeExamples() {
  for (const { label, pixels } of data.examples) {
    const image = Float32Array.from(bytesOf(pixels), (byte) => byte / 255);
    const button = Object.assign(document.createElement("button"), { type: "button", ariaLabel: `test image of label ${label}` });
    const canvas = Object.assign(document.createElement("canvas"), { className: "pixels" });
    drawPixels(canvas, image);
    button.append(canvas);
    button.addEventListener("click", () => {
      clearDrawing();
      takeImage(image);
    });
    element("examples").append(button);
  }
}

/** Which colour is which label. */
function makeLegend() {
  element("legend").textContent = "The codes of test images, by label: ";
  for (const label of [...new Set(data.points.map((point) => point[2]))].sort((a, b) => a - b)) {
    const entry = document.createElement("span");
    const dot = document.createElement("i");
    dot.style.background = colourOf(label);
    entry.append(dot, String(label));
    element("legend").append(entry);
  }
}

/** The activity of every unit as a staircase, the most active first. */
function drawActivity() {
  const count = data.activity.length;
  const most = Math.max(...data.activity) || 1;
  const steps = data.activity.map((value, i) => `V${100 - (100 * value) / most}H${(100 * (i + 1)) / count}`);
  element("activity").querySelector("path").setAttribute("d", `M0 100${steps.join("")}V100Z`);
}

/** Words that depend on the model. */
function writeTexts() {
  const { input, hidden, latent } = data.dims;
  const vae = data.kind === "vae";
  const others = latent > 2 ? `the other ${latent - 2} keep the values of the code that is shown` : "there are no others";
  const active = data.active === latent ? `All ${latent} units are active.` : `${data.active} of ${latent} units are active.`;
  element("intro").textContent =
    `This page holds ${vae ? "a variational autoencoder" : "an autoencoder"} of ${input}-${hidden}-${hidden}-${latent} units. Its encoder turns an image into ` +
    `a code of ${latent} numbers, its decoder a code into an image. Choose a code, with the ring, with a slider or by drawing, and see at once what it decodes to.`;
  element("plane").setAttribute("aria-label", `the plane of units ${PLANE.join(" and ")}`);
  element("about-plane").textContent =
    `A code is a point in ${latent} dimensions, and the plane a cut through them: units ${PLANE.join(" and ")}, which say most, vary, and ${others}. One step of the ` +
    `grid is a standard deviation ${vae ? "of the prior, the normal distribution from which codes are sampled" : "of the test images' codes, 0 their mean"}. A dot is ` +
    "the shadow of a code on the plane: what the ring decodes to there need not look like the dot's own image, whose other units have other values.";
  element("about-units-title").textContent = vae ? "KL, and silent units" : "How much the units vary";
  element("activity").setAttribute("aria-label", `${vae ? "KL" : "standard deviation"} of every unit, the most active first: from ${activityOf(0)} to ${activityOf(latent - 1)}`);
  element("about-units").textContent = vae
    ? "The KL divergence of a unit, in nats, tells how far the codes of single images depart from the prior: how much the unit says about an image (1 nat is 1.44 bits). " +
      "Training charges for every nat, so a unit that would improve the image by less than it costs falls silent: its code is the prior for every image, its KL 0, and the decoder does " +
      `not listen to it. ${active} Above, all of them, the most active first.`
    : "A vanilla autoencoder has no prior and pays nothing for what its units say, so it has no KL; units are ordered by the standard deviation of their codes over the test images. " +
      `Nothing makes it decode what lies between the codes that it was trained on, so there the image may be of no digit. ${active} Above, all of them, the most active first.`;
}

writeTexts();
makeLegend();
drawActivity();
makeSliders();
makeExamples();
const square = data.rows === data.columns;
element("field").hidden = !square;
element("not-square").hidden = square;
element("draw-title").textContent = square ? "Draw a digit" : "Encode an image";
if (square) listenToDrawing();
const firstExample = element("examples").firstChild;
if (firstExample) firstExample.click();
else show();
