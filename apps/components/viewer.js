// A scan in three linked planes with what was found in it, and a view in 3-D. Everything after the message happens
// here: no question goes to the server when a slice, a window or an overlay changes. See viewer_scan.js for what comes.

import { mount } from "./mount.js";
import { Body } from "./viewer_body.js";
import { Scan, headerOf } from "./viewer_scan.js";

const AXES = {
  // across and down: axis and direction on the screen; radiologists look from the feet and from the front
  Axial: { across: 0, down: 1, through: 2, edges: ["R", "L", "A", "P"] },
  Coronal: { across: 0, down: 2, through: 1, edges: ["R", "L", "S", "I"] },
  Sagittal: { across: 1, down: 2, through: 0, edges: ["A", "P", "S", "I"] },
};
const HEAT = [
  [13, 8, 135],
  [126, 3, 168],
  [204, 71, 120],
  [248, 149, 64],
  [240, 249, 33],
]; // plasma, five stops
const CROSS = "rgba(255, 196, 120, 0.8)";
const PLAIN = { willReadFrequently: true }; // kept in memory: every pixel is computed there anyway
const MANY_LABELS = 12; // from which on they can be searched
const MOST_ZOOM = 16;
const SQUARES = 4; // the zoom from which on voxels are drawn as squares
const PARTS = { 2: "half of", 3: "a third of", 4: "a quarter of", 5: "a fifth of" };

class Plane {
  constructor(viewer, name) {
    Object.assign(this, { viewer, name, ...AXES[name] });
    const { shape, spacing } = viewer.scan.header;
    this.count = shape[this.through];
    this.size = [shape[this.across], shape[this.down]];
    this.extent = [this.size[0] * spacing[this.across], this.size[1] * spacing[this.down]]; // mm
    this.pan = [0, 0]; // mm on the screen
    this.pointers = new Map();
    this.buffer = document.createElement("canvas");
    this.build();
  }

