"""The domain of sounds: its task, how its weights are measured, and what is exported."""

from typing import Any

import torch
from torch import Tensor, nn

from audio_classification.contract import DOMAIN_NAME, SoundContract
from audio_classification.data import DATA_SETS, load_sets, summary_of
from audio_classification.predict import Predictor, load
from audio_classification.sound_set import SoundSet
from audio_classification.task import Recipe, SoundTask, centred
from cnn_core.classification import Report, measure_classes
from cnn_core.domain import Domain, check_labels
from cnn_core.predictor import Measured


def evaluate(predictor: Predictor, sounds: SoundSet) -> Report:
    """Measure a predictor on a set, each sound by the input in its middle, as in training.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    waves = centred(sounds, predictor.contract.samples).float() / 32768
    probabilities = predictor.probabilities(waves) if len(waves) else torch.empty(0, len(predictor.labels))
    source = f"{sounds.name}: the {sounds.split} split"
    return Report(**measure_classes(
        probabilities, sounds.targets, labels=sounds.labels, item_name=sounds.item_name, source=source
    ))  # fmt: skip


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    split = split or "test"
    fold = predictor.card.section("data").get("fold") if own else None
    sounds = load_sets(data, splits=(split,), fold=fold, rate=predictor.contract.rate)[split]
    check_labels(predictor, sounds.labels, data)
    summary = summary_of({split: sounds}, divided="")
    return Measured(report=evaluate(predictor, sounds), split=split, data=summary, of=len(sounds))


class FromWaves(nn.Module):
    """A network with the preprocessing before it, for export: `[B, samples] -> [B, K]`."""

    def __init__(self, network: nn.Module, contract: SoundContract) -> None:
        super().__init__()
        self.network, self.contract = network, contract

    def forward(self, waves: Tensor) -> Tensor:
        return self.network(self.contract.normalize(waves))


def _exportable(predictor: Predictor) -> dict[str, Any]:
    contract = predictor.contract
    channels = (contract.channels, *contract.input_size)
    return {"example_shape": channels}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=SoundTask,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    exportable=_exportable,
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
