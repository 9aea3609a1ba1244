"""The domain of text classification: its task, how its weights are measured, and the ways of transfer learning."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnn_core.data.sets import find_set
from cnn_core.data.summary import NAMED, DataSummary, Omissions, class_counts
from cnn_core.domain import Domain
from cnn_core.errors import CnnError, DataError
from cnn_core.predictor import Measured, check_labels
from cnn_core.train.config import override
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import Choice, choose_items, content_hashes, read_members
from text_classification.contract import DOMAIN_NAME, TextContract
from text_classification.copies import similar
from text_classification.data import DATA_SETS, Reading, TextSet, load_data, load_sets, read_custom
from text_classification.model import TextNet, arguments_of
from text_classification.predict import Predictor, load
from text_classification.recipe import Recipe
from text_classification.report import Report, evaluate
from text_classification.tables import Table
from text_classification.task import TextTask

EXPORTED_LENGTH = 64  # tokens
SHOWN = 60  # characters of a text in an example


def _reading(predictor: Predictor) -> Reading:
    """Return how the training data of the weights were read and split."""
    settings = predictor.card.section("data")
    return Reading(**{field.name: settings[field.name] for field in fields(Reading) if field.name in settings})


def _measure(
    predictor: Predictor,
    data: str,
    split: str | None,
    own: bool,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
) -> Measured:
    """Measure a split of a named set, or a user's texts: those of their test table, else all, see `choose_items`."""
    if find_set(DATA_SETS, data) is not None:
        texts = load_sets(data, splits=(split or "test",), fold=_reading(predictor).fold if own else 0)[split or "test"]
        check_labels(predictor, texts.labels, data)
        return Measured.split_of_set(evaluate(predictor, texts), data, texts.split, items="texts")
    members = read_members(predictor.folder) if predictor.folder else None
    reading = _reading(predictor) if own else Reading()
    reading = replace(
        reading, text_column=text_column or reading.text_column, label_column=label_column or reading.label_column
    )
    likely = predictor.contract.text_column, predictor.contract.label_column
    if not own:
        reading = replace(reading, group_column=None, test=None)
    tables = read_custom(data, reading, likely=likely, folds=own)
    given = (split or "test") in tables
    if given:
        tables = {split or "test": tables[split or "test"]}
    elif own and members is None:  # of before they were kept
        texts = load_data(data, reading).splits[split or "test"]
        check_labels(predictor, texts.labels, data)
        return Measured.split_of_set(evaluate(predictor, texts), data, texts.split, items="texts")
    texts, omissions = _known(predictor, tables, data)
    hashes = content_hashes(map(similar, texts.texts))
    if given:  # a whole part, even where it holds copies of others
        learned = np.concatenate([*(m for part, m in (members or {}).items() if part != "test"), hashes[:0]])
        unseen = ~np.isin(hashes, learned)
        copies = f"{int((~unseen).sum()):,} of {len(texts):,} texts are copies of what these weights learned from"
        warnings = () if unseen.all() or split in ("train", "val") else (f"{copies}, which flatters",)
        chosen = Choice(np.arange(len(texts)), unseen, True, (f"the {split or 'test'} table is measured",), warnings)
    else:
        chosen = choose_items(hashes, members, split=split, items="texts")
    if not len(chosen.items):
        raise DataError(f"{data}: {'; '.join(chosen.sentences)}: nothing to measure on")
    measured = replace(texts.subset(chosen.items), split=(split or "test") if chosen.own else "all")
    report = evaluate(predictor, measured)
    unseen_metrics: Mapping[str, float] = {}
    if 0 < chosen.unseen.sum() < len(chosen.items) and chosen.warnings:
        unseen_metrics = evaluate(predictor, measured.subset(np.flatnonzero(chosen.unseen))).metrics
    summary = DataSummary(
        data, "texts", {measured.split: len(measured)},
        class_counts(measured.labels, {measured.split: measured.targets.tolist()}),
        divided="; ".join(chosen.sentences), read=tuple(line for table in tables.values() for line in table.read),
        left_out=(*(entry for table in tables.values() for entry in table.left_out), *omissions.all),
        warnings=chosen.warnings,
    )  # fmt: skip
    return Measured(
        report=report, split=measured.split, data=summary, of=len(texts) + sum(e.count for e in omissions.all),
        unseen=unseen_metrics,
    )  # fmt: skip


def _known(predictor: Predictor, tables: Mapping[str, Table], data: str) -> tuple[TextSet, Omissions]:
    """Return the texts with labels that the network knows, and how many have others.

    Raises:
        CnnError: none has a label that it knows.
    """
    places = {label: k for k, label in enumerate(predictor.labels)}
    texts: list[str] = []
    targets: list[int] = []
    omissions = Omissions()
    for table in tables.values():
        for text, label in zip(table.texts, table.labels, strict=True):
            if label in places:
                texts.append(text)
                targets.append(places[label])
            else:
                omissions.add(f"of the class {label!r}, which the network does not know", text[:SHOWN])
    if not texts:
        labels = list(dict.fromkeys(label for table in tables.values() for label in table.labels))
        shown = ", ".join(labels[:NAMED]) + (", ..." if len(labels) > NAMED else "")
        raise CnnError(
            f"{predictor.card.name} knows the classes {', '.join(predictor.labels)}, but {data} has {shown}; choose "
            "data with some of these classes, or another column with --label-column"
        )
    return TextSet(data, "all", tuple(predictor.labels), texts, torch.tensor(targets, dtype=torch.int64)), omissions


def _report(predictor: Predictor) -> Report:
    """Measure the test set, and search the training set for the n-grams of the filters."""
    settings = predictor.card.section("data")
    learned = "train" if settings["validation"] else "train+val"
    sets = load_data(settings["data"], _reading(predictor), phrases=settings.get("phrases", False)).splits
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
