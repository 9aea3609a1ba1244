"""Networks of one hidden layer for small digits that train in seconds: dense, local, convolution, everywhere.

The first three see the same pictures and end in the same dense layer of class scores, after the same pooling; they
differ in who is connected to whom and who shares weights. "everywhere" is a convolution of which only the largest value
of each map is left: what it detects counts, not where.
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
KINDS = ("dense", "local", "convolution", "everywhere")


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


def small_network(
    kind: str, *, maps: int = MAPS, kernel_size: int = KERNEL, edge: int = EDGE, dropout: float = 0.0, seed: int = 0
) -> nn.Sequential:
    """Build a network `[B, 1, edge, edge] -> [B, 10]`.

    Args:
        kind: one of `KINDS`, how the first layer is connected.
        maps: number of output maps, each of edge x edge cells.
        kernel_size: of all but the dense one; odd.
        edge: of the pictures, in pixels; even.
        dropout: probability of dropping a cell before the class scores.
        seed: of the first weights.

    Raises:
        UnknownNameError: another kind.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind in ("convolution", "everywhere"):
            first: nn.Module = nn.Conv2d(1, maps, kernel_size, padding=kernel_size // 2)
        elif kind == "local":
            first = LocalConnection(maps, edge=edge, kernel_size=kernel_size)
        elif kind == "dense":
            first = DenseMaps(maps, edge=edge)
        else:
            raise unknown_name("kind of layer", kind, list(KINDS))
        pool, cells = (edge, maps) if kind == "everywhere" else (2, maps * (edge // 2) ** 2)
        return nn.Sequential(
            first, nn.ReLU(), nn.MaxPool2d(pool), nn.Flatten(), nn.Dropout(dropout), nn.Linear(cells, CLASSES)
        )


def first_layer_cost(kind: str, *, maps: int = MAPS, kernel_size: int = KERNEL, edge: int = EDGE) -> tuple[int, int]:
    """Return parameters and multiply-adds of the first layer of `small_network`."""
    first = small_network(kind, maps=maps, kernel_size=kernel_size, edge=edge)[0]
    cells = edge * edge
    products = maps * cells * (cells if kind == "dense" else kernel_size**2)
    return sum(parameter.numel() for parameter in first.parameters()), products
