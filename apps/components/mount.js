// How every component begins and ends: one part for its place on the page, which hears of all data that Python sends.

const places = new WeakMap();

/**
 * The function that Streamlit calls after every run of the page, for a component drawn by `Part` in the element that
 * `selector` finds. A part has `load(data)`, called when `data.id` is another one (without an id: for all new data); it
 * may return a promise. The element is marked with data-ready when the newest data is shown.
 * `send(name, value)` and `trigger(name, value)` tell Python. It may have `refresh()`, called when the system turns
 * dark or light, and `stop()`, called when it leaves the page.
 */
export function mount(selector, Part) {
  return ({ parentElement, data, setStateValue, setTriggerValue }) => {
    const root = parentElement.querySelector(selector);
    if (!places.has(root)) places.set(root, { part: new Part(root) });
    const place = places.get(root);
    const { part } = place;
    Object.assign(part, { send: setStateValue, trigger: setTriggerValue });
    const id = data.id ?? data;
    if (place.id !== id) {
      place.id = id;
      Promise.resolve(part.load(data)).then(() => {
        if (place.id === id) root.dataset.ready = data.id ?? "";
      });
    }
    place.end?.abort(); // it is called again without having been left
    place.end = new AbortController();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    if (part.refresh) dark.addEventListener("change", () => part.refresh(), { signal: place.end.signal });
    const { end } = place;
    return () => {
      end.abort();
      part.stop?.();
    };
  };
}
