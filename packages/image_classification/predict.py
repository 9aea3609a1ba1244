"""From pictures to labels and reasons: what a trained network answers, how sure it is, and where it looked."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnn_core.answers import label_columns, write_csv
from cnn_core.data.images import ImageSource, picture_files, read_image
from cnn_core.data.memory import channels_last
from cnn_core.errors import CnnError, ConfigError, DataError, WeightsError, unknown_name
from cnn_core.explain import explain, overlay
from cnn_core.models import Backbone
from cnn_core.storage import atomic_path
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, load_model
from image_classification.preprocess import InputContract, tta_logits

DOMAIN = "image_classification"
SHOWN_EDGE = 1600  # pixels: heat maps are drawn on pictures of at most this edge
SMALL_EDGE = 320  # pixels: smaller pictures are enlarged when a heat map is saved
READERS = min(4, os.cpu_count() or 1)  # threads that decode while the network computes
BATCH_SIZE = 64


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture, the most probable label first; or why there is none."""

    input: str
    labels: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        return {"input": self.input, "labels": self.labels, "probabilities": [round(p, 6) for p in self.probabilities]}


@dataclass(frozen=True)
class ImageExplanation:
    """Where the network looked, on the picture as it was brought."""

    input: str
    label: str  # what is explained
    probability: float  # of that label
    method: str
    signed: bool  # True: negative heat speaks against the label
    picture: Image.Image = field(repr=False)  # upright, L or RGB, at most SHOWN_EDGE pixels
    heat: Tensor = field(repr=False)  # float32 [H', W'], the picture's size; 0 where the network saw nothing of it
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
        return f"{path}: what speaks for {self.label} ({self.probability:.1%}) in {self.input}, by {self.method}"


