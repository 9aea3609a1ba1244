"""Confidence: temperature and familiarity by hand, and what goes into weights and cards."""

import copy
import math
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnn_core.answers import Tally
from cnn_core.classification import Prediction
from cnn_core.confidence import (
    among_references,
    answering,
    backbone_of,
    drawn,
    fit_temperature,
    learn_confidence,
    split_answers,
    with_familiarity,
    with_features,
)
from cnn_core.models import as_backbone, create_model
from cnn_core.weights import load_model, save_weights
from cnn_core.weights.card import Confidence


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return create_model("lenet", in_channels=1, num_classes=3, spatial_dims=2, input_size=(32, 32)).eval()


def test_temperature_is_the_one_that_the_scores_were_multiplied_by() -> None:
    random = torch.Generator().manual_seed(3)
    scores = torch.randn(4000, 5, generator=random)
    targets = torch.multinomial(scores.softmax(1), 1, generator=random)[:, 0]  # scores that are calibrated by making
    assert fit_temperature(scores, targets) == pytest.approx(1.0, rel=0.06)
    assert fit_temperature(4 * scores, targets) == pytest.approx(4.0, rel=0.06)
    assert fit_temperature(scores / 5, targets) == pytest.approx(0.2, rel=0.06)


def test_temperature_is_where_the_likelihood_is_greatest() -> None:
    scores, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]).repeat(500, 1), torch.zeros(2000)
    targets[::4] = 1  # three of four are right: sigmoid(2 / T) = 0.75, so T = 2 / ln 3
    assert fit_temperature(scores, targets.long()) == pytest.approx(2 / math.log(3), rel=0.01)


def test_a_handful_of_right_answers_does_not_make_a_network_certain() -> None:
    scores = torch.tensor([[1.0, 0.0]]).repeat(20, 1)
    cold = fit_temperature(scores, torch.zeros(20, dtype=torch.long))
    assert 0.1 < cold < 1.0  # without the prior it would be the coldest that is tried


def test_familiarity_is_the_cosine_to_the_nearest_reference() -> None:
    network = small_network()
    backbone = backbone_of(network)
    assert backbone is not None
    x = torch.rand(6, 1, 32, 32)
    with torch.inference_mode():
        both = with_features(network, backbone)(x)
        assert torch.equal(both[:, :3], network(x)) and torch.allclose(both[:, 3:].norm(dim=1), torch.ones(6))
        directions = torch.zeros(2, both.shape[1] - 3, dtype=torch.int8)
        directions[0, 0] = directions[1, 1] = 127
        backbone.head.references = directions
        answered = answering(network)(x)
    expected = F.normalize(both[:, 3:], dim=1)[:, :2].amax(1)  # the cosines to two axes are two coordinates
    assert torch.allclose(answered[:, 3], expected, atol=1e-6) and torch.equal(answered[:, :3], both[:, :3])
    middle = float(expected.median())
    said = Confidence(
        temperature=1.0, n=9, data="val", error_before=0.0, error_after=0.0, threshold=middle
    )  # fmt: skip
    scores, known = split_answers(answered, 3, said)
    assert scores.shape == (6, 3) and known.tolist() == (answered[:, 3] >= middle).tolist() and 0 < known.sum() < 6
    assert split_answers(answered, 3, None)[1].all()


def test_features_are_roots_of_what_the_last_layer_reads_and_of_the_map_before() -> None:
    network = small_network()
    backbone = as_backbone(network)
    x = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        found = with_features(network, backbone)(x)[:, 3:]
        maps = backbone.forward_features(x)
        last = nn.Sequential(*list(backbone.head)[:-1])(maps[-1])
    rooted = [F.normalize(part.sign() * part.abs().sqrt()) for part in (last, maps[-2].mean((2, 3)))]
    assert torch.allclose(found, F.normalize(torch.cat([2 * rooted[0], rooted[1]], 1)), atol=1e-6)


def test_two_threads_do_not_see_each_other() -> None:
    network = small_network()
    backbone = backbone_of(network)
    assert backbone is not None
    first, second = torch.rand(2, 1, 32, 32), torch.rand(5, 1, 32, 32)
    inside, go_on = threading.Event(), threading.Event()

    def slow(x: Tensor) -> Tensor:
        inside.set()
        go_on.wait(10)
        return network(x)

    found: list[Tensor] = []

    def work() -> None:
        with torch.inference_mode():
            found.append(with_features(slow, backbone)(first))

    worker = threading.Thread(target=work)
    worker.start()
    inside.wait(10)
    with torch.inference_mode():
        alone = with_features(network, backbone)(second)
        go_on.set()
        worker.join()
        assert len(alone) == 5 and torch.equal(found[0], with_features(network, backbone)(first))
    assert not backbone.head.classifier._forward_pre_hooks


