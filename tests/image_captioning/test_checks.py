"""What is doubted of captions: words against the encoder's classes, photos against those learned from."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from cnn_core.models import imagenet
from image_captioning import checks
from image_captioning.checks import DOUBTED, THINGS, ClassCheck, belief, class_check, familiarity, references_of
from image_captioning.predict import Caption


def names() -> list[str]:
    import json

    import image_classification

    card = Path(image_classification.__file__).parent / "weights" / "imagenet" / "card.json"
    return json.loads(card.read_text())["labels"]


@pytest.mark.parametrize(
    ("word", "inside", "outside"),
    [
        ("dog", "beagle", "tabby"), ("bird", "robin", "airliner"), ("bike", "mountain bike", "sports car"),
        ("car", "sports car", "canoe"), ("boat", "canoe", "sports car"), ("horse", "sorrel", "ox"),
        ("guitar", "acoustic guitar", "violin"), ("train", "bullet train", "school bus"),
        ("basketball", "basketball", "tennis ball"), ("airplane", "airliner", "canoe"),
        ("tent", "mountain tent", "alp"), ("motorcycle", "moped", "canoe"), ("umbrella", "umbrella", "tent"),
        ("elephant", "Indian elephant", "ox"),
    ],
)  # fmt: skip
def test_words_mean_the_classes_of_their_names(word: str, inside: str, outside: str) -> None:
    labels = names()
    seen = torch.zeros(1000)
    seen[labels.index(inside)] = 0.75
    if outside in labels:
        seen[labels.index(outside)] = 0.25
    assert belief(seen, word) == pytest.approx(0.75)


def test_words_are_doubted_below_the_threshold_once_each() -> None:
    seen = torch.zeros(1000)
    seen[151] = DOUBTED + 0.001  # a dog
    words = ["a", "dog", "and", "a", "car", "and", "a", "car", "on", "a", "street"]
    assert ClassCheck().doubted(seen, words) == ["car"]
    seen[151] = DOUBTED - 0.001
    assert ClassCheck().doubted(seen, words) == ["dog", "car"]


def test_ranges_are_classes_of_imagenet() -> None:
    for word, ranges in THINGS.items():
        assert all(0 <= first <= last < 1000 for first, last in ranges), word


def test_a_check_needs_the_encoder_with_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithEncoder:
        encoder = object()

    captioner = WithEncoder()
    monkeypatch.setattr(imagenet, "is_installed", lambda: True)
    right = {"model": "efficientnet_lite0", "encoder_weights": "imagenet"}
    assert class_check(captioner, **right) is not None  # type: ignore[arg-type]
    assert class_check(captioner, **right | {"encoder_weights": None}) is None  # type: ignore[arg-type]
    assert class_check(captioner, **right | {"model": "fastnet"}) is None  # type: ignore[arg-type]
    monkeypatch.setattr(imagenet, "is_installed", lambda: False)
    assert class_check(captioner, **right) is None  # type: ignore[arg-type]


def test_the_encoder_answers_as_the_classifier_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = {"head.classifier.weight": torch.tensor([[1.0, 0.0], [0.0, 2.0]]), "head.classifier.bias": torch.zeros(2)}
    monkeypatch.setattr(checks.imagenet, "imagenet_state", lambda: layer)
    features = torch.tensor([[[0.0, 0.0], [2.0, 1.0]]])  # the mean is (1, 0.5): scores 1 and 1
    assert ClassCheck().probabilities(features).tolist() == [[0.5, 0.5]]


def test_familiarity_is_the_cosine_of_roots_of_means() -> None:
    references = references_of(
        torch.tensor([[[4.0, 0.0], [4.0, 2.0]], [[0.0, 9.0], [0.0, 9.0]]])
    )  # means (4, 1), (0, 9)
    found = familiarity(torch.tensor([[[1.0, 1.0]], [[0.0, 4.0]]]), references)
    assert found.tolist() == pytest.approx([(2 + 1) / math.sqrt(5 * 2), 1.0], abs=0.01)
    assert F.normalize(references.float())[0].tolist() == pytest.approx([2 / math.sqrt(5), 1 / math.sqrt(5)], abs=0.01)


def test_doubts_stand_beside_the_caption() -> None:
    found = Caption("a.jpg", ["a dog runs"], [0.1], doubted=["dog"])
    assert str(found) == "a.jpg: a dog runs; the encoder sees no dog"
    assert found.to_json()["warnings"] == ["the encoder sees no dog"]
    assert "warnings" not in Caption("a.jpg", ["a dog runs"], [0.1]).to_json()
