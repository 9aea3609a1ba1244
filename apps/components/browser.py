"""The parts of a page that run in the browser: their files, read once, and what comes back from them."""

import re
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)


@st.cache_resource(show_spinner=False)
def component(name: str) -> Any:
    """Return the component made of NAME.html, NAME.css and NAME.js."""
    body = (_FOLDER / f"{name}.html").read_text("utf-8")
    return st.components.v2.component(name, html=body, css=_style(name), js=script(name))


def script(name: str) -> str:
    """Return NAME.js as one script, the files that it imports in front: a component has no address to import from."""
    found: dict[str, str] = {}

    def read(part: str) -> None:
        text = (_FOLDER / f"{part}.js").read_text("utf-8")
        for other in _IMPORT.findall(text):
            if other not in found:
                read(other)
        found[part] = _IMPORT.sub("", text)

    read(name)
    return "".join(found.values())


@st.cache_resource(show_spinner=False)
def drawing(name: str, *, attributes: str = "") -> Any:
    """Return the component that shows the markup it is given, in the style of NAME.css.

    The markup is not looked at: whoever makes it escapes all text in it. `attributes` are those of the element around.
    """
    kind = name.replace("_", "-")
    script = (
        f"export default ({{ parentElement, data }}) => {{ parentElement.querySelector('.{kind}').innerHTML = data; }}"
    )
    body = f'<div class="{kind}"{attributes and " " + attributes}></div>'
    return st.components.v2.component(name, html=body, css=_style(name), js=script)


def _style(name: str) -> str:
    return "".join((_FOLDER / f"{part}.css").read_text("utf-8") for part in ("base", name))


def is_number(value: Any) -> bool:
    """Tell whether a browser sent a number: JSON's truth values are none, although Python counts with them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any, low: int, high: int) -> bool:
    """Tell whether a browser sent a whole number from `low` to `high`, which may come as 3.0."""
    return is_number(value) and low <= value <= high and value % 1 == 0
