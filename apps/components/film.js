// A training, moment by moment: curves up to the moment, and pictures of what the network was then. Nothing is computed
// here; Python sends all moments.

import { bitmap, colourScale, element, fitCanvas, palette, unpack, written } from "./grids.js";
import { mount } from "./mount.js";

const WIDTH = 480,
  HEIGHT = 150,
  LEFT = 34,
  BOTTOM = 18;
const SECONDS = 8; // that the film lasts
const SPACE = "http://www.w3.org/2000/svg";

class Film {
  constructor(root) {
    this.root = root;
    this.slider = root.querySelector("input");
    this.button = root.querySelector("button");
    this.looks = root.querySelector(".looks");
    this.charts = root.querySelector(".charts");
    this.slider.addEventListener("input", () => {
      this.stop();
      this.show(Number(this.slider.value));
    });
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    new ResizeObserver(() => this.data && this.root.isConnected && this.show(this.at)).observe(this.looks);
  }

  load(data) {
    const again = this.data !== undefined;
    this.stop();
    this.data = data;
    this.pictures = data.looks.map((look) => ({ ...look, values: unpack(look.values) }));
    this.slider.max = data.steps.length - 1;
    this.looks.style.setProperty("--count", data.across);
    this.looks.replaceChildren(
      ...this.pictures.map((look) => {
        const figure = element("figure");
        const canvas = element("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", look.alt);
        figure.append(element("figcaption", "", look.title), canvas);
        return figure;
      }),
    );
    this.charts.replaceChildren(...data.curves.map((curve) => this.chart(curve)));
    this.show(data.steps.length - 1);
    if (again) this.play(); // a new training is watched from its beginning
    else this.stop();
  }

  chart(curve) {
    const box = element("div");
    const line = element("p");
    line.append(element("span", "", curve.title), element("b"));
    const picture = document.createElementNS(SPACE, "svg");
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `${curve.title}, ${written(curve.values.at(-1))} at the end`);
    const add = (kind, name, settings, text) => {
      const part = document.createElementNS(SPACE, kind);
      part.setAttribute("class", name);
      for (const [key, value] of Object.entries(settings)) part.setAttribute(key, value);
      if (text !== undefined) part.textContent = text;
      picture.append(part);
      return part;
    };
    for (const share of [0, 0.5, 1]) {
      const y = this.height(share * curve.top, curve.top);
      add("line", "rule", { x1: LEFT, x2: WIDTH, y1: y, y2: y });
      add("text", "", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, written(share * curve.top, 1));
    }
    const points = curve.values.map((value, i) => `${this.across(i)},${this.height(value, curve.top)}`);
    add("polyline", "ghost", { points: points.join(" ") });
    const mark = add("polyline", "mark", {});
    const dot = add("circle", "dot", { r: 4 });
    box.append(line, picture);
    box.update = (at) => {
      mark.setAttribute("points", points.slice(0, at + 1).join(" "));
      dot.setAttribute("cx", this.across(at));
      dot.setAttribute("cy", this.height(curve.values[at], curve.top));
      line.querySelector("b").textContent = curve.percent
        ? `${(100 * curve.values[at]).toFixed(1)} %`
        : curve.values[at].toFixed(3);
    };
    return box;
  }

  across(i) {
    return LEFT + ((WIDTH - LEFT - 6) * i) / Math.max(1, this.data.steps.length - 1);
  }

  height(value, top) {
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 8) * Math.min(1, Math.max(0, value / top));
  }

  play() {
    let start = null;
    const last = this.data.steps.length - 1;
    const from = this.at >= last ? 0 : this.at;
    const go = (now) => {
      if (!this.root.isConnected) return this.stop();
      start ??= now;
      const at = Math.min(last, from + Math.floor(((now - start) / 1000 / SECONDS) * last));
      if (at !== this.at) this.show(at);
      if (at >= last) return this.stop();
      this.timer = requestAnimationFrame(go);
    };
    this.timer = requestAnimationFrame(go);
    this.button.textContent = "❚❚ Pause";
  }

  stop() {
    if (this.timer) cancelAnimationFrame(this.timer);
    this.timer = null;
    this.button.textContent = "▶ Play";
  }

  refresh() {
    this.show(this.at);
  }

  show(at) {
    this.at = at;
    this.slider.value = at;
    this.root.querySelector("output").textContent = `step ${this.data.steps[at]}`;
    const colours = palette(this.root);
    for (const chart of this.charts.children) chart.update(at);
    this.pictures.forEach((look, i) => {
      const size = look.rows * look.columns;
      const values = look.values.subarray(at * size, (at + 1) * size);
      const scale = colourScale(look.kind, ...look.range, colours);
      const canvas = this.looks.children[i].querySelector("canvas");
      const cell = fitCanvas(canvas, look.rows, look.columns);
      const pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(
        bitmap(look.rows, look.columns, (j) => scale(values[j])),
        0,
        0,
        cell * look.columns,
        cell * look.rows,
      );
    });
  }
}

export default mount(".film", Film);
