"""Reading sounds, their spectrograms, and what networks hear of them."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio_classification.contract import SoundContract
from audio_classification.reading import Sound, read_blocks, read_sound, resample
from audio_classification.sound_set import SoundSet, Windows
from audio_classification.spectrogram import log_mel, mel_bands, to_hertz, to_mel
from cnn_core.errors import ConfigError, DataError

RATE = 8000


def tone(pitch: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


# ---- spectrograms


def by_definition(wave: np.ndarray, *, rate: int, n_fft: int, hop: int, mels: int) -> np.ndarray:
    """Log-mel in float64 from the definitions alone: every frame's Fourier sums, every band's triangle."""
    padded = np.pad(wave.astype(np.float64), n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.stack([padded[i : i + n_fft] * window for i in range(0, len(padded) - n_fft + 1, hop)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(rate / 2 / 1000) / np.log(6.4)
    corners = [hertz(mel) for mel in np.linspace(0, top, mels + 2)]
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    bands = []
    for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
        triangle = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle)).clip(0)
        bands.append(triangle * 2 / (right - left))
    return np.log(power @ np.array(bands).T + 1e-6).T


@pytest.mark.parametrize(("rate", "n_fft", "hop", "mels"), [(8000, 512, 128, 64), (16000, 1024, 160, 40)])
def test_a_spectrogram_is_what_its_definition_says(rate: int, n_fft: int, hop: int, mels: int) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, 4000).astype(np.float32) + tone(440, 0.5, 8000)[:4000]
    found = log_mel(torch.from_numpy(wave)[None], rate=rate, n_fft=n_fft, hop=hop, mels=mels)
    assert found.shape == (1, mels, 1 + 4000 // hop)
    assert np.abs(found[0].numpy() - by_definition(wave, rate=rate, n_fft=n_fft, hop=hop, mels=mels)).max() < 1e-4


def test_a_spectrogram_is_librosas() -> None:
    """Numbers of librosa 0.11.0, `feature.melspectrogram(y=..., power=2)`, with log(power + 1e-6)."""
    t = np.arange(8000) / 8000
    wave = 0.5 * np.sin(2 * np.pi * (200 + 600 * t) * t) + 0.2 * np.sin(2 * np.pi * 2500 * t) * (t > 0.5)
    wave = wave.astype(np.float32)
    seen = log_mel(torch.from_numpy(wave)[None], rate=8000, n_fft=512, hop=128, mels=64)[0]
    places = {
        (0, 0): 1.020664, (5, 3): 2.717719, (10, 20): -10.968959, (20, 31): 3.058121, (31, 40): -12.379994,
        (40, 50): -13.797456, (55, 62): -7.467677, (63, 10): -13.815511,
    }  # fmt: skip
    assert seen.shape == (64, 63)
    assert {place: float(seen[place]) for place in places} == pytest.approx(places, abs=1e-4)
    assert (float(seen.double().mean()), float(seen.double().std(correction=0))) == pytest.approx(
        (-11.239182, 4.836566), abs=1e-4
    )
    both = np.concatenate([wave, wave[::-1]])
    seen = log_mel(torch.from_numpy(both)[None], rate=16_000, n_fft=1024, hop=160, mels=40)[0]
    places = {(0, 0): 1.031031, (10, 20): -13.73967, (20, 50): -1.971206, (39, 99): -9.669947}
    assert {place: float(seen[place]) for place in places} == pytest.approx(places, abs=1e-4)
    assert float(seen.double().mean()) == pytest.approx(-9.955664, abs=1e-4)


def test_the_mel_scale_is_slaneys() -> None:
    hertz = torch.tensor([0.0, 200.0, 1000.0, 6400.0], dtype=torch.float64)
    assert to_mel(hertz).tolist() == pytest.approx([0, 3, 15, 42])  # 27 steps of the logarithmic part per factor 6.4
    assert to_hertz(to_mel(hertz)).tolist() == pytest.approx(hertz.tolist())


def test_a_tone_is_in_the_band_of_its_pitch() -> None:
    bands = mel_bands(rate=RATE, n_fft=512, mels=32)
    expected = int(bands[:, round(1000 * 512 / RATE)].argmax())
    seen = log_mel(torch.from_numpy(tone(1000, 0.5))[None], rate=RATE, n_fft=512, hop=128, mels=32)
    assert int(seen[0].mean(1).argmax()) == expected


# ---- reading


def written(samples: np.ndarray, *, rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [("WAV", "PCM_U8", 1e-2), ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "FLOAT", 1e-7),
     ("WAV", "DOUBLE", 1e-7), ("FLAC", None, 1e-4), ("AIFF", None, 1e-4)],
)  # fmt: skip
def test_any_width_is_read(kind: str, subtype: str | None, error: float) -> None:
    wave = tone(440, 0.3)
    sound = read_sound(written(wave, kind=kind, subtype=subtype))
    assert sound.rate == RATE
    assert np.abs(sound.samples - wave).max() < error


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_what_was_compressed_is_heard_again(kind: str) -> None:
    wave = tone(440, 1.0)
    samples = read_sound(written(wave, kind=kind)).samples
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()] - 440) < 2


def test_channels_are_averaged_and_the_suffix_does_not_matter(tmp_path: Path) -> None:
    stereo = np.stack([tone(440, 0.2), np.zeros(1600, np.float32)], 1)
    (tmp_path / "sound.txt").write_bytes(written(stereo, subtype="FLOAT"))
    assert read_sound(tmp_path / "sound.txt").samples == pytest.approx(tone(440, 0.2) / 2, abs=1e-7)
    six = read_sound(written(np.repeat(tone(440, 0.2)[:, None], 6, 1), subtype="FLOAT"))
    assert six.notes == ("the mean of 6 channels",)
    assert six.samples == pytest.approx(tone(440, 0.2), abs=1e-6)


def test_samples_that_are_no_numbers_are_silence_and_are_counted() -> None:
    wave = tone(440, 0.2)
    wave[[3, 7, 11]] = [np.nan, np.inf, -np.inf]
    sound = read_sound(written(wave, subtype="FLOAT"))
    assert np.isfinite(sound.samples).all() and sound.samples[[3, 7, 11]].tolist() == [0, 0, 0]
    assert sound.notes == ("3 samples are not numbers and were taken for silence",)


def test_samples_whose_sum_no_float_holds_are_scaled() -> None:
    wave = np.stack([tone(440, 0.2) / np.abs(tone(440, 0.2)).max()] * 2, 1).astype(np.float32) * np.float32(3.3e38)
    sound = read_sound(written(wave, subtype="FLOAT"))
    assert sound.samples.dtype == np.float32
    assert sound.samples == pytest.approx(wave[:, 0] / np.abs(wave).max(), abs=1e-6)


def test_a_long_file_is_read_in_blocks_and_only_as_far_as_wanted() -> None:
    data = written(tone(100, 95.0), subtype="PCM_16")
    blocks = list(read_blocks(data))
    assert [round(block.seconds) for block in blocks] == [30, 30, 30, 5]
    assert read_sound(data, longest=2.5).seconds == 2.5


def lying_header() -> bytes:
    """A WAV whose header declares a gigabyte of samples."""
    data = bytearray(written(tone(440, 0.1)))
    data[40:44] = (1 << 30).to_bytes(4, "little")
    return bytes(data)


def test_a_header_that_lies_about_the_length_gives_what_is_there() -> None:
    assert read_sound(lying_header()).seconds == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no sound at all, only words", "is not a sound of a known format"),
        (b"", "the file is empty"),
        (b"RIFF\x00\x00\x00\x00WAVE", "is not a sound of a known format"),
        (b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00", "is M4A/AAC.*save it as WAV"),
        (b"\x1aE\xdf\xa3" + b"\x00" * 20, "is WebM/Matroska"),
        (written(np.zeros(0, np.float32)), "holds no samples"),
    ],
)
def test_what_is_no_sound_says_so(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "sound.wav").write_bytes(content)
    with pytest.raises(DataError, match=f"sound.wav: {said}"):
        read_sound(tmp_path / "sound.wav")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file"):
        read_sound(tmp_path / "none.wav")
    with pytest.raises(DataError, match="is a folder"):
        read_sound(tmp_path)


def test_another_rate_keeps_the_pitch() -> None:
    again = resample(Sound(tone(440, 1.0, 44_100), 44_100), RATE)
    assert len(again) == RATE
    spectrum = np.abs(np.fft.rfft(again))
    assert int(spectrum.argmax()) == 440
    high = resample(Sound(tone(9000, 1.0, 44_100), 44_100), RATE)  # above half of the new rate: nothing is left
    assert np.abs(high[100:-100]).max() < 0.02


# ---- what a network hears


def contract(**changes: object) -> SoundContract:
    return SoundContract(RATE, 4000, **{"n_fft": 512, "hop": 128, "mels": 32, **changes})


def test_windows_cover_a_long_wave_and_centre_a_short_one() -> None:
    windows, starts = contract().windows(torch.arange(10_000.0))
    assert starts == [0, 2000, 4000, 6000]
    assert windows[:, 0].tolist() == [0, 2000, 4000, 6000] and windows[-1, -1] == 9999
    windows, starts = contract().windows(torch.ones(1000))
    assert starts == [-1500]
    assert windows[0, 1500:2500].min() == 1 and windows.sum() == 1000
    assert contract().windows(torch.ones(4000))[1] == [0]


@pytest.mark.parametrize(("view", "shape"), [("wave", (2, 1, 4000)), ("log-mel", (2, 1, 32, 32))])
def test_the_input_has_the_contracts_shape(view: str, shape: tuple[int, ...]) -> None:
    made = contract(view=view, mean=0.5, std=2.0)
    x = made.normalize(torch.rand(2, 4000))
    assert x.shape == shape and x.shape[2:] == made.input_size
    assert made.normalize(torch.rand(2, 4000)).isfinite().all()
    assert SoundContract.from_json(made.to_json()) == made


def test_loudness_does_not_matter_unless_it_is_asked_for() -> None:
    wave = torch.from_numpy(tone(440, 0.5))[None]
    assert torch.allclose(contract().normalize(wave), contract().normalize(wave / 10), atol=1e-3)
    assert not torch.allclose(contract(level=False).normalize(wave), contract(level=False).normalize(wave / 10), atol=1)
    assert contract().normalize(torch.zeros(1, 4000)).isfinite().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"samples": 100}, "more than half a frame"), ({"samples": 10**6}, "at most 30 seconds"), ({"rate": 10}, "rate"),
     ({"view": "mfcc"}, "view"), ({"channels": 2}, "channels"), ({"std": 0.0}, "std")],
)  # fmt: skip
def test_impossible_contracts_are_refused(changes: dict[str, object], said: str) -> None:
    values = {**contract().to_json(), **changes}
    with pytest.raises(ConfigError, match=said):
        SoundContract.from_json(values)


def test_what_is_far_below_the_loudest_is_alike() -> None:
    wave = torch.from_numpy(tone(1000, 0.5))[None]
    quiet = wave + 1e-4 * torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    seen = contract(dynamic_range=40.0).seen(torch.cat([wave, quiet]))
    assert seen.amax((1, 2, 3)).tolist() == [0, 0]
    assert seen.min() == pytest.approx(-40 * np.log(10) / 10)  # decibels of power
    far = contract().seen(torch.cat([wave, quiet]))
    assert (seen[0] - seen[1]).abs().mean() < 0.1 * (far[0] - far[1]).abs().mean()


def test_a_sound_is_answered_by_the_mean_of_its_windows() -> None:
    long = np.arange(10_000, dtype=np.int16)
    sounds = SoundSet("x", "all", ("a",), RATE, [long, long[:1000]], torch.zeros(2).long())
    windows = Windows(sounds, contract())
    assert windows.owner.tolist() == [0, 0, 0, 0, 1]
    rows = windows.rows(torch.arange(5)) * 32768
    assert rows[:4, 0].tolist() == [0, 2000, 4000, 6000] and rows[3, -1] == 9999
    assert rows[4, 1500:2500].tolist() == long[:1000].tolist() and rows[4, :1500].abs().max() == 0
    values = torch.tensor([[1.0], [2.0], [3.0], [6.0], [7.0]])
    assert windows.mean_of_each(values).tolist() == [[3.0], [7.0]]
