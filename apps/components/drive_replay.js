// A drive, moment by moment: the view from the car and the road from above. Nothing is computed here; Python sends all
// pictures and places, and drives again when the car is pushed.

import { element, isDark, palette } from "./grids.js";
import { mount } from "./mount.js";
import { Replay } from "./replay.js";

const WHEEL = Math.PI / 180;
const DASHES = [[], [7, 4], [2, 4], [9, 3, 2, 3]]; // not everyone sees every colour

class DriveReplay extends Replay {
  constructor(root) {
    super(root);
    this.view = root.querySelector("canvas.view");
    this.map = root.querySelector("canvas.map");
    this.view.addEventListener("click", () => this.toggle());
    this.view.addEventListener("keydown", (event) => this.key(event));
    for (const push of root.querySelectorAll("button.push"))
      push.addEventListener("click", () => this.push(Number(push.dataset.side)));
    new ResizeObserver(() => this.sheet && this.root.isConnected && this.show(this.at)).observe(this.map);
  }

  async load(data) {
    const before = this.data;
    this.stop();
    const sheet = new Image();
    sheet.src = data.sheet;
    this.coming = sheet;
    await sheet.decode();
    if (this.coming !== sheet) return; // a later one is on its way
    this.data = data;
    this.sheet = sheet;
    this.slider.max = data.metres.length - 1;
    this.view.setAttribute("aria-label", `View from the car: ${data.label}. Space plays, the arrow keys push the car.`);
    this.map.setAttribute("aria-label", `The road from above: ${data.said}`);
    const say = this.root.querySelector(".say");
    say.textContent = data.said;
    say.classList.toggle("left", data.failed);
    this.legend();
    this.show(Math.min(data.start, data.metres.length - 1));
    if (before && this.pushed) this.play(); // what a push does is watched
    this.pushed = false;
  }

  legend() {
    this.root.querySelector(".legend").replaceChildren(
      ...this.data.paths.map((path, i) => {
        const line = element("li");
        line.innerHTML = '<svg viewBox="0 0 28 8" aria-hidden="true"><line x1="0" y1="4" x2="28" y2="4"/></svg>';
        const stroke = line.querySelector("line");
        stroke.setAttribute("stroke", this.colours()[path.colour]);
        stroke.setAttribute("stroke-width", i === this.data.paths.length - 1 ? 4 : 2.5);
        stroke.setAttribute("stroke-dasharray", DASHES[path.colour].join(" "));
        line.append(path.name);
        return line;
      }),
    );
  }

  // Those of the charts, in the order of apps/.streamlit/config.toml.
  colours() {
    return isDark(this.root)
      ? ["#ff9d66", "#7ca2ff", "#4fbfae", "#b893f5"]
      : ["#a8380f", "#2652c4", "#0f766e", "#8a3ffc"];
  }

  key(event) {
    const side = { ArrowLeft: 1, ArrowRight: -1 }[event.key];
    if (event.key === " " || event.key === "Enter") this.toggle();
    else if (side) this.push(side);
    else return;
    event.preventDefault();
  }

  push(side) {
    if (!this.data) return;
    this.stop();
    this.pushed = true;
    this.trigger("push", [this.data.metres[this.at], side]);
  }

  get frames() {
    return this.data.metres.length;
  }

  pace(seconds) {
    return seconds / this.data.seconds;
  }

  refresh() {
    if (!this.data) return;
    this.legend();
    this.show(this.at);
  }

  show(at) {
    const { data } = this;
    this.at = at;
    this.slider.value = at;
    const angle = data.angles[at]; // degrees
    const side = (value, digits, unit) =>
      `${Math.abs(value).toFixed(digits)}${unit} ${Number(value.toFixed(digits)) === 0 ? "" : value > 0 ? "left" : "right"}`.trim();
    this.root.querySelector("output").textContent = `${Math.max(0, data.metres[at]).toFixed(0)} m`;
    this.root.querySelector(".now").textContent =
      `In the lane ${side(data.offsets[at], 2, " m")}, wheels ${side(angle, 1, "°")}`;
    this.slider.setAttribute(
      "aria-valuetext",
      `${data.metres[at].toFixed(0)} metres, ${side(data.offsets[at], 1, " metres")}`,
    );
    this.paintView(at, angle);
    this.paintMap(at);
  }

