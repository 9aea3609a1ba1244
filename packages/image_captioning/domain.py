"""The domain of captioning: how weights are measured, the ways of transfer learning, and why none is exported."""

from collections.abc import Mapping
from typing import Any

from cnn_core.domain import Domain
from cnn_core.errors import CnnError, DataError
from cnn_core.predictor import Measured
from cnn_core.train.config import override
from cnn_core.weights import WeightsCard
from image_captioning.contract import DOMAIN_NAME, CaptionerOptions
from image_captioning.data import DATA_SETS, CaptionSet, load_sets
from image_captioning.predict import Predictor, load
from image_captioning.recipe import Recipe, settings_of
from image_captioning.report import Report, report_on
from image_captioning.task import CaptionTask

BATCH_SIZE = 64


def evaluate(predictor: Predictor, truth: CaptionSet) -> Report:
    """Measure a predictor on a set, through the same preprocessing as every prediction.

    Raises:
        DataError: the set is empty, or its pictures have another size than the network's.
    """
    size = tuple(truth.images.shape[2:])
    if not len(truth) or size != predictor.contract.size:
        raise DataError(f"{truth.name}: expected pictures of {predictor.contract.size}, got {len(truth)} of {size}")
    captions: list[list[str]] = []
    for images in truth.images.split(BATCH_SIZE):
        captions += map(predictor.contract.decode, predictor.best(predictor.remember(images)))
    return report_on(captions, truth)


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    """Measure a split, preprocessed as the network takes it; training data with the columns of the training."""
    split = split or "test"
    contract, columns = predictor.contract, predictor.card.section("data") if own else {}
    pictures = load_sets(
        data, splits=(split,), size=contract.size, fit=contract.fit, image_column=columns.get("image_column"),
        caption_column=columns.get("caption_column"),
    )  # fmt: skip
    return Measured.split_of_set(evaluate(predictor, pictures[split]), data, split, items="pictures")


def _ways(card: WeightsCard, weights: str) -> Mapping[str, tuple[Recipe, Mapping[str, Any]]]:
    """Return training from `weights`, and from scratch with each of the two decoders."""
    fresh = _again(card, None)
    decoders = {name: (fresh, {"decoder": name}) for name in ("show-attend-tell", "show-tell")}
    return {"fine-tune": (_again(card, weights), {}), **decoders}


def _again(card: WeightsCard, weights: str | None) -> Recipe:
    """Return a recipe with a card's encoder, its weights or fresh ones, that preprocesses pictures as the card says."""
    dropout = CaptionerOptions.of_card(card).dropout
    return override(Recipe(), {**settings_of(card), "dropout": dropout, "weights": weights})


def _exportable(predictor: Predictor) -> dict[str, Any]:
    """Refuse: captioners write word by word, and ONNX files hold no search."""
    raise CnnError(
        f"{predictor.card.name} writes captions word by word, in a search that no ONNX file can hold; use "
        "image_captioning.load, or export an image classification network"
    )


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=CaptionTask,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    ways=_ways,
    exportable=_exportable,
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