  build() {
    this.figure = document.createElement("figure");
    this.figure.className = this.name.toLowerCase();
    const [left, right, top, bottom] = this.edges;
    this.figure.innerHTML = `<div class="frame"><canvas tabindex="0" role="img"></canvas>
      <span class="edge left">${left}</span><span class="edge right">${right}</span>
      <span class="edge top">${top}</span><span class="edge bottom">${bottom}</span></div>
      <figcaption><span></span><input type="range" min="0" /></figcaption>`;
    this.canvas = this.figure.querySelector("canvas");
    this.slider = this.figure.querySelector("input");
    this.title = this.figure.querySelector("figcaption span");
    this.slider.max = this.count - 1;
    this.slider.setAttribute("aria-label", `${this.name} slice`);
    this.slider.addEventListener("input", () => this.viewer.move(this.through, Number(this.slider.value)));
    if (this.count === 1) this.slider.hidden = true;
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault()); // that button moves the picture
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener(
      "wheel",
      (event) => {
        if (this.figure.getRootNode().activeElement !== this.canvas) return; // the page scrolls until one clicks here
        event.preventDefault();
        if (event.ctrlKey || event.metaKey) this.viewer.zoomBy(event.deltaY > 0 ? 0.8 : 1.25, this, this.spot(event));
        else this.step(this.through, event.deltaY > 0 ? -1 : 1);
      },
      { passive: false },
    );
  }

  step(axis, by) {
    this.viewer.move(axis, this.viewer.at[axis] + by);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
    const way = {
      ArrowLeft: [this.across, 1],
      ArrowRight: [this.across, -1],
      ArrowUp: [this.down, 1],
      ArrowDown: [this.down, -1],
      PageUp: [this.through, 1],
      PageDown: [this.through, -1],
    }[event.key];
    const factor = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 0 }[event.key];
    if (!way && factor === undefined) return;
    event.preventDefault();
    if (way) this.step(...way);
    else this.viewer.zoomBy(factor);
  }

  // Where a pointer is, in pixels of the canvas.
  spot(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  press(event) {
    if (event.button > 2) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.spot(event));
    this.moves = event.button !== 0 || event.shiftKey; // the picture, not the crosshair
    if (this.pointers.size === 1 && !this.moves) this.point(this.spot(event));
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.spot(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      // two fingers: their middle moves the picture, their distance zooms
      const middle = (a) => [(a[0] + other[0]) / 2, (a[1] + other[1]) / 2];
      const far = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
      this.shift(middle(before), middle(now));
      this.viewer.zoomBy(far(now) / far(before), this, middle(now));
    } else if (this.moves) {
      this.shift(before, now);
      this.paint();
    } else this.point(now);
  }

  shift(from, to) {
    const { scale } = this.place;
    this.pan = this.pan.map((pan, axis) => pan + (to[axis] - from[axis]) / scale);
  }

  // Where the plane lies on its canvas, in canvas pixels: lengths true; zoom 1 is as large as it fits.
  fit() {
    const { canvas, extent } = this;
    const box = canvas.getBoundingClientRect();
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [box.width, box.height].map((edge) => Math.max(1, Math.round(edge * ratio)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const scale = Math.min(width / extent[0], height / extent[1]) * this.viewer.zoom;
    const free = [width, height].map((edge, axis) => Math.max(0, (extent[axis] - edge / scale) / 2)); // mm out of sight
    this.pan = this.pan.map((pan, axis) => Math.max(-free[axis], Math.min(free[axis], pan)));
    const [left, top] = [width, height].map((edge, axis) => (edge - extent[axis] * scale) / 2 + this.pan[axis] * scale);
    this.place = { left, top, width: extent[0] * scale, height: extent[1] * scale, scale };
  }

  // The crosshair, in pixels of the canvas.
  cross() {
    const { left, top, width, height } = this.place;
    const { at } = this.viewer;
    return [
      left + ((this.size[0] - at[this.across] - 0.5) / this.size[0]) * width,
      top + ((this.size[1] - at[this.down] - 0.5) / this.size[1]) * height,
    ];
  }

  // Keep what lies under `spot` there while the zoom becomes `factor` times what it is.
  keep(spot, factor) {
    const { left, top, scale } = this.place;
    const mm = [(spot[0] - left) / scale, (spot[1] - top) / scale];
    const next = scale * factor;
    this.pan = [this.canvas.width, this.canvas.height].map(
      (edge, axis) => (spot[axis] - (edge - this.extent[axis] * next) / 2) / next - mm[axis],
    );
  }

  // Bring the crosshair back into sight.
  follow() {
    this.fit();
    const { scale } = this.place;
    this.cross().forEach((spot, axis) => {
      const edge = axis ? this.canvas.height : this.canvas.width;
      if (spot < 0 || spot > edge) this.pan[axis] += (edge / 2 - spot) / scale;
    });
  }

  point([x, y]) {
    const { left, top, width, height } = this.place;
    const cell = (share, size) => Math.max(0, Math.min(size - 1, size - 1 - Math.floor(share * size)));
    const { at } = this.viewer;
    at[this.across] = cell((x - left) / width, this.size[0]);
    at[this.down] = cell((y - top) / height, this.size[1]);
    this.viewer.moved(this);
  }

  paint() {
    const { viewer } = this;
    this.fit();
    const level = viewer.scan.level(this.through, viewer.at);
    this.figure.dataset.step = level.step;
    this.fill(level);
    const context = this.canvas.getContext("2d", PLAIN);
    const { left, top, width, height, scale } = this.place;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    // the last cells of an overview may lie over the edge of the scan: on the left and at the top, where they end
    const { spacing } = viewer.scan.header;
    const [w, h] = [this.across, this.down].map((axis) => level.shape[axis] * level.step * spacing[axis] * scale);
    context.imageSmoothingEnabled = viewer.zoom < SQUARES;
    context.imageSmoothingQuality = "high";
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.drawImage(this.buffer, left + width - w, top + height - h, w, h);
    context.restore();
    this.drawCross(context);
    this.tell();
  }

  tell() {
    const { count, name } = this;
    const slice = `${this.viewer.at[this.through] + 1}`;
    this.slider.value = slice - 1;
    this.slider.setAttribute("aria-valuetext", `slice ${slice} of ${count}`);
    this.title.textContent = count === 1 ? name : `${name} ${slice} / ${count}`;
    this.canvas.setAttribute(
      "aria-label",
      `${name} slice ${slice} of ${count}; arrows move the crosshair, plus and minus zoom`,
    );
  }

  // One pixel of the buffer for each cell of the level.
  fill(level) {
    const { viewer } = this;
    const { voxels, mask, heat } = level.arrays;
    const { low, scale, colours, share } = viewer.look();
    const [width, height] = [level.shape[this.across], level.shape[this.down]];
    if (this.pixels?.width !== width || this.pixels?.height !== height) {
      Object.assign(this.buffer, { width, height });
      this.pixels = this.buffer.getContext("2d", PLAIN).createImageData(width, height);
    }
    const [right, down] = [level.steps[this.across], level.steps[this.down]];
    const origin = level.cell(viewer.at)[this.through] * level.steps[this.through];
    const out = this.pixels.data;
    let o = 0;
    for (let row = height - 1; row >= 0; row--) {
      let i = origin + row * down + (width - 1) * right;
      for (let column = 0; column < width; column++, i -= right, o += 4) {
        const value = Math.max(0, Math.min(255, Math.floor((voxels[i] - low) * scale)));
        let colour = null,
          part = share;
        if (heat) {
          colour = heat[i] > 12 ? viewer.heatTable[heat[i]] : null;
          part = share * Math.min(1, heat[i] / 128 + 0.25);
        } else colour = colours[mask[i]];
        for (let c = 0; c < 3; c++) out[o + c] = colour ? value + (colour[c] - value) * part : value;
        out[o + 3] = 255;
      }
    }
    this.buffer.getContext("2d", PLAIN).putImageData(this.pixels, 0, 0);
  }

  drawCross(context) {
    const { left, top, width, height } = this.place;
    const [x, y] = this.cross();
    const gap = 0.03 * Math.min(width, this.canvas.width);
    context.strokeStyle = CROSS;
    context.lineWidth = Math.max(1, this.canvas.width / 500);
    context.beginPath();
    for (const [a, b] of [
      [left, x - gap],
      [x + gap, left + width],
    ]) {
      if (b > a) {
        context.moveTo(a, y);
        context.lineTo(b, y);
      }
    }
    for (const [a, b] of [
      [top, y - gap],
      [y + gap, top + height],
    ]) {
      if (b > a) {
        context.moveTo(x, a);
        context.lineTo(x, b);
      }
    }
    context.stroke();
  }
}

class Viewer {
  constructor(root, scan) {
    this.root = root;
    this.hidden = new Set();
    this.heatTable = Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (HEAT.length - 1),
        k = Math.min(HEAT.length - 2, Math.floor(place));
      return HEAT[k].map((v, c) => v + (HEAT[k + 1][c] - v) * (place - k));
    });
    this.opacity = 45;
    this.observer = new ResizeObserver(() => this.paint(true));
    this.observer.observe(root.querySelector(".panes"));
    const zooms = root.querySelectorAll(".zoom button");
    [0.8, 1.25, 0].forEach((factor, i) => (zooms[i].onclick = () => this.zoomBy(factor)));
    this.show(scan);
  }

  // Show a scan: another one from its start, the same one with another overlay where one was.
  show(scan) {
    const before = this.scan;
    const same = (name) => before?.header.ids[name] === scan.header.ids[name];
    this.loading?.abort();
    scan.takeFrom(before);
    this.scan = scan;
    if (!same("voxels")) this.begin(scan.header);
    if (!same("mask") || before.header.labels.join() !== scan.header.labels.join()) this.hidden.clear();
    this.controls();
    this.paint();
    if (!same("voxels") || !same("mask")) this.body?.free();
    this.solid();
    this.loading = new AbortController();
    scan.load(
      () => this.at[2],
      (slab) => this.arrived(slab),
      this.loading.signal,
    );
  }

  // A slab of the scan is here; -1: no more come.
  arrived(slab) {
    const { scan } = this;
    if (scan.complete || slab === scan.slabOf(this.at[2])) this.paint();
    else this.read();
    this.solid();
  }

  // The view in 3-D is made last: without a graphics processor it takes seconds, and the planes come first.
  solid() {
    if (this.scan.complete && this.body && !this.body.scan) this.body.show(this.scan);
  }

  begin(header) {
    this.body?.free();
    this.at = [...header.start];
    this.zoom = 1;
    [this.centre, this.width] = header.window;
    const flat = header.shape.filter((n) => n > 1).length < 3;
    this.planes = (flat ? ["Axial"] : Object.keys(AXES)).map((name) => new Plane(this, name));
    this.body = flat || !header.labels.length ? null : new Body(this);
    const panes = this.root.querySelector(".panes");
    panes.classList.toggle("flat", flat);
    panes.replaceChildren(...this.planes.map((plane) => plane.figure), ...(this.body ? [this.body.figure] : []));
    if (flat) this.planes[0].figure.querySelector(".frame").style.aspectRatio = `${this.planes[0].extent.join(" / ")}`;
  }

  controls() {
    const { root } = this;
    const { header } = this.scan;
    const presets = root.querySelector(".presets");
    presets.replaceChildren(
      ...Object.entries(header.windows).map(([name, [centre, width]]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = name;
        button.addEventListener("click", () => {
          [this.centre, this.width] = [centre, width];
          this.paint(true);
        });
        return button;
      }),
    );
    const input = (name, low, high) => {
      const element = root.querySelector(`input[name="${name}"]`);
      [element.min, element.max] = [low, high];
      element.oninput = () => {
        this[name] = Number(element.value);
        this.paint(true);
      };
      return element;
    };
    const [low, high] = header.range;
    this.inputs = [input("centre", low, high), input("width", 1, high - low), input("opacity", 0, 100)];
    root.querySelector(".opacity").hidden = !header.labels.length && !header.ids.heat;
    this.legend = header.labels.map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.innerHTML = '<span class="swatch"></span>';
      button.append(name);
      button.style.setProperty("--colour", `rgb(${header.colours[i + 1].join()})`);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(i + 1)) this.hidden.add(i + 1);
        this.paint(true);
      });
      return button;
    });
    root.querySelector(".legend").replaceChildren(...(header.ids.heat ? [] : this.legend));
    const many = !header.ids.heat && this.legend.length > MANY_LABELS;
    root.querySelector(".labels").classList.toggle("many", many);
    const find = root.querySelector(".find");
    find.hidden = !many;
    find.value = "";
    find.oninput = () => {
      const word = find.value.trim().toLowerCase();
      this.legend.forEach((button, i) => {
        const name = header.labels[i].toLowerCase();
        button.hidden = !name.includes(word) && !name.replaceAll("_", " ").includes(word);
      });
    };
  }

  look() {
    return {
      low: this.centre - this.width / 2,
      scale: 255 / this.width,
      share: this.opacity / 100,
      colours: this.scan.header.colours.map((colour, i) => (i && !this.hidden.has(i) ? colour : null)),
    };
  }

  move(axis, to) {
    this.at[axis] = Math.max(0, Math.min(this.scan.header.shape[axis] - 1, to));
    this.moved();
  }

  // The crosshair is elsewhere; in `plane` it was put there by hand.
  moved(plane) {
    for (const other of this.planes) if (other !== plane) other.follow();
    this.paint();
  }

  // All planes zoom together: `plane` around a spot on it, the others around the crosshair; factor 0 shows all again.
  zoomBy(factor, plane, spot) {
    const before = this.zoom;
    const after = factor ? Math.max(1, Math.min(MOST_ZOOM, before * factor)) : 1;
    for (const each of this.planes) each.keep(each === plane ? spot : each.cross(), after / before);
    this.zoom = after;
    this.paint();
  }

  paint(body = false) {
    for (const plane of this.planes) plane.paint();
    if (body) this.body?.paint();
    this.inputs.forEach((element) => {
      element.value = this[element.name];
      element.nextElementSibling.textContent =
        element.name === "opacity" ? `${element.value} %` : element.value.replace("-", "−");
    });
    for (const button of this.root.querySelectorAll(".presets button")) {
      const [centre, width] = this.scan.header.windows[button.textContent];
      button.setAttribute("aria-pressed", String(centre === this.centre && width === this.width));
    }
    this.legend.forEach((button, i) => button.setAttribute("aria-pressed", String(!this.hidden.has(i + 1))));
    this.root.querySelector(".zoom output").textContent = `${Math.round(this.zoom * 100)} %`;
    this.read();
  }

  // What lies under the crosshair, and at which resolution it is shown.
  read() {
    const { labels, unit, values, shape, step, tooLarge } = this.scan.header;
    const level = this.scan.level(2, this.at);
    const { voxels, mask, heat } = level.arrays;
    const i = level.index(this.at);
    const place = level
      .voxel(this.at)
      .map((n) => n + 1)
      .join(", ");
    const value = Number((voxels[i] * values[0] + values[1]).toPrecision(5));
    const said = [`Voxel ${place}`, `${value}${unit ? ` ${unit}` : ""}`];
    if (labels.length) said.push(mask[i] ? labels[mask[i] - 1] : "no label");
    if (heat) said.push(`${Math.round((heat[i] / 255) * 100)} %`);
    this.root.querySelector(".read").textContent = said.join("  ·  ").replaceAll("-", "−");

    const part = PARTS[step] ?? `one ${step}th of`;
    const share = Math.floor(this.scan.share * 100);
    const thin = `${part} its resolution; labels are never dropped`;
    const sent = this.scan.failed
      ? `Some of the scan did not arrive and is shown at ${thin}. Reload the page to try again.`
      : share < 100
        ? `Shown at ${thin}. Every voxel is on its way: ${share} %.`
        : `The planes show every voxel: ${shape.join(" × ")}. The view in 3-D is at ${thin}.`;
    const large = `Shown at ${thin}: more than ${tooLarge / 1e6} million voxels are too many for a browser.`;
    this.root.querySelector(".sharpness").textContent = step === 1 ? "" : tooLarge ? large : sent;
    this.root.dataset.share = step === 1 ? 100 : share;
  }

  free() {
    this.loading?.abort();
    this.observer.disconnect();
    this.body?.free();
  }
}

// The place of a viewer: what is shown stays until the next scan is unpacked.
class Place {
  constructor(root) {
    this.root = root;
  }

  async load(data) {
    const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
    const header = headerOf(bytes);
    const name = JSON.stringify([header.ids, header.full, header.labels]);
    if (this.name === name) return; // the same again
    this.name = name;
    const scan = await Scan.read(bytes, header);
    if (this.name !== name) return; // another scan came meanwhile
    if (this.viewer) this.viewer.show(scan);
    else this.viewer = new Viewer(this.root, scan);
  }

  stop() {
    this.viewer?.free();
    this.viewer = this.name = null;
  }
}

export default mount(".viewer", Place);
