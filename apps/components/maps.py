"""Maps side by side, with what each cell has seen in the maps before it; cells are chosen in the browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from components.browser import is_whole
from components.packed import lab_component, named, packed


@dataclass(frozen=True, eq=False)
class Map:
    """One map.

    Args:
        title: in the caption.
        values: [H, W], or [3, H, W] for the kind "colour" (0 to 255).
        kind: "grey", "signed" (blue below zero, orange above) or "colour".
        size, stride, start: cell i sees `size` pixels of the first map, from start + i * stride on.
        limits: lowest and highest value of the colours; None: the map's own, with 0.
        says: behind the title; "": its size.
    """

    title: str
    values: np.ndarray
    kind: str = "grey"
    size: float = 1
    stride: float = 1
    start: float = 0
    limits: tuple[float, float] | None = None
    says: str = ""


Chosen = tuple[int, int, int]  # map, row, column


def maps(
    shown: Sequence[Map], *, key: str, chosen: Chosen, hint: str = "", reports: bool = False, columns: int = 0
) -> Chosen:
    """Show maps and return the chosen cell.

    Args:
        shown: the maps, in the order of computing.
        key: of the widget.
        chosen: the cell to begin with.
        hint: a sentence below.
        reports: True: the page runs again when another cell is chosen, and this returns it.
        columns: in one row; 0: all.
    """
    state = (st.session_state.get(key) or {}).get("chosen") if reports else None
    if inside(state, shown):
        chosen = tuple(int(n) for n in state)
    data = {
        "maps": [
            {
                "title": one.title, "values": packed(one.values), "kind": one.kind, "rows": one.values.shape[-2],
                "columns": one.values.shape[-1], "range": list(one.limits) if one.limits else None,
                "says": one.says or " × ".join(map(str, one.values.shape[-2:])),
                "field": {"size": float(one.size), "stride": float(one.stride), "start": float(one.start)},
            }
            for one in shown
        ],
        "chosen": list(chosen), "hint": hint, "reports": reports, "across": columns or len(shown),
    }  # fmt: skip
    lab_component("maps")(key=key, data=named(data), on_chosen_change=lambda: None)
    return chosen


def inside(value: Any, shown: Sequence[Map]) -> bool:
    """Tell whether what the browser sent is a cell of these maps."""
    if not (isinstance(value, list | tuple) and len(value) == 3):
        return False
    number, row, column = value
    if not is_whole(number, 0, len(shown) - 1):
        return False
    rows, columns = shown[int(number)].values.shape[-2:]
    return is_whole(row, 0, rows - 1) and is_whole(column, 0, columns - 1)
