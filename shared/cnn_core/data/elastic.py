"""Smooth random displacements, for 1-D, 2-D and 3-D data.

Elastic deformation as in Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597, section 3.1): random vectors on a coarse
grid of control points, in between a cubic B-spline (Rueckert et al. 1999, doi:10.1109/42.796284), which has no kinks
and is one small matrix product per axis.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

CELLS = 3  # spline cells along each axis
POINTS = CELLS + 3  # control points along each axis
DAMPING = 0.7  # a cubic B-spline averages: along each axis what it gives has 0.68 to 0.71 of its points' deviation


def draw_points(deviation: float, *, count: int, spatial_dims: int, generator: torch.Generator) -> Tensor:
    """Draw control points [B, n, *(POINTS per axis)] whose displacements have about `deviation` pixels."""
    points = torch.randn(count, spatial_dims, *[POINTS] * spatial_dims, generator=generator)
    return points * (deviation / DAMPING**spatial_dims)


def displacement(points: Tensor, size: Sequence[int]) -> Tensor:
    """Return the displacement at the centre of every pixel: `[B, n, *points] -> [B, n, *size]`."""
    for edge in size:
        points = torch.tensordot(points, _basis(edge).to(points), dims=([2], [1]))  # that axis goes to the end
    return points


@lru_cache(maxsize=64)
def _basis(edge: int) -> Tensor:
    """Return how much each control point counts at each pixel: [edge, POINTS], rows adding up to 1."""
    place = (torch.arange(edge) + 0.5) / edge * CELLS
    cell = place.floor().clamp(max=CELLS - 1)
    t = place - cell
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    basis = torch.zeros(edge, POINTS)
    for i, weight in enumerate(weights):
        basis[torch.arange(edge), cell.long() + i] = weight / 6
    return basis
