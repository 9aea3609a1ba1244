"""The domain of sounds: its task, how its weights are measured, and what is exported."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from audio_classification.contract import DOMAIN_NAME
from audio_classification.data import DATA_SETS, Recordings, load_sets, summary_of
from audio_classification.folder import load_whole
from audio_classification.predict import Prediction, Predictor, load
from audio_classification.reading import Sound
from audio_classification.sound_set import FULL, SoundSet, Windows
from audio_classification.task import EVALUATION_BATCH, Recipe
from audio_classification.transfer import make_task
from cnn_core.classification import Report, measure_classes
from cnn_core.data.paths import custom_path
from cnn_core.data.sets import find_set
from cnn_core.domain import Domain
from cnn_core.predictor import Measured, check_labels
from cnn_core.weights.members import choose_items, content_hashes, read_members


def evaluate(predictor: Predictor, sounds: SoundSet) -> Report:
    """Measure a predictor on a set, each sound by the mean over its windows, as `predict` answers it.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    windows = Windows(sounds, predictor.contract)
    parts = torch.arange(len(windows)).split(EVALUATION_BATCH)
    answers = [predictor.answers(windows.rows(part)) for part in parts if len(part)]
    probabilities = torch.cat([torch.empty(0, len(predictor.labels)), *(of_part for of_part, _ in answers)])
    known = torch.cat([torch.empty(0, dtype=torch.bool), *(of_part for _, of_part in answers)])
    probabilities = windows.mean_of_each(probabilities)
    most_known = windows.mean_of_each(known[:, None].float())[:, 0] >= 0.5
    source = f"{sounds.name}: the {sounds.split} split"
    return Report(**measure_classes(
        probabilities, sounds.targets, labels=sounds.labels, item_name=sounds.item_name, source=source,
        known=most_known if predictor.card.can_refuse else None,
    ))  # fmt: skip


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    if find_set(DATA_SETS, data) is None:
        return _measure_own(predictor, data, split)
    split = split or "test"
    fold = predictor.card.section("data").get("fold") if own else None
    sounds = load_sets(data, splits=(split,), fold=fold, rate=predictor.contract.rate)[split]
    check_labels(predictor, sounds.labels, data)
    summary = summary_of({split: sounds}, divided="")
    return Measured(report=evaluate(predictor, sounds), split=split, data=summary, of=len(sounds))


def _measure_own(predictor: Predictor, data: str, split: str | None) -> Measured:
    """Measure all of a folder, or the test sounds of the training if it is what was learned from."""
    custom_path(data, [*DATA_SETS], expected="one subfolder of sounds per class", kinds=("folder", "zip"))
    whole, summary = load_whole(data, predictor.labels, rate=predictor.contract.rate)
    members = read_members(predictor.folder) if predictor.folder else None
    choice = choose_items(content_hashes(wave.tobytes() for wave in whole.waves), members, split=split, items="sounds")
    part = (split or "test") if choice.own else "all"
    report = evaluate(predictor, whole.subset(choice.items, part))
    unseen = {}
    if 0 < choice.unseen.sum() < len(choice.items):
        unseen = evaluate(predictor, whole.subset(choice.items[choice.unseen], "all")).metrics
    silent = Windows(whole, predictor.contract).silent_said()
    summary = replace(summary, read=(*summary.read, *silent, *choice.sentences), warnings=choice.warnings)
    return Measured(report=report, split=part, data=summary, of=len(whole), unseen=unseen)


def _set_answers(predictor: Predictor, data: Recordings, split: str) -> Iterator[Prediction]:
    """Return the answers to the sounds of a named set."""
    sounds = load_sets(data.name, splits=(split,))[split]
    return predictor.stream(Sound(wave.astype(np.float32) / FULL, sounds.rate) for wave in sounds.waves)


def _exportable(predictor: Predictor) -> dict[str, Any]:
    """Return the network from prepared inputs, waves or log-mel spectrograms as the card's `input` says, to scores."""
    return {"example_shape": (predictor.contract.channels, *predictor.contract.input_size)}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=make_task,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    set_answers=_set_answers,
    exportable=_exportable,
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
