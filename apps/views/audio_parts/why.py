"""What decided: the heat over wave and spectrogram, and the sound with the rest turned down."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from cnn_core.answers import NONE_OF_THESE
from components.address import pick
from components.charts import LineChart, show_chart
from components.frame import download, note
from components.networks import Network
from components.pictures import Figure, figures
from components.tables import table
from views.audio_parts.ask import first_filters, reasons, timeline
from views.audio_parts.source import Recording

METHODS = {"grad-cam": "Grad-CAM", "integrated-gradients": "Integrated gradients"}
MOST_ROWS = 200
LOW = 1000  # Hz
QUIETEST = 30  # decibels below a kernel's loudest tone


def show_why(network: Network, sound: Recording, labels: list[str]) -> None:
    """Show where in time, and in which bands, the decision lies; play that part."""
    choices, shown = st.columns([3, 8], gap="medium")
    with choices:
        method = pick(st.selectbox, "Method", list(METHODS), key="method", format_func=METHODS.get, filter_mode=None)
        wanted = st.selectbox("Evidence for", labels[:5], key=f"class-{network.id}-{labels[0]}", filter_mode=None)
        with st.spinner(f"Computing {METHODS[method]}"):
            why = reasons(network, sound, method, wanted)
        note("The part that decided, the rest turned down:")
        st.audio(why.sound, format="audio/wav")
        download("What decided (WAV)", why.sound, f"{Path(sound.name).stem}-{method}.wav", key="decided-download")
    with shown:
        loudest = max(value for _, value in why.wave) or 1.0
        show_chart(
            LineChart(
                f"Loudness over {why.seconds:.1f} s", {"the sound": why.wave, "what decided": why.decided},
                "milliseconds", "loudness", y_domain=(0, loudest),
            ), key="wave",
        )  # fmt: skip
        if why.picture is not None:
            caption = f"What speaks for “{wanted}” in the spectrogram: low tones below, high ones above"
            alt = f"heat map for {wanted} over the spectrogram"
            ends = (why.start, why.start + why.seconds / 2, why.start + why.seconds)
            across = tuple(f"{1000 * second:,.0f} ms" for second in ends)
            figures([Figure(why.picture, caption, alt, across=across, up=why.pitches)], square=False)


def show_filters(network: Network) -> None:
    """Show which tones the first kernels of a network of waves answer, beside mel bands."""
    found = first_filters(network)
    top = float(found.hertz[-1])
    loud = (found.decibels.clamp_min(-QUIETEST) / QUIETEST + 1).numpy()  # 0 to 1
    picture = Image.fromarray((255 * loud[::-1]).astype(np.uint8)).resize((640, 256), Image.Resampling.NEAREST)
    count = len(found.peaks)
    left, right = st.columns(2, gap="medium")
    with left:
        ticks = tuple(f"{share * top:,.0f} Hz" for share in (0, 0.5, 1))
        said = (
            f"The {count} kernels of the first layer, one in a row, sorted by the tone that they answer loudest. "
            f"Light: that tone passes; black: it is {QUIETEST} decibels quieter or more"
        )
        alt = f"frequency responses of {count} kernels"
        figures([Figure(picture, said, alt, across=ticks, up=("1", f"{count}"))], square=False)
    with right:
        lines = {
            "learned kernels": [(rank + 1.0, float(hertz)) for rank, hertz in enumerate(found.peaks)],
            "mel bands": [(rank + 1.0, float(hertz)) for rank, hertz in enumerate(found.mel_centres)],
        }
        show_chart(LineChart("Loudest tone of each", lines, "rank", "Hz", y_domain=(0, top)), key="filters")
        low, mel = (int((tones < LOW).sum()) for tones in (found.peaks, found.mel_centres))
        note(
            f"Nobody told the network which tones matter: {low} of its {count} kernels chose one below {LOW:,} Hz, "
            f"where {mel} of as many mel bands lie, which follow the ear."
        )


def show_timeline(network: Network, sound: Recording) -> None:
    """Show what is heard from window to window."""
    stretches = timeline(network, sound)
    if len(stretches) == 1:
        note("This sound fits into the network's input: it is heard at once.")
        return
    rows = [(f"{part.start:.1f}", f"{part.end:.1f}", *_heard(part)) for part in stretches[:MOST_ROWS]]
    heads = (("From (s)", "number"), ("To (s)", "number"), ("Heard", ""), ("Probability", "number"))
    table(heads, rows, label="What is heard over time", narrow=True)
    if len(stretches) > MOST_ROWS:
        note(f"{len(stretches) - MOST_ROWS:,} more windows; cnn predict and the library answer all of them.")


def _heard(part: Any) -> tuple[str, str]:
    """Return what a stretch is answered as, and with which probability."""
    if part.silent:
        return "silence", ""
    return part.label if part.known else NONE_OF_THESE, f"{part.probability:.1%}"
