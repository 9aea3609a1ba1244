"""Where the picture comes from: drawn, a sample, a file, the camera."""

import streamlit as st
from PIL import Image

from components.bring import CAMERA, SAMPLES, UPLOAD, Picture, camera, choose_way, upload
from components.drawing_canvas import Stroke, draw, drawing_canvas
from components.frame import plain_errors
from components.gallery import Item, gallery, tile_of
from components.networks import Network
from components.pictures import Figure, figures
from components.samples import find_sample, kind_of, samples

DRAW = "Draw"

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
    way = choose_way([*([DRAW] if kind == "digits" else []), SAMPLES, UPLOAD, CAMERA], width="stretch")
    with plain_errors():
        if way == DRAW:
            drawing = draw(drawing_canvas(key="drawing", example=FIVE, label="Canvas to draw a digit on"))
            return Picture("drawing.png", drawing, drawing)
        if way == SAMPLES:
            return _sample(kind)
        brought = upload() if way == UPLOAD else camera()
        if brought is not None:
            said = f"{brought.name}, {brought.image.width} × {brought.image.height} pixels as shown here"
            figures([Figure(brought.image, said, "your picture")])
        return brought
    return None


def _sample(kind: str) -> Picture:
    choices = samples(kind)
    first, wanted = choices[0], st.query_params.get("sample")
    with plain_errors():
        first = find_sample(wanted) if wanted else first
    image = st.container()  # above the strip, although known only after it
    items = [Item(s.id, tile_of(s.path), s.title, s.title) for s in choices]
    pixels, tile = kind in ("digits", "clothes"), 130 if len(items) < 8 else 100
    chosen = find_sample(
        gallery(items, key=f"samples-{kind}", default=first.id, label="Samples", tile=tile, pixels=pixels)
    )
    st.query_params["sample"] = chosen.id
    picture = Picture(chosen.file, chosen.path.read_bytes(), Image.open(chosen.path))
    with image:
        said = f"{chosen.title[:1].upper()}{chosen.title[1:]}, {chosen.source}"
        figures([Figure(picture.image, said, chosen.title, pixels)])
    return picture
