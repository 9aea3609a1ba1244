"""Lab: a sound is a picture too."""

import streamlit as st

from components.charts import LineChart, show_chart
from components.frame import note, plain_errors
from components.lab import Choice, arithmetic, closing, formula, opening
from components.maps import maps
from components.networks import compute
from views.lab_parts.sound import SIZES, Heard, hear, names, slid, snippet

RATE = 8000
FIRST = "rising melody"


def main() -> None:
    opening("sound")
    kinds, kernels = compute(names)
    kind = Choice("Sound", "sound", kinds, pills=True, default=FIRST).ask()
    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        start = st.slider("Frame begins at (ms)", 0, 930, 400, 10, key="start")
    with right:
        size = int(Choice("Frame", "size", list(SIZES), SIZES, default="256").ask())
    with plain_errors():
        shown = compute(hear, kind, start, size)
        _wave(shown, size)
        _spectrum(shown, size)
        _picture(shown)
        _kernels(kind, kernels, start, size)


def _wave(shown: Heard, size: int) -> None:
    st.audio(shown.sound, format="audio/wav")
    place, most = shown.frame[0][0], max(loud for _, loud in shown.whole)
    show_chart(
        LineChart(
            "The whole second", {"loudness": shown.whole}, "milliseconds", "loudness", x_domain=(0, 1000),
            y_domain=(0, most), dots=[(place, most)],
        ), key="whole",
    )  # fmt: skip
    note(f"A wave is a list of numbers, {RATE:,} for this second. A frame is {size} of them.")
    st.header("A frame, faded at both ends", anchor=False)
    show_chart(
        LineChart(
            f"{len(shown.frame)} samples", {"the frame": shown.frame, "under the window": shown.windowed},
            "milliseconds", "sample",
        ), key="frame",
    )  # fmt: skip
    note("The window makes the ends zero: a cut through the middle of a wave would sound like a click.")


def _spectrum(shown: Heard, size: int) -> None:
    st.header("Fourier: which tones are in it", anchor=False)
    show_chart(
        LineChart("The spectrum of the frame", {"loudness": shown.spectrum}, "Hz", "decibels", x_domain=(0, RATE / 2)),
        key="spectrum",
    )  # fmt: skip
    arithmetic(
        f"{RATE:,} / {size}", f"{RATE / size:g} Hz",
        f"Two tones nearer to each other than this look like one. A longer frame tells them apart, and knows less of "
        f"when they sounded. The loudest here: {shown.loudest:,.0f} Hz.",
    )  # fmt: skip
    formula(
        r"X_k = \Bigl|\sum_{t} w_t\, x_t\, e^{-2\pi i k t / N}\Bigr|",
        "frame, windowed = frame_at(wave, start, size)\nhertz, loud = spectrum(windowed)",
        "lab.sounds",
    )


def _picture(shown: Heard) -> None:
    st.header("Frame after frame: a picture", anchor=False)
    maps([shown.picture], key="mel", chosen=shown.cell)
    note(
        "One column per frame, low tones below. The rows are mel bands: narrow where ears tell tones well apart, wide "
        "above. A 2-D network looks at this picture as at any other: a melody is a staircase, a click an upright line."
    )


def _kernels(kind: str, kernels: dict[str, str], start: int, size: int) -> None:
    st.header("Or without a picture: a kernel slides over the wave", anchor=False)
    kernel = Choice("Kernel", "kernel", list(kernels), kernels, pills=True, default="difference").ask()
    found = compute(slid, kind, kernel, start, size)
    note(found.does)
    left, right = st.columns(2, gap="medium")
    with left:
        show_chart(LineChart("The kernel", {"weight": found.kernel}, "milliseconds", "weight"), key="taps")
    with right:
        lines = {"before": found.before, "after": found.after}
        show_chart(LineChart("The frame", lines, "milliseconds", "sample"), key="slid")
    st.audio(found.sound, format="audio/wav")
    note("This is how the whole second sounds after it. A 1-D network learns such kernels by itself.")
    formula(
        r"y_i = \sum_{k} w_k\; x_{i + k - K + 1}",
        f'out = slide(wave, find_wave_kernel("{kernel}").weights())',
        "lab.sounds",
    )
    closing(
        "sound",
        question="Choose the clicks, then the shortest and the longest frame: which of them tells when, and which how "
        "high?",
        snippet=snippet(kind, start, size, kernel),
    )


main()
