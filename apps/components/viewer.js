// A scan in three linked planes with what was found in it, and its labels as solid shapes. Everything after the first
// message happens here: no question goes to the server when a slice, a window or an overlay changes.
//
// The message is one block of bytes: uint32 length of the header, the header as JSON, then gzip of int16 voxels,
// uint8 labels and, if the header says so, uint8 heat. All arrays run along x first, then y, then z, in RAS order.

import { mount } from "./mount.js";

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

async function unpack(bytes) {
  const copy = bytes.slice(); // aligned, and free of the message's buffer
  const length = new DataView(copy.buffer).getUint32(0, true);
  const scene = JSON.parse(new TextDecoder().decode(copy.subarray(4, 4 + length)));
  const stream = new Blob([copy.subarray(4 + length)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const body = await new Response(stream).arrayBuffer();
  const count = scene.shape[0] * scene.shape[1] * scene.shape[2];
  scene.voxels = new Int16Array(body, 0, count);
  scene.mask = new Uint8Array(body, 2 * count, count);
  scene.heat = scene.heat ? new Uint8Array(body, 3 * count, count) : null;
  return scene;
}

class Plane {
  constructor(viewer, name) {
    Object.assign(this, { viewer, name, ...AXES[name] });
    const { shape, spacing } = viewer.scene;
    this.size = [shape[this.across], shape[this.down]];
    this.steps = [1, shape[0], shape[0] * shape[1]];
    this.extent = [this.size[0] * spacing[this.across], this.size[1] * spacing[this.down]];
    this.buffer = document.createElement("canvas");
    [this.buffer.width, this.buffer.height] = this.size;
    this.pixels = this.buffer.getContext("2d").createImageData(...this.size);
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
    this.slider.max = this.viewer.scene.shape[this.through] - 1;
    this.slider.setAttribute("aria-label", `${this.name} slice`);
    this.slider.addEventListener("input", () => this.viewer.move(this.through, Number(this.slider.value)));
    if (this.viewer.scene.shape[this.through] === 1) this.slider.hidden = true;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.point(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons & 1 && this.point(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener(
      "wheel",
      (event) => {
        if (this.figure.getRootNode().activeElement !== this.canvas) return; // the page scrolls until one clicks here
        event.preventDefault();
        this.step(this.through, event.deltaY > 0 ? -1 : 1);
      },
      { passive: false },
    );
  }

  step(axis, by) {
    this.viewer.move(axis, this.viewer.at[axis] + by);
  }

  key(event) {
    const way = {
      ArrowLeft: [this.across, 1],
      ArrowRight: [this.across, -1],
      ArrowUp: [this.down, 1],
      ArrowDown: [this.down, -1],
      PageUp: [this.through, 1],
      PageDown: [this.through, -1],
    }[event.key];
    if (!way) return;
    event.preventDefault();
    this.step(...way);
  }

  fit() {
    // Where the plane lies on its canvas, in canvas pixels: as large as it fits, lengths true.
    const box = this.canvas.getBoundingClientRect();
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    const scale = Math.min(this.canvas.width / this.extent[0], this.canvas.height / this.extent[1]);
    const [width, height] = this.extent.map((length) => length * scale);
    return [(this.canvas.width - width) / 2, (this.canvas.height - height) / 2, width, height];
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const [left, top, width, height] = this.place;
    const x = ((event.clientX - box.left) / box.width) * this.canvas.width;
    const y = ((event.clientY - box.top) / box.height) * this.canvas.height;
    const cell = (share, size) => Math.max(0, Math.min(size - 1, size - 1 - Math.floor(share * size)));
    const { at } = this.viewer;
    at[this.across] = cell((x - left) / width, this.size[0]);
    at[this.down] = cell((y - top) / height, this.size[1]);
    this.viewer.paint();
  }

  paint() {
    const { viewer, pixels, size } = this;
    const { voxels, mask, heat } = viewer.scene;
    const { low, scale, colours, share, showHeat } = viewer.look();
    const [right, down] = [this.steps[this.across], this.steps[this.down]];
    const origin = viewer.at[this.through] * this.steps[this.through];
    const out = pixels.data;
    let o = 0;
    for (let row = size[1] - 1; row >= 0; row--) {
      let i = origin + row * down + (size[0] - 1) * right;
      for (let column = 0; column < size[0]; column++, i -= right, o += 4) {
        const value = Math.max(0, Math.min(255, Math.floor((voxels[i] - low) * scale)));
        let colour = null,
          part = share;
        if (showHeat) {
          colour = heat[i] > 12 ? viewer.heatTable[heat[i]] : null;
          part = share * Math.min(1, heat[i] / 128 + 0.25);
        } else colour = colours[mask[i]];
        for (let c = 0; c < 3; c++) out[o + c] = colour ? value + (colour[c] - value) * part : value;
        out[o + 3] = 255;
      }
    }
    this.buffer.getContext("2d").putImageData(pixels, 0, 0);
    const place = (this.place = this.fit());
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.buffer, ...place);
    this.cross(context, place);
    const index = viewer.at[this.through],
      count = viewer.scene.shape[this.through];
    this.slider.value = index;
    this.slider.setAttribute("aria-valuetext", `slice ${index + 1} of ${count}`);
    this.title.textContent = count === 1 ? this.name : `${this.name} ${index + 1} / ${count}`;
    this.canvas.setAttribute("aria-label", `${this.name} slice ${index + 1} of ${count}; arrows move the crosshair`);
  }

  cross(context, [left, top, width, height]) {
    const { at } = this.viewer;
    const x = left + ((this.size[0] - at[this.across] - 0.5) / this.size[0]) * width;
    const y = top + ((this.size[1] - at[this.down] - 0.5) / this.size[1]) * height;
    const gap = 0.03 * width;
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

class Solid {
  // The surfaces of the labels, turned by hand. Points in a depth buffer: needs no WebGL.
  constructor(viewer) {
    this.viewer = viewer;
    this.turn = [0.5, 0.25]; // around the body's axis, and up
    this.surfaces = surfacesOf(viewer.scene);
    this.radius = centred([...this.surfaces.values()]);
    this.figure = document.createElement("figure");
    this.figure.className = "body";
    this.figure.innerHTML = `<div class="frame"><canvas class="solid" tabindex="0" role="img"
      aria-label="The labels as solid shapes; arrows turn them"></canvas></div>
      <figcaption><span>3-D: drag to turn</span></figcaption>`;
    this.canvas = this.figure.querySelector("canvas");
    this.canvas.addEventListener("pointerdown", (event) => this.canvas.setPointerCapture(event.pointerId));
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.rotate(event.movementX / 120, event.movementY / 120);
    });
    this.canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!way) return;
      event.preventDefault();
      this.rotate(...way);
    });
  }

  rotate(around, up) {
    this.turn = [this.turn[0] + around, Math.max(-1.5, Math.min(1.5, this.turn[1] + up))];
    this.paint();
  }

  paint() {
    const edge = Math.max(64, Math.min(420, Math.round(this.canvas.getBoundingClientRect().height * 1.5)));
    this.canvas.width = this.canvas.height = edge;
    const { spacing, colours } = this.viewer.scene;
    const scale = (edge * 0.47) / this.radius;
    const [sa, ca, su, cu] = [
      Math.sin(this.turn[0]),
      Math.cos(this.turn[0]),
      Math.sin(this.turn[1]),
      Math.cos(this.turn[1]),
    ];
    const dot = Math.ceil(scale * Math.max(...spacing) * 1.5) + 1;
    const layers = [];
    for (const [label, { points, normals }] of this.surfaces) {
      if (this.viewer.hidden.has(label)) continue;
      const depth = new Float32Array(edge * edge).fill(-1e9),
        light = new Float32Array(edge * edge);
      for (let i = 0; i < points.length; i += 3) {
        const x = points[i] * ca - points[i + 1] * sa,
          y = points[i] * sa + points[i + 1] * ca,
          z = points[i + 2];
        const near = y * cu + z * su,
          high = z * cu - y * su; // seen from the front, slightly from above
        const nx = normals[i] * ca - normals[i + 1] * sa,
          ny = normals[i] * sa + normals[i + 1] * ca,
          nz = normals[i + 2];
        const facing = ny * cu + nz * su;
        if (facing < -0.5) continue; // on the far side
        const column = Math.round(edge / 2 - x * scale - dot / 2),
          row = Math.round(edge / 2 - high * scale - dot / 2);
        const shade = 0.35 + 0.65 * Math.max(0, 0.75 * facing + 0.4 * (nz * cu - ny * su) + 0.25 * nx); // light from above
        for (let r = Math.max(0, row); r < Math.min(edge, row + dot); r++) {
          for (let c = Math.max(0, column); c < Math.min(edge, column + dot); c++) {
            const o = r * edge + c;
            if (near > depth[o]) {
              depth[o] = near;
              light[o] = Math.min(1.1, shade);
            }
          }
        }
      }
      layers.push({ depth, light, colour: colours[label] });
    }
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(edge, edge);
    for (let o = 0; o < edge * edge; o++) {
      const hits = layers.filter((layer) => layer.depth[o] > -1e8).sort((a, b) => a.depth[o] - b.depth[o]);
      let value = [0, 0, 0];
      hits.forEach(({ light, colour }, i) => {
        const solid = i === 0 ? 0.95 : 0.5; // what lies in front lets through what lies behind
        value = value.map((v, c) => v * (1 - solid) + colour[c] * light[o] * solid);
      });
      image.data.set([...value, 255], 4 * o);
    }
    context.putImageData(image, 0, 0);
  }
}

