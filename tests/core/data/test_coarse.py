"""Fewer cells shown at the old size, as an augmentation: by hand."""

import torch

from cnn_core.data.augment import Draws, apply, draw
from cnn_core.data.augment_config import AugmentConfig


def test_half_the_resolution_averages_two_cells_and_interpolates() -> None:
    x = torch.tensor([[[0.0, 1.0, 1.0, 0.0]], [[0.0, 1.0, 1.0, 0.0]]])  # [2, 1, 4]
    shown = apply(x, Draws(coarse=torch.tensor([0.5, 1.0])), AugmentConfig(coarse=0.5))
    assert shown[0].tolist() == [[0.5, 0.5, 0.5, 0.5]] and shown[1].tolist() == x[1].tolist()


def test_half_of_the_samples_keep_their_resolution() -> None:
    drawn = draw(AugmentConfig(coarse=0.5), (8, 8), count=2000, generator=torch.Generator().manual_seed(0)).coarse
    assert drawn is not None and 0.5 <= float(drawn.min()) < 0.51 and float(drawn.max()) == 1
    assert 0.45 < float((drawn == 1).float().mean()) < 0.55
