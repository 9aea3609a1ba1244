"""The audio page, driven as a browser would drive it, on a network trained for a moment."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from driving import checked, html, opened, warnings, word

from audio_classification import drawn, load, train
from audio_classification.drawn import LABELS, RATE
from audio_classification.filters import filter_responses


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of drawn sounds."""
    folder = tmp_path_factory.mktemp("audio")
    patch = pytest.MonkeyPatch()
    patch.setattr(drawn, "COUNTS", {"train": 240, "val": 16, "test": 24})
    train(
        "drawn-sounds", folder=folder / "runs" / "drawn",
        settings={"epochs": 6, "options": {"widths": [16, 32]}, "batch_size": 16},
    )  # fmt: skip
    patch.undo()
    return folder


@pytest.fixture(autouse=True)
def _there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def wav(seconds: float, pitch: float = 440.0) -> bytes:
    stream = io.BytesIO()
    soundfile.write(
        stream, 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE), RATE, format="WAV"
    )
    return stream.getvalue()


def test_a_sample_is_answered_as_the_library_answers_it(workplace: Path) -> None:
    page = opened("audio", weights="runs/drawn", sample="hiss")
    waves, _ = drawn.drawn_sounds("test")
    stream = io.BytesIO()
    soundfile.write(stream, waves[LABELS.index("hiss")], RATE, format="WAV")
    answer = load(workplace / "runs" / "drawn", device="cpu").predict([stream.getvalue()])[0]
    assert word(page) == answer.labels[0]
    assert len(page.get("audio")) == 2  # the sound, and the part that decided
    assert "What speaks for" in html(page)
    assert "cnn predict runs/drawn hiss.wav" in page.code[-1].value


def test_an_upload_is_answered_and_a_long_one_has_a_timeline() -> None:
    page = opened("audio", weights="runs/drawn", part="Over time")
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("long.wav", wav(6.0), "audio/wav").run())
    assert "windows over 6.0 s" in html(page)
    assert "Heard" in html(page) and "Probability" in html(page)


def test_silent_windows_are_called_silence_over_time() -> None:
    page = opened("audio", weights="runs/drawn", part="Over time")
    page.segmented_control(key="input").set_value("Upload").run()
    t = np.arange(6 * RATE) / RATE
    stream = io.BytesIO()
    soundfile.write(stream, 0.5 * np.sin(2 * np.pi * 440 * t) * (t < 2), RATE, format="WAV")
    checked(page.file_uploader(key="upload").upload("pause.wav", stream.getvalue(), "audio/wav").run())
    assert "windows are silent and do not count" in html(page)
    assert ">silence<" in html(page)


def test_what_is_no_sound_is_one_sentence() -> None:
    page = opened("audio", weights="runs/drawn")
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("words.wav", b"no sound at all", "audio/wav").run())
    assert any("not a sound of a known format" in text for text in warnings(page))


def test_many_sounds_make_a_table() -> None:
    page = opened("audio", weights="runs/drawn", view="Many sounds")
    rows = page.dataframe[0].value.to_dict("records")
    assert [row["file"] for row in rows] == [f"{label.replace(' ', '-')}.wav" for label in LABELS]
    checked(page.file_uploader(key="batch-upload").upload("a.wav", wav(0.5), "audio/wav").run())
    assert [row["file"] for row in page.dataframe[0].value.to_dict("records")] == ["a.wav"]


def test_a_network_of_digits_is_shown_spoken_ones_and_the_other_network_beside_it() -> None:
    page = opened("audio", weights="fsdd", part="Side by side")
    assert word(page) == "7"
    assert "Spoken by theo" in html(page) and "CC BY-SA 4.0" in html(page)
    same = [name for name in page.pills[-1].value if "fsdd" in name]
    assert same == ["fsdd", "fsdd-wave"][: len(same)] and same
    many = opened("audio", weights="fsdd", view="Many sounds")
    rows = many.dataframe[0].value.to_dict("records")
    assert [row["file"][:8] for row in rows] == [f"spoken-{digit}" for digit in range(10)]


def test_the_first_filters_of_a_network_of_waves_are_shown_beside_mel_bands() -> None:
    page = opened("audio", weights="fsdd-wave", part="First filters")
    found = filter_responses(load("fsdd-wave", device="cpu"))
    low = int((found.peaks < 1000).sum())
    assert f"{low} of its {len(found.peaks)} kernels chose one below 1,000 Hz" in html(page)
    assert "kernels of the first layer" not in html(opened("audio", weights="fsdd", part="First filters"))


def test_silence_and_a_moment_are_said() -> None:
    page = opened("audio", weights="runs/drawn")
    page.segmented_control(key="input").set_value("Upload").run()
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(RATE), RATE, format="WAV")
    checked(page.file_uploader(key="upload").upload("quiet.wav", stream.getvalue(), "audio/wav").run())
    assert any("it is silent" in text for text in warnings(page))
    page = opened("audio", weights="runs/drawn")
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("blip.wav", wav(0.05), "audio/wav").run())
    assert "Very short: 0.05 s" in html(page)
