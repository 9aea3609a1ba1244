"""The models page: the diagram of every network, drawn from a real run, with its costs on any input."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from cnn_core.errors import CnnError
from components.address import sections
from components.frame import download, note, page, warn
from components.network_diagram import show_legend
from views.models_parts.choose import MOST, choose, entries, title_of
from views.models_parts.everything import show_everything
from views.models_parts.look import layers_csv, show_comparison, show_layers, show_network, survey
from views.models_parts.reached import show_reached
from views.models_parts.speed import measured, offer_measuring

DIAGRAMS, ALL = "Diagrams", "All networks"

STEPS = """\
1. The network was built without values in its weights, and run once on an empty input of the size above.
2. Every layer recorded the shape of its output. The operations in between, sums and concatenations, gave the lines.
3. Parameters are counted from the weights; multiply-adds and receptive fields from every operation that ran.

Boxes are as high as the edge of the map (its power of 0.42) and as thick as its channels (power of 0.35), so that small
and large ones fit into one picture. The same on the command line and in Python:"""


def main() -> None:
    page(
        "How the networks are built",
        "From LeNet to ResNet and U-Net, drawn from a real run. Change the input and watch maps shrink, channels grow "
        "and costs follow.",
    )
    known = entries()
    sections({DIAGRAMS: lambda: _diagrams(known), ALL: lambda: show_everything(known)}, key="view")


def _diagrams(known: Mapping[str, Any]) -> None:
    names, size, dims = choose(known)
    if not names:
        note(f"Choose a network, or up to {MOST} to compare them.")
        return
    surveys = []
    for name in names:
        try:
            found = survey(name, size=size, dims=dims)
        except CnnError as error:
            st.subheader(title_of(name), anchor=False)
            warn(str(error))
            continue
        show_network(found)
        surveys.append(found)
    if not surveys:
        return
    show_legend(surveys, key="diagram-legend")
    st.header("Side by side" if len(surveys) > 1 else "What it costs", anchor=False)
    done = measured(surveys)
    show_comparison(surveys, done)
    offer_measuring(surveys, done)
    st.header("Its results" if len(names) == 1 else "Their results", anchor=False)
    show_reached(names)
    _layers(surveys)
    _how(surveys)


def _layers(surveys: Sequence[Any]) -> None:
    st.header("Layer by layer", anchor=False)
    names = [found.entry.name for found in surveys]
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "Network", names, default=names[0], format_func=title_of, required=True, key=f"models-of-{'-'.join(names)}"
        )
    found = surveys[names.index(name)]
    show_layers(found)
    download("Layers (CSV)", layers_csv(found), f"{name}-layers.csv", key="models-csv", kind="tertiary")


def _how(surveys: Sequence[Any]) -> None:
    with st.expander("How this was computed"):
        st.markdown(STEPS)
        shapes = {found.entry.name: "x".join(map(str, found.input_shape)) for found in surveys}
        lines = [
            f"cnn anatomy {found.entry.name} --input {shapes[found.entry.name]} --classes {found.classes}"
            for found in surveys
            if found.entry.name != "unet"
        ]
        if lines:
            st.code("\n".join(lines), language="bash")
        first = surveys[0]
        st.code(
            "import sys\n\n"
            'sys.path.append("apps")  # of the repository\n\n'
            "from zoo.plans import survey\n\n"
            f'found = survey("{first.entry.name}", size={first.input_shape[1]}, '
            f"spatial_dims={len(first.input_shape) - 1})\n"
            "found.parameters, found.multiply_adds, found.rows[0]",
            language="python",
        )


main()
