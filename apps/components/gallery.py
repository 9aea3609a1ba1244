"""A grid of pictures of which one is chosen by a click."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import streamlit as st
from PIL import Image

from components.browser import component
from components.pictures import data_uri

TILE = 260  # pixels, twice what a tile is wide


@dataclass(frozen=True)
class Item:
    """A picture of the grid."""

    id: str
    src: str  # a data URI
    alt: str  # what a screen reader says
    title: str = ""  # written below it


@lru_cache(maxsize=256)
def tile_of(file: Path) -> str:
    """Return a picture file that does not change, such as a sample, as the data URI of a tile."""
    return data_uri(Image.open(file), edge=TILE)


def gallery(items: Sequence[Item], *, key: str, default: str, label: str, tile: int = 76, pixels: bool = False) -> str:
    """Show the pictures and return the id of the chosen one.

    Args:
        items: at least one picture.
        key: of the widget; the choice is kept under it for the session.
        default: id to choose at first; an unknown one means the first picture.
        label: what screen readers call the grid.
        tile: least width of a picture in CSS pixels; the grid fills its place.
        pixels: True shows the pixels of small pictures as squares.
    """
    known = [item.id for item in items]
    kept = f"{key}-kept"
    state = st.session_state.get(key) or {}
    candidates = (state.get("chosen"), st.session_state.get(kept), default, known[0])
    chosen = next(candidate for candidate in candidates if candidate in known)
    data = {"items": [asdict(item) for item in items], "chosen": chosen, "label": label, "tile": tile, "pixels": pixels}
    result = component("gallery")(key=key, data=data, on_chosen_change=lambda: None)
    if result.chosen in known:
        chosen = result.chosen
    st.session_state[kept] = chosen
    return chosen
