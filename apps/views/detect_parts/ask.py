"""Asking a detector about a picture: its boxes and their reasons, computed once for the same pixels and weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw, ImageFont

from cnn_core.errors import DataError
from components.bars import bars
from components.bring import BY_DIGEST, Picture
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.pictures import SHOWN_EDGE

LOWEST = 0.1  # score from which on boxes are kept for the slider
# Told apart by lightness too (Okabe, Ito 2008, Color Universal Design).
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip


MOST_CLASSES = 12  # of which those are listed too that were not found


def published(network: Network) -> bool:
    """Tell whether a network is one of torchvision, which can be asked but not looked into."""
    return network.card.model.startswith("torchvision.")


def shown_labels(labels: Sequence[str], found: Sequence[Any]) -> list[str]:
    """Return the classes whose counts are shown: all of them, or of many those that were found."""
    if len(labels) <= MOST_CLASSES:
        return list(labels)
    return [label for label in labels if any(label in one.counts for one in found)]


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_DIGEST)
def ask(network: Network, picture: Picture) -> Any:
    """Return the `Detection` with all boxes that the slider can show.

    Raises:
        CnnError: the network cannot be loaded, or the picture cannot be read.
    """
    found = compute(predictor(network).predict, [picture.source], threshold=LOWEST)[0]
    if found.error is not None:
        raise DataError(found.error)
    return found


def counts(found: Any, network: Network) -> None:
    """Show how many of each class there are."""
    most = max(1, *found.counts.values()) if found.counts else 1
    each = sorted(shown_labels(network.card.labels, [found]), key=lambda label: -found.counts.get(label, 0))
    numbers = [found.counts.get(label, 0) for label in each]
    bars(each, [number / most for number in numbers], [str(number) for number in numbers])


def drawn(picture: Image.Image, found: Any, labels: list[str], *, chosen: int | None = None) -> Image.Image:
    """Return a picture with boxes on it, numbered by score, in the colours of their classes.

    Args:
        picture: as it is shown; the boxes are in pixels of the whole picture.
        found: a `Detection`.
        labels: of the network, for the colours.
        chosen: place of the box that is drawn thicker.
    """
    shown = picture.convert("RGB")
    shown = shown.resize([round(edge * max(1.0, SHOWN_EDGE / max(shown.size))) for edge in shown.size])
    scale = shown.width / max(1, found.size[0])
    pen, font = ImageDraw.Draw(shown), ImageFont.load_default(size=13)
    for place, box in reversed([*enumerate(found.boxes)]):  # the surest on top
        colour = COLOURS[labels.index(box.label) % len(COLOURS)]
        corners = [value * scale for value in box.box]
        pen.rectangle(corners, outline=colour, width=5 if place == chosen else 2)
        word = str(place + 1)
        left, top, right, bottom = pen.textbbox((corners[0] + 3, corners[1] + 1), word, font=font)
        pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=colour)
        pen.text((corners[0] + 3, corners[1] + 1), word, fill=(0, 0, 0), font=font)
    return shown


@remembered(64)  # pictures go with their owner
def reasons(network: Network, picture: Picture, method: str, box: int, threshold: float) -> np.ndarray:
    """Return the heat of a box over the picture, uint8 [H, W, 3].

    Raises:
        CnnError: the picture cannot be read, or the method does not suit the network.
    """
    return compute(_explain, predictor(network), picture.source, method, box, threshold)


def _explain(predictor: Any, source: Any, method: str, box: int, threshold: float) -> np.ndarray:
    found = predictor.explain(source, method=method, target=box, threshold=threshold)
    shown = Image.fromarray(found.overlay())
    shown.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return np.asarray(shown)


PARTS = {
    "left half": (0.0, 0.0, 0.5, 1.0), "right half": (0.5, 0.0, 1.0, 1.0), "upper half": (0.0, 0.0, 1.0, 0.5),
    "lower half": (0.0, 0.5, 1.0, 1.0), "middle": (0.25, 0.25, 0.75, 0.75),
}  # fmt: skip  # of a box


@remembered(64)
def when_covered(network: Network, picture: Picture, box: int, threshold: float) -> list[tuple[str, float]]:
    """Return what a box scores when a part of it is covered, for each of `PARTS`."""
    return compute(_cover, predictor(network), picture.source, box, threshold)


def _cover(predictor: Any, source: Any, number: int, threshold: float) -> list[tuple[str, float]]:
    from object_detection.explain import covered

    box = predictor.predict([source], threshold=threshold)[0].boxes[number]
    left, top, right, bottom = box.box
    found = []
    for name, (a, b, c, d) in PARTS.items():
        wide, high = right - left, bottom - top
        region = (left + a * wide, top + b * high, left + c * wide, top + d * high)
        found.append((name, covered(predictor, source, region, box=box)))
    return found
