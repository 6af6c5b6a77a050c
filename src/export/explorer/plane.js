// The plane of two units: the test images' codes as dots, and a ring that a person moves.
"use strict";

/** How far the plane and the sliders reach, in standard deviations. */
const REACH = 3;
/** Steps of the arrow keys, alone and with Shift. */
const STEP = 0.1;
const FAR_STEP = 0.5;
/** Which axis a key moves along, and which way. */
const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 1], ArrowDown: [1, -1] };
/** Colours of the labels 0 to 9, on light and on dark paper. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c510a", "#8c959f", "#b5a600", "#7a5cc0"];

const colourOf = (label) => COLOURS[label % COLOURS.length];
const within = (place) => Math.max(-REACH, Math.min(REACH, place));
/** How far right, or down, a place lies, as a share of the plane's side; and back. */
const shareOf = (place, axis) => 0.5 + ((axis === 0 ? 1 : -1) * place) / (2 * REACH);
const placeAt = (share, axis) => within((axis === 0 ? 1 : -1) * (share - 0.5) * 2 * REACH);

/** The plane on the page. */
class Plane {
  /**
   * @param {HTMLElement} element holds a canvas and the ring
   * @param {[string, string]} names of the units, the first to the right and the second upwards
   * @param {[number, number, number][]} points places of the dots, in standard deviations, and their labels
   * @param {(place: [number, number]) => void} onMove is told where a person wants the ring
   */
  constructor(element, names, points, onMove) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.ring = element.querySelector(".ring");
    this.names = names;
    this.points = points;
    this.place = [0, 0];
    this.listen(onMove);
    new ResizeObserver(() => this.draw()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  listen(onMove) {
    const { element } = this;
    const follow = (event) => {
      const box = element.getBoundingClientRect();
      onMove([placeAt((event.clientX - box.left) / box.width, 0), placeAt((event.clientY - box.top) / box.height, 1)]);
    };
    element.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary) return;
      element.setPointerCapture(event.pointerId);
      follow(event);
    });
    element.addEventListener("pointermove", (event) => { if (element.hasPointerCapture(event.pointerId)) follow(event); });
    element.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      const [axis, way] = KEYS[event.key];
      const place = [...this.place];
      place[axis] = within(place[axis] + way * (event.shiftKey ? FAR_STEP : STEP));
      onMove(place);
    });
  }

  /**
   * Puts the ring at a place; one outside of the plane is shown at its edge.
   * @param {[number, number]} place in standard deviations
   */
  show(place) {
    this.place = place;
    const [left, top] = place.map((value, axis) => `${100 * shareOf(within(value), axis)}%`);
    Object.assign(this.ring.style, { left, top });
    this.element.setAttribute("aria-valuemin", -REACH);
    this.element.setAttribute("aria-valuemax", REACH);
    this.element.setAttribute("aria-valuenow", within(place[0]).toFixed(2));
    this.element.setAttribute("aria-valuetext", this.names.map((name, axis) => `${name} at ${place[axis].toFixed(2)}`).join(", "));
  }

  /** Draws all but the ring, at the screen's resolution. */
  draw() {
    const unit = devicePixelRatio;
    const side = Math.round(this.canvas.clientWidth * unit);
    this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(name);
    context.strokeStyle = colour("--line");
    context.lineWidth = unit;
    for (let place = 1 - REACH; place < REACH; place++) {
      context.setLineDash(place === 0 ? [] : [2 * unit, 4 * unit]);
      const [across, down] = [0, 1].map((axis) => side * shareOf(place, axis));
      context.stroke(new Path2D(`M${across} 0V${side}M0 ${down}H${side}`));
    }
    context.globalAlpha = 0.5;
    for (const [x, y, label] of this.points) {
      context.fillStyle = colourOf(label);
      context.beginPath();
      context.arc(side * shareOf(x, 0), side * shareOf(y, 1), 2 * unit, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    this.drawTexts(context, side, unit, colour);
  }

  /** The axes' numbers and names, legible on top of the dots. */
  drawTexts(context, side, unit, colour) {
    const write = (text, x, y, align, ink) => {
      Object.assign(context, { textAlign: align, lineWidth: 4 * unit, lineJoin: "round", strokeStyle: colour("--paper"), fillStyle: colour(ink) });
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    context.setLineDash([]);
    context.font = `${11 * unit}px system-ui, sans-serif`;
    for (let place = 1 - REACH; place < REACH; place++) {
      const text = String(place).replace("-", "−");
      write(text, side * shareOf(place, 0), side - 6 * unit, "center", "--quiet");
      write(text, 6 * unit, side * shareOf(place, 1) + 4 * unit, "left", "--quiet");
    }
    context.font = `600 ${12 * unit}px system-ui, sans-serif`;
    write(`${this.names[0]} →`, side - 8 * unit, side - 22 * unit, "right", "--ink");
    write(`↑ ${this.names[1]}`, 8 * unit, 18 * unit, "left", "--ink");
  }
}
