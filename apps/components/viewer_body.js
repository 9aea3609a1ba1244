// A scan in 3-D, turned by hand: rendered by NiiVue where there is WebGL2, else the labels' surfaces on a plain canvas.

const SKIN = -500,
  BONE = 1300; // HU

export class Body {
  constructor(viewer) {
    this.viewer = viewer;
    this.turn = [0.5, 0.25]; // around the body's axis, and up
    this.zoom = 1;
    this.mode = "Surfaces";
    this.figure = document.createElement("figure");
    this.figure.className = "body";
    this.figure.innerHTML = `<div class="frame"><canvas class="solid" tabindex="0" role="img"></canvas></div>
      <figcaption><span>3-D: drag to turn</span><div class="modes" role="group" aria-label="3-D shows"></div></figcaption>`;
    this.listen();
  }

  get canvas() {
    return this.figure.querySelector("canvas");
  }

  // A canvas that nothing was drawn on: what one was first drawn with, it keeps.
  fresh() {
    const canvas = this.canvas.cloneNode(false);
    this.canvas.replaceWith(canvas);
    return canvas;
  }

  listen() {
    const frame = this.figure.querySelector(".frame");
    frame.addEventListener("pointerdown", (event) => frame.setPointerCapture(event.pointerId));
    frame.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.rotate(event.movementX / 120, event.movementY / 120);
    });
    frame.addEventListener(
      "wheel",
      (event) => {
        if (this.figure.getRootNode().activeElement !== this.canvas) return; // the page scrolls until one clicks here
        event.preventDefault();
        this.scale(event.deltaY > 0 ? 0.9 : 1 / 0.9);
      },
      { passive: false },
    );
    frame.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      const factor = { "+": 1.25, "=": 1.25, "-": 0.8, 0: 1 / this.zoom }[event.key];
      if (!way && !factor) return;
      event.preventDefault();
      if (way) this.rotate(...way);
      else this.scale(factor);
    });
  }

  rotate(around, up) {
    this.turn = [this.turn[0] + around, Math.max(-1.5, Math.min(1.5, this.turn[1] + up))];
    this.paint();
  }

  scale(factor) {
    this.zoom = Math.max(0.5, Math.min(8, this.zoom * factor));
    this.paint();
  }

  // Show another scan, or the same with other labels.
  async show(scan) {
    this.engine?.free();
    this.engine = null;
    this.scan = scan;
    const engine = (scan.header.niivue && (await Rendered.make(this, scan))) || new Solid(this, scan);
    if (this.scan !== scan) return engine.free(); // another scan came meanwhile
    this.engine = engine;
    this.buttons = engine.modes.map((mode) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = mode;
      button.addEventListener("click", () => {
        this.mode = mode;
        this.paint();
      });
      return button;
    });
    if (!engine.modes.includes(this.mode)) this.mode = "Surfaces";
    this.figure.querySelector(".modes").replaceChildren(...(this.buttons.length > 1 ? this.buttons : []));
    const what = engine.name === "niivue" ? "3-D" : "3-D surfaces";
    this.figure.querySelector("figcaption span").textContent = `${what}: drag to turn`;
    this.figure.dataset.engine = engine.name;
    this.paint();
  }

  paint() {
    if (!this.engine) return;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.textContent === this.mode));
    const what = this.mode === "Surfaces" ? "The labels as solid shapes" : "The scan, rendered";
    this.canvas.setAttribute("aria-label", `${what}; arrows turn, plus and minus zoom`);
    this.engine.paint();
  }

  free() {
    this.scan = null;
    this.engine?.free();
    this.engine = null;
  }
}

// Whether there is WebGL2 to render so many voxels. Without a graphics processor five million stop the page for seconds,
// and browsers do not own up to it when they are asked for a context without such caveats: only the name tells.
function renders(voxels) {
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) return false;
  const named = context.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER;
  const software = /swiftshader|llvmpipe|software|basic render/i.test(context.getParameter(named));
  lose(context);
  return !software || voxels <= 1e6;
}

function lose(context) {
  context?.getExtension("WEBGL_lose_context")?.loseContext();
}

class Rendered {
  // NiiVue over the overview: what it keeps in the graphics processor stays below about 100 MB.
  name = "niivue";

