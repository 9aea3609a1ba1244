"""Predictions for pictures: labels with probabilities, and heat maps that explain them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from typing_extensions import TypeIs

from cnn_core.answers import Item, label_columns, skip_answered, write_csv
from cnn_core.classification import NOT_A_NUMBER, Prediction, class_index, labels_of
from cnn_core.confidence import answering, split_answers
from cnn_core.data.frames import frame_notes
from cnn_core.data.images import SUFFIXES, ImageSource, input_name, read_image
from cnn_core.data.reading import Unreadable, pictures_in, pictures_of, read_batches
from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError, WeightsError
from cnn_core.explain import explain, overlay
from cnn_core.models import Backbone
from cnn_core.nn.dims import channels_last
from cnn_core.notebook import OfCard, Pictured
from cnn_core.predictor import Sharding
from cnn_core.storage import atomic_path
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, find_weights, load_model
from image_classification.preprocess import InputContract, tta_logits

DOMAIN_NAME = "image_classification"
SHOWN_EDGE = 1600  # pixels: heat maps are drawn on pictures of at most this edge
SMALL_EDGE = 320  # pixels: smaller pictures are enlarged when a heat map is saved
BATCH_SIZE = 64
# Uint8 [M, C, H, W] of each of M digits of a picture, of anything else one; and what was left out of its file.
View = tuple[Tensor, tuple[str, ...]]


@dataclass(frozen=True)
class ImageExplanation(Pictured):
    """Where the network looked, on the original picture."""

    input: str
    label: str  # what is explained
    probability: float  # of that label
    method: str
    signed: bool  # True: negative heat is evidence against the label
    picture: Image.Image = field(repr=False)  # upright, L or RGB, at most SHOWN_EDGE pixels
    heat: Tensor = field(repr=False)  # float32 [H', W'], the picture's size; 0 outside the network's input
    seen: Tensor = field(repr=False)  # uint8 [C, H, W]: the network's input before normalisation
    seen_heat: Tensor = field(repr=False)  # float32 [H, W]

    def overlay(self) -> np.ndarray:
        """Return the heat map over the picture: uint8 [H', W', 3]."""
        return overlay(self.picture, self.heat, signed=self.signed)

    def save(self, path: Path | str) -> str:
        """Write the overlay as PNG (small pictures enlarged) and return a sentence that says what it shows.

        Raises:
            StorageError: the file cannot be written.
        """
        image = Image.fromarray(self.overlay())
        factor = -(-SMALL_EDGE // max(image.size))  # rounded up
        if factor > 1:
            image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        with atomic_path(path) as temporary:
            image.save(temporary, format="PNG")
        said = f"{path}: what speaks for {self.label} ({self.probability:.1%}) in {self.input}, by {self.method}"
        return "; ".join([said, *frame_notes(self.picture)])


class Predictor(OfCard):
    """A trained network with its preprocessing, for raw pictures.

    Args:
        model: with the card's weights.
        card: its `input` is an `InputContract`.
        device: where to compute.
        folder: of the weights, with what a run has kept of its data; None: there is none.

    Raises:
        WeightsError: the card is of another domain, or its input contract does not fit its model.
    """

    sharding = Sharding(entries=8 * BATCH_SIZE, files=8 * BATCH_SIZE, suffixes=SUFFIXES)

    def __init__(
        self, model: Backbone, card: WeightsCard, *, device: torch.device | str = "cpu", folder: Path | None = None
    ) -> None:
        self.folder = folder
        self.card, self.contract = card, InputContract.of_card(card, domain=DOMAIN_NAME)
        self.labels = labels_of(card)
        if self.contract.channels != card.arguments["in_channels"]:
            raise WeightsError(
                f"weights {card.name!r}: the input contract has {self.contract.channels} channels, the model takes "
                f"{card.arguments['in_channels']}; restore the card"
            )
        self.device = torch.device(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self._network = answering(self.model)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the class probabilities of prepared pictures: `[B, C, H, W] -> float32 [B, K]` on the CPU.

        `x` comes from `contract.prepare` or `contract.normalize`; the contract's test-time views are averaged.

        Raises:
            CnnError: `x` is not an input of this network.
        """
        return self.answers(x)[0]

    def answers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `probabilities`, and which pictures are of the classes, bool [B] (see `cnn_core.confidence`)."""
        with torch.inference_mode():
            answered = tta_logits(self._network, channels_last(x.to(self.device)), tta=self.contract.tta)
            scores, known = split_answers(answered, len(self.labels), self.card.confidence)
            return scores.softmax(1).cpu(), known.cpu()

    def predict(
        self, images: Sequence[ImageSource] | ImageSource, *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> list[Prediction]:
        """Classify pictures of any kind and size; one that cannot be read gets an `error`, the others their labels.

        Args:
            images: paths, bytes, PIL images, arrays, tensors (see `read_image`); or one of these; or a batch
                [N, H, W, C] as an array or [N, C, H, W] as a tensor.
            top_k: labels per picture.
            batch_size: pictures per forward pass; memory grows with it, the predictions do not depend on it.
        """
        return list(self.stream(_as_list(images), top_k=top_k, batch_size=batch_size))

    def stream(
        self, images: Iterable[ImageSource | Unreadable], *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> Iterator[Prediction]:
        """Yield what `predict` returns, one by one: any number of pictures in the memory of one batch."""
        if top_k < 1 or batch_size < 1:
            raise CnnError(f"top_k and batch_size must be at least 1, got {top_k} and {batch_size}")
        for names, views in read_batches(images, self._view, size=batch_size):
            yield from self._classify(names, views, top_k)

    def stream_inputs(
        self,
        inputs: Iterable[str | os.PathLike[str]],
        *,
        output: Path | None = None,
        top_k: int = 5,
        answered: Iterable[Item] = (),
    ) -> Iterator[Prediction]:
        """Classify files and all pictures in folders, subfolders included, in the order of their names."""
        pictures = skip_answered(self.entries(inputs), answered, name=input_name)
        return self.stream(pictures, top_k=top_k)

    def entries(self, inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Path | Unreadable]:
        """Yield the pictures that inputs are, one by one, for `stream`."""
        return pictures_in(inputs)

    def examine_inputs(self, inputs: Iterable[str | os.PathLike[str]]) -> DataSummary:
        """Return how many pictures the inputs of `stream_inputs` are."""
        return DataSummary("", "pictures", {"all": sum(1 for _ in pictures_in(inputs))})

    def predict_folder(self, folder: Path | str, csv_path: Path | str, *, top_k: int = 3) -> tuple[int, int]:
        """Classify all pictures of a folder into a CSV file; return the numbers of predictions and of failures.

        Raises:
            DataError: no such folder, or no pictures in it.
            StorageError: the file cannot be written.
        """
        items = (prediction.to_json() for prediction in self.stream(pictures_of(folder), top_k=top_k))
        return write_csv(items, csv_path, columns=label_columns(min(top_k, len(self.labels))))

    def explain(
        self,
        image: ImageSource,
        *,
        method: str = "grad-cam",
        target: int | str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ImageExplanation:
        """Explain which parts of the picture led to the prediction.

        Args:
            image: as in `predict`.
            method: one of `cnn_core.explain.list_methods()`.
            target: class index or label to explain; None: the predicted class.
            options: of the method.

        Raises:
            DataError: the picture cannot be read.
            UnknownNameError: no such method, option or label.
        """
        name = input_name(image, 0)
        if hasattr(image, "read"):
            image = image.read()  # it is read twice: for the network, and in full for the picture
        picture = read_image(image, name=name, at_least=SHOWN_EDGE).copy()  # a PIL image may be the caller's own
        picture.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
        small = self.contract.read(image, name=name)  # exactly what `predict` sees
        seen, placement = self.contract.place(small)
        x = self.contract.normalize(seen[None])
        probabilities = self.probabilities(x)[0]  # [K]
        index = class_index(target, self.labels)
        index = int(probabilities.argmax()) if index is None else index
        result = explain(self.model, x.to(self.device), method=method, target=index, options=options)
        seen_heat = result.heat[0].cpu()  # [H, W]
        placement = placement.scaled(picture.width / small.width, picture.height / small.height)
        heat = placement.to_picture(seen_heat, (picture.height, picture.width))
        label, probability = self.labels[index], float(probabilities[index])
        return ImageExplanation(name, label, probability, method, result.signed, picture, heat, seen, seen_heat)

    def _view(self, image: ImageSource, name: str) -> View:
        picture = self.contract.read(image, name=name)
        return self.contract.each_to_uint8(picture), frame_notes(picture)

    def _classify(self, names: list[str], views: list[View | str], top_k: int) -> Iterator[Prediction]:
        good = [view[0] for view in views if not isinstance(view, str)]
        each = [len(view) for view in good]
        answered = self.answers(self.contract.normalize(torch.cat(good))) if good else None
        rows = zip(*(part.split(each) for part in answered), strict=True) if answered else iter(())
        for name, view in zip(names, views, strict=True):
            if isinstance(view, str):
                yield Prediction(name, error=view)
                continue
            probabilities, known = next(rows)  # [M, K], [M]
            values, indices = probabilities[0].topk(min(top_k, len(self.labels)))
            if not torch.isfinite(probabilities).all():
                yield Prediction(name, error=NOT_A_NUMBER)
                continue
            labels, (pixels, said) = [self.labels[k] for k in indices.tolist()], view
            if len(probabilities) > 1:
                said = (self._several(probabilities), *said)
            elif torch.equal(pixels.amin((2, 3)), pixels.amax((2, 3))):
                said = ("all of it has one colour: there is nothing to see", *said)
            yield Prediction(name, labels, values.tolist(), warnings=said or None, known=bool(known[0]))

    def _several(self, each: Tensor) -> str:
        """Say what was found where a picture holds several digits: of probabilities [M, K]."""
        found = zip(*(part.tolist() for part in each.max(1)), strict=True)
        said = ", ".join(f"{self.labels[k]} ({value:.1%})" for value, k in found)
        return f"{len(each)} digits found, in reading order: {said}; the answer is that for the first"


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights or of a finished run's folder.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    model, card = load_model(name, device=chosen, domain=DOMAIN_NAME)
    return Predictor(model, card, device=chosen, folder=find_weights(name, domain=DOMAIN_NAME))


def _as_list(images: Sequence[ImageSource] | ImageSource) -> Iterable[ImageSource]:
    """Turn one picture into a list of it; a batch in one array or tensor is a sequence of pictures already."""
    if isinstance(images, np.ndarray | Tensor):
        return [images] if images.ndim in (2, 3) else list(images)
    return [images] if _is_one(images) else images


def _is_one(images: Sequence[ImageSource] | ImageSource) -> TypeIs[ImageSource]:
    return isinstance(images, str | bytes | bytearray | os.PathLike | Image.Image) or hasattr(images, "read")
