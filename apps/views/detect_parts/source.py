"""Where the picture comes from: a sample, a file, the camera."""

import io
from functools import cache

import streamlit as st
from PIL import Image

from components.bring import CAMERA, SAMPLES, UPLOAD, Picture, camera, choose_way, upload
from components.frame import plain_errors
from components.gallery import Item, gallery
from components.networks import Network
from components.pictures import data_uri
from components.samples import FOLDER

SCENES = (3, 0, 11, 17)  # of the test scenes
CELLS = {"bccd-1": "blood smear 1", "bccd-2": "blood smear 2", "bccd-3": "blood smear 3"}  # of BCCD's test split


def choose_picture(network: Network) -> Picture | None:
    """Show the ways to bring a picture, and return it; None while there is none."""
    way = choose_way([SAMPLES, UPLOAD, CAMERA], width="stretch")
    with plain_errors():
        if way != SAMPLES:
            return upload() if way == UPLOAD else camera()
        known = sample_pictures(network)
        items = [
            Item(name, data_uri(picture.image, edge=200), name.replace("-", " ")) for name, picture in known.items()
        ]
        first = st.query_params.get("sample", "")
        chosen = gallery(items, key=f"samples-{items[0].id}", default=first, label="Samples", tile=100)
        st.query_params["sample"] = chosen
        return known[chosen]
    return None


def sample_pictures(network: Network) -> dict[str, Picture]:
    """Return the samples that suit a network, by id."""
    if network.card.section("data").get("data") == "bccd":
        return {name: _cells(name) for name in CELLS}
    return {f"street-{number}": _street(number) for number in SCENES}


@cache
def _cells(name: str) -> Picture:
    data = (FOLDER / f"{name}.jpg").read_bytes()
    image = Image.open(io.BytesIO(data))
    image.load()  # now: sessions share it
    return Picture(f"{name}.jpg", data, image)


@cache
def _street(number: int) -> Picture:
    from object_detection.streets import street_scenes

    *_, (image, _) = street_scenes("test", count=number + 1)
    block = io.BytesIO()
    image.save(block, "PNG")
    return Picture(f"street-{number}.png", block.getvalue(), image)