  paintView(at, angle) {
    const { data, view } = this;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const width = Math.round((view.clientWidth || 320) * ratio);
    if (view.width !== width) [view.width, view.height] = [width, Math.round(width / 2)];
    const pen = view.getContext("2d");
    pen.imageSmoothingQuality = "high";
    const [column, row] = [at % data.columns, Math.floor(at / data.columns)];
    pen.drawImage(
      this.sheet,
      column * data.width,
      row * data.height,
      data.width,
      data.height,
      0,
      0,
      view.width,
      view.height,
    );
    // A steering wheel that turns sixteen times as far as the front wheels, as in most cars.
    const [x, y, radius] = [view.width / 2, view.height * 0.86, view.height * 0.105];
    pen.save();
    pen.translate(x, y);
    pen.rotate(-angle * WHEEL * 16);
    for (const [line, colour] of [
      [radius * 0.34, "rgba(0, 0, 0, 0.55)"],
      [radius * 0.18, "rgba(255, 255, 255, 0.92)"],
    ]) {
      pen.lineWidth = line;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(0, 0, radius, 0, 2 * Math.PI);
      for (const spoke of [0, 0.5, 1]) {
        pen.moveTo(0, 0);
        pen.lineTo(radius * Math.cos(spoke * Math.PI), radius * Math.sin(spoke * Math.PI));
      }
      pen.stroke();
    }
    pen.restore();
  }

  paintMap(at) {
    const { data, map } = this;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const width = Math.round((map.clientWidth || 320) * ratio);
    if (map.width !== width) [map.width, map.height] = [width, Math.round((width * 2) / 3)];
    const pen = map.getContext("2d");
    const colours = palette(this.root);
    const dark = isDark(this.root);
    pen.fillStyle = dark ? "#20241d" : "#e7ecdc";
    pen.fillRect(0, 0, map.width, map.height);
    const [low, high] = data.box;
    const edge = 14 * ratio;
    const scale = Math.min((map.width - 2 * edge) / (high[0] - low[0]), (map.height - 2 * edge) / (high[1] - low[1]));
    const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    const place = ([x, y]) => [map.width / 2 + (x - middle[0]) * scale, map.height / 2 - (y - middle[1]) * scale];
    const stroke = (points, colour, line, dashes = []) => {
      pen.strokeStyle = colour;
      pen.lineWidth = line;
      pen.lineJoin = pen.lineCap = "round";
      pen.setLineDash(dashes.map((length) => length * ratio));
      pen.beginPath();
      points.forEach((point, i) => (i ? pen.lineTo(...place(point)) : pen.moveTo(...place(point))));
      pen.stroke();
      pen.setLineDash([]);
    };
    stroke(data.road, dark ? "#4a4742" : "#bdb7ad", Math.max(7 * scale, 8 * ratio));
    data.paths.forEach((path, i) => {
      const own = i === data.paths.length - 1;
      stroke(path.points, this.colours()[path.colour], (own ? 3 : 2) * ratio, DASHES[path.colour]);
      if (path.left) this.cross(pen, place(path.points.at(-1)), this.colours()[path.colour], ratio);
    });
    const own = data.paths.at(-1);
    const [x, y] = place(own.points[Math.min(at, own.points.length - 1)]);
    pen.beginPath();
    pen.arc(x, y, 6 * ratio, 0, 2 * Math.PI);
    pen.fillStyle = this.colours()[own.colour];
    pen.fill();
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = `rgb(${colours.zero.join(" ")})`;
    pen.stroke();
  }

  cross(pen, [x, y], colour, ratio) {
    const arm = 5 * ratio;
    pen.strokeStyle = colour;
    pen.lineWidth = 3 * ratio;
    pen.beginPath();
    for (const way of [1, -1]) {
      pen.moveTo(x - arm, y - way * arm);
      pen.lineTo(x + arm, y + way * arm);
    }
    pen.stroke();
  }
}

export default mount(".drive-replay", DriveReplay);
