"""The shipped weights: what their cards promise, and attention that goes to the thing that is named."""

import pytest
import torch

from cnn_core.weights import list_weights, load_card
from image_captioning.grammar import is_true
from image_captioning.predict import load
from image_captioning.scenes import HELD_OUT, SEEN, Thing, make_scenes, render

SHIPPED = {entry.name: entry.folder for entry in list_weights(domain="image_captioning")}


def shipped(name: str) -> object:
    if name not in SHIPPED:
        pytest.skip(f"the weights {name!r} are not shipped yet")
    return load(name, device="cpu")


def test_scenes_are_captioned_truly() -> None:
    predictor = shipped("scenes")
    scenes = make_scenes("test", count=100)
    answers = predictor.predict(list(render(scenes, seed=7)))
    assert sum(is_true(a.captions[0], scene) for a, scene in zip(answers, scenes, strict=True)) >= 90
    assert load_card(SHIPPED["scenes"]).bytes < 3_000_000


def test_scenes_with_a_thing_are_found_by_its_name() -> None:
    predictor = shipped("scenes")
    scenes = make_scenes("val", count=100)
    pictures = list(render(scenes, seed=7))
    precisions = []
    for size, colour, shape in (*HELD_OUT["val"], *SEEN[::6]):
        sentence = f"a {size} {colour} {shape}"
        ranked = [int(match.input.split()[1]) - 1 for match in predictor.retrieve(pictures, sentence)]
        right = [is_true(sentence, scenes[i]) for i in ranked]
        hits = [sum(right[: k + 1]) / (k + 1) for k in range(len(right)) if right[k]]
        precisions += [sum(hits) / len(hits)] if hits else []
    assert len(precisions) >= 10
    assert sum(precisions) / len(precisions) > 0.6  # of scenes in any order 0.09


PAIRS = [("red circle", "blue square"), ("green triangle", "yellow circle"), ("blue triangle", "green square")]


@pytest.mark.parametrize(("method", "mean", "right"), [("attention", 0.7, 24), ("grad-cam", 0.65, 21)])
def test_attention_moves_to_the_thing_that_is_named(method: str, mean: float, right: int) -> None:
    """Four words in each of six pictures; by chance half of the heat and half of the words are on the named side."""
    predictor = shipped("scenes")
    shares = []
    for one, other in [*PAIRS, *(pair[::-1] for pair in PAIRS)]:
        things = [(*one.split(), "large", 16, 32, 12), (*other.split(), "large", 48, 32, 12)]
        picture = render([tuple(Thing(*thing) for thing in things)])[0]
        found = predictor.explain(picture, caption=f"a {one} left of a {other}", method=method)
        sides = {reason.word: float(reason.heat[:, :32].sum() / reason.heat.sum()) for reason in found.words}
        shares += [sides[word] for word in one.split()] + [1 - sides[word] for word in other.split()]
    assert sum(shares) / len(shares) > mean
    assert sum(share > 0.5 for share in shares) >= right and len(shares) == 24


def test_photos_are_captioned() -> None:
    predictor = shipped("flickr8k")
    card = load_card(SHIPPED["flickr8k"])
    assert card.bytes < 15_000_000 and card.metrics["bleu4"]["mean"] >= 0.16
    answer = predictor.predict(torch.full((3, 128, 128), 90, dtype=torch.uint8))[0]
    assert answer.error is None and answer.captions
