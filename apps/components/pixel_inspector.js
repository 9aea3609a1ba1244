// A picture and, under a frame that can be moved, the numbers it is made of. Pixels of a grey picture can be painted;
// Python gets all changed pixels, [[index, value], ...], when the pen is lifted.

import { MINUS, bitmap, cellAt, fitCanvas, palette, readable, unpack } from "./grids.js";
import { mount } from "./mount.js";

const CELLS = { wide: 14, narrow: 9 };

class PixelInspector {
  constructor(root) {
    this.root = root;
    this.whole = root.querySelector(".whole canvas");
    this.near = root.querySelector(".near canvas");
    this.pen = root.querySelector("input");
    this.undo = root.querySelector("button");
    this.edits = new Map();
    this.pen.addEventListener("input", () => {
      root.querySelector("output").textContent = this.pen.value;
    });
    this.undo.addEventListener("click", () => {
      for (const i of this.edits.keys()) this.pixels[i] = this.original[i];
      this.edits.clear();
      this.tell();
      this.paint();
    });
    this.drag(this.whole, (event) => {
      const [row, column] = cellAt(event, this.whole, this.data.height, this.data.width);
      this.look(row - (this.count >> 1), column - (this.count >> 1));
    });
    this.drag(
      this.near,
      (event) => this.touch(event),
      () => this.tell(),
    );
    this.cursor = [0, 0]; // the cell inside the frame that keys paint
    this.keys(this.whole, ([down, right]) => this.look(this.top + down, this.left + right));
    this.keys(
      this.near,
      (way) => this.step(way),
      () => {
        this.put(...this.cursor);
        this.tell();
      },
    );
    for (const kind of ["focus", "blur"]) this.near.addEventListener(kind, () => this.paint());
    new ResizeObserver(() => this.paint()).observe(root);
  }

