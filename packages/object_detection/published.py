"""COCO's detectors that torchvision publishes: `torchvision:NAME`, fetched by torchvision with their first use.

    cnn predict torchvision:fasterrcnn_mobilenet_v3_large_320_fpn street.jpg

They become a folder with a card like any weights, under `weights` of the data root. The network is torchvision's own,
with its own preprocessing and suppression of doubles; masks and keypoints, which no answer shows, are left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torchvision
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.ops import FrozenBatchNorm2d

from cnn_core.data.files import data_root
from cnn_core.data.fits import Placement
from cnn_core.data.memory import as_unit
from cnn_core.errors import WeightsError, unknown_name
from cnn_core.models.torchvision_weights import download_state
from cnn_core.validation import Natural, Share
from cnn_core.weights import WeightsCard, save_weights
from cnn_core.weights.card import Contract, contract
from cnn_core.weights.find import CARD_FILE
from cnn_core.weights.store import check_fit, load_state
from object_detection.contract import DOMAIN_NAME, to_picture
from object_detection.finding import MOST, Found

PREFIX = "torchvision."  # of the model's name in a card
NOTHING = ("__background__", "no person", "N/A")  # names of classes that are none
EDGE = 4000  # pixels: larger pictures are made smaller; the networks bring theirs to 1,333 at most
LEFT_OUT = ("mask_roi_pool", "mask_head", "mask_predictor", "keypoint_roi_pool", "keypoint_head", "keypoint_predictor")
# torchvision builds these with normalisation that is frozen, at this epsilon, where it loads weights of its own.
FROZEN = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5, "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_resnet50_fpn": 0.0, "fcos_resnet50_fpn": 1e-5, "keypointrcnn_resnet50_fpn": 0.0,
    "maskrcnn_resnet50_fpn": 0.0, "retinanet_resnet50_fpn": 0.0,
}  # fmt: skip
LIMITS = [
    "The things of COCO, on photos of everyday life as on the web around 2014; drawings, scans and views through a "
    "microscope are not among them.",
    "The threshold was not chosen on data; a box from 0.5 on is what torchvision's own examples show.",
]


@contract
class PublishedContract(Contract):
    """What is shown of a network that brings its own preprocessing; `input` in the weights card.

    Attributes:
        classes: what the network calls each of the card's labels.
        threshold: the score from which on a box is shown.
        overlap: IoU from which on the weaker of two boxes of a class is dropped.
    """

    classes: Annotated[tuple[Natural, ...], Field(strict=False, min_length=1)]
    threshold: Share = 0.5
    overlap: Share = 0.5

    def fit(self, picture: Image.Image) -> tuple[Tensor, Placement]:
        """Return the picture as it is, uint8 [3, H, W], or at `EDGE` pixels where it is larger, and where it lies."""
        shown = picture.convert("RGB")
        shown.thumbnail((EDGE, EDGE))
        placement = Placement((0, 0, picture.width, picture.height), (0, 0, shown.width, shown.height))
        return torch.from_numpy(np.array(shown)).permute(2, 0, 1).contiguous(), placement


def torchvision_names() -> list[str]:
    """Return the names of torchvision's detectors."""
    return sorted(torchvision.models.list_models(module=torchvision.models.detection))


def is_published(card: WeightsCard) -> bool:
    """Tell whether a card is of a network of torchvision."""
    return card.model.startswith(PREFIX)


def fetch_torchvision(name: str) -> Path:
    """Return the folder of torchvision's COCO weights of a detector; downloaded if they are not there yet.

    Raises:
        UnknownNameError: torchvision has no such detector.
        WeightsError: they could not be downloaded, or do not fit.
    """
    if name not in torchvision_names():
        raise unknown_name("torchvision network", name, torchvision_names())
    folder = data_root() / "weights" / f"torchvision-{name}"
    if (folder / CARD_FILE).is_file():
        return folder
    state, entry = download_state(name)
    names = entry.meta["categories"]
    kept = [k for k, label in enumerate(names) if label not in NOTHING]
    arguments = {
        "spatial_dims": 2, "in_channels": 3, "num_classes": len(kept), "input_size": None,
        "options": {"outputs": len(names)},
    }  # fmt: skip
    model = _built(name, len(names))
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"torchvision's weights of {name} do not fit this version of it: {error}") from error
    _without_masks(model)
    published = entry.meta["_metrics"]["COCO-val2017"]["box_map"]
    save_weights(
        model,
        {
            "name": f"torchvision-{name}",
            "domain": DOMAIN_NAME,
            "model": f"{PREFIX}{name}",
            "arguments": arguments,
            "input": PublishedContract(tuple(kept), overlap=_last(model).nms_thresh).to_json(),
            "labels": [names[k] for k in kept],
            "metrics": {},
            "recipe": {},
            "command": f"cnn predict torchvision:{name} PHOTO",
            "machine": "trained by the authors of torchvision",
            "seconds": 0.0,
            "licence": "BSD-3-Clause, as torchvision; the photos of COCO have their own terms",
            "limits": [f"Mean average precision on COCO as published by torchvision: {published} %.", *LIMITS],
        },
        folder,
    )
    return folder