function surfacesOf({ shape: [X, Y, Z], spacing, mask, colours }) {
  // For each label its voxels that touch something else, in mm from the middle, with the direction that leads outside.
  const found = new Map();
  const offsets = [];
  for (let z = -1; z <= 1; z++) for (let y = -1; y <= 1; y++) for (let x = -1; x <= 1; x++) offsets.push([x, y, z]);
  for (let z = 0, i = 0; z < Z; z++) {
    for (let y = 0; y < Y; y++) {
      for (let x = 0; x < X; x++, i++) {
        const label = mask[i];
        if (!label || !colours[label]) continue;
        const inside = x > 0 && x < X - 1 && y > 0 && y < Y - 1 && z > 0 && z < Z - 1;
        if (
          inside &&
          mask[i - 1] === label &&
          mask[i + 1] === label &&
          mask[i - X] === label &&
          mask[i + X] === label &&
          mask[i - X * Y] === label &&
          mask[i + X * Y] === label
        )
          continue;
        let [nx, ny, nz] = [0, 0, 0];
        for (const [a, b, c] of offsets) {
          const there = x + a >= 0 && x + a < X && y + b >= 0 && y + b < Y && z + c >= 0 && z + c < Z;
          if (!there || mask[i + a + b * X + c * X * Y] !== label) {
            nx += a;
            ny += b;
            nz += c;
          }
        }
        const length = Math.hypot(nx, ny, nz) || 1;
        if (!found.has(label)) found.set(label, { points: [], normals: [] });
        const { points, normals } = found.get(label);
        points.push((x + 0.5 - X / 2) * spacing[0], (y + 0.5 - Y / 2) * spacing[1], (z + 0.5 - Z / 2) * spacing[2]);
        normals.push(nx / length, ny / length, nz / length);
      }
    }
  }
  return found;
}

