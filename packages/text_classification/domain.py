"""The domain of text classification: its task, how its weights are measured, and the ways of transfer learning."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cnn_core.domain import Domain, check_labels
from cnn_core.predictor import Measured
from cnn_core.train.config import override
from cnn_core.weights import WeightsCard
from text_classification.contract import DOMAIN_NAME, TextContract
from text_classification.data import DATA_SETS, load_sets
from text_classification.model import TextNet, arguments_of
from text_classification.predict import Predictor, load
from text_classification.report import Report, evaluate
from text_classification.task import Recipe, TextTask

EXPORTED_LENGTH = 64  # tokens


def _reading(predictor: Predictor) -> dict[str, Any]:
    """Return how the training data of the weights were split and read, as keywords of `load_sets`."""
    settings = predictor.card.section("data")
    return {key: settings[key] for key in ("fold", "text_column", "label_column") if key in settings}


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    split = split or "test"
    texts = load_sets(data, splits=(split,), **(_reading(predictor) if own else {}))[split]
    check_labels(predictor, texts.labels, data)
    return Measured.split_of_set(evaluate(predictor, texts), data, split, items="texts")


def _report(predictor: Predictor) -> Report:
    """Measure the test set, and search the training set for the n-grams of the filters."""
    settings = predictor.card.section("data")
    learned = "train" if settings["validation"] else "train+val"
    phrases = settings.get("phrases", False)
    sets = load_sets(settings["data"], splits=("test", learned), phrases=phrases, **_reading(predictor))
    return evaluate(predictor, sets["test"], training=sets[learned])


def _ways(card: WeightsCard, weights: str) -> Mapping[str, tuple[Recipe, Mapping[str, Any]]]:
    """Return training from `weights` and from scratch: the same network, tokenizer, length and size of vectors."""
    network, contract = arguments_of(card), TextContract.of_card(card, domain=DOMAIN_NAME)
    vectors = "one-hot" if network["vectors"] == "one-hot" else "rand"  # from scratch: without a file of vectors
    same = {
        "tokenizer": contract.tokenizer, "length": contract.length, "vectors": vectors, "vector_size": network["size"],
        "model": card.model, "options": network["options"],
    }  # fmt: skip
    starts = (("fine-tune", weights), ("scratch", None))
    return {mode: (override(Recipe(), {**same, "weights": start}), {}) for mode, start in starts}


def _exportable(predictor: Predictor) -> dict[str, Any]:
    """Return the network from token numbers [B, L] to class scores, as `cnn_core.export.export_onnx` takes it.

    L is the length that the network takes; where it takes any, `EXPORTED_LENGTH`, to which texts are padded with 0.
    """
    contract = predictor.contract
    return {
        "model": _Plain(predictor.model),
        "example_shape": (contract.length or EXPORTED_LENGTH,),
        "vocabulary_size": contract.vocab_size,
    }


class _Plain(nn.Module):
    """A `TextNet` in plain form, vectors then backbone: the fast form gathers a batch's words, which ONNX cannot."""

    def __init__(self, network: TextNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor) -> Tensor:
        return self.network.backbone(self.network.embed(ids))


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=TextTask,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    ways=_ways,
    report=_report,
    exportable=_exportable,
    limits=("Knows the classes that it learned from; anything else is still given one of their names.",),
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
