"""The medical page: a scan in, a mask with millilitres out; nodules judged."""

import streamlit as st

from components.commands import asking, file_word
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network
from views.medical_parts.ask import Given
from views.medical_parts.nodule import show_nodule
from views.medical_parts.result import show_reliability, show_result
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
    training = "Train one in two minutes with: cnn train phantom"
    _, network = choose_network("medical_segmentation", FAVOURITE, training=training)
    if network is None:
        return
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
        if not judged:
            show_reliability(network)
        if send_rest:
            send_rest()


def _how(network: Network, given: Given) -> None:
    rule = network.card.input
    word = file_word(given.name)
    if rule["goal"] == "malignancy":
        commands, steps = asking(network, word, method="grad-cam"), nodule_steps(rule)
    else:
        series = "" if given.series is None else f" --series {given.series}"
        series += "" if given.volume is None else f" --volume {given.volume}"
        commands, steps = asking(network, word, method="entropy", saved=f"{series} --output out"), mask_steps(rule)
        commands = commands[:1] if series else commands  # the reasons are those of the first series, and of no volume
    how_computed(network.card, commands=commands, steps=steps, file=given.file)


main()
