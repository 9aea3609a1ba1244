"""The picture that an idea is shown on: a sample, a drawing, an upload; small enough to see its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image, ImageOps

from cnn_core.data.frames import frame_notes
from components.address import pick
from components.bring import SUFFIXES, UPLOAD_LIMIT
from components.drawing_canvas import Stroke, draw, drawing_canvas
from components.frame import note, plain_errors
from components.kept import uploaded
from components.networks import compute
from components.pictures import png
from components.samples import Sample, find_sample
from views.image_parts.source import FIVE

DRAW, UPLOAD = "draw", "upload"
WORDS = {
    "seven": "A seven", "eight": "An eight", "boot": "A boot", "dahlia": "A dahlia", "palace": "A palace",
    "airplane": "An airplane", "ship": "A ship", DRAW: "Draw", UPLOAD: "Upload",
}  # fmt: skip
SMALL = 28  # edge of drawings, as in MNIST


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture: uint8 [H, W], or [H, W, 3] in colour; `file` is where the snippet finds it."""

    values: np.ndarray
    title: str
    file: str
    mode: str  # "L" or "RGB"

    @property
    def edge(self) -> int:
        return len(self.values)

    @property
    def own(self) -> list[tuple[str, bytes]]:
        """The file that the reader of the snippet has to download, if it is not in the repository."""
        return [] if "/" in self.file else [(self.file, png(self.values))]

    @property
    def code(self) -> str:
        """The lines that open it as `picture`, an array [H, W] or [H, W, 3] of 0 to 255."""
        return (
            f'picture = Image.open("{self.file}").convert("{self.mode}")\n'
            f"picture = np.asarray(ImageOps.fit(picture, ({self.edge}, {self.edge})), dtype=np.float32)"
        )


def choose_picture(options: Sequence[str], *, edge: int, mode: str = "L") -> Picture | None:
    """Let a picture be chosen; None while there is nothing drawn or uploaded.

    Args:
        options: ids of samples, `DRAW`, `UPLOAD`; the first is shown at the beginning.
        edge: of photographs, which are cut to a square; digits and drawings keep their 28 pixels.
        mode: "L" or "RGB".
    """
    chosen = pick(st.pills, "Picture", options, key="picture", required=True, format_func=WORDS.__getitem__)
    with plain_errors():
        if chosen == DRAW:
            place, _ = st.columns([2, 5])
            with place:
                strokes = drawing_canvas(key="picture-drawing", example=FIVE, label="Canvas to draw on")
            return _drawn(strokes, mode)
        if chosen == UPLOAD:
            return _uploaded(edge=edge, mode=mode)
        return sample_picture(find_sample(chosen), edge=edge, mode=mode)
    return None


def sample_picture(sample: Sample, *, edge: int, mode: str = "L") -> Picture:
    """Return a sample, photographs cut to a square of `edge` pixels."""
    image = Image.open(sample.path).convert(mode)
    if sample.kind != "photos":
        edge = image.width
    file = f"apps/assets/samples/{sample.file}"
    return Picture(np.asarray(ImageOps.fit(image, (edge, edge))), sample.title, file, mode)


def _drawn(strokes: tuple[Stroke, ...], mode: str) -> Picture:
    image = draw(strokes).resize((SMALL, SMALL), Image.Resampling.BOX).convert(mode)
    return Picture(np.asarray(image), "your drawing", "picture.png", mode)


def _uploaded(*, edge: int, mode: str) -> Picture | None:
    files = uploaded("A picture", SUFFIXES, key="picture-upload", limit=UPLOAD_LIMIT)
    if not files:
        note("A photo or a drawing of any size; it is made small here and not kept.")
        return None
    image = compute(_decode, files[0].data, files[0].name).convert(mode)
    for said in frame_notes(image):
        note(f"Of this file {said}.")
    return Picture(np.asarray(ImageOps.fit(image, (edge, edge))), "your picture", "picture.png", mode)


def _decode(data: bytes, name: str) -> Image.Image:
    from cnn_core.data.images import read_image  # brings torch along

    return read_image(data, name=name)