def load_published(folder: Path, *, device: torch.device | str) -> tuple[nn.Module, WeightsCard]:
    """Return torchvision's network of a card with its weights, in evaluation mode.

    Raises:
        WeightsError: the weights are damaged, or do not fit what the card names.
    """
    state, card = load_state(folder, domain=DOMAIN_NAME)
    name, outputs = card.model.removeprefix(PREFIX), card.arguments["options"].get("outputs")
    contract = PublishedContract.of_card(card, domain=DOMAIN_NAME)
    if name not in torchvision_names() or not isinstance(outputs, int) or outputs < 1:
        raise WeightsError(f"weights {card.name!r}: torchvision has no {name} with {outputs!r} outputs; fetch it again")
    if len(contract.classes) != card.arguments["num_classes"] or max(contract.classes) >= outputs:
        raise WeightsError(f"weights {card.name!r}: the classes are not those of its labels; fetch it again")
    model = _without_masks(_built(name, outputs))
    check_fit(model, state, card)
    model.load_state_dict(state, assign=True)
    _last(model).nms_thresh = contract.overlap
    return _anchored(model).to(device).eval(), card


def published_boxes(
    model: nn.Module, views: Sequence[Tensor], placements: Sequence[Placement], sizes: Sequence[tuple[int, int]],
    contract: PublishedContract,
) -> list[Found]:  # fmt: skip
    """Return what a network of torchvision finds in each of some pictures, uint8 [3, H, W], one after the other.

    In a batch the smaller pictures would be padded, which changes their answers.
    """
    device = next(model.parameters()).device
    ours = {theirs: k for k, theirs in enumerate(contract.classes)}
    found = []
    for view, placement, size in zip(views, placements, sizes, strict=True):
        answer: Mapping[str, Tensor] = model([as_unit(view.to(device))])[0]
        labels = torch.tensor([ours.get(k, -1) for k in answer["labels"].tolist()], dtype=torch.int64)
        boxes, scores = to_picture(answer["boxes"].float().cpu(), placement, size), answer["scores"].float().cpu()
        real = (labels >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        found.append(Found(boxes[real][:MOST], scores[real][:MOST], labels[real][:MOST]))
    return found


def _built(name: str, outputs: int) -> nn.Module:
    """Return a network as torchvision builds it for its own weights, on the meta device: they take no memory twice."""
    with torch.device("meta"):
        model: nn.Module = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=outputs)
        if name in FROZEN:
            _freeze(model, FROZEN[name])
    return model.eval()


def _freeze(module: nn.Module, eps: float) -> None:
    for name, part in module.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(part.num_features, eps=eps))
        else:
            _freeze(part, eps)


def _without_masks(model: nn.Module) -> nn.Module:
    heads = getattr(model, "roi_heads", None)
    for part in LEFT_OUT:
        if getattr(heads, part, None) is not None:
            setattr(heads, part, None)
    return model


def _anchored(model: nn.Module) -> nn.Module:
    """Make the anchors, which are no weights, of a network that was built on the meta device."""
    generator: Any = getattr(model, "rpn", model).anchor_generator
    if isinstance(generator, DefaultBoxGenerator):
        generator._wh_pairs = generator._generate_wh_pairs(len(generator.aspect_ratios))
    else:
        pairs = zip(generator.sizes, generator.aspect_ratios, strict=True)
        generator.cell_anchors = [generator.generate_anchors(*pair) for pair in pairs]
    return model


def _last(model: nn.Module) -> Any:
    """Return the part of a network that suppresses doubles."""
    return getattr(model, "roi_heads", model)


SOURCES = {"torchvision": fetch_torchvision}
