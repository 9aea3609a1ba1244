"""The domain of captioning: how weights are measured, the ways of transfer learning, and why none is exported."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn_core.data.summary import DataSummary
from cnn_core.domain import Domain
from cnn_core.errors import CnnError, DataError
from cnn_core.predictor import Measured
from cnn_core.train.config import override
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import choose_items, read_members
from image_captioning.contract import DOMAIN_NAME, CaptionerOptions
from image_captioning.data import DATA_SETS, CaptionSet, load_photos, load_sets, makes_scenes
from image_captioning.predict import Predictor, load
from image_captioning.readers import Columns
from image_captioning.recipe import Recipe, settings_of
from image_captioning.report import Report, measure, report_on
from image_captioning.task import CaptionTask

BATCH_SIZE = 64


def evaluate(predictor: Predictor, truth: CaptionSet) -> Report:
    """Measure a predictor on a set, through the same preprocessing as every prediction.

    Raises:
        DataError: the set is empty, or its pictures have another size than the network's.
    """
    return report_on(write(predictor, truth), truth, predictor.contract.numbers)


def write(predictor: Predictor, truth: CaptionSet) -> list[list[str]]:
    """Return the words of a caption for each picture of a set; errors as in `evaluate`."""
    size = tuple(truth.images.shape[2:])
    if not len(truth) or size != predictor.contract.size:
        raise DataError(f"{truth.name}: expected pictures of {predictor.contract.size}, got {len(truth)} of {size}")
    captions: list[list[str]] = []
    for images in truth.images.split(BATCH_SIZE):
        captions += map(predictor.contract.decode, predictor.best(predictor.remember(images)))
    return captions


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    """Measure a split of a named set; of pictures at a path all, or the run's own split if it learned from them.

    Pictures are preprocessed as the network takes them; columns that the training was given are taken again.
    """
    contract, learned = predictor.contract, predictor.card.section("data")
    how: dict[str, Any] = {"size": contract.size, "fit": contract.fit, "tokenizer": contract.tokenizer}
    if makes_scenes(data) or data.replace("-", "_") in DATA_SETS:
        split = split or "test"
        truth = load_sets(data, splits=(split,), **how)[split]
        return Measured.split_of_set(evaluate(predictor, truth), data, split, items="pictures")
    columns = Columns(learned.get("image_column"), learned.get("caption_column"), remembered=not own)
    photos = load_photos(data, columns=columns, test=learned.get("test") if own else None, **how)
    members = read_members(predictor.folder) if predictor.folder else None
    choice = choose_items(photos.hashes, members, split=split, items="pictures")
    items, said, measured = choice.items, list(choice.sentences), "all"
    if choice.own:
        measured = split or "test"
    elif split is not None:
        items, measured = photos.parts[split], split
        said = [f"the {len(items):,} pictures of their {split} split are measured"]
    if not len(items):
        raise DataError(f"{data}: there is no picture of the {measured} split to measure; --split chooses another one")
    truth = photos.whole.subset(items, measured)
    captions = write(predictor, truth)
    unseen = choice.unseen[np.isin(choice.items, items)]
    rest = {}
    if not choice.own and 0 < unseen.sum() < len(unseen):
        places = np.flatnonzero(unseen)
        rest = measure([captions[i] for i in places], truth.subset(places, measured))
    kept = photos.summary
    summary = DataSummary(
        data, "pictures", {"all": len(photos.whole)}, read=(*kept.read, *said), left_out=kept.left_out,
        warnings=choice.warnings,
    )  # fmt: skip
    report = report_on(captions, truth, contract.numbers)
    return Measured(report=report, split=measured, data=summary, of=len(photos.whole), unseen=rest)


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
