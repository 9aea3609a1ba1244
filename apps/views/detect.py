"""The detection page: a picture in, boxes out, how many of each, and why each box is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.weights.reports import read_report
from components.address import sections
from components.box_report import show_box_report
from components.bring import Picture
from components.charts import load_early
from components.commands import asking, file_word
from components.downloads import csv_and_json
from components.frame import how_computed, note, page, plain_errors, warn
from components.networks import Network, choose_network, compute
from components.pictures import Figure, figures
from views.detect_parts.ask import LOWEST, ask, counts, drawn, published
from views.detect_parts.batch import show_many
from views.detect_parts.source import choose_picture
from views.detect_parts.why import choose_box, show_why

FAVOURITE = "bccd"  # chosen at first, if it is there
ONE, MANY, TEST = "One picture", "Many pictures", "How good it is"
REPORT_LIMIT = 16 << 20  # bytes
STEPS = """\
1. The picture was brought into the network's input whole, as in training; the rule is in the model card.
2. At every location of its grids, a fine one for small things and coarser ones for large things, the
   network said what is there, how good its box is, and how far the box goes. The score is the geometric mean of
   class probability and expected overlap.
3. Of boxes of one class that overlap by more than {overlap} of their union, the surest was kept. The slider hides boxes
   below a score; it asks the network nothing.

The same on the command line:"""
STEPS_OF_OTHERS = """\
1. The picture went into torchvision's network as it is, which brings it to its own size.
2. The network proposed boxes and said what is in each; how, the paper of that network says.
3. Of boxes of one class that overlap by more than {overlap} of their union, the surest was kept. The slider hides boxes
   below a score; it asks the network nothing. Which pixels led to a box is shown of networks that were trained here.

The same on the command line:"""


def main() -> None:
    page(
        "What is where in this picture?",
        "Drop a picture, or take a sample. A small network draws a box around everything that it knows, "
        "counts them, and shows why each box is there.",
    )
    load_early()
    _, network = choose_network("object_detection", FAVOURITE, training="Train one with: cnn train streets")
    if network is None:
        return
    parts = {ONE: lambda: _one(network), MANY: lambda: show_many(network), TEST: lambda: _test(network)}
    sections(parts, key="view")


def _one(network: Network) -> None:
    left, right = st.columns([6, 5], gap="medium")
    with left:
        picture = choose_picture(network)
    if picture is None:
        with right:
            note("The boxes appear here.")
        return
    found, box = None, None
    with right, plain_errors():
        with st.spinner("Loading the network"):
            whole = ask(network, picture)
        own = float(str(network.card.input["threshold"]))
        # The slider belongs to the network: another one has another threshold.
        threshold = st.slider(
            "Show boxes from a score of", LOWEST, 0.95, max(LOWEST, round(own, 2)), 0.05, key=f"threshold-{network.id}"
        )
        found = whole.above(threshold)
        counts(found, network)
        if found.boxes:
            box = choose_box([f"{k + 1}: {entry.label}, {entry.score:.2f}" for k, entry in enumerate(found.boxes)])
        else:
            note("Nothing was found from this score on. Lower it, or try a picture like those that it learned from.")
        for said in whole.warnings:
            warn(said)
        _downloads(found, picture)
    if found is None:
        return
    with left:
        shown = drawn(picture.image, found, list(network.card.labels), chosen=box)
        figures([Figure(shown, _caption(picture, found), _alt(found))], square=False)
    with plain_errors():
        if box is not None and not published(network):
            chosen = found.boxes[box]
            show_why(network, picture, box, f"{chosen.label} {box + 1}", chosen.score)
    card = network.card
    steps = (STEPS_OF_OTHERS if published(network) else STEPS).format(overlap=card.input["overlap"])
    commands = asking(network, file_word(picture.name), method=st.session_state.get("method", "layer-cam"))
    how_computed(card, commands=commands, steps=steps, file=picture.file)


def _downloads(found: Any, picture: Picture) -> None:
    from object_detection.writing import boxes_table

    name = Path(picture.name).stem
    with st.container(horizontal=True, gap="small"):
        named = {**found.to_json(), "input": picture.name}
        csv_and_json(boxes_table([found]), named, name=f"{name}-boxes", key="boxes")


def _caption(picture: Picture, found: Any) -> str:
    return f"{picture.name}, {found.size[0]} × {found.size[1]} pixels, {len(found.boxes)} boxes"


def _alt(found: Any) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in found.counts.items())
    return f"the picture with boxes: {counts or 'none'}"


def _test(network: Network) -> None:
    with plain_errors():
        report = compute(read_report, network.folder, _restored, limit=REPORT_LIMIT)
        if report is None:
            note(f"No report lies beside these weights. Measure them with: cnn eval {network.id}")
            return
        show_box_report(report, key=network.id)


def _restored(values: Mapping[str, Any]) -> Any:
    from object_detection.metrics import Report

    return Report.from_json(values)


main()