  static async make(body, scan) {
    const { header, overview } = scan;
    if (!renders(overview.arrays.mask.length)) return null;
    const canvas = body.fresh();
    try {
      const { Niivue } = await import(new URL(header.niivue, document.baseURI).href);
      const niivue = new Niivue({
        interactive: false,
        isResizeCanvas: false,
        logLevel: "error",
        backColor: [0, 0, 0, 1],
        isOrientationTextVisible: false,
        dragAndDropEnabled: false,
        crosshairWidth: 0,
      });
      await niivue.attachToCanvas(canvas, false);
      niivue.setSliceType(niivue.sliceTypeRender);
      niivue.setVolumeRenderIllumination(0.6);
      const spacing = header.spacing.map((length) => length * header.step);
      const affine = [0, 1, 2].flatMap((row) => {
        const line = [0, 0, 0, -(overview.shape[row] * spacing[row]) / 2];
        line[row] = spacing[row];
        return line;
      });
      const volume = async (array, kind, colours) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        const file = await niivue.createNiftiArray(overview.shape, spacing, [...affine, 0, 0, 0, 1], kind, bytes);
        const image = await niivue.niftiArray2NVImage(file);
        colours(image);
        niivue.addVolume(image);
        return image;
      };
      const self = new Rendered();
      Object.assign(self, { body, canvas, niivue, modes: ["Surfaces", "Volume"] });
      self.volume = await volume(overview.arrays.voxels, 4, () => {});
      self.labels = await volume(overview.arrays.mask, 2, (image) => image.setColormapLabel(self.table()));
      return self;
    } catch {
      return null; // drawn on a plain canvas then
    }
  }

  table() {
    const { viewer } = this.body;
    const colours = viewer.scan.header.colours;
    const part = (channel) => colours.map((colour) => colour[channel]);
    const A = colours.map((_, label) => (label && !viewer.hidden.has(label) ? 255 : 0));
    return { R: part(0), G: part(1), B: part(2), A, I: colours.map((_, label) => label) };
  }

  paint() {
    const { body, niivue, canvas } = this;
    const box = canvas.getBoundingClientRect();
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [box.width, box.height].map((edge) => Math.max(64, Math.round(edge * ratio)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const { centre, width: window_, hidden, opacity, scan } = body.viewer;
    const labelled = body.mode === "Surfaces";
    const wanted = JSON.stringify([body.mode, [...hidden], ...(labelled ? [] : [centre, window_, opacity])]);
    if (wanted !== this.shown) {
      // what changes while a slider is drawn is computed once it rests
      clearTimeout(this.waiting);
      this.waiting = setTimeout(
        () => {
          const [low, high] = [centre - window_ / 2, centre + window_ / 2];
          // of a CT from skin to bone whatever the window: else a chest is a block of air with lungs of nothing
          const [from, to] = scan.header.unit ? [Math.max(SKIN, low), Math.max(BONE, high)] : [low, high];
          Object.assign(this.volume, { cal_min: from, cal_max: to, opacity: labelled ? 0 : 1 });
          this.labels.setColormapLabel(this.table());
          this.labels.opacity = labelled ? 1 : opacity / 100;
          niivue.updateGLVolume();
        },
        this.shown ? 120 : 0,
      );
      this.shown = wanted;
    }
    niivue.scene.volScaleMultiplier = 1.4 * body.zoom;
    niivue.setRenderAzimuthElevation(180 + (body.turn[0] * 180) / Math.PI, (body.turn[1] * 180) / Math.PI);
  }

  free() {
    clearTimeout(this.waiting);
    this.niivue.cleanup();
    lose(this.canvas.getContext("webgl2"));
  }
}

class Solid {
  // The surfaces of the labels as points in a depth buffer: needs no WebGL.
  name = "canvas";
  modes = ["Surfaces"];

  constructor(body, { header, overview }) {
    Object.assign(this, { body, canvas: body.fresh(), colours: header.colours });
    this.spacing = header.spacing.map((length) => length * header.step);
    this.surfaces = surfacesOf(overview.shape, this.spacing, overview.arrays.mask, header.colours);
    this.radius = centred([...this.surfaces.values()]);
  }

  free() {}

  paint() {
    const edge = Math.max(64, Math.min(420, Math.round(this.canvas.getBoundingClientRect().height * 1.5)));
    this.canvas.width = this.canvas.height = edge;
    const { turn, zoom, viewer } = this.body;
    const scale = ((edge * 0.47) / this.radius) * zoom;
    const [sa, ca, su, cu] = [Math.sin(turn[0]), Math.cos(turn[0]), Math.sin(turn[1]), Math.cos(turn[1])];
    const dot = Math.ceil(scale * Math.max(...this.spacing) * 1.5) + 1;
    const layers = [];
    for (const [label, { points, normals }] of this.surfaces) {
      if (viewer.hidden.has(label)) continue;
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
      layers.push({ depth, light, colour: this.colours[label] });
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

function surfacesOf([X, Y, Z], spacing, mask, colours) {
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
