"""Answers for raw pictures: captions, reasons, covered regions, pictures for a sentence, and the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_captions import write_photos

from cnn_core.errors import CnnError, DataError, UnknownNameError, WeightsError
from image_captioning import explain_to_file, predict_items
from image_captioning.explain import cover
from image_captioning.predict import Predictor, load


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return load(run, device="cpu")


def test_captions_come_with_probabilities_the_best_first(predictor: Predictor, photos: Path) -> None:
    answer = predictor.predict(photos / "0.png", n_best=2)[0]
    assert answer.input == str(photos / "0.png") and answer.error is None
    assert len(answer.captions) == len(answer.probabilities) == 2 and len({*answer.captions}) == 2
    assert all(0 < p < 1 for p in answer.probabilities)
    wanted = predictor.likelihood(torch.stack([predictor.contract.place(photos / "0.png")[0]]), answer.captions[0])
    words = len(answer.captions[0].split()) + 1
    assert float(wanted) * words == pytest.approx(np.log(answer.probabilities[0]), rel=0.02)


def test_batches_and_kinds_of_pictures_do_not_change_the_answer(predictor: Predictor, photos: Path) -> None:
    files = [photos / f"{i}.png" for i in range(7)]
    together = predictor.predict(files, batch_size=3)
    array = np.asarray(Image.open(files[2]))
    kinds = [array, Image.fromarray(array), files[2].read_bytes(), torch.from_numpy(array.copy()).permute(2, 0, 1)]
    assert [predictor.predict([f])[0].captions for f in files] == [a.captions for a in together]
    assert {tuple(a.captions) for a in predictor.predict(kinds)} == {tuple(together[2].captions)}


def test_bad_pictures_have_an_error_and_the_others_their_captions(predictor: Predictor, photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"GIF89a no")
    (photos / "empty.jpg").touch()
    answers = predictor.predict([photos / "0.png", photos / "bad.png", photos / "none.png", photos / "empty.jpg", b"x"])
    assert [a.error is None for a in answers] == [True, False, False, False, False]
    assert "no such file" in answers[2].error and "zero bytes" in answers[3].error
    assert answers[1].to_json().keys() == {"input", "error"}


def test_the_frames_that_are_not_looked_at_are_said(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    with Image.open(photos / "0.png") as first, Image.open(photos / "1.png") as second:
        first.save(tmp_path / "moves.png", save_all=True, append_images=[second])
    moves, still = predictor.predict([tmp_path / "moves.png", photos / "0.png"])
    assert moves.captions == still.captions
    assert "first of 2 frames" in str(moves) and not any("frames" in said for said in still.warnings)
    assert "first of 2 frames" in predictor.explain(tmp_path / "moves.png").save(tmp_path / "why.png")


def test_sampling_depends_on_the_seed_and_zero_is_greedy(predictor: Predictor, photos: Path) -> None:
    draw = {"temperature": 1.5, "n_best": 4}
    once = predictor.predict(photos / "1.png", seed=1, **draw)[0]
    assert once == predictor.predict(photos / "1.png", seed=1, **draw)[0]
    assert once.captions != predictor.predict(photos / "1.png", seed=2, **draw)[0].captions
    greedy = predictor.predict(photos / "1.png", temperature=0, n_best=1)[0]
    assert greedy.captions == predictor.predict(photos / "1.png", beams=1, n_best=1)[0].captions
    for wrong in ({"n_best": 0}, {"temperature": -1}, {"beams": 1000}, {"batch_size": 0}):
        with pytest.raises(CnnError):
            predictor.predict(photos / "1.png", **wrong)


def test_a_folder_becomes_a_table(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    (photos / "zz.png").write_bytes(b"bad")
    assert predictor.predict_folder(photos, tmp_path / "out.csv", n_best=2) == (12, 1)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert (
        lines[0] == "input,captions,captions2,caption_probabilities,caption_probabilities2,error" and len(lines) == 14
    )
    with pytest.raises(CnnError, match="found none"):
        predictor.predict_folder(tmp_path / "nowhere", tmp_path / "x.csv")


@pytest.mark.parametrize("method", ["attention", "grad-cam"])
def test_every_word_has_its_reasons(predictor: Predictor, photos: Path, tmp_path: Path, method: str) -> None:
    Image.open(photos / "0.png").resize((96, 64)).save(photos / "wide.png")
    found = predictor.explain(str(photos / "wide.png"), method=method)
    assert [reason.word for reason in found.words] == found.caption.split() and found.method == method
    best = predictor.predict(photos / "wide.png")[0]
    assert found.caption == best.captions[0] and found.probability == pytest.approx(best.probabilities[0], rel=0.02)
    for reason in found.words:
        assert reason.heat.shape == (64, 96) and reason.heat.isfinite().all()
        assert reason.heat.min() >= 0 and reason.heat.max() > 0
        assert 0 < reason.probability <= 1 and len(reason.alternatives) == 5
        probabilities = [p for _, p in reason.alternatives]
        assert probabilities == sorted(probabilities, reverse=True)
    assert found.overlay(0).shape == (64, 96, 3)
    said = found.save(tmp_path / "why.png")
    assert found.caption in said and Image.open(tmp_path / "why.png").width == 960


def test_any_sentence_can_be_explained(predictor: Predictor, photos: Path) -> None:
    found = predictor.explain(photos / "0.png", caption="A red circle, zebra")
    assert [reason.word for reason in found.words] == ["a", "red", "circle", "?"]
    with pytest.raises(CnnError, match="sentence with words"):
        predictor.explain(photos / "0.png", caption="...")
    with pytest.raises(UnknownNameError, match="grad-cam"):
        predictor.explain(photos / "0.png", method="gradcam")
    with pytest.raises(DataError):
        predictor.explain(photos / "none.png")


def test_covering_a_region(predictor: Predictor, photos: Path) -> None:
    everything = cover(predictor, photos / "0.png", (0, 0, 1, 1))
    assert everything.before == predictor.predict(photos / "0.png")[0].captions[0]
    assert [word for word, _, _ in everything.words] == everything.before.split()
    assert any(abs(before - after) > 1e-3 for _, before, after in everything.words)
    corner = Image.new("RGB", (64, 64), (230, 230, 230))
    assert all(abs(b - a) < 1e-4 for _, b, a in cover(predictor, corner, (0, 0, 0.2, 0.2)).words)  # nothing was there
    for box in ((0.5, 0, 0.5, 1), (0, 0, 2, 1), (-1, 0, 1, 1)):
        with pytest.raises(CnnError, match="left < right"):
            cover(predictor, photos / "0.png", box)


def test_the_covered_region_is_the_box_in_the_mean_colour(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shown, remember = [], predictor.remember
    monkeypatch.setattr(predictor, "remember", lambda views: shown.append(views) or remember(views))
    found = cover(predictor, Image.fromarray(pixels), (0.5, 0, 1, 0.25))  # the right half, the upper quarter
    plain, hidden = shown[0]
    assert torch.equal(plain.permute(1, 2, 0), torch.from_numpy(pixels))
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:16, 32:] = True
    assert torch.equal(hidden[:, ~inside], plain[:, ~inside])
    assert hidden[:, inside].unique(dim=1)[:, 0].tolist() == pixels.mean((0, 1)).round().tolist()
    assert hidden[:, inside].unique(dim=1).shape[1] == 1
    reasons = predictor.explain(Image.fromarray(pixels), caption=found.before).words
    assert [probability for _, probability, _ in found.words] == pytest.approx(
        [r.probability for r in reasons], rel=0.02
    )


def test_pictures_are_ranked_by_the_likelihood_of_a_sentence(predictor: Predictor, photos: Path) -> None:
    (photos / "zz.png").write_bytes(b"bad")
    matches = predictor.retrieve_folder(photos, "a red circle")
    assert len(matches) == 13 and matches[-1].error and matches[-1].input.endswith("zz.png")
    scores = [match.score for match in matches[:-1]]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(0, abs=1e-4)
    views = torch.stack([predictor.contract.place(match.input)[0] for match in matches[:-1]])
    begun = predictor.likelihood(views, "a red circle", whole=False)
    assert scores == pytest.approx((begun - begun.mean()).tolist(), abs=1e-4)
    assert (begun * 3 >= predictor.likelihood(views, "a red circle") * 4 - 1e-4).all()  # the end is one word more
    red = Image.new("RGB", (64, 64), "red")
    assert predictor.unknown_words("a red zebra") == ["zebra"]
    for sentence in ("", "zebra giraffe"):
        with pytest.raises(CnnError):
            predictor.retrieve([red], sentence)


def test_the_functions_behind_the_command(run: Path, photos: Path, tmp_path: Path) -> None:
    items = list(predict_items(str(run), [str(photos / "0.png"), str(tmp_path / "none"), str(photos)], device="cpu"))
    assert len(items) == 14 and "error" in items[1] and items[0]["captions"] == items[2]["captions"]
    json.dumps(items)
    line = str(next(load(run, device="cpu").stream_inputs([str(photos / "0.png")])))
    assert line == f"{photos / '0.png'}: " + " | ".join(items[0]["captions"])
    said = explain_to_file(str(run), str(photos / "0.png"), tmp_path / "x.png", device="cpu")
    assert (tmp_path / "x.png").exists() and "attention" in said
    (tmp_path / "hollow").mkdir()
    assert next(iter(predict_items(str(run), [str(tmp_path / "hollow")])))["error"] == "the folder holds no pictures"


def test_weights_that_are_no_numbers_are_a_sentence(run: Path, photos: Path) -> None:
    broken = load(run, device="cpu")
    with torch.no_grad():
        broken.model.decoder.words.bias.fill_(float("nan"))
    assert "not a number" in broken.predict(photos / "0.png")[0].error
    with pytest.raises(CnnError, match="not a number"):
        broken.explain(photos / "0.png")


def test_other_domains_weights_are_refused(run: Path, tmp_path: Path) -> None:
    from cnn_core.weights import list_weights

    other = [entry.folder for entry in list_weights(domain="image_classification")]
    assert other
    with pytest.raises((WeightsError, UnknownNameError)):
        load(other[0], device="cpu")
    write_photos(tmp_path, 1)
    with pytest.raises(WeightsError):
        load(tmp_path, device="cpu")
