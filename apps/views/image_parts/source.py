"""Where the picture comes from: drawn, a sample, a file, the camera."""

import streamlit as st
from PIL import Image

from cnn_core.errors import CnnError
from components.frame import note, plain_errors, sentence
from components.gallery import Item, gallery
from components.networks import Network, compute
from components.pictures import SHOWN_EDGE, Figure, data_uri, figures
from components.samples import Sample, find_sample, kind_of, samples
from components.slate import Stroke, draw, slate
from views.image_parts.ask import Picture

DRAW, SAMPLES, UPLOAD, CAMERA = "Draw", "Samples", "Upload", "Camera"
UPLOAD_LIMIT = 20  # MB
SUFFIXES = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic"]

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
    first = SAMPLES if "sample" in st.query_params else ways[0]
    if st.session_state.get("input") not in ways:
        st.session_state["input"] = first
    way = st.segmented_control(
        "Picture from", ways, key="input", required=True, label_visibility="collapsed", width="stretch"
    )
    if way != SAMPLES and "sample" in st.query_params:
        del st.query_params["sample"]
    with plain_errors():
        if way == DRAW:
            drawing = draw(slate(key="slate", example=FIVE, label="Slate to draw a digit on"))
            return Picture("drawing.png", drawing, drawing)
        if way == SAMPLES:
            return _sample(kind)
        if way == UPLOAD:
            return _upload()
        return _camera()
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
    items = [Item(s.id, data_uri(Image.open(s.path)), s.title, s.title) for s in choices]
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


def _upload() -> Picture | None:
    file = st.file_uploader(
        "A picture", SUFFIXES, key="upload", max_upload_size=UPLOAD_LIMIT, label_visibility="collapsed",
    )  # fmt: skip
    if file is None:
        note("A photo, a scan, a drawing: any size, any orientation. It is answered here and not kept.")
        return None
    return _read(file.getvalue(), file.name)


def _camera() -> Picture | None:
    if not st.toggle("Camera on", key="camera-on"):
        note("The picture is taken in your browser, answered here, and not kept.")
        return None
    file = st.camera_input("Take a picture", key="camera", label_visibility="collapsed")
    return _read(file.getvalue(), "camera.jpg") if file else None


def _read(data: bytes, name: str) -> Picture:
    image = compute(_decode, data, name)
    figures([Figure(image, f"{name}, {image.width} × {image.height} pixels as shown here", "your picture")])
    return Picture(name, data, image)


def _decode(data: bytes, name: str) -> Image.Image:
    from cnn_core.data.images import read_image  # brings torch along

    image = read_image(data, name=name, at_least=SHOWN_EDGE)
    image.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return image
