"""What every page has: its style, its title, one sentence on a user's mistake, and the fold that says how."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import Literal

import streamlit as st

from cnn_core.errors import CnnError
from cnn_core.weights import WeightsCard
from cnn_core.weights.card import Confidence, Metric

ASSETS = Path(__file__).parent.parent / "assets"
NAMED = re.compile(r"\S+[./]\S+|[^:]+\.\w+:")  # a message that begins with a file, whose name is in the user's letters

Kind = Literal["primary", "secondary", "tertiary"]  # of a button


def page(title: str, lead: str) -> None:
    """Put the style, the title and what the page does in one sentence."""
    if title != current_page():
        st.session_state["page"], st.session_state["visit"] = title, current_visit() + 1
    st.html(ASSETS / "style.css")
    st.title(title, anchor=False)
    st.html(f'<p class="lead">{html.escape(lead)}</p>')


def current_page() -> str:
    """Return the title of the page that is shown."""
    return st.session_state.get("page", "")


def current_visit() -> int:
    """Return how many times a page was opened in this session."""
    return st.session_state.get("visit", 0)


def note(text: str) -> None:
    """Write a quiet sentence."""
    st.html(f'<p class="note">{html.escape(text)}</p>')


def understood(sentences: Iterable[str]) -> None:
    """Say what was understood of somebody's data, one sentence a line."""
    lines = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    st.html(f'<ul class="said">{lines}</ul>')


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show the sentence of a `CnnError` in place of what could not be shown."""
    try:
        yield
    except CnnError as error:
        warn(str(error))


def sentence(text: str) -> str:
    """Make a message of the library a sentence of a page: capital letter, full stop, no Markdown."""
    if not NAMED.match(text):
        text = text[:1].upper() + text[1:]
    text = text if text.endswith((".", "?", "!")) else text + "."
    return plain(text)


def plain(text: str) -> str:
    """Return foreign text as Markdown that shows exactly it: no format, picture, link, formula, colour or emoji.

    For all that Streamlit reads as Markdown: messages, labels, and the options of pills, radios and such.
    """
    line = re.sub(r"([\\`*_\[\]<$:~&#|])", r"\\\1", " ".join(text.split()))
    line = re.sub(r"^(\d*)([-+.)>])", r"\1\\\2", line)  # neither a list nor a quotation
    # Addresses and icons are made of it even when it is escaped: an unseen sign keeps their parts from being one.
    return re.sub(r"(?i)(https?\\:|\\:(?=\w)|\bwww(?=\.)|@)", "\\1\u2060", line)


def warn(text: str) -> None:
    """Show what went wrong, or should be known, in the words of the library."""
    st.warning(sentence(text), icon=":material/info:")


def download(
    label: str, data: str | bytes | Callable[[], str | bytes], file: str, *, key: str, kind: Kind = "secondary"
) -> None:
    """Offer a file; the page does not run again when it is taken. A function makes its data when it is wanted."""
    st.download_button(
        label, data, file, guess_type(file)[0], key=key, type=kind, on_click="ignore", icon=":material/download:"
    )


def facts(rows: Mapping[str, str]) -> None:
    """Show names and values in two columns; values are plain text."""
    lines = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows.items())
    st.html(f'<dl class="facts">{lines}</dl>')


def how_computed(card: WeightsCard, *, commands: list[str], steps: str, file: tuple[str, bytes] | None = None) -> None:
    """The fold at the end of a page: what was computed, by which weights, and the same on the command line.

    Args:
        card: of the weights.
        commands: that give the same answers.
        steps: Markdown; its last line introduces the commands.
        file: (name, bytes) that the commands read and the reader does not have.
    """
    with st.expander("How this was computed"):
        st.markdown(steps)
        st.code("\n".join(commands), language="bash", wrap_lines=True)
        if file is not None:
            download(plain(file[0]), file[1], file[0], key="input-download")
        facts(card_facts(card))
        download("Model card", card.to_json(), f"{card.name}.card.json", key="card-download")


def card_facts(card: WeightsCard) -> dict[str, str]:
    """Return a card's most wanted entries as texts."""
    rows = {"Weights": card.name, "Network": f"{card.model}, {card.parameters:,} parameters"}
    for name, metric in card.metrics.items():
        rows[f"{name.replace('_', ' ').capitalize()} on {metric['split']}"] = measured(metric)
    if card.confidence:
        rows["Confidence"] = _confidence(card.confidence)
    rows["Trained"] = f"in {duration(card.seconds)} on {card.machine}"
    rows["Command to train it"] = card.command
    rows["Licence"] = card.licence
    if card.limits:
        rows["Limits"] = " ".join(card.limits)
    rows["SHA-256"] = card.sha256
    return rows


def _confidence(said: Confidence) -> str:
    """Return what was fitted on validation data, in a sentence or two."""
    text = (
        f"scores divided by {said['temperature']:.2f}, fitted on {said['n']:,} items ({said['data']}): calibration "
        f"error {said['error_before']:.3f} before, {said['error_after']:.3f} after."
    )
    if said["threshold"] is None:
        return text
    return f"{text} Below a familiarity of {said['threshold']:.2f} an input is none of the classes."


def measured(metric: Metric) -> str:
    """Return a metric of a card with everything that makes it honest: spread, number of items, seeds."""
    spread = f" ± {metric['std']:.4f}" if metric["std"] is not None else ""
    seeds = len(metric["seeds"])
    runs = f", {seeds} seeds" if seeds > 1 else ""
    return f"{metric['mean']:.4f}{spread} (n = {metric['n']:,}{runs})"


def duration(seconds: float) -> str:
    """Return a time in words: "18 s", "4 min", "1.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
