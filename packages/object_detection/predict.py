"""Predictions: the boxes of pictures with labels and scores, how many of each class, and files for annotation tools."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import nn

from cnn_core.answers import Item, skip_answered
from cnn_core.data.fits import Placement
from cnn_core.data.frames import frame_notes
from cnn_core.data.images import SUFFIXES, ImageSource, input_name, read_image
from cnn_core.data.memory import as_unit
from cnn_core.data.reading import Unreadable, pictures_in, read_batches
from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError
from cnn_core.nn.dims import channels_last
from cnn_core.nn.folding import folded
from cnn_core.notebook import OfCard, table
from cnn_core.predictor import Sharding
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, find_weights, load_model
from cnn_core.weights.find import read_card
from object_detection.contract import DOMAIN_NAME, BoxContract
from object_detection.explain import BoxExplanation, explain_box
from object_detection.finding import Found, boxes_in
from object_detection.model import detector_of_card, locations
from object_detection.published import PublishedContract, is_published, load_published, published_boxes
from object_detection.writing import kept_in

BATCH_SIZE = 8
SHOWN = 8  # boxes that a line of text names


@dataclass(frozen=True)
class Box:
    """One thing that was found; left, top, right, bottom in pixels of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the box as JSON values."""
        return {"label": self.label, "score": round(self.score, 4), "box": [round(value, 1) for value in self.box]}


@dataclass(frozen=True)
class Detection:
    """What is in one picture, the best box first; or why nothing can be said."""

    input: str
    boxes: list[Box] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)  # width and height of the picture
    threshold: float = 0.0  # the score from which on boxes are given
    error: str | None = None
    warnings: tuple[str, ...] = ()  # what was left out of the file

    @property
    def counts(self) -> dict[str, int]:
        """Class -> number of boxes, of the classes that were found."""
        return dict(Counter(box.label for box in self.boxes).most_common())

    def above(self, threshold: float) -> "Detection":
        """Return the same with the boxes from another, higher score on."""
        kept = [box for box in self.boxes if box.score >= threshold]
        return replace(self, boxes=kept, threshold=threshold)

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        return {
            "input": self.input, "size": list(self.size), "threshold": self.threshold, "counts": self.counts,
            "boxes": [box.to_json() for box in self.boxes],
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }  # fmt: skip

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> "Detection":
        """Return the detection of an item that `to_json` made, its numbers as they were rounded there."""
        if "error" in item:
            return cls(item["input"], error=item["error"])
        boxes = [Box(box["label"], box["score"], tuple(box["box"])) for box in item["boxes"]]
        width, height = item["size"]
        warnings = tuple(item.get("warnings", ()))
        return cls(item["input"], boxes, (width, height), item["threshold"], warnings=warnings)

    def _repr_html_(self) -> str:
        if self.error is not None:
            return table([[self.error]], title=self.input)
        rows = [(box.label, f"{box.score:.2f}", *(f"{value:.0f}" for value in box.box)) for box in self.boxes]
        title = "; ".join([self.input, *self.warnings])
        return table(rows, head=("", "score", "left", "top", "right", "bottom"), title=title)

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.input}: {self.error}"
        if not self.boxes:
            nothing = f"{self.input}: nothing found from a score of {self.threshold:.2f} on"
            return "; ".join([nothing, *self.warnings])
        counts = ", ".join(f"{count} {label}" for label, count in self.counts.items())
        best = ", ".join(
            f"{box.label} {box.score:.2f} at {' '.join(f'{value:.0f}' for value in box.box)}"
            for box in self.boxes[:SHOWN]
        )
        more = f" and {len(self.boxes) - SHOWN} more" if len(self.boxes) > SHOWN else ""
        return "; ".join([f"{self.input}: {counts} ({best}{more})", *self.warnings])


class Predictor(OfCard):
    """A trained detector with its preprocessing, for raw pictures.

    Args:
        model: with the card's weights; a `Detector`, or one of torchvision (see `published`).
        card: its `input` is a `BoxContract`, or a `PublishedContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain, or its input contract cannot be used.
    """

    sharding = Sharding(entries=16 * BATCH_SIZE, files=16 * BATCH_SIZE, suffixes=SUFFIXES)

    def __init__(self, model: nn.Module, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.card = card
        self.contract: BoxContract | PublishedContract
        self.labels = list(card.labels) or [f"class {k}" for k in range(card.arguments["num_classes"])]
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.folder: Path | None = None  # of the weights, where they come from one
        if is_published(card):
            self.contract = PublishedContract.of_card(card, domain=DOMAIN_NAME)
        else:
            self.contract = BoxContract.of_card(card, domain=DOMAIN_NAME)
            self.model = self.model.to(memory_format=torch.channels_last)
            self._network = folded(self.model)
            self.places, _ = locations(self.contract.size, self.contract.strides)

    def find(
        self, views: Sequence[torch.Tensor], placements: Sequence[Placement], sizes: Sequence[tuple[int, int]]
    ) -> list[Found]:
        """Return the boxes of pictures that the contract has prepared, uint8 [3, H, W] each, from a low score on."""
        with torch.inference_mode():
            if isinstance(self.contract, PublishedContract):
                return published_boxes(self.model, views, placements, sizes, self.contract)
            x = channels_last(self.contract.normalize(as_unit(torch.stack([*views]).to(self.device))))
            return boxes_in(self._network(x), self.places, self.contract, placements, sizes)

    def predict(
        self, pictures: Sequence[ImageSource] | ImageSource, *, threshold: float | None = None
    ) -> list[Detection]:
        """Find things in pictures; one that cannot be read gets an `error`, the others their boxes.

        Args:
            pictures: paths, bytes, PIL images, arrays, tensors (see `cnn_core.data.images.read_image`), or one of them.
            threshold: the score from which on boxes are given; None: the card's.
        """
        many = pictures if isinstance(pictures, list | tuple) else [cast("ImageSource", pictures)]
        return list(self.stream(many, threshold=threshold))

    def stream(
        self, pictures: Iterable[ImageSource | Unreadable], *, threshold: float | None = None
    ) -> Iterator[Detection]:
        """Yield what `predict` returns, one by one."""
        threshold = self.contract.threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise CnnError(f"threshold: expected a score from 0 to 1, got {threshold}")
        for names, views in read_batches(pictures, self._view, size=BATCH_SIZE):
            good = [view[:3] for view in views if not isinstance(view, str)]
            found = iter(self.find(*zip(*good, strict=True)) if good else ())
            for name, view in zip(names, views, strict=True):
                if isinstance(view, str):
                    yield Detection(name, error=view)
                else:
                    one = self._answer(name, next(found).above(threshold), view[2], threshold)
                    yield replace(one, warnings=view[3])

    def stream_inputs(
        self, inputs: Iterable[str], *, output: Path | None = None, answered: Iterable[Item] = ()
    ) -> Iterator[Detection]:
        """Answer files, and all pictures in folders, subfolders included, in the order of their names.

        Args:
            inputs: paths.
            output: gets boxes.csv and boxes.coco.json when all are answered; None: nothing is written.
            answered: of an interrupted run, see `cnn_core.answers.skip_answered`; they stand in these files too.
        """
        before = [Detection.from_json(item) for item in answered]
        pictures = skip_answered(self.entries(inputs), (one.to_json() for one in before), name=input_name)
        found = self.stream(pictures)
        return found if output is None else kept_in(output, found, self.labels, before=before)

    def examine_inputs(self, inputs: Iterable[str]) -> DataSummary:
        """Return how many pictures the inputs of `stream_inputs` are."""
        return DataSummary("", "pictures", {"all": sum(1 for _ in self.entries(inputs))})

    def entries(self, inputs: Iterable[str]) -> Iterator[Path | Unreadable]:
        """Yield the pictures that inputs are, one by one, for `stream`."""
        return pictures_in(inputs)

    def gather(self, items: Iterable[Mapping[str, Any]], output: Path) -> Iterator[Mapping[str, Any]]:
        """Yield items that other machines have answered, and write what `stream_inputs` writes."""
        kept = kept_in(output, map(Detection.from_json, items), self.labels)
        return (detection.to_json() for detection in kept)

    def explain(
        self, source: ImageSource, *, method: str = "layer-cam", target: int = 0, threshold: float | None = None
    ) -> BoxExplanation:
        """Explain which pixels led to a box, by its number; see `explain.explain_box`."""
        return explain_box(self, source, method=method, target=target, threshold=threshold)

    def _view(self, source: ImageSource, name: str) -> tuple[torch.Tensor, Placement, tuple[int, int], tuple[str, ...]]:
        picture: Image.Image = read_image(source, name=name)
        view, placement = self.contract.fit(picture)
        return view, placement, picture.size, frame_notes(picture)

    def _answer(self, name: str, found: Found, size: tuple[int, int], threshold: float) -> Detection:
        if not torch.isfinite(found.boxes).all():
            return Detection(name, error="the network's output is not a number; its weights do not suit this input")
        boxes = [
            Box(self.labels[k], score, tuple(box))
            for k, score, box in zip(found.classes.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        ]
        return Detection(name, boxes, size, threshold)


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights, of a finished run's folder, or of `torchvision:NAME`.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen, folder = choose_device(device), find_weights(name, domain=DOMAIN_NAME)
    if is_published(read_card(folder)):
        model, card = load_published(folder, device=chosen)
    else:
        model, card = load_model(folder, device=chosen, domain=DOMAIN_NAME, build=detector_of_card)
    predictor = Predictor(model, card, device=chosen)
    predictor.folder = folder
    return predictor
