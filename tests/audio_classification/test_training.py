"""From sounds to a run that predicts, explains and is measured: drawn sounds, official layouts, own folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification import DATA_SETS, drawn, load, train
from audio_classification.data import load_sets
from audio_classification.domain import evaluate_weights
from audio_classification.folder import load_own
from audio_classification.reading import read_sound
from cnn_core.cli import main
from cnn_core.errors import DataError

RATE = 8000
TINY = {"epochs": 3, "options": {"widths": [8, 16]}, "mels": 24, "batch_size": 16, "learning_rate": 0.02}


def write_tones(folder: Path, pitches: dict[str, float], count: int, *, seconds: float = 0.4, rate: int = RATE) -> Path:
    """Write `count` tones per class, each of slightly another pitch."""
    for label, pitch in pitches.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            t = np.arange(round(seconds * rate)) / rate
            wave = 0.5 * np.sin(2 * np.pi * (pitch + i) * t)
            soundfile.write(folder / label / f"{i:02}.wav", wave, rate)
    return folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "COUNTS", {"train": 80, "val": 16, "test": 24})


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("own") / "tones", {"low": 200, "middle": 700, "high": 2000}, 12)


@pytest.fixture(scope="module")
def run(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tones"
    train("drawn-sounds", folder=folder, settings={**TINY, "data": str(tones), "epochs": 12})
    return folder


def test_drawn_sounds_train_on_spectrograms_and_on_waves(few: None, tmp_path: Path) -> None:
    for view, model in (("log-mel", "fastnet"), ("wave", "m5")):
        options = {"widths": [8, 16]} if model == "fastnet" else {"base_channels": 8}
        settings = {**TINY, "view": view, "model": model, "options": options}
        outcome = train("drawn-sounds", folder=tmp_path / view, settings=settings)
        assert outcome.card.metrics["accuracy"]["n"] == 24
        measured = evaluate_weights(str(tmp_path / view), device="cpu")
        assert measured["metrics"]["accuracy"] == pytest.approx(outcome.card.metrics["accuracy"]["mean"], abs=1e-6)


def test_one_epoch_and_a_resume_are_two_epochs(few: None, tmp_path: Path) -> None:
    settings = {**TINY, "epochs": 2, "shift": 0.1, "speed": 0.1, "noise": 20.0, "time_masks": 1, "mixup": 0.2}
    whole = train("drawn-sounds", folder=tmp_path / "whole", settings=settings)
    train(
        "drawn-sounds", folder=tmp_path / "parts", settings=settings, observe=lambda p: p.metrics is None or p.epoch > 1
    )
    rest = train("drawn-sounds", folder=tmp_path / "parts", settings=settings, resume=True)
    assert whole.card.sha256 == rest.card.sha256


def test_own_sounds_are_learned_and_known_again(run: Path, tones: Path, tmp_path: Path) -> None:
    predictor = load(run, device="cpu")
    answers = predictor.predict([tones / "high" / "00.wav", tones / "low" / "00.wav"])
    assert [answer.labels[0] for answer in answers] == ["high", "low"]
    summary = json.loads((run / "data.json").read_text())
    assert summary["splits"] == {"train": 27, "val": 3, "test": 6}
    own = evaluate_weights(str(run), data=str(tones), device="cpu")
    assert (own["n"], own["of"], own["split"]) == (6, 36, "test")
    moved = tmp_path / "elsewhere"
    for file in sorted(tones.rglob("*.wav")):  # the same sounds under other names
        (moved / file.parent.name).mkdir(parents=True, exist_ok=True)
        (moved / file.parent.name / f"x{file.name}").write_bytes(file.read_bytes())
    again = evaluate_weights(str(run), data=str(moved), device="cpu")
    assert (again["n"], again["metrics"]) == (6, own["metrics"])
    foreign = write_tones(tmp_path / "new", {"low": 230, "high": 2100}, 4)  # two of three classes
    measured = evaluate_weights(str(run), data=str(foreign), device="cpu")
    assert (measured["n"], measured["of"], measured["split"]) == (8, 8, "all")
    some = evaluate_weights(
        str(run), data=str(write_tones(tmp_path / "y", {"LOW": 200, "shrill": 3000}, 3)), device="cpu"
    )
    assert (some["n"], some["of"]) == (3, 3)
    (left,) = some["summary"]["left_out"]
    assert (left["count"], left["reason"]) == (3, "sounds of 'shrill', a class that the network does not know")
    with pytest.raises(DataError, match="the network knows the classes"):
        evaluate_weights(str(run), data=str(write_tones(tmp_path / "z", {"x": 200, "y": 3000}, 3)), device="cpu")


def test_inputs_that_cannot_be_answered_say_why_in_their_place(run: Path, tones: Path, tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("no sound")
    soundfile.write(tmp_path / "silence.wav", np.zeros(4000), RATE)
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), RATE)
    soundfile.write(tmp_path / "long.flac", np.tile(0.5 * np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE), 40), RATE)
    names = ["words.wav", "silence.wav", "one.wav", "long.flac", "missing.wav"]
    words, silence, one, long, missing = load(run, device="cpu").predict([tmp_path / name for name in names])
    assert "is not a sound of a known format" in words.error
    assert "it is silent" in silence.error
    assert one.error is None and "very short: 0.00 s" in one.note
    assert long.labels[0] == "high" and "windows over 40.0 s" in long.note
    assert "no such file" in missing.error


def test_a_long_recording_has_a_timeline(run: Path) -> None:
    low, high = (np.sin(2 * np.pi * pitch * np.arange(4 * RATE) / RATE) for pitch in (205, 2005))
    from audio_classification.reading import Sound

    stretches = load(run, device="cpu").timeline(Sound((0.5 * np.concatenate([low, high])).astype(np.float32), RATE))
    assert stretches[0].label == "low" and stretches[-1].label == "high"
    assert stretches[0].start == 0 and stretches[-1].end == 8
    turn = next(stretch.start for stretch in stretches if stretch.label == "high")
    assert 3.4 < turn < 4.3


@pytest.mark.parametrize("method", ["grad-cam", "integrated-gradients"])
def test_the_part_that_decided_is_where_the_sound_is(run: Path, method: str, tmp_path: Path) -> None:
    predictor = load(run, device="cpu")
    samples = predictor.contract.samples
    wave = np.zeros(samples, np.float32)
    third = samples // 3
    wave[:third] = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(third) / RATE)
    soundfile.write(tmp_path / "half.wav", wave, RATE)
    explanation = predictor.explain(tmp_path / "half.wav", method=method)
    assert explanation.over_time.shape == (samples,)
    assert explanation.decided().shape == (samples,)
    assert explanation.over_time.max() == pytest.approx(1, abs=1e-5)
    said = explanation.save(tmp_path / "why.png")
    assert "what speaks for" in said and (tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"
    explanation.save(tmp_path / "why.wav")
    assert soundfile.info(tmp_path / "why.wav").frames == samples


# ---- layouts


def write_digits(root: Path) -> Path:
    for digit in (0, 1):
        for speaker in ("anna", "ben", "cleo"):
            for index in range(8):
                (root / "fsdd" / "recordings").mkdir(parents=True, exist_ok=True)
                wave = 0.3 * np.sin(2 * np.pi * (300 + 400 * digit + index) * np.arange(2000) / RATE)
                soundfile.write(root / "fsdd" / "recordings" / f"{digit}_{speaker}_{index}.wav", wave, RATE)
    return root


def test_spoken_digits_are_divided_officially_or_by_speaker(tmp_path: Path) -> None:
    write_digits(tmp_path)
    sets = load_sets("fsdd", splits=["train+val", "test"], data_root=tmp_path)
    assert (len(sets["train+val"]), len(sets["test"])) == (18, 30)
    assert all(int(name.split("_")[-1][0]) < 5 for name in sets["test"].files)
    by_speaker = load_sets("fsdd", splits=["train", "val", "test"], fold=1, data_root=tmp_path)
    assert {*by_speaker["test"].groups} == {"ben"}
    assert not {*by_speaker["train"].groups} & {*by_speaker["val"].groups}
    with pytest.raises(DataError, match="6 folds"):
        load_sets("fsdd", splits=["test"], fold=6, data_root=tmp_path)


def test_esc50_and_speech_commands_are_read_in_their_official_layouts(tmp_path: Path) -> None:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for i in range(10):
        rows.append(f"{1 + i % 5}-{i}-A-{i % 2}.wav,{1 + i % 5},{i % 2},x,False,{i},A")
        (tmp_path / "ESC-50" / "audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "ESC-50" / "audio" / rows[-1].split(",")[0], np.ones(441) * 0.1, 44_100)
    (tmp_path / "ESC-50" / "meta").mkdir()
    (tmp_path / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(rows))
    assert len(load_sets("esc50", splits=["test"], data_root=tmp_path)["test"]) == 2
    root = tmp_path / "speech_commands_v0.02"
    for word in ("yes", "no"):
        (root / word).mkdir(parents=True)
        for i in range(4):
            soundfile.write(root / word / f"{i}ab_nohash_0.wav", np.ones(1600) * 0.1, 16_000)
    (root / "validation_list.txt").write_text("yes/0ab_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("yes/1ab_nohash_0.wav\nno/1ab_nohash_0.wav\n")
    sets = load_sets("speech_commands", splits=["train", "val", "test"], data_root=tmp_path)
    assert {name: len(part) for name, part in sets.items()} == {"train": 5, "val": 1, "test": 2}


@pytest.mark.parametrize("name", ["fsdd", "speech_commands", "esc50"])
def test_a_missing_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"the data set {name} is not there"):
        load_sets(name, splits=["test"], data_root=tmp_path)
    assert DATA_SETS[name].how_to_get


# ---- own folders


def test_a_folder_is_understood_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = write_tones(tmp_path / "own", {"1": 300, "2": 600, "10": 900}, 10)
    (folder / "notes.txt").write_text("x")
    (folder / "stray.wav").write_bytes((folder / "1" / "00.wav").read_bytes())
    (folder / "2" / "broken.wav").write_text("x")
    (folder / "10" / "copy.wav").write_bytes((folder / "10" / "00.wav").read_bytes())
    (folder / "@eaDir").mkdir()
    (folder / "@eaDir" / "x.wav").write_text("x")
    own = load_own(folder, [])
    assert own.whole.labels == ("1", "2", "10")
    left = {entry.reason: entry.count for entry in own.summary.left_out}
    assert left["files outside the class folders"] == 2
    assert sum(left.values()) == 3 and len(own.whole) == 31
    pair = [i for i, name in enumerate(own.whole.files) if name in ("10/copy.wav", "10/00.wav")]
    assert any({*pair} <= {*part.tolist()} for part in own.parts.values())


def test_given_splits_are_kept_and_copies_across_them_are_counted(tmp_path: Path) -> None:
    write_tones(tmp_path / "own" / "train", {"a": 300, "b": 900}, 8)
    write_tones(tmp_path / "own" / "test", {"a": 300, "b": 950}, 3)
    own = load_own(tmp_path / "own", [])
    assert len(own.parts["test"]) == 6
    assert any("3 of the 6 test sounds are copies of training sounds" in text for text in own.summary.warnings)


def test_speakers_in_subfolders_stay_together(tmp_path: Path) -> None:
    for label, pitch in (("a", 300), ("b", 900)):
        for k, speaker in enumerate(("anna", "ben", "cleo", "dora", "emil")):
            write_tones(tmp_path / "own" / label, {speaker: pitch + 20 * k}, 4)
    own = load_own(tmp_path / "own", [])
    groups = {part: {"/".join(own.whole.files[i].split("/")[:2]) for i in index} for part, index in own.parts.items()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["val"]
    assert "sounds of the 5 subfolders of the classes stay together" in own.summary.divided


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds the single class 'only'; expected one subfolder of sounds per class"):
        load_own(write_tones(tmp_path / "one", {"only": 300}, 3), [])
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no sounds; expected one subfolder of sounds per class"):
        load_own(tmp_path / "none", [])


def test_other_rates_are_brought_to_one(tmp_path: Path) -> None:
    write_tones(tmp_path / "own", {"a": 300}, 4, rate=44_100)
    write_tones(tmp_path / "own", {"b": 900}, 4, rate=22_050)
    own = load_own(tmp_path / "own", [])
    assert own.whole.rate == 22_050
    assert own.whole.seconds == pytest.approx(np.full(8, 0.4), abs=1e-3)


def test_the_exported_network_takes_what_the_contract_prepares(run: Path, tones: Path, tmp_path: Path) -> None:
    import onnxruntime

    assert main(["export", str(run), "--output", str(tmp_path / "onnx")]) == 0
    predictor = load(run, device="cpu")
    contract = predictor.contract
    windows, _ = contract.windows(contract.wave(read_sound(tones / "high" / "00.wav")))
    session = onnxruntime.InferenceSession(next((tmp_path / "onnx").glob("*.onnx")))
    x = contract.normalize(windows).numpy()
    (scores,) = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(x)})
    expected = predictor.probabilities(windows).numpy()
    odds = np.exp(scores - scores.max(1, keepdims=True))
    assert np.abs(odds / odds.sum(1, keepdims=True) - expected).max() < 1e-4
