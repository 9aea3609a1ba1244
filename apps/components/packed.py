"""Numbers on their way to the browser, and the scripts that read them there."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

_FOLDER = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def lab_component(name: str) -> Any:
    """Return the component `name`, whose script may use the functions of grids.js."""
    parts = {kind: (_FOLDER / f"{name}.{kind}").read_text("utf-8") for kind in ("html", "css")}
    script = "".join((_FOLDER / f"{part}.js").read_text("utf-8") for part in ("grids", name))
    return st.components.v2.component(name, js=script, **parts)


def packed(values: np.ndarray) -> str:
    """Return an array as the text that `unpack` in grids.js reads."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def named(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with an id that is another one whenever anything in it is."""
    return {**data, "id": hashlib.sha256(repr(data).encode()).hexdigest()[:16]}
