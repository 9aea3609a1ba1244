// Pictures in a grid, one of which is chosen; they are buttons, so Tab and Enter work.

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".gallery");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.label);
  root.style.setProperty("--tile", `${data.tile}px`);
  const ids = data.items.map((item) => item.id).join("\n");
  if (root.dataset.ids !== ids) {
    root.dataset.ids = ids;
    root.replaceChildren(...data.items.map(makeButton));
  }
  data.items.forEach((item, i) => {
    const button = root.children[i];
    const image = button.querySelector("img");
    if (image.src !== item.src) image.src = item.src; // the same place, another picture: keeps the focus
    image.classList.toggle("pixels", data.pixels);
    button.setAttribute("aria-pressed", String(item.id === data.chosen));
    button.onclick = () => {
      for (const other of root.children) other.setAttribute("aria-pressed", String(other === button)); // at once
      setStateValue("chosen", item.id);
    };
  });
}

function makeButton(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", item.alt);
  const image = document.createElement("img");
  image.alt = "";
  const title = document.createElement("span");
  title.className = "title";
  title.textContent = item.title;
  button.append(image, title);
  return button;
}
