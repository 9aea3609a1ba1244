"""Pictures on a page: as data URIs, with captions, as a download."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

SHOWN_EDGE = 640  # pixels; larger pictures are shrunk before they travel to the browser


@dataclass(frozen=True)
class Figure:
    """A picture with its caption."""

    image: Image.Image | np.ndarray
    caption: str
    alt: str
    pixels: bool = False  # True: show the pixels of a small picture as squares
    across: tuple[str, ...] = ()  # ticks below the picture, evenly spaced from its left to its right end
    up: tuple[str, ...] = ()  # ticks on its left, from the bottom to the top


def png(image: Image.Image | np.ndarray) -> bytes:
    """Encode a picture, or an array uint8 [H, W] or [H, W, 3], as PNG."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def data_uri(image: Image.Image | np.ndarray, *, edge: int = SHOWN_EDGE) -> str:
    """Return a picture as the text that an <img> takes, no larger than `edge`."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if max(image.size) > edge:
        image = image.copy()
        image.thumbnail((edge, edge))
    if image.mode == "RGB" and max(image.size) > 200:  # photographs: a tenth of the size
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def figures(items: Sequence[Figure], *, square: bool = True) -> None:
    """Show pictures side by side; on narrow screens two in a row."""
    st.html(f'<div class="figures">{"".join(_figure(item, square) for item in items)}</div>')


def _figure(item: Figure, square: bool) -> str:
    kinds = " ".join(name for name, wanted in (("pixels", item.pixels), ("square", square)) if wanted)
    image = f'<img src="{data_uri(item.image)}" alt="{html.escape(item.alt)}" class="{kinds}">'
    if item.across or item.up:
        up, across = (
            "".join(f"<span>{html.escape(tick)}</span>" for tick in ticks) for ticks in (item.up[::-1], item.across)
        )
        image = f'<div class="plotted"><div class="up">{up}</div>{image}<div class="across">{across}</div></div>'
    return f'<figure class="figure">{image}<figcaption>{html.escape(item.caption)}</figcaption></figure>'
