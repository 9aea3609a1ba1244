"""An anchor-free detector on a feature pyramid over any backbone: each location says what is there and how far it goes.

Tian, Shen, Chen, He 2019, FCOS: Fully Convolutional One-Stage Object Detection, arXiv:1904.01355; the pyramid is that
of Lin et al. 2017, Feature Pyramid Networks for Object Detection, arXiv:1612.03144. Differs from the paper: one tower
for classes and boxes instead of two, the quality branch learns the IoU of a location's box instead of its centre-ness,
distances pass a softplus instead of exp, and the smallest and largest sizes of a level are 4 times its stride.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models import as_backbone, create_model
from cnn_core.models.backbone import Backbone
from cnn_core.nn.blocks import ConvNormAct, NoHead
from cnn_core.weights import WeightsCard

GROUPS = 8  # of group normalisation in the tower: its statistics are those of one map, whatever the level
PRIOR = 0.01  # probability of every class at the start: focal loss begins where almost everything is background
EXPANSION = 4  # a last map with this many times the channels of the one before belongs to the classifier


class Detector(nn.Module):
    """`[B, 3, H, W] -> [B, N, K + 5]`: K class logits, a quality logit, and distances in pixels of the input.

    N are the locations of all levels, finest first, row by row. The distances are those from the location to the left,
    top, right and bottom of its box.

    Args:
        backbone: its head is dropped, as are stages after the last one that is needed.
        num_classes: K.
        strides: of the levels, finest first. A level that the backbone has none of is made from the one before by a
            convolution with stride.
        channels: of the pyramid and the tower.
        depth: convolutions of the tower.

    Raises:
        CnnError: the backbone has no map with the finest stride.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, *, strides: Sequence[int], channels: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        self.strides, self.num_classes = tuple(strides), num_classes
        self.spatial_dims, self.in_channels = 2, backbone.in_channels
        taken = _stages_by_stride(backbone)
        if self.strides[0] not in taken:
            found = ", ".join(map(str, taken))
            raise CnnError(f"strides: expected the first to be one of the network's, {found}, got {self.strides[0]}")
        self.taken = [taken[stride] for stride in self.strides if stride in taken]  # places of stages
        names = list(backbone.stages)
        self.stages = nn.ModuleDict({name: backbone.stages[name] for name in names[: self.taken[-1] + 1]})
        self.feature_info = backbone.feature_info[: self.taken[-1] + 1]
        self.minimum_size = backbone.minimum_size
        self.lateral = nn.ModuleList(nn.Conv2d(self.feature_info[i].channels, channels, 1) for i in self.taken)
        extra = len(self.strides) - len(self.taken)
        self.further = nn.ModuleList(_conv(channels, stride=2) for _ in range(extra))
        self.smooth = nn.ModuleList(_conv(channels) for _ in self.taken)
        self.tower = nn.Sequential(*(_conv(channels) for _ in range(depth)))
        self.classes = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.box = nn.Conv2d(channels, 5, 3, padding=1)  # the quality and four distances
        for conv, bias in ((self.classes, math.log(PRIOR / (1 - PRIOR))), (self.box, 1.0)):
            if conv.bias is not None and not conv.weight.is_meta:
                nn.init.normal_(conv.weight, std=0.01)
                nn.init.constant_(conv.bias, bias)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return the map of every level: `[B, 3, H, W] -> list of [B, channels, H / stride, W / stride]`."""
        maps = []
        for place, stage in enumerate(self.stages.values()):
            x = stage(x)
            if place in self.taken:
                maps.append(x)
        levels = [lateral(found) for lateral, found in zip(self.lateral, maps, strict=True)]
        for finer in range(len(levels) - 2, -1, -1):
            levels[finer] = levels[finer] + F.interpolate(levels[finer + 1], size=levels[finer].shape[2:])
        levels = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        for further in self.further:
            levels.append(further(levels[-1]))
        return levels

    def stage_of(self, location: int, size: Sequence[int]) -> str:
        """Return the name of the stage that the level of a location in an input of `size` (H, W) is built on."""
        begin = 0
        for place, stride in zip(self.taken, self.strides, strict=False):
            begin += (size[0] // stride) * (size[1] // stride)
            if location < begin:
                return self.feature_info[place].name
        return self.feature_info[self.taken[-1]].name  # the levels beyond the backbone

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for stride, level in zip(self.strides, self.pyramid(x), strict=True):
            level = self.tower(level)
            box = self.box(level)
            distances = F.softplus(box[:, 1:]) * stride
            parts = torch.cat([self.classes(level), box[:, :1], distances], 1)
            found.append(parts.flatten(2).transpose(1, 2))  # [B, n, K + 5]
        return torch.cat(found, 1)  # [B, N, K + 5]


def locations(size: Sequence[int], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the place (x, y) of every location in an input of `size` (H, W), [N, 2], and its stride, [N]."""
    places, steps = [], []
    for stride in strides:
        y, x = (stride * (torch.arange(edge // stride) + 0.5) for edge in size)
        places.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2))
        steps.append(torch.full((len(places[-1]),), float(stride)))
    return torch.cat(places), torch.cat(steps)


def boxes_of(output: Tensor, places: Tensor) -> Tensor:
    """Return the box of every location: output `[..., N, K + 5]`, places [N, 2] -> `[..., N, 4]`."""
    distances = output[..., -4:]
    return torch.cat([places - distances[..., :2], places + distances[..., 2:]], -1)


def scores_of(output: Tensor) -> Tensor:
    """Return the score of every class at every location, 0 to 1: `[..., N, K + 5] -> [..., N, K]`.

    It is the geometric mean of the class' probability and of the predicted IoU of the box.
    """
    return (output[..., :-5].sigmoid() * output[..., -5:-4].sigmoid()).sqrt()


def build_detector(model: str, num_classes: int, *, options: dict[str, Any]) -> Detector:
    """Build a detector with fresh weights.

    Args:
        model: a backbone of `cnn list models`.
        num_classes: K.
        options: "strides", "channels", "depth", and "backbone", the backbone's own options.
    """
    own = {key: options[key] for key in ("channels", "depth") if key in options}
    backbone = as_backbone(create_model(model, spatial_dims=2, in_channels=3, options=options.get("backbone", {})))
    if backbone.input_size is not None:
        raise CnnError(f"{model} takes inputs of one size only; choose a network of convolutions alone")
    backbone.head = NoHead()
    return Detector(backbone, num_classes, strides=options["strides"], **own)


def detector_of_card(card: WeightsCard) -> Detector:
    """Build the network of a card, without its weights."""
    return build_detector(card.model, card.arguments["num_classes"], options=card.arguments["options"])


def _conv(channels: int, *, stride: int = 1) -> ConvNormAct:
    def norm(width: int) -> nn.Module:
        return nn.GroupNorm(GROUPS if width % GROUPS == 0 else 1, width)

    return ConvNormAct(channels, channels, spatial_dims=2, stride=stride, norm=norm)


def _stages_by_stride(backbone: Backbone) -> dict[int, int]:
    """Return stride -> place of the last stage with it that is no widening for the classifier."""
    found: dict[int, int] = {}
    for place, info in enumerate(backbone.feature_info):
        before = found.get(info.stride)
        if before is None or info.channels < EXPANSION * backbone.feature_info[before].channels:
            found[info.stride] = place
    return found
