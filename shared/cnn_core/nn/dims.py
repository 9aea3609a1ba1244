"""The one table from the number of spatial dimensions to torch's layers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor, nn

from cnn_core.nn.conv3d import Conv3d

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
ConvTranspose = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass(frozen=True)
class Dims:
    """Layers of one spatial dimensionality; every field is a class of `torch.nn`, `interpolation` a mode name."""

    spatial_dims: int
    conv: type[Conv]
    conv_transpose: type[ConvTranspose]
    max_pool: Callable[..., nn.Module]
    avg_pool: Callable[..., nn.Module]
    adaptive_avg_pool: Callable[..., nn.Module]
    adaptive_max_pool: Callable[..., nn.Module]
    batch_norm: type[BatchNorm]
    instance_norm: Callable[..., nn.Module]
    dropout: Callable[..., nn.Module]  # drops whole channels
    interpolation: str  # the smooth mode of `torch.nn.functional.interpolate`


TABLE = {
    1: Dims(1, nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d,
            nn.BatchNorm1d, nn.InstanceNorm1d, nn.Dropout1d, "linear"),
    2: Dims(2, nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
            nn.BatchNorm2d, nn.InstanceNorm2d, nn.Dropout2d, "bilinear"),
    3: Dims(3, Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d,
            nn.BatchNorm3d, nn.InstanceNorm3d, nn.Dropout3d, "trilinear"),
}  # fmt: skip
FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}  # spatial dimensions -> memory layout


def dims(spatial_dims: int) -> Dims:
    """Return the layers for 1-D, 2-D or 3-D data.

    Raises:
        ValueError: `spatial_dims` is not 1, 2 or 3.
    """
    if spatial_dims not in TABLE:
        raise ValueError(f"spatial_dims must be 1, 2 or 3, got {spatial_dims!r}")
    return TABLE[spatial_dims]


def last_axes(places: Iterable[slice]) -> tuple[slice | EllipsisType, ...]:
    """Return the index that takes `places` along the last axes of a tensor, and everything along those before."""
    return (..., *places)


def channels_last(x: Tensor) -> Tensor:
    """Lay pictures and volumes out channels-last in memory, which convolutions on CPU and GPU are fastest with."""
    spatial_dims = x.ndim - 2
    return x.contiguous(memory_format=FORMATS[spatial_dims]) if spatial_dims in FORMATS else x
