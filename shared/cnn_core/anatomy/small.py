"""Networks of one hidden layer for 8 x 8 digits that train in a second: convolution, local connection, dense.

All three see the same pictures and end in the same dense layer of class scores, after the same pooling; they differ in
who is connected to whom and who shares weights.
"""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import unknown_name

EDGE = 8  # pixels of the embedded digits
CLASSES = 10
MAPS = 6
KERNEL = 3


class LocalConnection(nn.Module):
    """A convolution without sharing: every output cell has a kernel of its own, `[B, 1, H, W] -> [B, maps, H, W]`."""

    def __init__(self, maps: int, *, edge: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size, self.edge = kernel_size, edge
        self.weight = nn.Parameter(torch.empty(maps, edge * edge, kernel_size**2))
        self.bias = nn.Parameter(torch.zeros(maps, edge * edge))
        nn.init.uniform_(self.weight, -1 / kernel_size, 1 / kernel_size)  # as nn.Conv2d with one input channel

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, self.kernel_size, padding=self.kernel_size // 2)  # [B, K * K, H * W]
        out = torch.einsum("bkp,mpk->bmp", patches, self.weight) + self.bias
        return out.unflatten(2, (self.edge, self.edge))


class DenseMaps(nn.Module):
    """A dense layer whose outputs are arranged as maps, `[B, 1, H, W] -> [B, maps, H, W]`."""

    def __init__(self, maps: int, *, edge: int) -> None:
        super().__init__()
        self.shape = (maps, edge, edge)
        self.linear = nn.Linear(edge * edge, prod(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)).unflatten(1, self.shape)


def small_network(kind: str, *, maps: int = MAPS, dropout: float = 0.0, seed: int = 0) -> nn.Sequential:
    """Build a network `[B, 1, 8, 8] -> [B, 10]` of the kind "convolution", "local" or "dense".

    Args:
        kind: how the first layer is connected.
        maps: it puts out so many of 8 x 8 cells.
        dropout: probability of dropping a cell before the class scores.
        seed: of the first weights.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "convolution":
            first: nn.Module = nn.Conv2d(1, maps, KERNEL, padding=KERNEL // 2)
        elif kind == "local":
            first = LocalConnection(maps, edge=EDGE, kernel_size=KERNEL)
        elif kind == "dense":
            first = DenseMaps(maps, edge=EDGE)
        else:
            raise unknown_name("kind of layer", kind, ["convolution", "local", "dense"])
        cells = maps * (EDGE // 2) ** 2
        return nn.Sequential(
            first, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(cells, CLASSES)
        )


def first_layer_cost(kind: str, *, maps: int = MAPS) -> tuple[int, int]:
    """Return parameters and multiply-adds of the first layer."""
    first = small_network(kind, maps=maps)[0]
    cells = EDGE * EDGE
    products = maps * cells * (cells if kind == "dense" else KERNEL**2)
    return sum(parameter.numel() for parameter in first.parameters()), products
