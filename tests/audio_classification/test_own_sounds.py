"""A user's own sounds: tables of labels, given tests, groups, and the recipe that starts from photos."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio_classification import load, train
from audio_classification.domain import DOMAIN, evaluate_weights
from audio_classification.folder import OwnSounds, load_own, load_whole
from cnn_core.data.classes.division import SplitOptions
from cnn_core.errors import ConfigError, DataError
from cnn_core.models import imagenet

RATE = 8000
installed = pytest.mark.skipif(not imagenet.is_installed(), reason="the package of the ImageNet weights is missing")


def tone(place: Path, pitch: float, *, seconds: float = 0.3, rate: int = RATE) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * rate)) / rate
    soundfile.write(place, 0.5 * np.sin(2 * np.pi * pitch * t), rate)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Twenty sounds in one folder, and a table with the file, the class and the microphone of each."""
    rows = ["file,kind,microphone"]
    for i in range(20):
        tone(tmp_path / "set" / "audio" / f"clip{i:02}.wav", 300 + 600 * (i % 2) + i)
        rows.append(f"clip{i:02}.wav,{('low', 'high')[i % 2]},m{i // 4}")
    rows.append("clip99.wav,low,m9")
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "set"


def test_labels_are_read_from_a_table(listed: Path) -> None:
    own = load_own(listed, [])
    assert own.whole.labels == ("high", "low")
    assert [own.whole.labels[k] for k in own.whole.targets[:2]] == ["low", "high"]
    assert sorted(map(len, own.parts.values())) == [2, 4, 14]
    assert any("the labels are read from labels.csv: column 'kind'" in text for text in own.summary.read)
    (left,) = own.summary.left_out
    assert (left.count, left.reason) == (1, "row of labels.csv whose sound is not there")
    again = load_own(listed, [], options=SplitOptions(label_column="microphone"))
    assert again.whole.labels == ("m0", "m1", "m2", "m3", "m4")