class Halves:
    """A classifier's task on scores that are known: class k has feature k, far apart."""

    training_split, open_set = "train", True

    def __init__(self, count: int) -> None:
        random = torch.Generator().manual_seed(1)
        self.x = {split: torch.rand(count, 1, 32, 32, generator=random) for split in ("train", "val")}
        self.y = {split: torch.arange(count) % 3 for split in self.x}

    def network(self, model: nn.Module) -> nn.Module:
        return model

    def scored(self, network: object, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        assert callable(network)
        if split not in self.x:
            return None
        count = len(self.y[split])
        index = torch.arange(count) if most is None else drawn(count, most)
        return network(self.x[split][index]), self.y[split][index]


def test_what_is_learned_goes_into_the_head_and_the_card(tmp_path: Path) -> None:
    network, task = small_network(), Halves(150)
    with torch.inference_mode():
        before = network(task.x["val"])
        task.y["val"] = before.argmax(1)  # all right: the network is too modest
    said = learn_confidence(task, network)
    assert said is not None and said["n"] == 150 and said["temperature"] < 0.5
    assert said["error_after"] < said["error_before"]
    with torch.inference_mode():
        assert torch.allclose(network(task.x["val"]) * said["temperature"], before, atol=1e-5)
    fields = {
        "name": "small", "domain": "image_classification", "model": "lenet",
        "arguments": {
            "spatial_dims": 2, "in_channels": 1, "num_classes": 3, "input_size": [32, 32], "options": {},
        },
        "input": {}, "labels": ["a", "b", "c"], "metrics": {}, "recipe": {}, "command": "cnn train small",
        "machine": "here", "seconds": 1.0, "licence": "MIT", "limits": [], "confidence": said,
    }  # fmt: skip
    save_weights(network, fields, tmp_path)
    loaded, card = load_model(tmp_path)
    assert card.confidence == said
    with torch.inference_mode():
        assert torch.equal(answering(loaded)(task.x["val"]), answering(network)(task.x["val"]))
        known = split_answers(answering(loaded)(task.x["val"]), 3, card.confidence)[1]
    assert known.double().mean() == pytest.approx(0.98, abs=0.01)  # these were the validation data
    as_backbone(loaded).reset_head(4)  # other classes: what was learned of the old ones goes
    assert as_backbone(loaded).head.references is None
    assert answering(loaded)(task.x["val"]).shape[1] == 4  # no familiarity


def test_nothing_is_learned_of_few_items_and_old_references_go() -> None:
    network = small_network()
    untouched = copy.deepcopy(network.state_dict())
    backbone = backbone_of(network)
    assert backbone is not None
    backbone.head.references = torch.ones(3, 5, dtype=torch.int8)
    assert learn_confidence(Halves(12), network) is None and backbone.head.references is None
    assert all(torch.equal(value, untouched[key]) for key, value in network.state_dict().items())
    assert learn_confidence(object(), network) is None


def test_references_are_compared_with_the_others() -> None:
    references = torch.tensor([[127, 0], [0, 127], [127, 127]], dtype=torch.int8)
    assert among_references(references).tolist() == pytest.approx([0.5**0.5] * 3)
    assert among_references(references[:2]).tolist() == [0.0, 0.0]


def test_familiarity_needs_references() -> None:
    network = small_network()
    backbone = backbone_of(network)
    assert backbone is not None
    with pytest.raises(ValueError, match="no references"):
        with_familiarity(network, backbone)


def test_an_answer_says_that_it_is_none_of_these() -> None:
    found = Prediction("a.png", ["cat", "dog"], [0.7, 0.3], known=False)
    assert str(found) == "a.png: none of these; nearest: cat 70.0%, dog 30.0%"
    assert found.to_json()["none_of_these"] is True and "none_of_these" not in Prediction("b", ["cat"], [1.0]).to_json()
    tally = Tally()
    tally.add(found.to_json())
    tally.add(Prediction("b.png", ["cat"], [1.0]).to_json())
    assert tally.to_json()["classes"] == {"none of these": 1, "cat": 1}
