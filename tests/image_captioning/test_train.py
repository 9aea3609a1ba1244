"""From a recipe to weights that caption, explain and find: every way of training, on very little."""

import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_captions import FEW, TINY

from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError, ConfigError, WeightsError
from cnn_core.train.config import override
from cnn_core.weights import load_card
from cnn_core.weights.reports import read_report
from image_captioning import DOMAIN, compare, evaluate_weights, train
from image_captioning.batches import CaptionBatches, Pictures, cut_outs
from image_captioning.data import load_sets
from image_captioning.model import load_captioner
from image_captioning.predict import load
from image_captioning.recipe import Recipe
from image_captioning.report import Report
from image_captioning.task import CaptionTask
from image_captioning.words import END, UNKNOWN


def test_a_run_leaves_weights_that_are_measured_alike(run: Path) -> None:
    card = load_card(run)
    assert list(card.metrics)[:3] == ["truth_rate", "named", "bleu4"] and card.metrics["truth_rate"]["n"] == FEW["test"]
    again = evaluate_weights(str(run), device="cpu")
    assert again["n"] == FEW["test"] and again["split"] == "test"
    assert again["metrics"] == pytest.approx({k: v["mean"] for k, v in card.metrics.items()}, abs=1e-6)
    report = read_report(run, Report.from_json, limit=1 << 20)
    assert report.metrics == pytest.approx(again["metrics"]) and report.worst[0].cider <= report.best[0].cider
    assert report.best[0].true in (True, False) and report.best[0].references


def test_one_epoch_and_a_resume_are_two_epochs(few_scenes: object, tmp_path: Path) -> None:
    task = {**TINY, "beams": 1, "captions_per_picture": 2, "word_dropout": 0.2}
    whole = train("scenes", folder=tmp_path / "whole", settings=task)

    def stop(progress: object) -> bool:
        return progress.metrics is None or progress.epoch < 1

    train("scenes", folder=tmp_path / "parts", settings=task, observe=stop)
    parts = train("scenes", folder=tmp_path / "parts", settings=task, resume=True)
    for (name, one), other in zip(
        whole.run.model.state_dict().items(), parts.run.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_features_of_a_frozen_encoder_are_made_once(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    settings = {
        **TINY,
        "weights": str(run),
        "frozen": True,
        "views": 2,
        "data": str(photos),
        "epochs": 1,
        "batch_size": 4,
    }
    outcome = train("scenes", folder=tmp_path / "a", settings=settings)
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "data" / "features").iterdir()}
    assert len(files) == 5  # decoded pictures, and features of train (two views), val and test
    train("scenes", folder=tmp_path / "b", settings=settings)
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "data" / "features").iterdir()} == files
    before, after = load_captioner(run)[0].state_dict(), load_captioner(tmp_path / "a")[0].state_dict()
    frozen = [name for name in before if name.startswith("encoder.")]
    assert frozen and all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["decoder.words.vectors.weight"], after["decoder.words.vectors.weight"])
    assert {**outcome.card.input, "familiar_from": None} == {**load_card(run).input, "familiar_from": None}


def test_features_are_those_of_the_pictures_as_they_are_now(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    task = CaptionTask(override(Recipe(), {**TINY, "weights": str(run), "frozen": True, "data": str(photos)}))
    task.build_data(torch.device("cpu"))
    files = {*(tmp_path / "data" / "features").iterdir()}
    second = photos / task.sets["train"].files[1]
    picture = Image.open(second).convert("RGB")
    picture.paste((0, 0, 0) if picture.getpixel((3, 3))[0] > 127 else (255, 255, 255), (1, 1, 6, 6))
    picture.save(second)
    task.build_data(torch.device("cpu"))
    assert len({*(tmp_path / "data" / "features").iterdir()} - files) == 2  # pictures and features of train


def test_a_picture_that_could_not_be_read_once_is_tried_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))

    def files() -> set[str]:
        sets = load_sets(str(photos), splits=("train", "val", "test"))
        return {name for split in sets.values() for name in split.files}

    picture = photos / "1.png"
    good, times = picture.read_bytes(), (picture.stat().st_atime_ns, picture.stat().st_mtime_ns)
    picture.write_bytes(bytes(len(good)))
    os.utime(picture, ns=times)
    assert "1.png" not in files()
    picture.write_bytes(good)
    os.utime(picture, ns=times)  # nothing outside the file says that it is another one
    assert "1.png" in files()


