"""What words add: exact sums, completeness, the right words, the smallest deletion."""

import json
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from cnn_core.errors import CnnError, DataError, UnknownNameError
from cnn_core.metrics import classification_metrics
from text_classification import Predictor, load
from text_classification.contract import TextContract
from text_classification.explain import METHODS, smallest_deletion
from text_classification.render import strengths

TEXT = "we saw one small boat near the old trail under a sail"


def centred(predictor: Predictor, text: str, index: int) -> float:
    logits = predictor.scores([text])[0]
    return float(logits[index] - logits.mean())


@pytest.mark.parametrize("target", [0, 1, None])
def test_the_decomposition_sums_to_the_score_exactly(predictor: Predictor, target: int | None) -> None:
    found = predictor.explain(TEXT, target=target)
    index = predictor.labels.index(found.label)
    assert found.method == "ngrams"
    assert found.score == pytest.approx(centred(predictor, TEXT, index), abs=1e-5)
    assert sum(found.weights) + found.rest == pytest.approx(found.score, abs=1e-9)
    head = predictor.model.backbone.head.classifier
    bias = (head.bias[index] - head.bias.mean()).item()
    assert sum(vote.contribution for vote in found.votes) + bias == pytest.approx(found.score, abs=1e-5)
    assert len(found.votes) == 300
    # What no word has: the last layer's bias, and of every filter that fired its own bias, times its weight.
    last = (head.weight[index] - head.weight.mean(0)).tolist()
    biases = torch.cat([conv.bias for conv in predictor.model.ngrams.convs]).tolist()
    own = sum(last[vote.filter] * biases[vote.filter] for vote in found.votes if vote.activation > 0)
    assert found.rest == pytest.approx(bias + own, abs=1e-5)


