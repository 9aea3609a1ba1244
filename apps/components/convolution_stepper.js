// A convolution one step at a time. Every number comes from Python: the padded input, the kernels, the whole output.
// What is done here is to look up the cells under the kernel, to multiply each with its weight, and to show the sum.

import {
  MINUS,
  bitmap,
  cellAt,
  colourScale,
  element,
  fitCanvas,
  fraction,
  limits,
  palette,
  readable,
  unpack,
  written,
} from "./grids.js";
import { mount } from "./mount.js";

const SECONDS = 25; // that the whole map takes at speed 0

class ConvolutionStepper {
  constructor(root) {
    this.root = root;
    const find = (name) => root.querySelector(name);
    this.input = find(".input canvas");
    this.output = find(".output canvas");
    this.sums = find(".sums");
    this.row = find(".filters");
    this.say = find(".say");
    this.play = find('[data-act="play"]');
    this.speed = find('input[type="range"]');
    this.filter = 0;
    this.at = 0; // cell of the output
    this.filled = Infinity; // how many cells of the output are shown
    this.timer = null;
    this.sent = []; // kernels that were typed and that Python has not answered yet
    this.play.addEventListener("click", () => this.toggle());
    find('[data-act="back"]').addEventListener("click", () => this.step(-1));
    find('[data-act="next"]').addEventListener("click", () => this.step(1));
    for (const [canvas, pick] of [
      [this.output, (event) => this.pickOutput(event)],
      [this.input, (event) => this.pickInput(event)],
    ]) {
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        pick(event);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (event.buttons) pick(event);
      });
    }
    this.output.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.paint()).observe(this.output);
  }

  load(data) {
    this.stop();
    const before = this.data;
    this.data = data;
    this.cells = unpack(data.padded); // [C, height, width]
    this.maps = unpack(data.output); // [F, rows, columns]
    const shown = this.kernels;
    this.kernels = unpack(data.kernels); // [F, C, 3, 3]
    const { rows, columns } = data;
    const same = before && before.rows === rows && before.columns === columns;
    if (!same) this.at = data.position[0] * columns + data.position[1];
    this.filter = Math.min(this.filter, data.filters.length - 1);
    this.filled = Infinity;
    this.root.classList.toggle("three", data.channels === 3);
    this.root.querySelector(".input figcaption span").textContent = data.inputSays;
    this.root.querySelector(".output figcaption span").textContent = `${rows} × ${columns}`;
    this.input.setAttribute("aria-label", data.label);
    this.output.setAttribute("aria-label", "Output map: arrow keys choose a pixel, space plays");
    const answered = this.sent.findLastIndex((weights) =>
      weights.every((weight, i) => Math.abs(weight - this.kernels[i]) < 1e-4),
    );
    const early = shown?.length === this.kernels.length && shown.every((weight, i) => weight === this.kernels[i]);
    if (answered >= 0) this.sent = this.sent.slice(answered + 1);
    else if (!early) this.sent = []; // another kernel was chosen: forget what was typed; else the answer is on its way
    const parts = JSON.stringify([data.channels, data.editable, data.filters]);
    if (parts !== this.parts) this.build(); // else the field that is typed in keeps the focus
    this.parts = parts;
    this.show();
    this.playing();
  }

  get map() {
    const size = this.data.rows * this.data.columns;
    return this.maps.subarray(this.filter * size, (this.filter + 1) * size);
  }

  weight(channel, cell) {
    return this.kernels[(this.filter * this.data.channels + channel) * 9 + cell];
  }

  // Place in the padded input of one cell under the kernel.
  place(cell) {
    const { columns, stride, dilation } = this.data;
    const [row, column] = [Math.floor(this.at / columns), this.at % columns];
    return [row * stride + Math.floor(cell / 3) * dilation, column * stride + (cell % 3) * dilation];
  }

  build() {
    const names = this.data.channels === 3 ? ["R", "G", "B"] : [""];
    this.slices = names.map((name, channel) => {
      const slice = element("div", "slice");
      if (name) slice.append(element("b", "", name));
      const nine = (make) => {
        const box = element("div", "nine");
        const cells = Array.from({ length: 9 }, (_, i) => make(i));
        box.append(...cells);
        return [box, cells];
      };
      const [patchBox, patch] = nine(() => element("span", "patch"));
      const [kernelBox, kernel] = nine((i) => (this.data.editable ? this.field(i) : element("span", "fixed")));
      const [productBox, products] = nine(() => element("span", "product"));
      slice.append(patchBox, element("span", "sign", "×"), kernelBox, element("span", "sign", "="), productBox);
      return { slice, patch, kernel, products, channel };
    });
    this.total = element("div", "total");
    this.sum = element("output");
    this.total.append(element("span", "", this.data.channels === 3 ? "all 27 added up" : "added up"), this.sum);
    this.sums.replaceChildren(...this.slices.map((part) => part.slice), this.total);
    this.row.replaceChildren(
      ...(this.data.filters.length > 1 ? this.data.filters.map((name, i) => this.chip(name, i)) : []),
    );
  }

  field(cell) {
    const field = element("input");
    field.type = "text";
    field.inputMode = "decimal";
    field.setAttribute("aria-label", `Kernel, row ${Math.floor(cell / 3) + 1}, column ${(cell % 3) + 1}`);
    const value = () => {
      const [above, below = "1", ...rest] = field.value.replace(MINUS, "-").replace(",", ".").split("/");
      return above.trim() && !rest.length ? Number(above) / Number(below) : NaN;
    };
    const send = () => {
      const number = value();
      const wrong = !Number.isFinite(number) || Math.abs(number) > 100;
      field.setAttribute("aria-invalid", String(wrong));
      if (wrong) {
        this.say.textContent = "A weight is a number from −100 to 100, such as −1, 0.5 or 1/9.";
        return;
      }
      const weights = Array.from(this.typed());
      if (Math.abs(number - weights[cell]) < 1e-6) return this.update(); // what was said of a wrong weight is over
      weights[cell] = number;
      this.sent.push(weights);
      this.trigger("edit", weights); // Python answers with the new map; until then the fields hold what was typed
    };
    field.addEventListener("focus", () => field.select());
    field.addEventListener("change", send);
    field.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!by || !Number.isFinite(value())) return;
      event.preventDefault();
      field.value = fraction(value() + by);
      send();
    });
    return field;
  }

  // The kernel as it will be when all that was typed is answered.
  typed() {
    return this.sent.at(-1) ?? this.kernels.slice(0, 9);
  }

  chip(name, i) {
    const button = element("button");
    button.type = "button";
    const canvas = element("canvas");
    button.append(canvas, element("span", "", name));
    button.addEventListener("click", () => {
      this.filter = i;
      this.show();
    });
    return button;
  }

  toggle() {
    if (this.timer) {
      this.stop();
      return;
    }
    const size = this.data.rows * this.data.columns;
    if (this.filled >= size) {
      this.at = 0;
      this.filled = 1;
    }
    let last = performance.now(),
      owed = 0;
    const go = (now) => {
      if (!this.root.isConnected) return this.stop();
      owed += ((now - last) / 1000) * (size / SECONDS) * 2 ** Number(this.speed.value);
      last = now;
      const whole = Math.floor(owed);
      owed -= whole;
      if (whole) {
        this.at = Math.min(size - 1, this.at + whole);
        this.filled = this.at + 1;
        this.update();
      }
      if (this.filled >= size) return this.stop();
      this.timer = requestAnimationFrame(go);
    };
    this.timer = requestAnimationFrame(go);
    this.playing();
  }

  stop() {
    if (this.timer) cancelAnimationFrame(this.timer);
    this.timer = null;
    if (this.data) this.playing();
  }

  playing() {
    this.play.textContent = this.timer ? "❚❚ Pause" : "▶ Play";
    this.say.setAttribute("aria-live", this.timer ? "off" : "polite");
  }

  step(by) {
    this.stop();
    const size = this.data.rows * this.data.columns;
    this.move((this.at + by + size) % size);
  }

  move(at) {
    this.at = at;
    if (at >= this.filled) this.filled = Infinity;
    this.update();
  }

  pickOutput(event) {
    this.stop();
    const [row, column] = cellAt(event, this.output, this.data.rows, this.data.columns);
    this.move(row * this.data.columns + column);
  }

  pickInput(event) {
    const { height, width, rows, columns, stride, dilation } = this.data;
    this.stop();
    const nearest = (cell, count) => Math.min(count - 1, Math.max(0, Math.round((cell - dilation) / stride)));
    const [row, column] = cellAt(event, this.input, height, width);
    this.move(nearest(row, rows) * columns + nearest(column, columns));
  }

  key(event) {
    const { rows, columns } = this.data;
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === " ") this.toggle();
    else if (way) {
      this.stop();
      const row = Math.min(rows - 1, Math.max(0, Math.floor(this.at / columns) + way[0]));
      const column = Math.min(columns - 1, Math.max(0, (this.at % columns) + way[1]));
      this.move(row * columns + column);
    } else return;
    event.preventDefault(); // the page would scroll
  }

  refresh() {
    this.show();
  }

  // Everything that depends on the filter or the theme, then the step.
  show() {
    if (!this.data) return;
    const { height, width, channels, rows, columns, padding } = this.data;
    this.colours = palette(this.root);
    const size = height * width;
    this.inputPicture = bitmap(height, width, (i) =>
      Array.from({ length: 3 }, (_, c) => this.cells[(channels === 3 ? c : 0) * size + i]),
    );
    const [low, high] = limits(this.map);
    this.kind = low < -1e-3 ? "signed" : "grey";
    this.range = this.kind === "signed" ? [-Math.max(-low, high), Math.max(-low, high)] : [0, Math.max(high, 1)];
    this.scale = colourScale(this.kind, ...this.range, this.colours);
    this.outputPicture = bitmap(rows, columns, (i) => this.scale(this.map[i]));
    this.padding = padding;
    for (const { kernel, channel } of this.slices) {
      kernel.forEach((cell, i) => {
        if (cell.tagName !== "INPUT") cell.textContent = fraction(this.weight(channel, i));
        else if (cell !== cell.getRootNode().activeElement) {
          cell.value = fraction(this.typed()[i]);
          cell.setAttribute("aria-invalid", "false");
        }
      });
    }
    [...this.row.children].forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === this.filter));
      const map = this.maps.subarray(i * rows * columns, (i + 1) * rows * columns);
      const [lowest, highest] = limits(map);
      const scale = colourScale(lowest < -1e-3 ? "signed" : "grey", lowest, highest, this.colours);
      const canvas = button.querySelector("canvas");
      canvas.width = columns;
      canvas.height = rows;
      canvas.getContext("2d").drawImage(
        bitmap(rows, columns, (j) => scale(map[j])),
        0,
        0,
      );
    });
    const ends = this.root.querySelectorAll(".legend i");
    ends[0].textContent = written(this.range[0], 1);
    ends[1].textContent = written(this.range[1], 1);
    const stops = [0, 0.25, 0.5, 0.75, 1].map(
      (share) => `rgb(${this.scale(this.range[0] + share * (this.range[1] - this.range[0]))})`,
    );
    this.root.querySelector(".legend b").style.background = `linear-gradient(90deg, ${stops})`;
    this.update();
  }

  update() {
    const { height, width, columns } = this.data;
    const products = [];
    let most = 1;
    for (const { channel } of this.slices) {
      for (let i = 0; i < 9; i += 1) {
        const [y, x] = this.place(i);
        const value = this.cells[channel * height * width + y * width + x];
        products.push([value, value * this.weight(channel, i)]);
      }
    }
    for (const [, product] of products) most = Math.max(most, Math.abs(product));
    const tint = colourScale("signed", -most, most, this.colours);
    for (const { patch, products: cells, channel } of this.slices) {
      for (let i = 0; i < 9; i += 1) {
        const [value, product] = products[9 * channel + i];
        const grey = Math.round(Math.min(255, Math.max(0, value)));
        const shade =
          this.data.channels === 3
            ? [0, 1, 2].map((c) => (c === channel ? grey : Math.round(grey * 0.15)))
            : [grey, grey, grey];
        dress(patch[i], written(value), shade);
        dress(cells[i], written(product, 1), tint(product));
      }
    }
    const total = this.map[this.at];
    this.sum.textContent = written(total, 1);
    const [row, column] = [Math.floor(this.at / columns), this.at % columns];
    const [top, left] = this.place(0);
    const [bottom, right] = this.place(8);
    const real = (place) => written(place - this.padding);
    this.say.textContent =
      `Output pixel (${row}, ${column}) = ${written(total)}. It looks at rows ${real(top)} to ${real(bottom)}, ` +
      `columns ${real(left)} to ${real(right)} of the picture${this.outside(top, left, bottom, right) ? ", partly in the padding" : ""}.`;
    this.paint();
  }

  outside(top, left, bottom, right) {
    const { height, width } = this.data;
    return Math.min(top, left) < this.padding || bottom >= height - this.padding || right >= width - this.padding;
  }

  paint() {
    if (!this.data || !this.root.isConnected) return;
    const { height, width, rows, columns } = this.data;
    const cell = fitCanvas(this.input, height, width);
    const pen = this.input.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.inputPicture, 0, 0, cell * width, cell * height);
    if (cell >= 9) lines(pen, cell, height, width);
    if (this.padding) {
      const p = this.padding * cell;
      pen.save();
      pen.fillStyle = "rgba(128, 120, 110, 0.38)";
      pen.beginPath();
      pen.rect(0, 0, cell * width, cell * height);
      pen.rect(p, p, cell * width - 2 * p, cell * height - 2 * p);
      pen.fill("evenodd");
      pen.setLineDash([cell / 2, cell / 2]);
      pen.strokeStyle = this.colours.accent;
      pen.lineWidth = 1.5;
      pen.strokeRect(p, p, cell * width - 2 * p, cell * height - 2 * p);
      pen.restore();
    }
    const [top, left] = this.place(0);
    const [bottom, right] = this.place(8);
    const thick = Math.max(3, cell / 5);
    if (this.data.dilation > 1) {
      for (let i = 0; i < 9; i += 1) {
        const [y, x] = this.place(i);
        frame(pen, x * cell, y * cell, cell, cell, thick * 0.8, this.colours.accent);
      }
      pen.globalAlpha = 0.6;
    }
    frame(
      pen,
      left * cell,
      top * cell,
      (right - left + 1) * cell,
      (bottom - top + 1) * cell,
      thick,
      this.colours.accent,
    );
    pen.globalAlpha = 1;
    this.paintOutput(rows, columns);
  }

  paintOutput(rows, columns) {
    const cell = fitCanvas(this.output, rows, columns);
    const pen = this.output.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.outputPicture, 0, 0, cell * columns, cell * rows);
    if (cell >= 9) lines(pen, cell, rows, columns);
    if (this.filled < rows * columns) {
      const row = Math.floor(this.filled / columns),
        column = this.filled % columns;
      pen.fillStyle = this.colours.empty;
      pen.fillRect(column * cell, row * cell, (columns - column) * cell, cell);
      pen.fillRect(0, (row + 1) * cell, columns * cell, (rows - row - 1) * cell);
    }
    const y = Math.floor(this.at / columns) * cell,
      x = (this.at % columns) * cell;
    const grown = Math.max(0, 8 - cell) / 2; // a single pixel of a photograph would not be seen
    frame(pen, x - grown, y - grown, cell + 2 * grown, cell + 2 * grown, Math.max(3, cell / 5), this.colours.accent);
  }
}

function dress(cell, text, shade) {
  cell.textContent = text;
  cell.style.background = `rgb(${shade})`;
  cell.style.color = readable(shade);
}

function lines(pen, cell, rows, columns) {
  pen.fillStyle = "rgba(128, 120, 110, 0.25)";
  for (let i = 1; i < columns; i += 1) pen.fillRect(i * cell, 0, 1, rows * cell);
  for (let i = 1; i < rows; i += 1) pen.fillRect(0, i * cell, columns * cell, 1);
}

function frame(pen, x, y, width, height, thick, colour) {
  pen.lineJoin = "round";
  pen.lineWidth = thick + 2;
  pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
  pen.strokeRect(x, y, width, height);
  pen.lineWidth = thick;
  pen.strokeStyle = colour;
  pen.strokeRect(x, y, width, height);
}

export default mount(".convolution-stepper", ConvolutionStepper);
