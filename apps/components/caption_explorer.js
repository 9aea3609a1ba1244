// A picture and its sentence. A word that is chosen lays its veil over the picture: dark where nothing spoke for it.
// A part of the picture can be covered: drawn with the pointer, or moved with the arrow keys.

import { mount } from "./mount.js";

const PAUSE = 900; // milliseconds for a word
const STEP = 0.05; // of the picture, for a key
const LEAST = 0.03; // edge of a box that counts

class CaptionExplorer {
  constructor(root) {
    for (const name of [
      "frame",
      "picture",
      "veil",
      "box",
      "cover",
      "how",
      "sentence",
      "play",
      "hint",
      "word",
      "others",
    ]) {
      this[name] = root.querySelector(`.${name}`);
    }
    this.at = null; // number of the chosen word
    this.timer = null;
    this.part = null; // what is covered: [left, top, right, bottom]
    this.sentence.addEventListener("keydown", (event) => this.keys(event));
    this.play.addEventListener("click", () => (this.timer === null ? this.start() : this.stop()));
    this.cover.addEventListener("click", () => this.toggleCover());
    this.frame.addEventListener("pointerdown", (event) => this.press(event));
    this.frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) this.frame.addEventListener(name, () => this.release());
    this.frame.addEventListener("keydown", (event) => this.moveBox(event));
  }

  load(data) {
    const shown = JSON.stringify([
      data.picture.length,
      data.picture.slice(-64),
      data.sentences[data.chosen],
      data.hint,
    ]);
    if (this.picture.src !== data.picture) {
      this.picture.src = data.picture;
      this.picture.alt = data.alt;
      this.frame.style.aspectRatio = `${data.size[0]} / ${data.size[1]}`;
      this.frame.style.setProperty("--shape", data.size[0] / data.size[1]);
      this.part = null;
    }
    this.picture.classList.toggle("pixels", data.pixels);
    this.hint.textContent = data.hint;
    this.words = data.words;
    if (this.shown !== shown) {
      this.shown = shown;
      this.stop();
      this.sentence.replaceChildren(...data.words.flatMap((word, i) => [this.button(word, i), " "]));
      this.choose(data.words.length - 1);
    }
    this.offer(data.sentences, data.chosen);
    this.drawBox();
  }

  button(word, i) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word.text;
    button.setAttribute("role", "radio");
    button.style.setProperty("--sure", word.p);
    button.addEventListener("click", () => {
      this.stop();
      this.choose(this.at === i ? null : i);
    });
    return button;
  }

  choose(i) {
    this.at = i;
    [...this.sentence.children].forEach((button, k) => {
      button.setAttribute("aria-checked", String(k === i));
      button.tabIndex = k === (i ?? 0) ? 0 : -1;
    });
    const word = i === null ? null : this.words[i];
    this.veil.classList.toggle("on", Boolean(word?.veil));
    if (word?.veil) this.veil.src = word.veil;
    this.frame.dataset.word = word ? word.text : "";
    this.word.replaceChildren(...(word ? this.about(word) : []));
  }

  about(word) {
    const head = document.createElement("p");
    head.className = "head";
    const said = document.createElement("b");
    said.textContent = `“${word.text}”`;
    head.append("Instead of ", said, ", with probability");
    const list = document.createElement("ul");
    for (const [text, p] of word.others) {
      const row = document.createElement("li");
      row.classList.toggle("top", text === word.text);
      const [name, track, fill, value] = ["name", "track", "fill", "value"].map((kind) => {
        const part = document.createElement("span");
        part.className = kind;
        return part;
      });
      name.textContent = text;
      fill.style.width = `${100 * p}%`;
      track.append(fill);
      value.textContent = p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`;
      row.append(name, track, value);
      list.append(row);
    }
    return [head, list];
  }

  keys(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (!step) return;
    event.preventDefault();
    this.stop();
    const count = this.words.length;
    this.choose(this.at === null ? (step > 0 ? 0 : count - 1) : (this.at + step + count) % count);
    this.sentence.children[this.at].focus();
  }

  start() {
    this.play.textContent = "Stop";
    const next = (i) => {
      if (i === this.words.length) {
        this.stop();
        this.choose(null);
        return;
      }
      this.choose(i);
      this.timer = setTimeout(() => next(i + 1), PAUSE);
    };
    next(0);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.play.textContent = "Word by word";
  }

  offer(sentences, chosen) {
    const list = this.others.querySelector("ol");
    this.others.hidden = sentences.length < 2;
    const offered = JSON.stringify(sentences);
    if (this.offered === offered) {
      // the button that was pressed keeps the focus
      [...list.children].forEach((row, i) => row.firstChild.setAttribute("aria-pressed", String(i === chosen)));
      return;
    }
    this.offered = offered;
    list.replaceChildren(
      ...sentences.map(([text, said], i) => {
        const row = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.setAttribute("aria-pressed", String(i === chosen));
        button.addEventListener("click", () => this.send("chosen", i));
        const note = document.createElement("span");
        note.textContent = said;
        row.append(button, note);
        return row;
      }),
    );
  }

  // ---- the covered part

  toggleCover() {
    this.setPart(this.part ? null : [0.35, 0.35, 0.65, 0.65]);
    this.tell();
    if (this.part) this.frame.focus();
  }

  press(event) {
    if (event.button !== 0 || (event.pointerType === "touch" && !this.part)) return; // a finger scrolls until a box is there
    event.preventDefault();
    this.frame.focus({ preventScroll: true });
    this.frame.setPointerCapture(event.pointerId);
    this.from = this.spot(event);
    this.before = this.part;
  }

  drag(event) {
    if (!this.from) return;
    const [x, y] = this.spot(event);
    const [a, b] = this.from;
    this.setPart([Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)]);
  }

  release() {
    if (!this.from) return;
    this.from = null;
    const p = this.part;
    const moved = p !== this.before;
    if (moved && (p[2] - p[0] < LEAST || p[3] - p[1] < LEAST)) this.setPart(this.before);
    else if (moved) this.tell();
  }

  spot(event) {
    const place = this.frame.getBoundingClientRect();
    const share = (value) => Math.min(1, Math.max(0, value));
    return [share((event.clientX - place.left) / place.width), share((event.clientY - place.top) / place.height)];
  }

  moveBox(event) {
    if (event.key === "Escape" && this.part) {
      this.setPart(null);
      this.tell();
    }
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!this.part || (!x && !y)) return;
    event.preventDefault();
    let [left, top, right, bottom] = this.part;
    if (event.shiftKey) {
      right = Math.min(1, Math.max(left + STEP, right + x * STEP));
      bottom = Math.min(1, Math.max(top + STEP, bottom + y * STEP));
    } else {
      const dx = Math.min(1 - right, Math.max(-left, x * STEP)),
        dy = Math.min(1 - bottom, Math.max(-top, y * STEP));
      [left, right, top, bottom] = [left + dx, right + dx, top + dy, bottom + dy];
    }
    this.setPart([left, top, right, bottom]);
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.tell(), 300);
  }

  setPart(part) {
    this.part = part;
    this.drawBox();
  }

  drawBox() {
    const part = this.part;
    this.box.hidden = !part;
    this.cover.textContent = part ? "Uncover" : "Cover a part";
    this.how.textContent = part ? "Arrow keys move it, with Shift they resize it." : "or draw a box on the picture";
    this.frame.classList.toggle("covered", Boolean(part));
    if (!part) return;
    const [left, top, right, bottom] = part.map((edge) => `${100 * edge}%`);
    Object.assign(this.box.style, { left, top, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
  }

  tell() {
    this.send("box", this.part ? this.part.map((edge) => Math.round(edge * 1000) / 1000) : null);
  }
}

export default mount(".caption-explorer", CaptionExplorer);
