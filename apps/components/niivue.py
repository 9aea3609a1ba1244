"""NiiVue (BSD-2-Clause), which renders volumes with WebGL2, out of the package that brings it."""

import hashlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

# Where the script in that package begins to build its own page, and the class that we are after.
START = re.compile(r'const \w+=document\.getElementById\("root"\);.{0,80}\Z', re.DOTALL)
CLASS = re.compile(r'([\w$]+)=class extends EventTarget\{constructor\([^)]*\)\{super\(\),\w+\(this,"loaders"')


@dataclass(frozen=True)
class Script:
    """A JavaScript module, and the SHA-256 of it."""

    data: bytes
    digest: str


@st.cache_resource(show_spinner=False)
def niivue() -> Script | None:
    """Return NiiVue as a module that exports `Niivue`; None if it is not there in the form that we know.

    The package holds it inside the script of a page of its own, which exports nothing: the last statement, which
    builds that page, becomes an export.
    """
    package = find_spec("niivue_component")
    if package is None or not package.submodule_search_locations:
        return None
    file = Path(package.submodule_search_locations[0]) / "frontend" / "build" / "assets" / "index.js"
    text = file.read_text("utf-8") if file.is_file() else ""
    start, found = START.search(text), CLASS.findall(text)
    if start is None or len(found) != 1:
        return None
    data = f"{text[: start.start()]}export{{{found[0]} as Niivue}};".encode()
    return Script(data, hashlib.sha256(data).hexdigest())
