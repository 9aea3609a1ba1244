"""Small blocks that several backbones are made of, each for 1-D, 2-D and 3-D data."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.nn.dims import dims


class SamePad(nn.Module):
    """Zeros around a map so that a convolution of `stride` gives `ceil(edge / stride)` cells: `[B, C, *S] -> same`.

    TensorFlow's rule: what is missing is halved, and the odd cell goes to the end. On even edges a kernel of 3 with
    stride 2 gets no cell at the start and one at the end, where torch's `padding=1` would use one at the start and none
    at the end.
    """

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        padding: list[int] = []
        for edge in reversed(x.shape[2:]):  # F.pad begins with the last axis
            missing = max(0, (-(-edge // self.stride) - 1) * self.stride + self.kernel_size - edge)
            padding += [missing // 2, missing - missing // 2]
        return F.pad(x, padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class ConvNormAct(nn.Sequential):
    """Convolution, then normalisation, then activation: `[B, in_channels, *S] -> [B, out_channels, *S']`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        spatial_dims: 1, 2 or 3.
        kernel_size: edge of the kernel.
        stride: step of the kernel.
        padding: pixels added on every side; None keeps the size at stride 1 (odd kernels only).
        norm: True is batch normalisation; a callable makes another one for a number of channels; False leaves it out,
            and the convolution then has a bias.
        act: makes the activation; None leaves it out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        spatial_dims: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int | None = None,
        norm: bool | Callable[[int], nn.Module] = True,
        act: Callable[[], nn.Module] | None = lambda: nn.ReLU(inplace=True),
    ) -> None:
        super().__init__()
        d = dims(spatial_dims)
        padding = kernel_size // 2 if padding is None else padding
        self.conv = d.conv(in_channels, out_channels, kernel_size, stride, padding, bias=not norm)
        if norm:
            self.norm = d.batch_norm(out_channels) if norm is True else norm(out_channels)
        if act is not None:
            self.act = act()


class Head(nn.Sequential):
    """Pool the last map to a fixed grid, flatten, dense layers, class scores: `[B, in_channels, *S] -> [B, K]`.

    Args:
        in_channels: channels of the last feature map.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        grid: edge of the grid that the map is average-pooled to; None takes the map as it comes, which then must
            have `fixed_cells` cells.
        hidden: widths of the dense layers before the last one, each followed by ReLU and dropout.
        dropout: probability of dropping a unit before each dense layer; a sequence gives one per dense layer, the
            last of them before the class scores. A layer with probability 0 is left out.
        fixed_cells: number of spatial cells when `grid` is None.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        spatial_dims: int,
        grid: int | None = 1,
        hidden: Sequence[int] = (),
        dropout: float | Sequence[float] = 0.0,
        fixed_cells: int = 1,
    ) -> None:
        super().__init__()
        drops = [dropout] * (len(hidden) + 1) if isinstance(dropout, int | float) else list(dropout)
        if len(drops) != len(hidden) + 1:
            raise ValueError(f"dropout needs {len(hidden) + 1} numbers, one per dense layer, got {drops}")
        cells = fixed_cells if grid is None else grid**spatial_dims
        if grid is not None:
            self.pool = dims(spatial_dims).adaptive_avg_pool(grid)
        self.flatten = nn.Flatten()
        widths = [in_channels * cells, *hidden]
        for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
            if drops[i]:
                self.add_module(f"dropout{i}", nn.Dropout(drops[i]))
            self.add_module(f"dense{i}", nn.Linear(fan_in, fan_out))
            self.add_module(f"relu{i}", nn.ReLU(inplace=True))
        if drops[-1]:
            self.add_module(f"dropout{len(hidden)}", nn.Dropout(drops[-1]))
        self.classifier = nn.Linear(widths[-1], num_classes)
        self.references: Tensor | None
        self.register_buffer("references", None)  # int8 [M, D], see `cnn_core.confidence`

    def after_pool(self, x: Tensor) -> Tensor:
        """Return the class scores of a map that is pooled already: `[B, in_channels * cells] -> [B, K]`."""
        for name, layer in self.named_children():
            x = x if name in ("pool", "flatten") else layer(x)
        return x

    def reset(self, num_classes: int) -> None:
        """Replace the last dense layer by a fresh one with `num_classes` outputs, on the same device and dtype."""
        old = self.classifier
        self.classifier = nn.Linear(
            old.in_features, num_classes, bias=old.bias is not None, device=old.weight.device, dtype=old.weight.dtype
        )
        self.references = None

    def scale(self, factor: float) -> None:
        """Multiply all class scores by `factor`."""
        with torch.no_grad():
            for parameter in self.classifier.parameters():
                parameter.mul_(factor)


class NoHead(Head):
    """Of a backbone that only encodes: the last map as it is, and no parameters."""

    def __init__(self) -> None:
        nn.Sequential.__init__(self)
        self.register_buffer("references", None)
