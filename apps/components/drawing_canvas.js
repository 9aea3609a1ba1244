// A canvas to draw on: white on black, with mouse, finger, pen or keys. The drawing is a list of strokes
// {w: brush width, p: [x, y, x, y, ...]} in thousandths of the edge; Python gets the list after every stroke.

import { mount } from "./mount.js";

const UNITS = 1000;
const STEP = 25; // of the keyboard's pen
const MOST_STROKES = 200;
const MOST_POINTS = 2000; // per stroke
const NEAR = 4; // points nearer than this to the last one are left out

class DrawingCanvas {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.hint = root.querySelector(".hint");
    this.undo = root.querySelector('[data-act="undo"]');
    this.clear = root.querySelector('[data-act="clear"]');
    this.brush = root.querySelector("input");
    this.strokes = [];
    this.stroke = null; // under the pen
    this.pointer = null;
    this.pen = null; // of the keyboard: [x, y]
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(name, (event) => this.up(event));
    }
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.leave());
    this.undo.addEventListener("click", () => this.change(this.strokes.slice(0, -1)));
    this.clear.addEventListener("click", () => this.change([]));
  }

  load(data) {
    this.strokes = data.strokes.map((stroke) => ({ w: stroke.w, p: [...stroke.p] }));
    this.example = data.example;
    this.brush.value = data.brush;
    this.canvas.setAttribute("aria-label", data.label);
    this.paint();
  }

  change(strokes) {
    this.strokes = strokes;
    this.example = false;
    this.paint();
    this.send("strokes", strokes);
  }

  begin(x, y) {
    if (this.example || this.strokes.length >= MOST_STROKES) this.strokes = [];
    this.example = false;
    this.stroke = { w: Number(this.brush.value), p: [x, y] };
    this.strokes = [...this.strokes, this.stroke];
    this.paint();
  }

  extend(x, y) {
    const points = this.stroke.p;
    const [lastX, lastY] = points.slice(-2);
    if (Math.hypot(x - lastX, y - lastY) < NEAR || points.length >= 2 * MOST_POINTS) return;
    points.push(x, y);
    this.paint();
  }

  finish() {
    this.stroke = null;
    this.change(this.strokes);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const within = (value) => Math.round(Math.min(UNITS, Math.max(0, value * UNITS)));
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  }

  down(event) {
    if (this.pointer !== null || event.button !== 0) return; // a second finger or another button
    if (this.stroke) this.finish(); // begun with the keyboard
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(...this.place(event));
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) this.extend(...this.place(part));
  }

  up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.finish();
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      this.change(this.strokes.slice(0, -1));
    } else if (way) {
      const [x, y] = this.pen ?? [UNITS / 2, UNITS / 2];
      const within = (value) => Math.min(UNITS, Math.max(0, value));
      this.pen = [within(x + way[0] * STEP), within(y + way[1] * STEP)];
      if (this.stroke) this.extend(...this.pen);
    } else if (event.key === " ") {
      this.pen = this.pen ?? [UNITS / 2, UNITS / 2];
      if (this.stroke) this.finish();
      else this.begin(...this.pen);
    } else {
      return;
    }
    event.preventDefault(); // the page would scroll
    this.paint();
  }

  leave() {
    this.pen = null;
    if (this.stroke && this.pointer === null) this.finish();
    this.paint();
  }

  paint() {
    const { context, canvas } = this;
    const unit = canvas.width / UNITS;
    context.fillStyle = "#0c0b0b";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = "#fff";
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const { w, p } of this.strokes) {
      context.lineWidth = w * unit;
      context.beginPath();
      context.moveTo(p[0] * unit, p[1] * unit);
      if (p.length === 2) context.lineTo(p[0] * unit, p[1] * unit + 0.01); // a dot
      for (let i = 2; i < p.length; i += 2) context.lineTo(p[i] * unit, p[i + 1] * unit);
      context.stroke();
    }
    if (this.pen) {
      context.strokeStyle = "#ff9d66";
      context.lineWidth = 3;
      context.beginPath();
      context.arc(this.pen[0] * unit, this.pen[1] * unit, (Number(this.brush.value) * unit) / 2, 0, 7);
      context.stroke();
    }
    this.undo.disabled = this.clear.disabled = this.strokes.length === 0;
    if (this.pen)
      this.hint.textContent = this.stroke
        ? "Pen is down: arrows draw, space lifts it."
        : "Arrows move the pen, space puts it down.";
    else if (this.example) this.hint.textContent = "An example. Your first stroke takes its place.";
    else this.hint.textContent = this.strokes.length ? "" : "Draw here, large and in the middle.";
  }
}

export default mount(".drawing-canvas", DrawingCanvas);