  drag(canvas, act, end = () => {}) {
    let held = null; // the pointer whose stroke this is
    canvas.addEventListener("pointerdown", (event) => {
      // another button, or a second finger
      if (event.button !== 0 || (held !== null && canvas.hasPointerCapture(held))) return;
      held = event.pointerId;
      canvas.setPointerCapture(held);
      act(event);
    });
    canvas.addEventListener("pointermove", (event) => event.pointerId === held && act(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId !== held) return;
        held = null;
        end();
      });
    }
  }

  keys(canvas, move, press = () => {}) {
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    canvas.addEventListener("keydown", (event) => {
      if (ways[event.key]) move(ways[event.key]);
      else if (event.key === " " || event.key === "Enter") press();
      else return;
      event.preventDefault();
    });
  }

  load(data) {
    const fresh = this.data?.picture !== data.picture;
    this.data = data;
    this.original = unpack(data.original);
    this.pixels = unpack(data.pixels); // [H, W, C]
    this.edits = new Map(data.edits);
    this.root.classList.toggle("editable", data.editable);
    this.whole.setAttribute("aria-label", `${data.label}; arrow keys move the frame`);
    const how = data.editable ? "; arrow keys choose one, space gives it the value of the pen" : "";
    this.near.setAttribute("aria-label", `The numbers inside the frame${how}`);
    this.near.setAttribute("role", data.editable ? "application" : "img");
    this.near.tabIndex = data.editable ? 0 : -1;
    if (fresh) {
      [this.top, this.left] = data.start;
      this.cursor = [this.count >> 1, this.count >> 1];
    }
    this.paint();
  }

  get count() {
    return this.root.clientWidth < 600 ? CELLS.narrow : CELLS.wide;
  }

  look(top, left) {
    const within = (value, size) => Math.max(0, Math.min(size - this.count, value));
    this.top = within(top, this.data.height);
    this.left = within(left, this.data.width);
    this.paint();
  }

  touch(event) {
    if (!this.data.editable) return;
    this.cursor = cellAt(event, this.near, this.count, this.count);
    this.put(...this.cursor);
  }

  step([down, right]) {
    const [row, column] = [this.cursor[0] + down, this.cursor[1] + right];
    if (Math.min(row, column) < 0 || Math.max(row, column) >= this.count) {
      this.look(this.top + down, this.left + right); // the frame goes along
    } else {
      this.cursor = [row, column];
      this.paint();
    }
  }

  put(row, column) {
    const i = this.index(row, column);
    const value = Number(this.pen.value);
    this.pixels[i] = value;
    if (value === this.original[i]) this.edits.delete(i);
    else this.edits.set(i, value);
    this.paint();
  }

  index(row, column) {
    return (this.top + row) * this.data.width + this.left + column;
  }

  get aims() {
    return this.data.editable && this.near.matches(":focus");
  }

  tell() {
    if (this.data.editable) this.send("edits", [...this.edits]);
  }

  colour(i) {
    const { channels } = this.data;
    return [0, 1, 2].map((c) => this.pixels[channels === 3 ? 3 * i + c : i]);
  }

  paint() {
    if (!this.data || !this.root.isConnected) return;
    const { height, width } = this.data;
    const accent = palette(this.root).accent;
    this.keepInside();
    const cell = fitCanvas(this.whole, height, width);
    const pen = this.whole.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(
      bitmap(height, width, (i) => this.colour(i)),
      0,
      0,
      cell * width,
      cell * height,
    );
    pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
    pen.lineWidth = 6;
    const box = [this.left * cell, this.top * cell, this.count * cell, this.count * cell];
    pen.strokeRect(...box);
    pen.strokeStyle = accent;
    pen.lineWidth = 4;
    pen.strokeRect(...box);
    this.paintNear(accent);
    this.root.querySelector(".whole figcaption").textContent = this.data.says;
    const [row, column] = [this.top, this.left];
    this.root.querySelector(".near figcaption").textContent = this.aims
      ? `Row ${row + this.cursor[0]}, column ${column + this.cursor[1]}: ${this.pixels[this.index(...this.cursor)]}`
      : `Rows ${row} to ${row + this.count - 1}, columns ${column} to ${column + this.count - 1}`;
    this.undo.disabled = !this.edits.size;
  }

  refresh() {
    this.paint();
  }

  keepInside() {
    const { height, width } = this.data;
    this.top = Math.max(0, Math.min(height - this.count, this.top));
    this.left = Math.max(0, Math.min(width - this.count, this.left));
    this.cursor = this.cursor.map((place) => Math.min(this.count - 1, place));
  }

  paintNear(accent) {
    const { channels, factor, shift, digits } = this.data;
    const count = this.count;
    const cell = fitCanvas(this.near, count, count);
    const pen = this.near.getContext("2d");
    pen.clearRect(0, 0, this.near.width, this.near.height);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const text = (value, c) => {
      const number = value * factor[c % factor.length] + shift[c % shift.length];
      return (digits ? number.toFixed(digits) : String(Math.round(number))).replace("-", MINUS);
    };
    const size = Math.round(cell * (channels === 3 ? 0.25 : digits ? 0.31 : 0.36));
    pen.font = `600 ${size}px ${getComputedStyle(this.root).fontFamily}`;
    for (let row = 0; row < count; row += 1) {
      for (let column = 0; column < count; column += 1) {
        const i = this.index(row, column);
        const shade = this.colour(i);
        pen.fillStyle = `rgb(${shade.map(Math.round)})`;
        pen.fillRect(column * cell, row * cell, cell - 1, cell - 1);
        pen.fillStyle = readable(shade);
        const [x, y] = [(column + 0.5) * cell, (row + 0.54) * cell];
        if (channels === 3) shade.forEach((value, c) => pen.fillText(text(value, c), x, y + (c - 1) * size * 1.12));
        else pen.fillText(text(shade[0], 0), x, y);
        if (this.edits.has(i)) {
          pen.strokeStyle = accent;
          pen.lineWidth = 3;
          pen.strokeRect(column * cell + 1, row * cell + 1, cell - 3, cell - 3);
        }
      }
    }
    if (this.aims) {
      pen.strokeStyle = accent;
      pen.lineWidth = 8;
      pen.strokeRect(this.cursor[1] * cell, this.cursor[0] * cell, cell - 1, cell - 1);
    }
  }
}

export default mount(".pixel-inspector", PixelInspector);
