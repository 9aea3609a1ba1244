"""The parts of a page that run in the browser: their files, read once, and what comes back from them."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

_FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)


@st.cache_resource(show_spinner=False)
def component(name: str) -> Any:
    """Return the component made of NAME.html, NAME.css and NAME.js."""
    body = (_FOLDER / f"{name}.html").read_text("utf-8")
    return st.components.v2.component(name, html=body, css=style(name), js=script(name))


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


def style(name: str) -> str:
    """Return the style that all components have, and NAME.css."""
    return "".join((_FOLDER / f"{part}.css").read_text("utf-8") for part in ("base", name))


def is_number(value: Any) -> bool:
    """Tell whether a browser sent a number: JSON's truth values are none, although Python counts with them."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any, low: int, high: int) -> bool:
    """Tell whether a browser sent a whole number from `low` to `high`, which may come as 3.0."""
    return is_number(value) and low <= value <= high and value % 1 == 0


def sent(key: str, name: str) -> Any:
    """Return what the component `key` has sent last as `name`, kept for the session; None before it sent anything.

    The component's own state ends when it is not shown for a while.
    """
    value, kept = (st.session_state.get(key) or {}).get(name), f"{key}-kept"
    if value is not None:
        st.session_state[kept] = value
    return st.session_state.get(kept)


def packed(values: np.ndarray) -> str:
    """Return an array as the text that `unpack` in grids.js reads."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def named(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with an id that is another one whenever anything in it is."""
    return {**data, "id": hashlib.sha256(repr(data).encode()).hexdigest()[:16]}
