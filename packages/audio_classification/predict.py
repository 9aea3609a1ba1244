"""Predictions for sounds: labels with probabilities, over time for long recordings."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audio_classification.contract import DOMAIN_NAME, SoundContract, silent_in
from audio_classification.explain import SoundExplanation, explain_sound
from audio_classification.reading import SUFFIXES, Sound, SoundSource, read_blocks, sound_files, sound_name
from cnn_core.answers import Item, skip_answered
from cnn_core.classification import NOT_A_NUMBER, Prediction, class_index, labels_of
from cnn_core.confidence import answering, split_answers
from cnn_core.data.reading import Unreadable
from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError, DataError
from cnn_core.models import Backbone
from cnn_core.nn.dims import channels_last
from cnn_core.notebook import OfCard
from cnn_core.predictor import Sharding
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, find_weights, load_model

BATCH_SIZE = 64  # windows
SHORT = 0.25  # of the input's length, below which a sound is said to be short


@dataclass(frozen=True)
class Stretch:
    """What is heard in one window of a recording."""

    start: float  # seconds
    end: float
    label: str
    probability: float
    known: bool = True  # False: it is like nothing that was learned
    silent: bool = False  # nothing is to be heard in it: its label means nothing and does not count


class Predictor(OfCard):
    """A trained network with its preprocessing, for raw sounds.

    Args:
        model: with the card's weights.
        card: its `input` is a `SoundContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain, or its input contract cannot be used.
    """

    sharding = Sharding(entries=64, files=64, suffixes=SUFFIXES)

    def __init__(self, model: Backbone, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.card, self.contract = card, SoundContract.of_card(card, domain=DOMAIN_NAME)
        self.labels = labels_of(card)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self._network = answering(self.model)
        self.folder: Path | None = None  # of the weights, where they come from one

    def probabilities(self, windows: Tensor) -> Tensor:
        """Return the class probabilities of windows at the contract's rate: `[W, samples] -> float32 [W, K]`."""
        return self.answers(windows)[0]

    def answers(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return `probabilities`, and which windows are of the classes at all, bool [W] (see `cnn_core.confidence`)."""
        with torch.inference_mode():
            parts = [
                self._network(channels_last(self.contract.normalize(part.to(self.device))))
                for part in windows.split(BATCH_SIZE)
            ]
            scores, known = split_answers(torch.cat(parts), len(self.labels), self.card.confidence)
            return scores.softmax(1).cpu(), known.cpu()

    def predict(
        self, sounds: Sequence[SoundSource | Sound] | SoundSource | Sound, *, top_k: int = 5
    ) -> list[Prediction]:
        """Classify sounds; one that cannot be read gets an `error`, the others their labels.

        A recording that is longer than the network's input is heard in windows, and the probabilities are the mean of
        those that are not silent.

        Args:
            sounds: paths, bytes, files, sounds; or one of these.
            top_k: labels per sound.
        """
        if isinstance(sounds, str | bytes | os.PathLike | Sound | io.IOBase):
            return list(self.stream([sounds], top_k=top_k))
        return list(self.stream(sounds, top_k=top_k))

    def stream(self, sounds: Iterable[SoundSource | Sound | Unreadable], *, top_k: int = 5) -> Iterator[Prediction]:
        """Yield what `predict` returns, one by one."""
        if top_k < 1:
            raise CnnError(f"top_k must be at least 1, got {top_k}")
        for source in sounds:
            if isinstance(source, Unreadable):
                yield Prediction(source.name, error=source.reason)
                continue
            if not isinstance(source, str | bytes | os.PathLike | Sound) and not hasattr(source, "read"):
                came = type(source).__name__
                raise CnnError(f"expected a path, bytes, an open file or Sound(samples, rate), got {came}")
            name = "the sound" if isinstance(source, Sound) else sound_name(source)
            try:
                yield self._answer(source, name, min(top_k, len(self.labels)))
            except DataError as error:
                yield Prediction(name, error=str(error).removeprefix(f"{name}: "))

    def stream_inputs(
        self, inputs: Iterable[str], *, output: Path | None = None, top_k: int = 5, answered: Iterable[Item] = ()
    ) -> Iterator[Prediction]:
        """Classify files, and all sounds in folders, subfolders included, in the order of their names."""
        return self.stream(skip_answered(self.entries(inputs), answered, name=sound_name), top_k=top_k)

    def examine_inputs(self, inputs: Iterable[str]) -> DataSummary:
        """Return how many sounds the inputs of `stream_inputs` are."""
        return DataSummary("", "sounds", {"all": sum(1 for _ in self.entries(inputs))})

    def entries(self, inputs: Iterable[str]) -> Iterator[str | Path | Unreadable]:
        """Yield the sounds that inputs are, one by one, for `stream`."""
        for entry in inputs:
            if not os.path.isdir(entry):  # noqa: PTH112 (pathlib raises for names that no file can have)
                yield entry
                continue
            yield from sound_files(Path(entry)) or (Unreadable(entry, "the folder holds no sounds"),)

    def timeline(self, source: SoundSource | Sound) -> list[Stretch]:
        """Return what is heard in every window of a recording, in the memory of a block.

        Raises:
            DataError: it cannot be read.
        """
        return [stretch for stretches, *_ in self._heard(source) for stretch in stretches]

    def explain(
        self, source: SoundSource | Sound, *, method: str = "grad-cam", target: int | str | None = None
    ) -> SoundExplanation:
        """Explain which part of a sound led to the prediction; see `explain.explain_sound`."""
        return explain_sound(self, source, method=method, target=class_index(target, self.labels))

    def _answer(self, source: SoundSource | Sound, name: str, top_k: int) -> Prediction:
        total, windows, count, known, seconds, silent = torch.zeros(len(self.labels)), 0, 0, 0, 0.0, True
        notes: list[str] = []
        for stretches, probabilities, block in self._heard(source):
            heard = torch.tensor([not stretch.silent for stretch in stretches])
            total, count = total + probabilities[heard].sum(0), count + int(heard.sum())
            windows, known = windows + len(stretches), known + sum(part.known and not part.silent for part in stretches)
            seconds, silent = seconds + block.seconds, silent and block.silent
            notes += [note for note in block.notes if note not in notes]
        if silent or not count:
            return Prediction(name, error="nothing is to be heard in it: it is silent")
        values, order = (total / count).topk(top_k)
        if not torch.isfinite(values).all():
            return Prediction(name, error=NOT_A_NUMBER)
        if seconds < SHORT * self.contract.samples / self.contract.rate:
            notes.append(
                f"very short: {seconds:.2f} s, the network hears {self.contract.samples / self.contract.rate:.1f} s"
            )
        if windows > 1:
            apart = f" ({windows - count} of {windows} windows are silent and do not count)" if count < windows else ""
            plural = "" if count == 1 else "s"
            notes.append(f"the mean of {count} window{plural} over {seconds:.1f} s{apart}")
        labels, note = [self.labels[k] for k in order.tolist()], "; ".join(notes)
        return Prediction(name, labels, values.tolist(), note, known=2 * known >= count)

    def _heard(self, source: SoundSource | Sound) -> Iterator[tuple[list[Stretch], Tensor, Sound]]:
        """Yield the stretches, the probabilities [W, K] and the sound of one block after the other."""
        offset = 0.0
        for block in [source] if isinstance(source, Sound) else read_blocks(source):
            wave = self.contract.wave(block)
            windows, starts = self.contract.windows(wave)
            probabilities, known = self.answers(windows)
            best, which = probabilities.max(1)
            silent = silent_in(windows)
            stretches = [
                Stretch(
                    offset + max(0, start) / self.contract.rate,
                    offset + min(len(wave), start + self.contract.samples) / self.contract.rate,
                    self.labels[int(k)], float(value), bool(ours), bool(quiet),
                )
                for start, k, value, ours, quiet in zip(starts, which, best, known, silent, strict=True)
            ]  # fmt: skip
            yield stretches, probabilities, block
            offset += block.seconds


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights or of a finished run's folder.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    model, card = load_model(name, device=chosen, domain=DOMAIN_NAME)
    predictor = Predictor(model, card, device=chosen)
    predictor.folder = find_weights(name, domain=DOMAIN_NAME)
    return predictor
