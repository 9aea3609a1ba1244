"""Maps side by side, with what each cell has seen in the maps before it; cells are chosen in the browser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.browser import component, named, packed


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

    def nearest(self, pixel: int, count: int) -> int:
        """Return which of `count` cells in a row (or column) has its middle nearest to a pixel of the first map."""
        return min(count - 1, max(0, round((pixel - self.start - (self.size - 1) / 2) / self.stride)))


Chosen = tuple[int, int, int]  # map, row, column


def maps(
    shown: Sequence[Map], *, key: str, chosen: Chosen, hint: str = "", reports: bool = False, columns: int = 0
) -> None:
    """Show maps.

    Args:
        shown: the maps, in the order of computing.
        key: of the widget.
        chosen: the cell that is marked, until another one is chosen in the browser.
        hint: a sentence below.
        reports: True: the page runs again when another cell is chosen; it is in the session's state under `key`.
        columns: in one row; 0: all.
    """
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
    component("maps")(key=key, data=named(data), on_chosen_change=lambda: None)
