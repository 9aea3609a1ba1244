"""Where the sound comes from: the microphone, a sample, a file."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import streamlit as st

from components.address import pick
from components.bring import SAMPLES, UPLOAD, choose_way, is_secure
from components.frame import ASSETS, note, plain_errors
from components.kept import uploaded
from components.networks import Network, compute

MICROPHONE = "Microphone"
SUFFIXES = ["wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "au", "caf"]
UPLOAD_LIMIT = 100  # MB


@dataclass(frozen=True)
class Recording:
    """What the user wants answered."""

    name: str  # a file name for downloads and commands
    data: bytes  # of a sound file
    theirs: bool = False  # a file that the user has

    @cached_property
    def digest(self) -> str:
        """A name for exactly this sound."""
        return hashlib.sha256(self.data).hexdigest()


# How Streamlit's caches tell them apart.
BY_DIGEST: dict[str | type[Any], Callable[[Any], Any]] = dict.fromkeys((Network, Recording), attrgetter("digest"))


def choose_sound(network: Network) -> Recording | None:
    """Show the ways to bring a sound, and return it; None while there is none."""
    way = choose_way([SAMPLES, MICROPHONE, UPLOAD], width="stretch")
    with plain_errors():
        found = _sample(network) if way == SAMPLES else _recorded() if way == MICROPHONE else _uploaded()
        if found is not None:
            st.audio(found.data)
        return found
    return None


def samples(network: Network) -> list[Recording]:
    """Return sounds that a network may know: spoken digits of the official test set, or a drawn sound of each kind."""
    from audio_classification.drawn import LABELS

    return [_read(file) for file in spoken()] if _knows_digits(network) else [_drawn(label) for label in LABELS]


def spoken() -> list[Path]:
    """Return the recordings of spoken digits, in their order."""
    return sorted((ASSETS / "samples").glob("spoken-*.wav"))


def _knows_digits(network: Network) -> bool:
    return {file.stem.split("-")[1] for file in spoken()} <= {*network.card.labels}


def _read(file: Path) -> Recording:
    return Recording(file.name, file.read_bytes())


def _sample(network: Network) -> Recording:
    from audio_classification.drawn import LABELS

    if _knows_digits(network):
        digits = {file.stem.split("-")[1]: file for file in spoken()}
        file = digits[pick(st.pills, "Spoken digits", list(digits), key="digit", default="7", required=True)]
        note(f"Spoken by {file.stem.split('-')[2]}: free spoken digit dataset, CC BY-SA 4.0, not in the training.")
        return _read(file)
    wanted = pick(st.pills, "Drawn sounds", list(LABELS), key="sample", default="rising melody", required=True)
    return _drawn(wanted)


@st.cache_data(max_entries=16, show_spinner=False)
def _drawn(label: str) -> Recording:
    return Recording(f"{label.replace(' ', '-')}.wav", compute(_wav, label))


def _wav(label: str) -> bytes:
    import soundfile

    from audio_classification.drawn import LABELS, RATE, drawn_sounds

    waves, _ = drawn_sounds("test")
    stream = io.BytesIO()
    soundfile.write(stream, waves[LABELS.index(label)], RATE, format="WAV")
    return stream.getvalue()


def _recorded() -> Recording | None:
    if not is_secure(st.context.url or ""):
        note("Browsers give the microphone to secure pages only: use Upload, or open the page by https or localhost.")
        return None
    file = st.audio_input("Record a sound", key="microphone", label_visibility="collapsed")
    if file is None:
        note("The sound is recorded in your browser, processed here, and not kept.")
        return None
    return Recording("recording.wav", file.getvalue())


def _uploaded() -> Recording | None:
    files = uploaded("A sound", SUFFIXES, key="upload", limit=UPLOAD_LIMIT, hidden=True)
    if not files:
        note("WAV, FLAC, OGG or MP3, of any rate and length. It is processed here and not kept.")
        return None
    return Recording(files[0].name, files[0].data, theirs=True)
