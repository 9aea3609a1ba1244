"""Which networks, and on which input: the choices of the models page, kept in its address."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from cnn_core.errors import unknown_name
from components.frame import warn
from components.networks import compute

FAVOURITE = "resnet18"
MOST = 4  # networks at a time
LARGEST = 4096  # pixels along an edge
STEP = 8
FAMILIES = {
    "resnet": "ResNet-", "vgg": "VGG-", "mlp": "MLP", "lenet": "LeNet-5", "alexnet": "AlexNet",
    "inception": "Inception (GoogLeNet)", "unet": "U-Net", "fastnet": "FastNet", "kim_cnn": "Kim’s text CNN",
    "char_cnn": "Character CNN", "dpcnn": "Deep pyramid CNN", "mobilenet": "MobileNet",
    "pilotnet": "PilotNet",
}  # fmt: skip
AXES = {1: "1-D, sequences", 2: "2-D, pictures", 3: "3-D, volumes"}


def title_of(name: str) -> str:
    """Return how people call a network."""
    family = next((f for f in sorted(FAMILIES, key=len, reverse=True) if name.startswith(f)), "")
    called, rest = FAMILIES.get(family, name), name[len(family) :]
    if rest.endswith("_bn"):
        return f"{called}{rest[:-3]} with batch norm"
    return called + rest


@st.cache_resource(show_spinner="Loading the networks")
def entries() -> Mapping[str, Any]:
    """Return name -> the network's entry in the core's registry, oldest first; loads torch with its first use."""

    def find() -> Mapping[str, Any]:
        from zoo.plans import zoo_entries

        return zoo_entries()

    return compute(find)


def choose(known: Mapping[str, Any]) -> tuple[list[str], int, int]:
    """Show the controls and return the networks chosen, and size and axes of their input."""
    _begin(known)
    names = st.multiselect(
        "Networks", list(known), key="models-names", max_selections=MOST, filter_mode="fuzzy",
        format_func=lambda name: f"{title_of(name)}, {known[name].year}", placeholder="Choose up to four",
        on_change=_follow, args=(known,),
    )  # fmt: skip
    left, right = st.columns([2, 3], gap="medium")
    with left:
        size = st.number_input(
            "Input size, cells along every edge", 1, LARGEST, key="models-size", step=STEP,
            help="The channels stay those of the paper.",
        )  # fmt: skip
    with right:
        dims = st.segmented_control("Axes", list(AXES), format_func=AXES.__getitem__, key="models-dims", required=True)
    size, dims = int(size), int(dims or 2)
    _keep(names, size, dims)
    return names, size, dims


def _begin(known: Mapping[str, Any]) -> None:
    """Take the first values from the address; what is wrong there is said, and left out."""
    state, query = st.session_state, st.query_params
    if "models-names" not in state:
        wanted = list(dict.fromkeys(filter(None, query.get("model", FAVOURITE).split(","))))
        for name in wanted:
            if name not in known:
                warn(str(unknown_name("model", name, known)))
        state["models-names"] = [name for name in wanted if name in known][:MOST] or [FAVOURITE]
        state["models-first"] = _own(known, state["models-names"][0])
    names = state["models-names"]
    size, dims = _own(known, names[0] if names else FAVOURITE)
    if "models-size" not in state:
        state["models-size"] = _number(query.get("size"), size, 1, LARGEST)
    if "models-dims" not in state:
        state["models-dims"] = _number(query.get("dims"), dims, 1, 3)


def _follow(known: Mapping[str, Any]) -> None:
    """When another network comes first, its own input takes the place of the former one's, unless that was changed."""
    state = st.session_state
    if not state["models-names"]:
        return
    before, now = state["models-first"], _own(known, state["models-names"][0])
    if (state["models-size"], state["models-dims"]) == before:
        state["models-size"], state["models-dims"] = now
    state["models-first"] = now


def _own(known: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return size and axes of a network's input in its paper."""
    edges = known[name].input_shape[1:]
    return edges[0], len(edges)


def _keep(names: list[str], size: int, dims: int) -> None:
    """Write the choices into the address, unless they are what the page opens with."""
    values: dict[str, str | None] = {"model": ",".join(names), "size": str(size), "dims": str(dims)}
    if values == {"model": FAVOURITE, "size": "224", "dims": "2"}:
        values = dict.fromkeys(values)
    for name, value in values.items():
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]


def _number(text: str | None, default: int, least: int, most: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 9:
        return default
    return min(most, max(least, int(text)))
