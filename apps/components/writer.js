// A field to write in whose words are coloured while one writes. The colours lie in a layer below a transparent
// <textarea>, so that caret, selection, input methods and undo stay the browser's own. Python hears of the text when
// the keys rest for a moment, and sends back where the coloured words are: {s, e, w, t} with start and end in UTF-16
// units, strength -1..1, and the words of the tooltip. The field's text is never written over while somebody types.

import { mount } from "./mount.js";

const PAUSE = 200; // milliseconds

class Writer {
  constructor(root) {
    this.field = root.querySelector("textarea");
    this.under = root.querySelector(".under");
    this.hint = root.querySelector(".hint");
    this.said = root.querySelector(".said");
    this.chips = root.querySelector(".chips");
    this.spans = [];
    this.base = ""; // the text that the spans belong to
    this.sent = null; // what Python has heard last
    this.timer = null;
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("blur", () => this.flush());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.flush();
    });
    for (const name of ["keyup", "click", "focus"]) this.field.addEventListener(name, () => this.atCaret());
    this.field.addEventListener("pointermove", (event) => this.atPointer(event));
    this.field.addEventListener("pointerleave", () => this.show(null));
  }

  load(data) {
    const own = this.text();
    const typing = this.timer !== null || (this.sent !== null && own !== this.sent);
    if (this.revision !== data.revision) {
      this.revision = data.revision;
      // Text that Python has from here is older than what stands here, or the same.
      if (!typing && data.text !== this.sent && data.text !== own) {
        this.field.value = data.text;
        this.sent = data.text;
      } else if (this.sent === null) {
        this.sent = data.text;
      }
    }
    this.base = data.text;
    this.spans = data.spans;
    this.limit = data.limit;
    this.legend = data.legend;
    this.field.setAttribute("aria-label", data.label);
    this.field.placeholder = data.placeholder;
    this.said.textContent = data.said;
    this.offer(data.chips);
    this.paint();
    this.show(null);
  }

  /** What Python gets: at most `limit` units, and no half of a surrogate pair. */
  text() {
    return this.field.value.slice(0, this.limit ?? Infinity).replace(/\p{Surrogate}/gu, "\uFFFD");
  }

  changed() {
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    const text = this.text();
    if (text === this.sent) return;
    this.sent = text;
    this.send("text", text);
  }

  offer(chips) {
    const names = chips.map((chip) => chip.text).join("\n");
    if (this.chips.dataset.names !== names) {
      this.chips.dataset.names = names;
      this.chips.replaceChildren(...chips.map((chip) => this.chip(chip)));
    }
    this.press();
  }

  chip({ title, text }) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.dataset.text = text;
    button.addEventListener("click", () => {
      this.field.value = text;
      this.paint();
      this.flush();
      if (!text) this.field.focus();
    });
    return button;
  }

  press() {
    const text = this.text();
    for (const button of this.chips.children) {
      const clears = button.dataset.text === "";
      button.setAttribute("aria-pressed", String(!clears && button.dataset.text === text));
      button.hidden = clears && text === "";
    }
  }

  /** The spans as they lie in the text of this moment: those before and behind what was changed since. */
  moved() {
    const [old, now] = [this.base, this.text()];
    if (old === now) return this.spans;
    const most = Math.min(old.length, now.length);
    let head = 0;
    while (head < most && old[head] === now[head]) head += 1;
    let tail = 0;
    while (tail < most - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
    const shift = now.length - old.length;
    return this.spans
      .filter((span) => span.e <= head || span.s >= old.length - tail)
      .map((span) => (span.e <= head ? span : { ...span, s: span.s + shift, e: span.e + shift }));
  }

  paint() {
    const text = this.field.value;
    this.shown = this.moved();
    const parts = [];
    let at = 0;
    for (const span of this.shown) {
      if (span.s > at) parts.push(text.slice(at, span.s));
      const mark = document.createElement("mark");
      mark.textContent = text.slice(span.s, span.e);
      mark.className = span.w < 0 ? "against" : "for";
      mark.style.setProperty("--strength", Math.abs(span.w).toFixed(3));
      mark.dataset.said = span.t;
      parts.push(mark);
      at = span.e;
    }
    // The last line of a block that ends in a line break has no height without something on it.
    parts.push(text.slice(at) + "\u200b");
    this.under.replaceChildren(...parts);
    this.press();
  }

  atPointer(event) {
    const under = this.field.getRootNode().elementsFromPoint(event.clientX, event.clientY);
    this.show(under.find((element) => element.localName === "mark")?.dataset.said ?? null);
  }

  atCaret() {
    const at = this.field.selectionStart;
    this.show(this.shown?.find((span) => span.s <= at && at <= span.e)?.t ?? null);
  }

  /** Say something of a word below the field; without one, what the colours mean. */
  show(said) {
    if (this.field.value.length > this.limit) {
      said = `Only the first ${this.limit.toLocaleString("en")} characters are read.`;
    }
    this.field.title = said ?? "";
    if (said !== null || !this.legend) {
      this.hint.textContent = said ?? "";
      return;
    }
    const [forWords, againstWords] = this.legend.map((words) => document.createTextNode(words));
    const [forSign, againstSign] = ["for", "against"].map((name) => {
      const sign = document.createElement("i");
      sign.className = name;
      return sign;
    });
    this.hint.replaceChildren(forSign, forWords, againstSign, againstWords);
  }
}

export default mount(".writer", Writer);
