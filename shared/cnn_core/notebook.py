"""How results show themselves in a notebook: pictures as PNG, answers and cards as small tables.

Jupyter asks an object for `_repr_png_` or `_repr_html_` when it is the last line of a cell.
"""

import html
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BAR = 12  # em: the width of a bar of 100 %
STYLE = "text-align:left;padding:.1em .8em .1em 0"


class Pictured:
    """What can `save` itself as a picture shows that picture."""

    def save(self, path: Path | str) -> object:
        """Write a picture to a path that ends in .png."""
        raise NotImplementedError

    def _repr_png_(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "shown.png"
            self.save(file)
            return file.read_bytes()


class OfCard:
    """What has a weights card says which it is."""

    card: Any

    def __repr__(self) -> str:
        card = self.card
        classes = f", {len(card.labels)} classes" if card.labels else ""
        return f"<{card.domain} predictor: {card.name}, {card.model}{classes}>"


def table(rows: Iterable[Sequence[object]], *, head: Sequence[object] = (), title: str = "") -> str:
    """Return an HTML table of escaped cells; a cell that is `Markup` stays as it is."""
    lines: list[tuple[str, Sequence[object]]] = [("th", head)] if head else []
    lines += [("td", row) for row in rows]
    body = "".join(f"<tr>{''.join(_cell(kind, cell) for cell in cells)}</tr>" for kind, cells in lines)
    caption = f"<p><b>{html.escape(title)}</b></p>" if title else ""
    return f"{caption}<table>{body}</table>"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def bar(share: float) -> Markup:
    """Return a bar of a share from 0 to 1."""
    width = BAR * min(1.0, max(0.0, share))
    style = f"display:inline-block;height:.7em;width:{width:.2f}em;background:#b3390f"
    return Markup(f'<span style="{style}"></span>')


def _cell(kind: str, cell: object) -> str:
    inner = str(cell) if isinstance(cell, Markup) else html.escape(str(cell))
    return f'<{kind} style="{STYLE}">{inner}</{kind}>'