def test_fine_tuning_learns_new_words_and_says_which_settings_the_weights_decide(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    lines = [f"{k}.png,a quagga beside a red zebu" for k in range(12)]
    (photos / "captions.csv").write_text("\n".join(["image,caption", *lines]) + "\n")
    old, card = load_captioner(run)[0].decoder.words, load_card(run)
    other = {"hidden": 48, "decoder": "show-tell", "fit": "pad", "size": 16, "longest": 5, "options": {"widths": [4]}}
    settings = {**TINY, **other, "weights": str(run), "data": str(photos), "batch_size": 4, "dropout": 0.0}
    task = CaptionTask(override(Recipe(), settings))
    task.build_data(torch.device("cpu"))
    known = card.input["vocabulary"]
    assert {"beside", "quagga", "zebu"}.isdisjoint(known) and "red" in known
    assert task.contract.vocabulary == (*known, "beside", "quagga", "zebu")
    batch = next(iter(task.batches(EpochContext(0, torch.Generator().manual_seed(0)))))
    assert batch.words[0].tolist() == [*task.contract.encode("a quagga beside a red zebu"), END]
    assert batch.words[0, 1] == len(known) + 4 + 1 and UNKNOWN not in batch.words
    new = task.build_model().decoder.words
    assert new.vectors.weight.shape[0] == len(new.bias) == task.contract.vocab_size == len(known) + 4 + 3
    assert torch.equal(new.vectors.weight[:-3], old.vectors.weight) and torch.equal(new.bias[:-3], old.bias)
    assert (new.bias[-3:] == old.bias[4:].min()).all()
    unused = [line.split()[0] for line in caplog.messages if f"is not used: the weights {run} keep theirs" in line]
    assert unused == ["size", "fit", "longest", "options", "decoder", "hidden"]
    train("scenes", folder=tmp_path / "new", settings={**settings, "epochs": 20, "eval_every": 20})
    answer = load(tmp_path / "new", device="cpu").predict([photos / "0.png"])[0]
    assert answer.captions[0] == "a quagga beside a red zebu"


def test_learning_from_an_own_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    settings = {**TINY, "data": str(photos), "size": 32, "decoder": "show-tell", "batch_size": 4}
    outcome = train("scenes", folder=tmp_path / "own", settings=settings)
    assert next(iter(outcome.card.metrics)) == "bleu4" and "truth_rate" not in outcome.card.metrics
    assert outcome.card.input["size"] == [32, 32]
    answer = load(tmp_path / "own", device="cpu").predict([photos / "0.png"])[0]
    assert answer.error is None and answer.captions[0]


def test_parts_add_up_to_the_batch(few_scenes: object) -> None:
    task = CaptionTask(override(Recipe(), {**TINY, "dropout": 0.0}))
    task.build_data(torch.device("cpu"))
    model = task.build_model().eval()
    batch = next(iter(task.batches(EpochContext(0, torch.Generator().manual_seed(0)))))
    whole = task.training_step(model, batch)
    parts = task.parts(batch, 3)
    assert [len(part.pictures) for part in parts] == [6, 5, 5]
    assert sum(task.weight(part) for part in parts) == task.weight(batch) == batch.lengths.sum()
    added = sum(task.training_step(model, part) * task.weight(part) / task.weight(batch) for part in parts)
    assert float(added) == pytest.approx(float(whole), abs=1e-5)


def drawn(context: EpochContext) -> list[tuple[float, list[int]]]:
    """The first batch of six pictures 1 to 6 with four captions each, as (picture, its caption)."""
    pictures = Pictures(torch.arange(1.0, 7).view(6, 1, 1), contract=None, device=torch.device("cpu"))
    captions = [[[10 * i + k, *[9] * k, END] for k in range(4)] for i in range(1, 7)]
    batches = CaptionBatches(pictures, captions, batch_size=4, per_picture=2)
    assert len(batches) == 1
    (batch,) = batches.epoch(context)
    rows = zip(batch.words.tolist(), batch.lengths.tolist(), strict=True)
    owners = batch.pictures[batch.owner].flatten().tolist()
    return [(owner, row[:length]) for owner, (row, length) in zip(owners, rows, strict=True) if not any(row[length:])]


def test_captions_per_picture_are_drawn_anew_and_stay_with_their_pictures() -> None:
    epochs = [drawn(EpochContext(epoch, torch.Generator().manual_seed(epoch))) for epoch in range(2)]
    assert epochs[0] != epochs[1] and len(epochs[0]) == 8
    for picture, caption in epochs[0] + epochs[1]:
        assert caption[0] // 10 == picture and caption[1:] == [*[9] * (caption[0] % 10), END]
    parts = [drawn(EpochContext(0, torch.Generator().manual_seed(0), rank=rank, world=2)) for rank in range(2)]
    assert [len(part) for part in parts] == [4, 4] and sorted(parts[0] + parts[1]) == sorted(epochs[0])


def test_a_view_is_drawn_for_each_picture() -> None:
    """With two views, 1 to 6 and 11 to 16, every picture comes in one of its own, about half in each."""
    source = torch.arange(1.0, 7).view(6, 1, 1)
    pictures = Pictures(source, contract=None, device=torch.device("cpu"), further=[source + 10])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([pictures.batch(torch.arange(6), generator=generator).flatten() for _ in range(200)])
    assert (drawn % 10 == source.flatten()).all() and 0.4 < float((drawn > 10).double().mean()) < 0.6
    assert pictures.batch(torch.arange(6)).equal(source)  # in evaluation the picture itself


def test_cut_outs_are_parts_of_the_picture_and_left_stays_left() -> None:
    """Across a picture that grows from 0 to 240, a cut-out grows (or falls, mirrored) over most of the range."""
    ramp = torch.linspace(0, 240, 64).round().to(torch.uint8).expand(40, 3, 48, 64)
    captions = [[["a", "dog", "on", "the", "left"]], [["a", "dog"]]] * 10 + [[["左", "边"]], [["狗"]]] * 10
    cut = cut_outs(ramp, captions, seed=1)
    assert cut.shape == ramp.shape and cut.dtype == torch.uint8
    slope = cut[:, 0, 24, -1].int() - cut[:, 0, 24, 0].int()
    assert (slope[0::2] > 0).all()  # never mirrored
    assert 4 <= int((slope[1::2] < 0).sum()) <= 16
    share = (slope.abs() + 240 / 63) / (240 + 240 / 63)  # of the width
    assert float(share.min()) > 0.6 and float(share.max()) <= 1.01
    assert cut.equal(cut_outs(ramp, captions, seed=1)) and not cut.equal(cut_outs(ramp, captions, seed=2))


def test_views_are_for_a_frozen_encoder(few_scenes: object) -> None:
    with pytest.raises(CnnError, match="views: expected 1 unless the encoder is frozen, got 3"):
        CaptionTask(override(Recipe(), {**TINY, "views": 3}))


def test_compare_trains_both_decoders(run: Path, tmp_path: Path) -> None:
    shown = []
    few = {"epochs": 1, "batch_size": 32, "beams": 1}
    rows = compare(str(run), "scenes", folder=tmp_path, settings=few, show=shown.append)
    assert [summary.splits for summary in shown] == [FEW]  # once for all ways
    assert [row["mode"] for row in rows] == ["fine-tune", "show-attend-tell", "show-tell"]
    assert load_card(tmp_path / "show-tell").arguments["options"]["decoder"] == "show-tell"
    assert all(row["n"] == FEW["test"] for row in rows)
    first, second = (load_card(tmp_path / mode) for mode in ("fine-tune", "show-attend-tell"))
    for name in ("size", "fit", "enlarge", "longest"):
        assert first.input[name] == second.input[name] == load_card(run).input[name]
    assert first.arguments["options"]["dropout"] == second.arguments["options"]["dropout"]
    assert first.command.startswith(f"cnn compare {run} --data scenes")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"min_count": 0}, "min_count"),
        ({"longest": 0}, "longest"),
        ({"beams": 0}, "beams"),
        ({"dropout": 1.0}, "dropout"),
        ({"hidden": 0}, "hidden"),
    ],
)
def test_impossible_settings_are_named(change: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(Recipe(), change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage": "stage9"}, "unknown stage"),
        ({"encoder_weights": "no-such"}, "imagenet, torchvision"),
        ({"encoder_weights": "imagenet"}, "weights of efficientnet_lite0 without options"),
        ({"min_count": 10**6}, "no word occurs"),
        ({"data": "flickr9k"}, "flickr8k"),
    ],
)
def test_what_cannot_be_built_is_said(few_scenes: object, tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(CnnError, match=said):
        train("scenes", folder=tmp_path / "run", settings={**TINY, **change})


def damaged(run: Path, folder: Path, change: object) -> Path:
    folder.mkdir()
    for file in (run / "card.json", *run.glob("model-*")):
        (folder / file.name).write_bytes(file.read_bytes())
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["input"]["vocabulary"].append("surplus"),
        lambda card: card["input"].update(size=[0, 64]),
        lambda card: card["input"].update(vocabulary="words"),
        lambda card: card["arguments"]["options"].pop("decoder"),
        lambda card: card["arguments"]["options"].update(decoder="transformer"),
        lambda card: card["arguments"]["options"].update(cell="gru"),
        lambda card: card["arguments"]["options"].update(hidden=10**9),
        lambda card: card["arguments"]["options"].update(stage="nowhere"),
        lambda card: card.update(model="resnet18"),
    ],
)
def test_a_card_that_somebody_changed_is_refused(run: Path, tmp_path: Path, change: object) -> None:
    with pytest.raises(WeightsError):
        load(damaged(run, tmp_path / "bad", change), device="cpu")


def test_captioners_are_not_exported(run: Path) -> None:
    with pytest.raises(CnnError, match="word by word"):
        DOMAIN.exportable(load(run, device="cpu"))
