"""Why a box: the pixels that its score depends on, and what becomes of it when a region is covered."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.ops import box_iou

from cnn_core.data.frames import frame_notes
from cnn_core.data.images import ImageSource, input_name, read_image
from cnn_core.data.memory import as_unit
from cnn_core.errors import CnnError, DataError
from cnn_core.explain import explain, method_spec, overlay
from cnn_core.nn.dims import channels_last
from cnn_core.notebook import Pictured
from cnn_core.storage import atomic_path
from object_detection.contract import BoxContract, to_input
from object_detection.model import Detector, boxes_of, scores_of

if TYPE_CHECKING:
    from object_detection.predict import Box, Predictor

SAME = 0.5  # IoU of a box with what is found there when a region is covered


@dataclass(frozen=True)
class BoxExplanation(Pictured):
    """The evidence for one box.

    Args:
        input: name of the picture.
        box: that is explained.
        method: of explanation.
        signed: negative heat is evidence against the box.
        picture: upright.
        heat: float32 [H', W'], the picture's size.
    """

    input: str
    box: "Box"
    method: str
    signed: bool
    picture: Image.Image = field(repr=False)
    heat: Tensor = field(repr=False)

    def overlay(self) -> np.ndarray:
        """Return the heat over the picture with the box drawn on it: uint8 [H', W', 3]."""
        shown = Image.fromarray(overlay(self.picture, self.heat, signed=self.signed))
        width = max(2, round(max(shown.size) / 250))
        ImageDraw.Draw(shown).rectangle(self.box.box, outline=(0, 220, 255), width=width)
        return np.asarray(shown)

    def save(self, path: Path | str) -> str:
        """Write the picture with heat and box as PNG; return a sentence that says what it shows.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_path(path) as temporary:
            Image.fromarray(self.overlay()).save(temporary, format="PNG")
        said = f"{path}: what speaks for the {self.box.label} with a score of {self.box.score:.2f} in {self.input}"
        return "; ".join([f"{said}, by {self.method}", *frame_notes(self.picture)])


def explain_box(
    predictor: "Predictor", source: ImageSource, *, method: str = "layer-cam", target: int = 0,
    threshold: float | None = None,
) -> BoxExplanation:  # fmt: skip
    """Explain one box of a picture.

    A box is the answer of one location. LayerCAM (Jiang et al. 2021) weighs every cell by its own gradient and keeps to
    what that location saw; Grad-CAM weighs whole channels by their mean gradient and lights up whatever is alike
    elsewhere: of 18 boxes of blood cells the share of the heat inside the box was 18 and 1.0 times that of its area.

    Args:
        predictor: the network.
        source: as in `predict`.
        method: one of `cnn_core.explain.list_methods()`; those that need a layer take the stage of the box's level.
        target: number of the box, 0 for the one with the highest score.
        threshold: as in `predict`.

    Raises:
        DataError: the picture cannot be read, or nothing was found in it.
        CnnError: there is no such box, or the network is none of ours; UnknownNameError: no such method.
    """
    contract, model = predictor.contract, predictor.model
    if not isinstance(contract, BoxContract) or not isinstance(model, Detector):
        raise CnnError(
            f"{predictor.card.name} is a network of torchvision, whose boxes cannot be traced to pixels here; cover "
            "parts of the picture instead (object_detection.explain.covered), or explain a detector trained here"
        )
    name = input_name(source)
    picture = read_image(source, name=name)
    found = predictor.predict(picture, threshold=threshold)[0].boxes
    if not found:
        raise DataError(f"{name}: nothing was found in it, so there is no box to explain")
    if not 0 <= target < len(found):
        raise CnnError(f"target: expected the number of a box, 0 to {len(found) - 1}, got {target}")
    box = found[target]
    view, placement = contract.fit(picture)
    x = channels_last(contract.normalize(as_unit(view[None].to(predictor.device))))
    k = predictor.labels.index(box.label)
    with torch.inference_mode():
        location = _location(predictor, model(x)[0], to_input(torch.tensor([box.box]), placement), k)

    def score(output: Tensor) -> Tensor:
        """The logit of the class at the location that put the box there, with that of its quality: [B]."""
        return output[:, location, k] + output[:, location, -5]

    layered = "layer" in method_spec(method).options
    options = {"layer": model.stage_of(location, contract.size)} if layered else None
    result = explain(model, x, method=method, target=score, options=options)
    size = (picture.height, picture.width)
    heat = placement.to_picture(result.heat[0].cpu(), size)
    return BoxExplanation(name, box, method, result.signed, picture, heat)


def _location(predictor: "Predictor", output: Tensor, box: Tensor, k: int) -> int:
    """Return the location whose own box is nearest to `box` [1, 4], of those with the highest scores of class k."""
    output = output.float().cpu()
    overlap = box_iou(boxes_of(output, predictor.places), box)[:, 0]
    return int((overlap * scores_of(output)[:, k]).argmax())


def covered(
    predictor: "Predictor", source: ImageSource, region: tuple[float, float, float, float], *, box: "Box"
) -> float:
    """Return the score of a box when a region of the picture is covered with its mean colour; 0: it is gone.

    Args:
        predictor: the network.
        source: as in `predict`.
        region: left, top, right, bottom in pixels of the picture.
        box: of the picture as it is.
    """
    picture = read_image(source).convert("RGB")
    grey = np.asarray(picture).reshape(-1, 3).mean(0).round().astype(int)
    edges = (max(0, region[0]), max(0, region[1]), min(picture.width, region[2]), min(picture.height, region[3]))
    if edges[2] <= edges[0] or edges[3] <= edges[1]:
        raise CnnError(f"region: expected left, top, right, bottom inside the picture, got {list(region)}")
    picture = picture.copy()
    left, top, right, bottom = (round(value) for value in edges)
    picture.paste(tuple(int(value) for value in grey), (left, top, right, bottom))
    found = predictor.predict(picture, threshold=0.0)[0].boxes
    there = [entry for entry in found if entry.label == box.label]
    if not there:
        return 0.0
    overlap = box_iou(torch.tensor([entry.box for entry in there]), torch.tensor([box.box]))[:, 0]
    return max((e.score for e, value in zip(there, overlap.tolist(), strict=True) if value >= SAME), default=0.0)
