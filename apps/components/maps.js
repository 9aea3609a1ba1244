// Maps of a network side by side. A cell under the pointer is marked, with what it has seen in the maps before it.
// Every map says which pixels of the first one its cells see: cell i sees start + i * stride ... + size - 1.

import { bitmap, cellAt, colourScale, element, fitCanvas, limits, palette, unpack, written } from "./grids.js";
import { mount } from "./mount.js";

class Maps {
  constructor(root) {
    this.root = root;
    this.row = root.querySelector(".row");
    this.sayLine = root.querySelector(".say");
    this.spokenLine = root.querySelector(".spoken"); // for screen readers, what the keys have chosen
    new ResizeObserver(() => this.paint()).observe(this.row);
  }

  load(data) {
    const before = this.data;
    this.data = data;
    this.maps = data.maps.map((map) => ({ ...map, values: unpack(map.values) }));
    const same =
      before?.maps.length === data.maps.length &&
      before.maps.every((map, i) => map.rows === data.maps[i].rows && map.columns === data.maps[i].columns);
    if (!same) this.last = [];
    if (!same || data.chosen.join() !== before.chosen.join()) this.at = data.chosen;
    this.row.style.setProperty("--count", data.across);
    if (this.row.children.length !== this.maps.length)
      this.row.replaceChildren(...this.maps.map((_, i) => this.figure(i)));
    this.maps.forEach((map, i) => {
      const figure = this.row.children[i];
      figure.querySelector("b").textContent = map.title;
      figure.querySelector("figcaption span").textContent = map.says;
      figure.querySelector("canvas").setAttribute("aria-label", `${map.title}, ${map.says}; arrow keys choose a cell`);
    });
    this.sayLine.textContent = data.hint;
    this.refresh();
  }

  figure(i) {
    const figure = element("figure");
    const caption = element("figcaption");
    caption.append(element("b"), element("span"));
    const canvas = element("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    const pick = (event) => {
      const map = this.maps[i];
      this.choose([i, ...cellAt(event, canvas, map.rows, map.columns)]);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pick(event);
      this.held = true;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.held || (event.pointerType === "mouse" && !this.data.reports)) pick(event);
    });
    canvas.addEventListener("pointerup", () => {
      this.held = false;
      this.report();
    });
    canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!way) return;
      event.preventDefault();
      const map = this.maps[i];
      const from = this.at[0] === i ? this.at : (this.last[i] ?? [i, map.rows >> 1, map.columns >> 1]);
      const within = (value, count) => Math.min(count - 1, Math.max(0, value));
      this.choose([i, within(from[1] + way[0], map.rows), within(from[2] + way[1], map.columns)]);
      this.spokenLine.textContent = `${map.title} ${figure.querySelector(".value").textContent}`;
      clearTimeout(this.later);
      this.later = setTimeout(() => this.report(), 400);
    });
    figure.append(caption, canvas, element("p", "value"));
    return figure;
  }

  choose(at) {
    this.at = at;
    this.last[at[0]] = at; // where its keys go on, whatever cell Python answers with
    this.paint();
  }

  report() {
    if (this.data.reports) this.send("chosen", this.at);
  }

  refresh() {
    if (!this.data) return;
    this.colours = palette(this.root);
    for (const map of this.maps) {
      const size = map.rows * map.columns;
      const [low, high] = map.range ?? limits(map.values);
      const scale = map.kind === "colour" ? null : colourScale(map.kind, low, high, this.colours);
      map.picture = bitmap(map.rows, map.columns, (i) =>
        scale ? scale(map.values[i]) : [0, 1, 2].map((c) => Math.round(map.values[c * size + i])),
      );
    }
    this.paint();
  }

  // Rows and columns of map `j` that the chosen cell is made of, or that are made of it: [top, left, bottom, right].
  region(j) {
    const [i, row, column] = this.at;
    const from = this.maps[i].field,
      to = this.maps[j].field;
    return [row, column].map((cell, axis) => {
      const first = from.start + cell * from.stride,
        last = first + from.size - 1;
      const count = axis ? this.maps[j].columns : this.maps[j].rows;
      let low = Math.ceil((first - to.start) / to.stride - 1e-6);
      let high = Math.floor((last - to.start - to.size + 1) / to.stride + 1e-6);
      if (j > i || high < low) {
        // later maps: the cell whose middle lies nearest
        const middle = (first + last) / 2;
        low = high = Math.round((middle - to.start - (to.size - 1) / 2) / to.stride);
      }
      const within = (value) => Math.min(count - 1, Math.max(0, value));
      return [within(low), within(high)];
    });
  }

  paint() {
    if (!this.data || !this.root.isConnected || !this.colours) return;
    this.maps.forEach((map, j) => {
      const figure = this.row.children[j];
      const canvas = figure.querySelector("canvas");
      const cell = fitCanvas(canvas, map.rows, map.columns);
      const pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(map.picture, 0, 0, cell * map.columns, cell * map.rows);
      const [[top, bottom], [left, right]] =
        j === this.at[0]
          ? [
              [this.at[1], this.at[1]],
              [this.at[2], this.at[2]],
            ]
          : this.region(j);
      const [height, width] = [bottom - top + 1, right - left + 1];
      const grow = Math.max(0, 7 - cell * Math.max(height, width)) / 2;
      const box = [left * cell - grow, top * cell - grow, width * cell + 2 * grow, height * cell + 2 * grow];
      pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
      pen.lineWidth = 5;
      pen.strokeRect(...box);
      pen.strokeStyle = this.colours.accent;
      pen.lineWidth = 3;
      pen.strokeRect(...box);
      const said = figure.querySelector(".value");
      const size = map.rows * map.columns;
      if (height * width > 1) said.textContent = `${height} × ${width} cells`;
      else if (map.kind === "colour") {
        said.textContent = [0, 1, 2].map((c) => written(map.values[c * size + top * map.columns + left])).join(" ");
      } else said.textContent = `(${top}, ${left}) = ${written(map.values[top * map.columns + left])}`;
    });
  }
}

export default mount(".maps", Maps);
