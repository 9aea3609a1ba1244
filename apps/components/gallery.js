// Pictures in a grid, one of which is chosen; they are buttons, so Tab and Enter work.

import { element } from "./grids.js";
import { mount } from "./mount.js";

class Gallery {
  constructor(root) {
    this.root = root;
    root.setAttribute("role", "group");
  }

  load(data) {
    const { root } = this;
    root.setAttribute("aria-label", data.label);
    root.style.setProperty("--tile", `${data.tile}px`);
    const ids = data.items.map((item) => item.id).join("\n");
    if (this.ids !== ids) {
      this.ids = ids;
      root.replaceChildren(...data.items.map((item) => this.button(item)));
    }
    data.items.forEach((item, i) => {
      const button = root.children[i];
      const image = button.querySelector("img");
      if (image.src !== item.src) image.src = item.src; // the same place, another picture: keeps the focus
      image.classList.toggle("pixels", data.pixels);
      button.setAttribute("aria-pressed", String(item.id === data.chosen));
    });
  }

  button(item) {
    const button = element("button");
    button.type = "button";
    button.setAttribute("aria-label", item.alt);
    const image = element("img");
    image.alt = "";
    button.append(image, element("span", "title", item.title));
    button.addEventListener("click", () => {
      for (const other of this.root.children) other.setAttribute("aria-pressed", String(other === button)); // at once
      this.send("chosen", item.id);
    });
    return button;
  }
}

export default mount(".gallery", Gallery);
