"""What the filters look for, and where the network errs: the report of the test set that lies beside the weights."""

import html
from collections.abc import Sequence
from typing import Any

import streamlit as st

from cnn_core.weights.reports import REPORT_FILE
from components.address import pick
from components.bars import percent
from components.bring import BY_DIGEST
from components.frame import note, plain
from components.matrix import confusion
from components.networks import Network, compute
from components.tables import table
from components.texts import kind_of
from views.text_parts.ask import names, signed

SHOWN = 12  # filters, before all are wanted
MISTAKES = 12  # in the table
LEFT_OUT = "Left out when these weights were taken away, because it quotes the texts that they learned from."


def show_filters(network: Network) -> None:
    """Show the n-gram explorer, the confusion matrix and the worst mistakes."""
    try:
        changed = (network.folder / REPORT_FILE).stat().st_mtime_ns
    except OSError:  # written last, some seconds behind the weights
        changed = 0
    report = _report(network, str(network.folder), changed)
    if report is None:
        note("No report lies beside these weights. Training them again writes one; the command is in the model card.")
        return
    _explorer(network, report)
    left, right = st.columns([5, 6], gap="large")
    with left:
        _matrix(network, report)
    with right:
        _mistakes(network, report)


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=BY_DIGEST)
def _report(network: Network, folder: str, changed: int) -> Any:
    def read() -> Any:
        from text_classification.report import read_report

        return read_report(network.folder)

    return compute(read)


def _explorer(network: Network, report: Any) -> None:
    st.subheader("N-grams that the filters detect", anchor=False)
    if report.ngrams is None:
        note(LEFT_OUT)
        return
    entries = [entry for entry in report.ngrams if entry.ngrams]
    if not entries:
        note(f"{network.card.model} has several layers: its filters do not detect n-grams of their own.")
        return
    note(
        "Each filter responds to some n-grams more than to all others. Here are the n-grams of the training texts with "
        "the highest activation; filters with the largest weight for the class come first."
    )
    labels = [label for label in network.card.labels if any(entry.label == label for entry in entries)]
    called = dict(zip(labels, map(plain, names(network, labels)), strict=True))
    chosen = pick(st.pills, "Class", labels, key="class", required=True, format_func=called.__getitem__)
    own = sorted((entry for entry in entries if entry.label == chosen), key=lambda entry: -entry.weight)
    everything = len(own) > SHOWN and st.toggle(f"All {len(own)} filters of this class", key="all-filters")
    shown = own if everything else own[:SHOWN]
    largest = max(value for entry in shown for _, value in entry.ngrams)
    cards = "".join(_card(entry, largest) for entry in shown)
    st.html(f'<div class="ngrams">{cards}</div>')


def _card(entry: Any, largest: float) -> str:
    lines = "".join(
        f'<li style="--share:{value / largest:.3f}"><span>{html.escape(ngram)}</span><i>{value:.2f}</i></li>'
        for ngram, value in entry.ngrams
    )
    words = "word" if entry.width == 1 else "words"
    said = html.escape(f"{entry.width} {words}, weight {signed(entry.weight)}")
    return f'<section><p><b>Filter {entry.filter}</b><span>{said}</span></p><ol dir="auto">{lines}</ol></section>'


def _matrix(network: Network, report: Any) -> None:
    st.subheader("Confusion matrix", anchor=False)
    accuracy = report.metrics.get("accuracy")
    if accuracy is not None:
        right = sum(row[k] for k, row in enumerate(report.confusion))
        note(f"Test accuracy {percent(accuracy)}: {right:,} of {report.n:,} texts.")
    confusion(report.confusion, names(network, report.labels))


def _mistakes(network: Network, report: Any) -> None:
    st.subheader("Most confident mistakes", anchor=False)
    if report.mistakes is None:
        note(LEFT_OUT)
        return
    if not report.mistakes:
        note("It made none on the test texts.")
        return
    note(f"Wrong predictions of the highest probability: {kind_of(network.card.labels).title} of the test set, each.")
    rows: list[Sequence[str]] = []
    for mistake in report.mistakes[:MISTAKES]:
        truth, said = names(network, [mistake.truth, mistake.answer])
        rows.append((mistake.input, truth, said, percent(mistake.probability)))
    table(
        (("Text", "words"), ("Truth", "short"), ("Prediction", "short"), ("Probability", "number")),
        rows,
        label="The most confident mistakes",
    )
