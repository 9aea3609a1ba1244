// A training, moment by moment: its figures, and pictures of what the network was then. Nothing is computed here;
// Python sends all moments.

import { bitmap, colourScale, element, fitCanvas, palette, unpack } from "./grids.js";
import { mount } from "./mount.js";
import { Replay } from "./replay.js";

const SECONDS = 8; // that the replay lasts

class TrainingReplay extends Replay {
  constructor(root) {
    super(root);
    this.looks = root.querySelector(".looks");
    this.values = root.querySelector(".values");
    new ResizeObserver(() => this.data && this.root.isConnected && this.show(this.at)).observe(this.looks);
  }

  load(data) {
    const again = this.data !== undefined;
    this.stop();
    this.data = data;
    this.pictures = data.looks.map((look) => ({ ...look, values: unpack(look.values) }));
    this.slider.max = data.steps.length - 1;
    this.looks.style.setProperty("--count", data.columns);
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
    this.values.replaceChildren(
      ...data.figures.map((figure) => {
        const line = element("p", "", figure.title);
        line.append(element("b"));
        return line;
      }),
    );
    this.show(data.steps.length - 1);
    if (again) this.play(); // a new training is watched from its beginning
    else this.stop();
  }

  get frames() {
    return this.data.steps.length;
  }

  pace(seconds) {
    return (seconds / SECONDS) * (this.frames - 1);
  }

  refresh() {
    this.show(this.at);
  }

  show(at) {
    this.at = at;
    this.slider.value = at;
    this.root.querySelector("output").textContent = `step ${this.data.steps[at]}`;
    const colours = palette(this.root);
    this.data.figures.forEach(({ values, percent }, i) => {
      const value = percent ? `${(100 * values[at]).toFixed(1)} %` : values[at].toFixed(3);
      this.values.children[i].querySelector("b").textContent = value;
    });
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

export default mount(".training-replay", TrainingReplay);
