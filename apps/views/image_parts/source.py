"""Where the picture comes from: drawn, a sample, a file, the camera."""

import streamlit as st
from PIL import Image

from cnn_core.errors import CnnError
from components.bring import Picture, camera, show, upload
from components.drawing_canvas import Stroke, draw, drawing_canvas
from components.frame import plain_errors, sentence
from components.gallery import Item, gallery, tile_of
from components.kept import recall, retain
from components.networks import Network
from components.pictures import Figure, figures
from components.samples import Sample, find_sample, kind_of, samples

DRAW, SAMPLES, UPLOAD, CAMERA = "Draw", "Samples", "Upload", "Camera"

# A five, written by us: the belly first, the roof last.
BELLY = (
    (372, 236), (362, 300), (350, 372), (338, 446), (392, 414), (460, 400), (530, 408), (592, 444), (628, 502),
    (634, 572), (608, 644), (556, 700), (486, 732), (410, 736), (344, 712),
)  # fmt: skip
ROOF = ((372, 236), (440, 240), (520, 238), (590, 230), (640, 222))
FIVE = (Stroke(80, BELLY), Stroke(80, ROOF))


def choose_picture(network: Network) -> Picture | None:
    """Show the ways to bring a picture, and return it; None while there is none."""
    kind = kind_of(network.card.labels, channels=network.channels)
    ways = [DRAW, SAMPLES, UPLOAD, CAMERA] if kind == "digits" else [SAMPLES, UPLOAD, CAMERA]
    recall("input", ways, ways[0], wanted=SAMPLES if "sample" in st.query_params else None)
    way = st.segmented_control(
        "Picture from", ways, key="input", required=True, label_visibility="collapsed", width="stretch"
    )
    retain("input")
    if way != SAMPLES and "sample" in st.query_params:
        del st.query_params["sample"]
    with plain_errors():
        if way == DRAW:
            drawing = draw(drawing_canvas(key="drawing", example=FIVE, label="Canvas to draw a digit on"))
            return Picture("drawing.png", drawing, drawing)
        if way == SAMPLES:
            return _sample(kind)
        brought = upload() if way == UPLOAD else camera()
        if brought is not None:
            show(brought)
        return brought
    return None


def _sample(kind: str) -> Picture:
    choices = samples(kind)
    wanted = st.query_params.get("sample", "")
    try:
        first = find_sample(wanted) if wanted else choices[0]
    except CnnError as error:
        st.warning(sentence(str(error)))
        first = choices[0]
    image = st.container()  # above the strip, although known only after it
    items = [Item(s.id, tile_of(s.path), s.title, s.title) for s in choices]
    pixels = kind != "photos"
    chosen = find_sample(
        gallery(
            items,
            key=f"samples-{kind}",
            default=first.id,
            label="Samples",
            tile=130 if len(items) < 8 else 100,
            pixels=pixels,
        )
    )
    st.query_params["sample"] = chosen.id
    with image:
        _show(chosen, pixels)
    return Picture(chosen.file, chosen.path.read_bytes(), Image.open(chosen.path))


def _show(sample: Sample, pixels: bool) -> None:
    figures(
        [
            Figure(
                Image.open(sample.path),
                f"{sample.title[:1].upper()}{sample.title[1:]}, {sample.source}",
                sample.title,
                pixels,
            )
        ]
    )