function centred(surfaces) {
  // Move the middle of all points to 0 and return how far the farthest is.
  const low = [Infinity, Infinity, Infinity],
    high = [-Infinity, -Infinity, -Infinity];
  const each = (use) => surfaces.forEach(({ points }) => points.forEach((value, i) => use(points, value, i)));
  each((_, value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  each((points, value, i) => (points[i] = value - (low[i % 3] + high[i % 3]) / 2));
  let farthest = 1;
  for (const { points } of surfaces) {
    for (let i = 0; i < points.length; i += 3)
      farthest = Math.max(farthest, Math.hypot(points[i], points[i + 1], points[i + 2]));
  }
  return farthest;
}

class Viewer {
  constructor(root, scene) {
    this.root = root;
    this.scene = scene;
    this.at = [...scene.start];
    this.hidden = new Set();
    this.heatTable = Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (HEAT.length - 1),
        k = Math.min(HEAT.length - 2, Math.floor(place));
      return HEAT[k].map((v, c) => v + (HEAT[k + 1][c] - v) * (place - k));
    });
    [this.centre, this.width] = scene.window;
    this.opacity = 45;
    const flat = scene.shape.filter((n) => n > 1).length < 3;
    const names = flat ? ["Axial"] : Object.keys(AXES);
    this.panes = names.map((name) => new Plane(this, name));
    if (!flat && scene.labels.length) this.panes.push(new Solid(this));
    const panes = root.querySelector(".panes");
    panes.classList.toggle("flat", flat);
    panes.replaceChildren(...this.panes.map((pane) => pane.figure));
    if (flat) this.panes[0].figure.querySelector(".frame").style.aspectRatio = `${this.panes[0].extent.join(" / ")}`;
    this.controls();
    this.observer = new ResizeObserver(() => this.paint(true));
    this.observer.observe(panes);
  }

  controls() {
    const { scene, root } = this;
    const presets = root.querySelector(".presets");
    presets.replaceChildren(
      ...Object.entries(scene.windows).map(([name, [centre, width]]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = name;
        button.addEventListener("click", () => {
          [this.centre, this.width] = [centre, width];
          this.paint();
        });
        return button;
      }),
    );
    const input = (name, low, high) => {
      const element = root.querySelector(`input[name="${name}"]`);
      [element.min, element.max] = [low, high];
      element.oninput = () => {
        this[name] = Number(element.value);
        this.paint();
      };
      return element;
    };
    const [low, high] = scene.range;
    this.inputs = [input("centre", low, high), input("width", 1, high - low), input("opacity", 0, 100)];
    root.querySelector(".opacity").hidden = !scene.labels.length && !scene.heat;
    this.legend = scene.labels.map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.innerHTML = '<span class="swatch"></span>';
      button.append(name);
      button.style.setProperty("--colour", `rgb(${scene.colours[i + 1].join()})`);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(i + 1)) this.hidden.add(i + 1);
        this.paint(true);
      });
      return button;
    });
    root.querySelector(".legend").replaceChildren(...(scene.heat ? [] : this.legend));
  }

  look() {
    const low = this.centre - this.width / 2;
    return {
      low,
      scale: 255 / this.width,
      share: this.opacity / 100,
      showHeat: Boolean(this.scene.heat),
      colours: this.scene.colours.map((colour, i) => (i && !this.hidden.has(i) ? colour : null)),
    };
  }

  move(axis, to) {
    this.at[axis] = Math.max(0, Math.min(this.scene.shape[axis] - 1, to));
    this.paint();
  }

  paint(solid = false) {
    for (const pane of this.panes) if (solid || pane instanceof Plane) pane.paint();
    this.inputs.forEach((element) => {
      element.value = this[element.name];
      element.nextElementSibling.textContent =
        element.name === "opacity" ? `${element.value} %` : element.value.replace("-", "−");
    });
    for (const button of this.root.querySelectorAll(".presets button")) {
      const [centre, width] = this.scene.windows[button.textContent];
      button.setAttribute("aria-pressed", String(centre === this.centre && width === this.width));
    }
    this.legend.forEach((button, i) => button.setAttribute("aria-pressed", String(!this.hidden.has(i + 1))));
    this.read();
  }

  read() {
    const { shape, voxels, mask, heat, labels, unit, factor, values } = this.scene;
    const [x, y, z] = this.at;
    const i = x + shape[0] * (y + shape[1] * z);
    const place = this.at.map((n, a) => Math.round(n * factor[a]) + 1).join(", ");
    const value = Number((voxels[i] * values[0] + values[1]).toPrecision(5));
    const said = [`Voxel ${place}`, `${value}${unit ? ` ${unit}` : ""}`];
    if (labels.length) said.push(mask[i] ? labels[mask[i] - 1] : "no label");
    if (heat) said.push(`${Math.round((heat[i] / 255) * 100)} %`);
    this.root.querySelector(".read").textContent = said.join("  ·  ").replaceAll("-", "−");
  }
}

// The place of a viewer: what is shown stays until the next scan is unpacked.
class Scans {
  constructor(root) {
    this.root = root;
  }

  async load(data) {
    this.data = data;
    const scene = await unpack(data instanceof Uint8Array ? data : new Uint8Array(data));
    if (this.data !== data) return; // another scan came meanwhile
    const before = this.viewer;
    before?.observer.disconnect();
    this.viewer = new Viewer(this.root, scene);
    if (before?.scene.id === scene.id) {
      // the same scan with another overlay: the place and the window stay
      const { at, centre, width, opacity } = before;
      Object.assign(this.viewer, { at, centre, width, opacity });
    }
    this.viewer.paint(true);
  }
}

export default mount(".viewer", Scans);
