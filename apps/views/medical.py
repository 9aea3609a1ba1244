"""The medical page: a scan in, a mask with millilitres out; nodules judged."""

import streamlit as st

from components.commands import file_word, network_word
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network, networks
from views.medical_parts.ask import Given
from views.medical_parts.nodule import show_nodule
from views.medical_parts.result import show_result
from views.medical_parts.source import choose
from views.medical_parts.steps import mask_steps, nodule_steps

FAVOURITE = "lung-ct"  # chosen at first, if it is there
DISCLAIMER = "Research and teaching only, not for diagnosis."


def main() -> None:
    page(
        "What is in this scan?",
        "A CT in, a mask with volumes out, on the scan's own voxels. Move through it in three planes.",
    )
    st.html(f'<p class="disclaimer" role="note">{DISCLAIMER}</p>')
    known = networks("medical_segmentation")
    if not known:
        st.warning("There are no networks yet. Train one in two minutes with: cnn train phantom")
        return
    network = choose_network(known, FAVOURITE)
    with plain_errors():
        given = choose(network)
        if given is None:
            note("The answer appears here.")
            return
        judged = network.card.input["goal"] == "malignancy"
        send_rest = None
        if judged:
            show_nodule(network, given)
        else:
            send_rest = show_result(network, given)
        _how(network, given)
        if send_rest:
            send_rest()


def _how(network: Network, given: Given) -> None:
    judged = network.card.input["goal"] == "malignancy"
    method = "grad-cam" if judged else "entropy"
    arguments = f"{network_word(network)} {file_word(given.name)}"
    commands = [
        f"cnn predict {arguments}" + ("" if judged else " --output out"),
        f"cnn explain {arguments} --method {method} --output why.png",
    ]
    steps = nodule_steps(network.card.input) if judged else mask_steps(network.card.input)
    how_computed(network.card, commands=commands, steps=steps, file=given.file)


main()
