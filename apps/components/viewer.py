"""A scan in three linked planes, what was found in it, and a view in 3-D; all moves happen in the browser.

What is sent: an overview of at most `MOST_AT_ONCE` voxels and the first slice with the page's message, so that they are
seen at once, and the whole scan as files that the browser fetches in slabs, nearest slice first. The planes are drawn
from the browser's own copy of the scan, every voxel of it. NiiVue renders the overview in 3-D where there is WebGL2.

The planes are not NiiVue's: it keeps all of a scan in the graphics processor, more than once and as four bytes a voxel.
512 x 512 x 300 voxels took 2.0 GB there, and without a graphics processor 89 s to show and 113 s to change the window.
"""

import gzip
import hashlib
import json
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit import runtime

from components.browser import component
from components.volumes import Slabs, middle, own_window, pooled, shades, slabs, strongest, whole_numbers

MOST_AT_ONCE = 5_000_000  # voxels of the overview
MOST_VOXELS = 200_000_000  # that a browser is sent: three or four bytes each there; of larger scans the overview is all
CT_RANGE = (-1200, 3000)  # HU that the sliders reach
# Where the script in that package begins to build its own page, and the class that we are after.
START = re.compile(r'const \w+=document\.getElementById\("root"\);.{0,80}\Z', re.DOTALL)
CLASS = re.compile(r'([\w$]+)=class extends EventTarget\{constructor\([^)]*\)\{super\(\),\w+\(this,"loaders"')


@dataclass(frozen=True, eq=False)
class View:
    """What is shown.

    Args:
        voxels: [X, Y, Z] in RAS order, HU for a CT.
        spacing: mm along X, Y, Z.
        mask: uint8 [X, Y, Z]; 0 is no label.
        labels: names of the labels 1, 2, ...
        colours: a colour (0 to 255) for each of them.
        windows: name -> centre and width in HU; empty: the scan is no CT, its own range is shown.
        heat: 0 to 1, [X, Y, Z]: shown in place of the labels; None: the labels are shown.
        start: the voxel to begin at; None: the middle of what is labelled.
    """

    voxels: np.ndarray
    spacing: Sequence[float]
    mask: np.ndarray
    labels: Sequence[str]
    colours: Sequence[tuple[int, int, int]]
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    heat: np.ndarray | None = None
    start: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Packed:
    """What the browser gets: what the arrays are, the overview's (gzip, x running first), and those of all voxels."""

    header: Mapping[str, Any]
    overview: Mapping[str, bytes]
    full: Mapping[str, Slabs] = field(default_factory=dict)
    waiting: Mapping[str, tuple[np.ndarray, Callable[..., np.ndarray]]] = field(default_factory=dict)  # for `pack_rest`

    def adding(self, name: str, thin: np.ndarray, array: np.ndarray, convert: Callable[..., np.ndarray]) -> "Packed":
        """Return the same with one more array, which `convert` makes int16 or uint8, and its overview."""
        overview = {**self.overview, name: _gzip(thin)}
        if self.header["step"] == 1 or self.header["tooLarge"]:
            return replace(self, overview=overview)
        k = self.header["start"][2]  # the slice that is seen first comes with the message
        overview[f"{name}-first"] = _gzip(convert(array[..., k : k + 1]))
        return replace(self, overview=overview, waiting={**self.waiting, name: (array, convert)})


@dataclass(frozen=True)
class Script:
    """A JavaScript module, and the SHA-256 of it."""

    data: bytes
    digest: str


def _gzip(array: np.ndarray) -> bytes:
    return gzip.compress(array.tobytes(order="F"), compresslevel=4, mtime=0)


def viewer(packed: Packed, *, key: str) -> None:
    """Show what `pack` made."""
    script = niivue()
    header = {
        **packed.header,
        "ids": {name: hashlib.sha256(part).hexdigest()[:16] for name, part in packed.overview.items()},
        "overview": {name: len(part) for name, part in packed.overview.items()},
        "full": {
            name: {"depth": part.depth, "ends": part.ends, "url": _url(part, "application/gzip", f"{key}-{name}")}
            for name, part in packed.full.items()
        },
        "niivue": script and _url(script, "text/javascript", "niivue"),
    }
    text = json.dumps(header).encode()
    block = b"".join([struct.pack("<I", len(text)), text, *packed.overview.values()])
    component("viewer")(key=key, data=block)


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


def _url(file: Any, kind: str, place: str) -> str:
    """Return where the browser fetches a file's `data` from as long as the page shows `place`; "" without a server."""
    if not runtime.exists():
        return ""
    # of long data the storage looks at parts only: the digest as its name keeps two that differ elsewhere apart
    url = runtime.get_instance().media_file_mgr.add(file.data, kind, place, file_name=file.digest)
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}{url}" if base else url


def pack(view: View) -> Packed:
    """Return what the browser needs to begin; a large scan's voxels are still waiting for `pack_rest`."""
    step = max(1, ceil((view.voxels.size / MOST_AT_ONCE) ** (1 / 3)))
    numbers = whole_numbers(view.voxels, in_hu=bool(view.windows))
    values = numbers.convert(view.voxels[::step, ::step, ::step])
    windows = {name: list(window) for name, window in view.windows.items()} or {"Whole range": own_window(values)}
    header = {
        "shape": list(view.voxels.shape),
        "step": step,
        "tooLarge": MOST_VOXELS if view.voxels.size > MOST_VOXELS else 0,
        "spacing": [float(length) for length in view.spacing],
        "labels": list(view.labels),
        "colours": [[0, 0, 0], *map(list, view.colours)],
        "windows": windows,
        "window": next(iter(windows.values())),
        "range": list(CT_RANGE if view.windows else numbers.range),
        "unit": "HU" if view.windows else "",
        "values": [numbers.factor, numbers.offset],
        "start": list(view.start or middle(view.mask)),
    }
    packed = Packed(header, {}).adding("voxels", values, view.voxels, numbers.convert)
    packed = packed.adding("mask", pooled(view.mask, step), view.mask, lambda part: part.astype(np.uint8))
    return packed if view.heat is None else with_heat(packed, view.heat)


def pack_rest(packed: Packed) -> Packed:
    """Return the same with every voxel."""
    rest = {name: slabs(array, convert) for name, (array, convert) in packed.waiting.items()}
    return replace(packed, full={**packed.full, **rest}, waiting={})


def with_heat(packed: Packed, heat: np.ndarray) -> Packed:
    """Return the same scan with heat, 0 to 1, [X, Y, Z], shown in place of the labels."""
    step = packed.header["step"]
    layers = [strongest(shades(heat[..., k : k + step]), step) for k in range(0, heat.shape[2], step)]
    return packed.adding("heat", np.stack(layers, 2), heat, shades)