def test_a_group_column_keeps_its_values_on_one_side(listed: Path) -> None:
    own = load_own(listed, [], options=SplitOptions(group_column="microphone"))
    places = {part: {int(own.whole.files[i][-6:-4]) // 4 for i in index} for part, index in own.parts.items()}
    assert all(places.values())
    assert not places["train"] & places["test"] and not places["train"] & places["val"]
    assert "sounds of the 5 values of microphone stay together" in own.summary.divided
    with pytest.raises(DataError, match="has no column 'place'"):
        load_own(listed, [], options=SplitOptions(group_column="place"))


def folds(folder: Path, *, named: str = "fold", inner: str = "") -> Path:
    """Four sounds of three classes in each of five folds, as ESC-50 has them."""
    rows = [f"filename,{named},target,category"]
    for i in range(60):
        fold, target = i // 12 + 1, (i + i // 12) % 3
        tone(folder / inner / "audio" / f"{fold}-{i:02}-A-{target}.wav", 200 + 20 * i)
        rows.append(f"{fold}-{i:02}-A-{target}.wav,{fold},{target},{'abc'[target]}")
    (folder / inner / "meta").mkdir()
    (folder / inner / "meta" / "esc50.csv").write_text("\n".join(rows))
    return folder


def folds_of(own: OwnSounds) -> dict[str, set[str]]:
    return {part: {own.whole.files[i].split("/")[-1][0] for i in index} for part, index in own.parts.items()}


@pytest.mark.parametrize("inner", ["", "ESC-50-master"])
def test_the_last_of_the_published_folds_is_the_test(inner: str, tmp_path: Path) -> None:
    own = load_own(folds(tmp_path, inner=inner), [])
    assert own.whole.labels == ("a", "b", "c")
    assert folds_of(own) == {"train": {"1", "2", "3"}, "val": {"4"}, "test": {"5"}}
    assert "in esc50.csv: fold 5 of column 'fold' is the test, fold 4 the validation" in own.summary.read
    chosen = load_own(tmp_path, [], options=SplitOptions(test="0.2"))
    assert folds_of(chosen)["test"] > {"1"} and not any("fold 5" in said for said in chosen.summary.read)


def test_groups_that_hold_every_class_are_divided_too(tmp_path: Path) -> None:
    """The first sounds of the five are of three classes, so none has enough of them to hold one out."""
    folds(tmp_path, named="speaker")
    for test, counts in ((None, [36, 12, 12]), ("8", [24, 12, 24])):
        own = load_own(tmp_path, [], options=SplitOptions(group_column="speaker", test=test))
        parts = folds_of(own)
        assert [len(own.parts[part]) for part in ("train", "val", "test")] == counts
        assert not parts["train"] & parts["test"] and not parts["train"] & parts["val"]
    with pytest.raises(DataError, match="what is in groups of several classes has 20 to divide"):
        load_own(tmp_path, [], options=SplitOptions(group_column="speaker", test="20"))


def test_groups_that_leave_no_test_are_refused(listed: Path) -> None:
    for places, kept in ((("here", "here"), "1 value"), (("here", "there"), "2 values")):  # of both classes, of each
        rows = [f"clip{i:02}.wav,{('low', 'high')[i % 2]},{places[i % 2]}" for i in range(20)]
        (listed / "labels.csv").write_text("\n".join(["file,kind,place", *rows]))
        said = f"be held out: sounds of the {kept} of place stay together; expected at least two for each class"
        with pytest.raises(DataError, match=said):
            load_own(listed, [], options=SplitOptions(group_column="place"))


def test_single_sounds_leave_no_test_and_are_refused(tmp_path: Path) -> None:
    tone(tmp_path / "a" / "1.wav", 300)
    tone(tmp_path / "b" / "1.wav", 600)
    with pytest.raises(DataError, match="expected at least two sounds of a class, to hold one out for the test"):
        load_own(tmp_path, [])
    tone(tmp_path / "b" / "2.wav", 700)
    assert [len(load_own(tmp_path, []).parts[part]) for part in ("train", "test")] == [2, 1]


def test_folders_of_folds_are_no_classes(tmp_path: Path) -> None:
    for i in range(12):
        tone(tmp_path / f"fold{i // 3 + 1}" / f"{i}-{i % 2}-0-0.wav", 300 + 20 * i)  # UrbanSound8K without its table
    with pytest.raises(DataError, match=r"fold1, fold2, fold3, ... are called as the folds of a cross-validation"):
        load_own(tmp_path, [])


def test_the_test_can_be_named(tmp_path: Path) -> None:
    for label, pitch in (("a", 300), ("b", 900)):
        for i in range(6):
            tone(tmp_path / "set" / label / f"{i}.wav", pitch + i)
        tone(tmp_path / "more" / label / "new.wav", pitch + 50)
    three = load_own(tmp_path / "set", [], options=SplitOptions(test="3"))
    assert [len(three.parts[part]) for part in ("train", "val", "test")] == [4, 2, 6]
    folder = load_own(tmp_path / "set", [], options=SplitOptions(test=str(tmp_path / "more")))
    assert [folder.whole.files[i] for i in folder.parts["test"]] == ["more/a/new.wav", "more/b/new.wav"]
    assert len(folder.parts["train"]) + len(folder.parts["val"]) == 12
    (tmp_path / "names.txt").write_text("a/0.wav\nb/5\n")
    names = load_own(tmp_path / "set", [], options=SplitOptions(test=str(tmp_path / "names.txt")))
    assert [names.whole.files[i] for i in names.parts["test"]] == ["a/0.wav", "b/5.wav"]
    with pytest.raises(DataError, match="expects a folder of test sounds, a text file of their names"):
        load_own(tmp_path / "set", [], options=SplitOptions(test="1.5"))


def test_any_mix_of_files_is_brought_together(tmp_path: Path) -> None:
    wave = 0.4 * np.sin(np.arange(20_000) / 5)
    for i, (rate, channels, kind) in enumerate(
        [(8000, 1, "wav"), (44_100, 2, "flac"), (22_050, 6, "wav"), (192_000, 1, "wav"), (48_000, 2, "ogg")]
    ):
        for label in ("a", "b"):
            place = tmp_path / "set" / label / f"{i}.{kind}"
            place.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(place, np.repeat((wave * (1 if label == "a" else -0.5))[:, None], channels, 1), rate)
    bad = wave.astype(np.float32)
    bad[5] = np.nan
    soundfile.write(tmp_path / "set" / "a" / "nan.wav", bad, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "set" / "b" / "long.wav", np.tile(wave, 16), 8000)  # 40 s
    (tmp_path / "set" / "a" / "empty.wav").write_bytes(b"")
    own = load_own(tmp_path / "set", [], rate=16_000)
    assert len(own.whole) == 12 and own.whole.rate == 16_000
    assert own.whole.seconds.max() == pytest.approx(30, abs=0.01)
    said = " ".join(own.summary.read)
    assert "of 1 sounds that are longer than 30 s" in said and "1 sounds have samples that are not numbers" in said
    (left,) = own.summary.left_out
    assert left.count == 1 and "the file is empty" in left.reason
    whole, _ = load_whole(tmp_path / "set", ("a", "b"), rate=8000)
    assert len(whole) == 12


@installed
def test_own_sounds_are_learned_from_what_photos_have_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "cache"))
    for label, pitch in (("low", 250), ("high", 1500)):
        for i in range(5):
            tone(tmp_path / "set" / label / f"{i}.wav", pitch * (1 + 0.02 * i), seconds=0.4)
    settings = {"data": str(tmp_path / "set"), "mels": 64, "views": 2, "options": {"taps": ["stage3", "stage4"]}}
    run = tmp_path / "run"
    with caplog.at_level("INFO"):
        outcome = train("sounds", folder=run, settings=settings)
    assert outcome.card.metrics["accuracy"] == {**outcome.card.metrics["accuracy"], "mean": 1.0, "n": 2}
    assert (outcome.card.input["channels"], outcome.card.input["hop"]) == (3, 32)  # of short sounds more frames
    assert "a head on features of imagenet answers 100.0 % of the training sounds" in caplog.text
    predictor = load(run, device="cpu")
    answer = predictor.predict([tmp_path / "set" / "high" / "0.wav"])[0]
    assert answer.labels[0] == "high"
    photos = imagenet.imagenet_state()["stages.stage4.0.path.expand.conv.weight"]
    kept = predictor.model.state_dict()["stages.stage4.0.path.expand.conv.weight"]
    assert torch.equal(kept, photos.half().float())  # frozen, stored in half precision
    assert evaluate_weights(str(run), device="cpu")["metrics"]["accuracy"] == 1.0
    assert predictor.explain(tmp_path / "set" / "high" / "0.wav").over_time.max() == pytest.approx(1, abs=1e-5)
    # and from there to other classes, all of it or the head alone
    for i in range(4):
        tone(tmp_path / "other" / "deep" / f"{i}.wav", 120 + i)
        tone(tmp_path / "other" / "shrill" / f"{i}.wav", 3000 + i)
    again = train("sounds", folder=tmp_path / "again", settings={"data": str(tmp_path / "other"), "weights": str(run)})
    assert (again.card.labels, again.card.input) == (["deep", "shrill"], outcome.card.input)
    assert again.card.metrics["accuracy"]["mean"] == 1.0


def test_a_head_alone_needs_pooled_stages(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for i in range(3):
            tone(tmp_path / "set" / label / f"{i}.wav", 300 + i)
    settings = {"data": str(tmp_path / "set"), "options": {}}
    if imagenet.is_installed():
        with pytest.raises(ConfigError, match="needs a network with taps"):
            train("sounds", folder=tmp_path / "run", settings=settings)
    summary = DOMAIN.summarise("sounds", settings)  # without computing a feature
    assert sum(summary.splits.values()) == 6
    fresh = DOMAIN.make_task(DOMAIN.recipe())
    assert not fresh.pretrained