class NoDoubles(TorchFunctionMode):
    """A device without float64, as MPS is: only what `.cpu()` returned, and what comes of that, may become double."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = any(getattr(x, "on_cpu", x.dtype == torch.float64) for x in given) or function is torch.Tensor.cpu
        if function is torch.Tensor.double and not here:
            raise TypeError("this device has no float64")
        result = function(*args, **(kwargs or {}))
        if function is torch.Tensor.cpu:
            result = result.view_as(result)  # `.cpu()` gave the tensor itself
        if here and isinstance(result, torch.Tensor):
            result.on_cpu = True
        return result


def test_no_device_is_asked_for_float64(predictor: Predictor) -> None:
    expected = predictor.explain(TEXT)
    scores, targets = torch.randn(40, 7, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 7
    metrics = classification_metrics(scores, targets)
    with NoDoubles():
        assert predictor.explain(TEXT) == expected
        assert classification_metrics(scores, targets) == metrics


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graphics_card_names_the_same_parts(predictor: Predictor, run_folder: Path) -> None:
    expected, found = predictor.explain(TEXT), load(run_folder, device="cuda").explain(TEXT)
    assert found.weights == pytest.approx(expected.weights, abs=1e-4)
    assert [vote.filter for vote in found.votes[:5]] == [vote.filter for vote in expected.votes[:5]]


def test_a_vote_is_the_window_that_fires_its_filter_most(predictor: Predictor) -> None:
    found = predictor.explain(TEXT)
    tokens = found.tokens
    ids = torch.tensor([[0] * 4 + predictor.contract.encode(tokens) + [0] * 5])
    with torch.no_grad():
        x = predictor.model.word_vectors()[ids].transpose(1, 2)
        for vote in found.votes[:10]:
            conv = next(c for c in predictor.model.ngrams.convs if c.kernel_size[0] == vote.width)
            f = vote.filter % conv.out_channels
            answers = torch.nn.functional.conv1d(x, conv.weight[f : f + 1], conv.bias[f : f + 1])[0, 0]
            assert vote.activation == pytest.approx(float(answers.max()), abs=1e-5)
            assert vote.start + 4 == int(answers.argmax())
            span = range(vote.start, vote.start + vote.width)
            assert vote.ngram == " ".join(tokens[i] if 0 <= i < len(tokens) else "·" for i in span)


@pytest.mark.parametrize("method", METHODS)
def test_the_heat_is_on_the_topics_words(predictor: Predictor, method: str) -> None:
    found = predictor.explain("the old and small boat near a one we saw", method=method)
    strongest = max(range(len(found.tokens)), key=lambda i: abs(found.weights[i]))
    assert found.tokens[strongest] == "boat"
    if method != "gradient":
        assert found.weights[strongest] > 0


def test_integrated_gradients_sum_to_the_difference_from_an_empty_text(predictor: Predictor) -> None:
    found = predictor.explain(TEXT, method="integrated-gradients", options={"steps": 300})
    index = predictor.labels.index(found.label)
    with torch.no_grad():
        empty = predictor.model(torch.zeros(1, len(found.tokens), dtype=torch.int64))[0]
    difference = found.score - float(empty[index] - empty.mean())
    assert sum(found.weights) == pytest.approx(difference, abs=0.02 * abs(difference))


def test_occlusion_is_the_fall_of_the_score_without_the_word(predictor: Predictor) -> None:
    found = predictor.explain(TEXT, method="occlusion")
    index, words = predictor.labels.index(found.label), TEXT.split()
    for i in (0, 4, 11):
        without = centred(predictor, " ".join(words[:i] + words[i + 1 :]), index)
        assert found.weights[i] == pytest.approx(found.score - without, abs=1e-5)


def test_an_empty_text_has_no_reasons_and_a_method_has_a_name(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="empty"):
        predictor.explain(" ")
    with pytest.raises(UnknownNameError, match="did you mean ngrams"):
        predictor.explain("x", method="ngram")
    with pytest.raises(CnnError, match="at most 600 words"):
        predictor.explain("boat " * 601, method="occlusion")


@pytest.mark.parametrize("text", ["a boat", "one boat near the trail and a sail", "boat boat trail"])
def test_the_smallest_deletion_is_what_trying_all_gives(predictor: Predictor, text: str) -> None:
    words = text.split()
    answer = predictor.predict(text)[0].labels[0]
    expected = None
    for size in range(1, len(words)):
        rests = [
            " ".join(w for i, w in enumerate(words) if i not in taken)
            for taken in combinations(range(len(words)), size)
        ]
        if any(answered.labels[0] != answer for answered in predictor.predict(rests)):
            expected = size
            break
    found = smallest_deletion(predictor, text)
    assert (found and len(found.positions)) == expected
    if found:
        assert found.smallest
        assert predictor.predict(found.text)[0].labels[0] == found.label != answer
        assert list(found.words) == [words[i] for i in found.positions]


class Votes(torch.nn.Module):
    """Multiplies what each of two words gives every class; other tokens give 1."""

    def __init__(self, left: list[float], right: list[float]) -> None:
        super().__init__()
        self.rows = torch.tensor([[1.0] * len(left)] * 2 + [left, right]).log()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.rows[ids].sum(1)


def voting(left: list[float], right: list[float]) -> SimpleNamespace:
    return SimpleNamespace(
        model=Votes(left, right), contract=TextContract("whitespace", ("left", "right")), labels=["a", "b", "c"],
        device=torch.device("cpu"),
    )  # fmt: skip


def test_a_deletion_counts_although_another_lowers_the_old_answer_more() -> None:
    """Together 0.18 : 0.165 : 0. Without "left" 0.40 is still the largest; without "right" it is 0.45 against 0.55."""
    found = smallest_deletion(voting([0.45, 0.55, 1e-9], [0.40, 0.30, 0.30]), "left right")
    assert (found.words, found.label, found.smallest) == (("right",), "b", True)
    assert found.probability == pytest.approx(0.55)


@pytest.mark.parametrize(("left", "right", "taken", "smallest"), [
    (15, 13, 3, True),  # 12 to 13 for "b"; all 28 deletions of one word and 378 of two were tried
    (16, 12, 5, False),  # 11 to 12; of the 3276 deletions of three words and of those of four only some were
])  # fmt: skip
def test_a_deletion_is_the_smallest_if_every_smaller_one_was_tried(left: int, right: int, taken: int, smallest) -> None:
    found = smallest_deletion(voting([2.0, 1.0], [1.0, 2.0]), "left " * left + "right " * right)
    assert (found.words, found.label, found.smallest) == (("left",) * taken, "b", smallest)


def test_a_long_text_is_searched_along_the_most_promising_words() -> None:
    """Of 124 words only some pairs are tried; 8 : 2 for "a" becomes 1 : 2 without three words of them."""
    text = " ".join(["we saw the"] * 40 + ["left"] * 3 + ["right"])
    found = smallest_deletion(voting([2.0, 1.0], [1.0, 2.0]), text)
    assert (found.words, found.label, found.smallest) == (("left",) * 3, "b", False)
    assert found.probability == pytest.approx(2 / 3)


def test_files_of_every_kind(predictor: Predictor, tmp_path: Path) -> None:
    found = predictor.explain('a "boat" 1 <2 sail')
    for kind in ("html", "png", "json"):
        assert "ngrams" in found.save(tmp_path / f"why.{kind}")
    page = (tmp_path / "why.html").read_text()
    assert ">&lt;</span>" in page and "><</span>" not in page
    assert Image.open(tmp_path / "why.png").width == 900
    assert json.loads((tmp_path / "why.json").read_text())["tokens"] == found.tokens
    with pytest.raises(CnnError, match="ends in"):
        found.save(tmp_path / "why.gif")


def test_strengths_are_relative_to_the_largest() -> None:
    assert strengths([1.0, -2.0, 0.0]) == [0.5, -1.0, 0.0]
    assert strengths([0.0]) == [0.0]
