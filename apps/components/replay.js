// What every replay has: a slider over moments, and a button that plays and pauses. A subclass has `frames`, their
// number, `pace(seconds)`, how many go by in a time, and `show(at)`.

export class Replay {
  constructor(root) {
    this.root = root;
    this.slider = root.querySelector("input");
    this.button = root.querySelector("button.play");
    this.at = 0;
    this.slider.addEventListener("input", () => {
      this.stop();
      this.show(Number(this.slider.value));
    });
    this.button.addEventListener("click", () => this.toggle());
  }

  toggle() {
    if (this.timer) this.stop();
    else this.play();
  }

  play() {
    if (!this.data) return;
    let start = null;
    const last = this.frames - 1;
    const from = this.at >= last ? 0 : this.at;
    const go = (now) => {
      if (!this.root.isConnected) return this.stop();
      start ??= now;
      const at = Math.min(last, from + Math.floor(this.pace((now - start) / 1000)));
      if (at !== this.at) this.show(at);
      if (at >= last) return this.stop();
      this.timer = requestAnimationFrame(go);
    };
    this.timer = requestAnimationFrame(go);
    this.button.textContent = "❚❚ Pause";
  }

  stop() {
    if (this.timer) cancelAnimationFrame(this.timer);
    this.timer = null;
    this.button.textContent = "▶ Play";
  }
}
