"""Where the picture comes from: a sample, a file, the camera."""

import io
from functools import cache
from typing import Any

import streamlit as st
from PIL import Image

from components.bring import CAMERA, SAMPLES, UPLOAD, Picture, camera, choose_way, upload
from components.frame import plain_errors
from components.gallery import Item, gallery
from components.networks import Network
from components.pictures import data_uri
from components.samples import find_sample

SCENES = (33, 62, 41, 27, 55, 14, 2, 9)  # of the test scenes: each with a combination that training never showed
PHOTOS = ("palace", "astronaut", "cat", "coffee")


def speaks_of_scenes(network: Network) -> bool:
    """Tell whether a network learned from drawn scenes."""
    return network.card.section("data").get("data") == "scenes"


def decoder_of(network: Network) -> str:
    """Return the name of the decoder that writes a network's sentences."""
    return str(network.card.arguments["options"]["decoder"])


def sample_pictures(network: Network) -> dict[str, Picture]:
    """Return the samples that suit a network, by id."""
    if speaks_of_scenes(network):
        return {f"scene-{i}": _drawn(i)[1] for i in SCENES}
    return {name: _photo(name) for name in PHOTOS}


@cache
def _photo(name: str) -> Picture:
    sample = find_sample(name)
    data = sample.path.read_bytes()
    image = Image.open(io.BytesIO(data))
    image.load()  # now: sessions share it
    return Picture(sample.file, data, image)


@cache
def _tile(name: str) -> str:
    """Return a sample as the data URI of a tile."""
    picture = _photo(name) if name in PHOTOS else _drawn(int(name.removeprefix("scene-")))[1]
    return data_uri(picture.image, edge=200)


@cache
def _drawn(number: int) -> tuple[Any, Picture]:
    """Return a test scene and its drawing."""
    from image_captioning.scenes import make_scenes, render

    scene = make_scenes("test", count=number + 1)[-1]
    image = Image.fromarray(render([scene], seed=number)[0].permute(1, 2, 0).numpy())
    block = io.BytesIO()
    image.save(block, "PNG")
    return scene, Picture(f"scene-{number}.png", block.getvalue(), image)


def is_true(sentence: str, picture: Picture) -> bool | None:
    """Tell whether a sentence holds in a drawn scene; None for any other picture."""
    from image_captioning import grammar

    scene = next((scene for scene, drawing in map(_drawn, SCENES) if drawing is picture), None)
    return None if scene is None else grammar.is_true(sentence, scene)


def sentence_info(sentence: str, probability: float, picture: Picture) -> str:
    """Return how likely a sentence is, and for a drawn scene whether it is true."""
    true = is_true(sentence, picture)
    return probability_text(probability) + {None: "", True: ", true", False: ", not true of this picture"}[true]


def probability_text(probability: float) -> str:
    """Return the probability of a whole sentence, which is often small, as text."""
    if probability >= 0.001:
        return f"{100 * probability:.1f} %"
    return f"1 in {round(1 / probability):,}" if probability >= 1e-9 else "less than 1 in a billion"


def choose_picture(network: Network) -> Picture | None:
    """Show the ways to bring a picture, and return it; None while there is none."""
    way = choose_way([SAMPLES, UPLOAD, CAMERA])
    if way != SAMPLES:
        with plain_errors():
            return upload() if way == UPLOAD else camera()
        return None
    known = sample_pictures(network)
    items = [Item(name, _tile(name), name.replace("-", " ")) for name in known]
    first = st.query_params.get("sample", "")
    drawn = speaks_of_scenes(network)
    key = f"samples-{'scenes' if drawn else 'photos'}"
    chosen = gallery(items, key=key, default=first, label="Samples", tile=84, pixels=drawn)
    if chosen == items[0].id:
        st.query_params.pop("sample", None)
    else:
        st.query_params["sample"] = chosen
    return known[chosen]
