"""Many pictures at once: captions in a table, and the table as CSV; or the pictures that suit a sentence best."""

from math import exp

import streamlit as st

from components.batch import Sources, answered, answers_table, bring_many, opened
from components.frame import note
from components.networks import Network, compute, predictor
from components.pictures import SHOWN_EDGE, Figure, figures
from views.caption_parts.source import sample_pictures, speaks_of_scenes

FOUND = 6
COLUMNS = {"caption": st.column_config.TextColumn("Caption", width="large")}


def show_batch(network: Network) -> None:
    """Take pictures, caption them all, and offer the table."""
    sources = bring_many(network, lambda: _samples(network), key="batch")
    answers = answered(network, sources, n_best=1)
    answers_table(
        answers, sources, lambda answer: {"caption": answer.captions[0] if answer.captions else ""}, COLUMNS,
        file=f"{network.card.name}-captions.csv",
    )  # fmt: skip


def _samples(network: Network) -> Sources:
    return [(picture.name, picture.source) for picture in sample_pictures(network).values()]


def show_find(network: Network) -> None:
    """Take pictures and a sentence, and show the pictures that suit it best."""
    example = "a large red cross" if speaks_of_scenes(network) else "an animal looks at the camera"
    wanted = st.text_input("A sentence", example, key="find-sentence", max_chars=300)
    sources = bring_many(network, lambda: _samples(network), key="find")
    if not wanted.strip():
        note("Write what the picture should show.")
        return
    loaded = predictor(network)
    strange = loaded.unknown_words(wanted)
    matches = compute(loaded.retrieve, [data for _, data in sources], wanted)
    by_place = {f"picture {i + 1}": source for i, source in enumerate(sources)}
    if strange:
        note(f"Not in its vocabulary: {', '.join(strange)}.")
    shown = []
    for match in matches[:FOUND]:
        name, data = by_place[match.input]
        if match.error is None:
            said = f"{name}: every word {_times(match.score)} than in the others"
            shown.append(Figure(opened(data, SHOWN_EDGE), said, name, pixels=speaks_of_scenes(network)))
    figures(shown)
    failed = [f"{by_place[match.input][0]}: {match.error}" for match in matches if match.error]
    if failed:
        note(f"Not read: {'; '.join(failed[:5])}")


def _times(score: float) -> str:
    """Return a score, nats per word more than usual, in words."""
    return f"{exp(score):.1f} times likelier" if score >= 0 else f"{exp(-score):.1f} times less likely"
