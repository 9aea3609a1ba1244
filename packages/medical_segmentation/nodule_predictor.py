"""Predictions for lung nodules: the probability of malignancy, and heat maps that explain it.

Research and teaching only, not for diagnosis.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.answers import Item, skip_answered
from cnn_core.classification import Prediction
from cnn_core.errors import DataError
from cnn_core.explain import explain, method_spec
from cnn_core.nn.dims import channels_last
from cnn_core.notebook import OfCard
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import Members
from medical_segmentation.explain import Explanation, explain_nodule
from medical_segmentation.nodule_task import picture_scores, probability
from medical_segmentation.nodules import LABELS, read_picture
from medical_segmentation.scan import read_scan
from medical_segmentation.values import CT, intensity_warnings, scale_warnings
from medical_segmentation.weights_io import nodule_contract_of

MOST_SLICES = 2000  # of one nodule
LEARNED, FAR = 1.0, 0.25  # mm: edge of the training voxels, and by how much others may differ
FINE = 4  # cells along an edge of the map that a method looks at
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class NoduleResult:
    """The prediction for one nodule.

    Args:
        probability: of "malignant", calibrated.
        pictures: the number of pictures that it is averaged over.
        warnings: what the user should know about this prediction.
    """

    probability: float
    pictures: int
    warnings: tuple[str, ...] = ()

    def of(self, source: str) -> Prediction:
        """Return the item of `cnn predict` for an input."""
        pairs = sorted(zip((1 - self.probability, self.probability), LABELS, strict=True), reverse=True)
        return Prediction(
            source, [label for _, label in pairs], [probability for probability, _ in pairs], warnings=self.warnings
        )


class NodulePredictor(OfCard):
    """A nodule classifier with its preprocessing.

    Args:
        model: with the card's weights.
        card: its `input` is a `NoduleContract`.
        device: where to compute.
    """

    goal = "malignancy"
    members: Members | None = None  # what the weights learned from, where it is known

    def __init__(self, model: torch.nn.Module, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.card, self.contract = card, nodule_contract_of(card)
        self.labels = LABELS
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    def predict(self, source: str | Path) -> NoduleResult:
        """Classify one nodule: a picture, or a folder with its slices; for 3-D networks a cube (see `read_scan`).

        Raises:
            DataError: it cannot be used.
        """
        pictures, warnings = self._read(source)
        scores = picture_scores(self.model, pictures, self.contract, self.device)
        return NoduleResult(float(probability(scores.mean(keepdims=True), self.contract)[0]), len(pictures), warnings)

    def stream_inputs(
        self, inputs: Iterable[str], *, output: Path | None = None, answered: Iterable[Item] = ()
    ) -> Iterator[Prediction]:
        """Classify one nodule per input; nothing is written to `output`."""
        for entry in skip_answered(inputs, answered):
            try:
                yield self.predict(entry).of(str(entry))
            except DataError as error:
                yield Prediction(str(entry), error=str(error))

    def explain(self, source: str | Path, *, method: str = "grad-cam") -> Explanation:
        """Return a picture of what speaks for malignancy; see `explain.explain_nodule`."""
        return explain_nodule(self, source, method=method)

    def heat_of(self, source: str | Path, *, method: str = "grad-cam") -> tuple[np.ndarray, np.ndarray, bool]:
        """Return the network's input, the heat of "malignant" on it, and whether heat has a sign: `[*size], [*size]`.

        Of a folder of slices the largest one is used. Methods that need a layer use the last one with at least
        `FINE` cells along every edge: the last layer of a small cube has two.

        Raises:
            UnknownNameError: no such method.
            DataError: the input cannot be used.
        """
        signed = method_spec(method).signed
        pictures, _ = self._read(source)
        picture = max(pictures, key=lambda p: int((p > 0).sum()))
        x = channels_last(self.contract.inputs(picture[None].to(self.device).float() / 255))
        fine = [i.name for i in getattr(self.model, "feature_info", ()) if min(self.contract.size) >= FINE * i.stride]
        options = {"layer": fine[-1]} if fine and "layer" in method_spec(method).options else {}
        explanation = explain(self.model, x, method=method, target=1, options=options)
        return picture[0].numpy(), explanation.heat[0].cpu().numpy(), signed

    def _read(self, source: str | Path) -> tuple[Tensor, tuple[str, ...]]:
        """Return the network's input before normalisation, uint8 [N, 1, *size], and warnings."""
        files = self._files(source)
        if self.contract.dims == 2:
            pictures, largest = [], (0,)
            for file in files:  # cut at once: a folder of large pictures would fill the memory
                picture = read_picture(file, 2)
                pictures.append(self.contract.cut(picture))
                largest = max(largest, picture.shape, key=max)
            return torch.stack(pictures), tuple(self._remark_on_size(largest))
        scan = read_scan(files[0])
        notes = [*scan.warnings, *self._remark_on_size(scan.voxels.shape)]
        if scan.modality not in ("", "CT"):
            notes.append(f"not a CT: the file says that it is {scan.modality}; the network was trained on CT alone")
        else:
            notes += intensity_warnings(scan.voxels, CT) or scale_warnings(scan.voxels)
        if max(abs(length - LEARNED) for length in scan.spacing) > FAR:
            came = " x ".join(f"{length:.3g}" for length in scan.spacing)
            notes.append(f"the network learned from voxels of {LEARNED:g} mm, these are {came} mm")
        return self.contract.cut(scan.voxels)[None], tuple(notes)

    def _remark_on_size(self, shape: tuple[int, ...]) -> list[str]:
        size = self.contract.size
        if max(shape) <= 2 * max(size):
            return []
        kind, cells = ("slice", "pixels") if len(size) == 2 else ("cube", "voxels")
        seen = " x ".join(map(str, size))
        return [f"the network expects a {kind} cut out around a nodule and saw {seen} {cells} in the middle alone"]

    def _files(self, source: str | Path) -> list[Path]:
        path = Path(source)
        if "\0" in str(source) or not path.exists():
            kind = "a picture or a folder of slices" if self.contract.dims == 2 else "a cube as NIfTI"
            raise DataError(f"{path.name!r}: there is no such file or folder; expected {kind}")
        if self.contract.dims == 3 or path.is_file():
            return [path]
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES and not f.name.startswith("."))
        if not 1 <= len(files) <= MOST_SLICES:
            raise DataError(f"{path.name}: expected 1 to {MOST_SLICES} pictures of one nodule, found {len(files)}")
        return files
