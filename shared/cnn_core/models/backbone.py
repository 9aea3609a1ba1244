"""The contract that every backbone keeps: named stages, what each puts out, and a head that can be replaced.

U-Net encoders, captioning encoders, Grad-CAM and the layer explorer are all built on `feature_info` and
`forward_features`, so a new backbone gets them for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.nn.blocks import Head


@dataclass(frozen=True)
class FeatureInfo:
    """What one stage puts out: its name, its channels, and its stride (input pixels per output pixel)."""

    name: str
    channels: int
    stride: int


class TakesInput(Protocol):
    """What `Backbone.check_input` needs, for networks that are no backbones and check likewise."""

    spatial_dims: int
    in_channels: int
    minimum_size: int
    input_size: tuple[int, ...] | None


class Backbone(nn.Module):
    """Stages applied one after the other, then a head.

    Args:
        stages: name -> module, in order; the output of each is one entry of `forward_features`. No stage changes its
            input in place, because that input is the map of the stage before.
        feature_info: one entry per stage, in the same order and under the same names.
        head: from the last map to class scores.
        spatial_dims: 1, 2 or 3.
        in_channels: channels of the input.
        minimum_size: smallest allowed edge of the input in pixels; a smaller input is refused with a clear error.
        input_size: the only size the network takes, for networks with dense layers on raw pixels; None: any size.
    """

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        feature_info: Sequence[FeatureInfo],
        *,
        head: Head,
        spatial_dims: int,
        in_channels: int,
        minimum_size: int = 1,
        input_size: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        if [info.name for info in feature_info] != list(stages):
            raise ValueError(f"feature_info {[i.name for i in feature_info]} does not name the stages {list(stages)}")
        self.stages = nn.ModuleDict(stages)
        self.head = head
        self.feature_info = tuple(feature_info)
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.minimum_size = minimum_size
        self.input_size = input_size

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Return the map after each stage, finest first: `[B, in_channels, *S] -> list of [B, C_i, *S_i]`."""
        self.check_input(x)
        maps = []
        for stage in self.stages.values():
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores before softmax: `[B, in_channels, *S] -> [B, K]`."""
        self.check_input(x)
        for stage in self.stages.values():  # not through forward_features, which would keep every map in memory
            x = stage(x)
        return self.head(x)

    def reset_head(self, num_classes: int) -> None:
        """Give the network a fresh last layer for `num_classes` classes; everything before it keeps its weights."""
        self.head.reset(num_classes)

    def check_input(self: TakesInput, x: Tensor) -> None:
        """Raise CnnError with the expected and the received shape if `x` cannot be an input of this network."""
        letters = {1: "L", 2: "H, W", 3: "D, H, W"}[self.spatial_dims]
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.in_channels:
            raise CnnError(f"expected an input [B, {self.in_channels}, {letters}], got {list(x.shape)}")
        size = tuple(x.shape[2:])
        if self.input_size is not None and size != self.input_size:
            raise CnnError(f"this network takes inputs of size {self.input_size} only, got {size}; resize the input")
        if min(size) < self.minimum_size:
            raise CnnError(
                f"the input must be at least {self.minimum_size} pixels along every axis, got {size}; "
                "enlarge it or choose a network with fewer pooling stages"
            )


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers the network learns or could learn, each shared one once; buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())
