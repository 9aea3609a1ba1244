// What the components of the lab share: numbers from Python, colours for them, and maps painted cell by cell.

export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// Whether the page is dark, from its text colour.
export function isDark(root) {
  const [r, g, b] = getComputedStyle(root)
    .color.match(/[\d.]+/g)
    .map(Number);
  return r + g + b > 382;
}

const PALETTES = {
  light: { zero: [250, 248, 244], plus: [168, 56, 15], minus: [38, 82, 196], accent: "#d2440c", empty: "#e9e5dd" },
  dark: { zero: [24, 22, 20], plus: [255, 157, 102], minus: [124, 162, 255], accent: "#ff9d66", empty: "#262321" },
};

export function palette(root) {
  return isDark(root) ? PALETTES.dark : PALETTES.light;
}

// A function value -> [r, g, b]: grey from low to high, or blue below zero and orange above it.
export function colourScale(kind, low, high, colours) {
  if (kind === "signed") {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return (value) => {
      const end = value < 0 ? colours.minus : colours.plus;
      const share = Math.min(1, Math.abs(value) / most);
      return colours.zero.map((from, i) => Math.round(from + (end[i] - from) * share));
    };
  }
  const span = high - low || 1;
  return (value) => {
    const grey = Math.round(255 * Math.min(1, Math.max(0, (value - low) / span)));
    return [grey, grey, grey];
  };
}

export function readable([r, g, b]) {
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#1d1b18" : "#ffffff";
}

// The range of a map; 0 belongs to it.
export function limits(values) {
  let low = 0,
    high = 0;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// Paint cells [height, width] into a small picture that is later drawn large, without smoothing.
export function bitmap(height, width, colourOf) {
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  const context = small.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < height * width; i += 1) {
    const [r, g, b, a = 255] = colourOf(i);
    picture.data.set([r, g, b, a], 4 * i);
  }
  context.putImageData(picture, 0, 0);
  return small;
}

// Give a canvas as many pixels as the screen shows of it, and return the edge of a cell in them.
export function fitCanvas(canvas, height, width) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const shown = canvas.clientWidth || 320;
  const cell = Math.max(1, Math.round((shown * ratio) / width));
  if (canvas.width !== cell * width || canvas.height !== cell * height) {
    canvas.width = cell * width;
    canvas.height = cell * height;
  }
  return cell;
}

export function cellAt(event, canvas, height, width) {
  const box = canvas.getBoundingClientRect();
  const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  return [
    within((event.clientY - box.top) / box.height, height),
    within((event.clientX - box.left) / box.width, width),
  ];
}

export const MINUS = "\u2212";

export function written(value, digits = 2) {
  const text =
    Math.abs(value - Math.round(value)) < 1e-4
      ? String(Math.round(Math.abs(value)))
      : Math.abs(value).toFixed(Math.abs(value) >= 100 ? 1 : digits);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

// Weights such as 1/9 as people write them.
export function fraction(value) {
  for (const below of [1, 2, 3, 4, 8, 9, 16]) {
    const above = value * below;
    if (Math.abs(above - Math.round(above)) < 1e-4) {
      const whole = Math.round(Math.abs(above));
      return (value < 0 && whole ? MINUS : "") + (below === 1 ? whole : `${whole}/${below}`);
    }
  }
  if (Math.abs(value) >= 0.1) return written(value);
  return (value < 0 ? MINUS : "") + Number(Math.abs(value).toPrecision(2)); // two decimals would leave 0
}

export function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}