class Predictor:
    """A trained network with everything it needs to answer for raw pictures.

    Args:
        model: with the card's weights.
        card: its `input` is an `InputContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain, or its input contract does not fit its model.
    """

    def __init__(self, model: Backbone, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        if card.domain != DOMAIN:
            raise WeightsError(f"weights {card.name!r} belong to {card.domain}, not to {DOMAIN}")
        try:
            self.contract = InputContract.from_json(card.input)
        except ConfigError as error:
            raise WeightsError(f"weights {card.name!r}: {error}; restore the card") from error
        self.card = card
        self.labels = card.labels or [f"class {k}" for k in range(card.arguments["num_classes"])]
        if self.contract.channels != card.arguments["in_channels"]:
            raise WeightsError(
                f"weights {card.name!r}: the input contract has {self.contract.channels} channels, the model takes "
                f"{card.arguments['in_channels']}; restore the card"
            )
        self.device = torch.device(device)
        self.model = model.to(self.device, memory_format=torch.channels_last).eval()

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the class probabilities of prepared pictures: `[B, C, H, W] -> float32 [B, K]` on the CPU.

        `x` comes from `contract.prepare` or `contract.normalize`; the contract's test-time views are averaged.

        Raises:
            CnnError: `x` is no input of this network.
        """
        with torch.inference_mode():
            scores = tta_logits(self.model, channels_last(x.to(self.device)), tta=self.contract.tta)
            return scores.float().softmax(1).cpu()  # [B, K]

    def predict(
        self, images: Sequence[ImageSource] | ImageSource, *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> list[Prediction]:
        """Answer for pictures of any kind and size; one that cannot be read gets an `error`, the others their answer.

        Args:
            images: paths, bytes, PIL images, arrays, tensors (see `read_image`); or one of these; or a batch
                [N, H, W, C] as an array or [N, C, H, W] as a tensor.
            top_k: labels per picture.
            batch_size: pictures that are computed at once; memory grows with it, the answer does not depend on it.
        """
        return list(self.stream(_as_list(images), top_k=top_k, batch_size=batch_size))

    def stream(
        self, images: Iterable[ImageSource], *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> Iterator[Prediction]:
        """Answer as `predict` does, one after the other: any number of pictures in the memory of one batch."""
        if top_k < 1 or batch_size < 1:
            raise CnnError(f"top_k and batch_size must be at least 1, got {top_k} and {batch_size}")
        images = iter(images)
        count = 0
        with ThreadPoolExecutor(READERS) as readers:
            while chunk := [image for _, image in zip(range(batch_size), images, strict=False)]:
                names = [_name(image, count + i) for i, image in enumerate(chunk)]
                count += len(chunk)
                views = list(readers.map(self._view, chunk, names))
                yield from self._answer(names, views, top_k)

    def predict_paths(
        self, inputs: Sequence[str | os.PathLike[str]], *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> list[Prediction]:
        """Answer for files and for all pictures in folders, subfolders included, in the order of their names."""
        return list(self.stream_paths(inputs, top_k=top_k, batch_size=batch_size))

    def stream_paths(
        self, inputs: Iterable[str | os.PathLike[str]], *, top_k: int = 5, batch_size: int = BATCH_SIZE
    ) -> Iterator[Prediction]:
        """Answer as `predict_paths` does, one after the other, in the order of `inputs`."""
        files: list[Path] = []
        for entry in map(Path, inputs):
            if not os.path.isdir(entry):  # noqa: PTH112 (pathlib raises for names that no file can have)
                files.append(entry)
                continue
            inside = picture_files(entry)
            files += inside
            if not inside:
                yield from self.stream(files, top_k=top_k, batch_size=batch_size)
                yield Prediction(str(entry), error="the folder holds no pictures")
                files = []
        yield from self.stream(files, top_k=top_k, batch_size=batch_size)

    def predict_folder(self, folder: Path | str, csv_path: Path | str, *, top_k: int = 3) -> tuple[int, int]:
        """Answer for all pictures of a folder into a CSV file; return the numbers of answers and of failures.

        Raises:
            DataError: no such folder, or no pictures in it.
            StorageError: the file cannot be written.
        """
        folder = Path(folder)
        files = picture_files(folder)
        if not files:
            raise DataError(f"{folder}: expected a folder with pictures, found none in it")
        items = (answer.to_json() for answer in self.stream(files, top_k=top_k))
        return write_csv(items, csv_path, columns=label_columns(min(top_k, len(self.labels))))

    def explain(
        self,
        image: ImageSource,
        *,
        method: str = "grad-cam",
        target: int | str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ImageExplanation:
        """Say where in the picture the answer came from.

        Args:
            image: as in `predict`.
            method: one of `cnn_core.explain.list_methods()`.
            target: class index or label to explain; None: the answer.
            options: of the method.

        Raises:
            DataError: the picture cannot be read.
            UnknownNameError: no such method, option or label.
        """
        name = _name(image, 0)
        if hasattr(image, "read"):
            image = image.read()  # it is read twice: for the network, and in full for the picture
        picture = read_image(image, name=name, at_least=SHOWN_EDGE).copy()  # a PIL image may be the caller's own
        picture.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
        small = self.contract.read(image, name=name)  # exactly what `predict` sees
        seen, placement = self.contract.place(small)
        x = self.contract.normalize(seen[None])
        chances = self.probabilities(x)[0]  # [K]
        index = self._target(target, chances)
        result = explain(self.model, x.to(self.device), method=method, target=index, options=options)
        seen_heat = result.heat[0].cpu()  # [H, W]
        placement = placement.scaled(picture.width / small.width, picture.height / small.height)
        heat = placement.to_picture(seen_heat, (picture.height, picture.width))
        label, probability = self.labels[index], float(chances[index])
        return ImageExplanation(name, label, probability, method, result.signed, picture, heat, seen, seen_heat)

    def _target(self, target: int | str | None, chances: Tensor) -> int:
        if target is None:
            return int(chances.argmax())
        if isinstance(target, str):
            if target not in self.labels:
                raise unknown_name("label", target, self.labels)
            return self.labels.index(target)
        if not 0 <= target < len(self.labels):
            raise CnnError(f"target must be a label or lie in 0..{len(self.labels) - 1}, got {target}")
        return int(target)

    def _view(self, image: ImageSource, name: str) -> Tensor | str:
        """Return the network's view, uint8 [C, H, W], or the sentence that says why there is none."""
        try:
            return self.contract.to_uint8(self.contract.read(image, name=name))
        except CnnError as error:
            return str(error).removeprefix(f"{name}: ")

    def _answer(self, names: list[str], views: list[Tensor | str], top_k: int) -> Iterator[Prediction]:
        good = [view for view in views if isinstance(view, Tensor)]
        rows = iter(self.probabilities(self.contract.normalize(torch.stack(good)))) if good else iter(())
        for name, view in zip(names, views, strict=True):
            if isinstance(view, str):
                yield Prediction(name, error=view)
                continue
            values, indices = next(rows).topk(min(top_k, len(self.labels)))
            if not torch.isfinite(values).all():
                yield Prediction(
                    name, error="the network's answer is not a number; its weights do not suit this picture"
                )
                continue
            yield Prediction(name, [self.labels[k] for k in indices.tolist()], values.tolist())


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights or of a finished run's folder.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    model, card = load_model(name, device=chosen, domain=DOMAIN)
    return Predictor(model, card, device=chosen)


def _as_list(images: Sequence[ImageSource] | ImageSource) -> Sequence[ImageSource]:
    """Turn one picture into a list of it; a batch in one array or tensor is a sequence of pictures already."""
    if isinstance(images, np.ndarray | Tensor):
        return [images] if images.ndim in (2, 3) else list(images)
    one = isinstance(images, str | bytes | bytearray | os.PathLike | Image.Image) or hasattr(images, "read")
    return [images] if one else images


def _name(image: ImageSource, index: int) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    name = getattr(image, "filename", None) or getattr(image, "name", None)
    return name if isinstance(name, str) and name else f"picture {index + 1}"
