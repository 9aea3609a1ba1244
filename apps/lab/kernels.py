"""Kernels with a name: what a single 3 x 3 convolution can do before any network has learned anything."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.errors import unknown_name


@dataclass(frozen=True)
class NamedKernel:
    """A 3 x 3 kernel that people know, written as it slides (cross-correlation, as all frameworks compute it)."""

    name: str
    title: str
    rows: tuple[tuple[float, ...], ...]
    does: str  # one sentence

    @property
    def weight(self) -> Tensor:
        """The kernel as a tensor [3, 3]."""
        return torch.tensor(self.rows, dtype=torch.float32)


_NINTH, _SIXTEENTH = 1 / 9, 1 / 16

NAMED_KERNELS = (
    NamedKernel(
        "sobel-x", "Sobel, upright edges", ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
        "The right side minus the left side: large where brightness changes from left to right.",
    ),
    NamedKernel(
        "sobel-y", "Sobel, level edges", ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
        "Below minus above: large where brightness changes from top to bottom.",
    ),
    NamedKernel(
        "outline", "Outline", ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
        "Eight times the middle minus its neighbours (a Laplacian): zero wherever the picture is even.",
    ),
    NamedKernel(
        "sharpen", "Sharpen", ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
        "The pixel plus its difference from its neighbours.",
    ),
    NamedKernel(
        "blur", "Blur", ((_NINTH,) * 3,) * 3,
        "The mean of nine pixels.",
    ),
    NamedKernel(
        "gauss", "Gaussian blur",
        tuple(tuple(a * b * _SIXTEENTH for b in (1, 2, 1)) for a in (1, 2, 1)),
        "A mean in which near pixels count more.",
    ),
    NamedKernel(
        "emboss", "Emboss", ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)),
        "A difference along the diagonal on top of the picture: light seems to fall from one corner.",
    ),
    NamedKernel(
        "identity", "Identity", ((0, 0, 0), (0, 1, 0), (0, 0, 0)),
        "The middle pixel, unchanged.",
    ),
)  # fmt: skip


def find_kernel(name: str) -> NamedKernel:
    """Return a kernel by its name, or raise UnknownNameError with the nearest names."""
    for kernel in NAMED_KERNELS:
        if kernel.name == name:
            return kernel
    raise unknown_name("kernel", name, [kernel.name for kernel in NAMED_KERNELS])
