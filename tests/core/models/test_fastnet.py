"""What is special about FastNet: the whitened stem and the start as an identity."""

import sys

import pytest
import torch

from cnn_core.errors import CnnError
from cnn_core.models import create_model
from cnn_core.models.fastnet import WhitenedStem


def inputs(*size: int, count: int = 40, channels: int = 2) -> torch.Tensor:
    """Noise that is smooth along the last axis, so that neighbours are correlated."""
    x = torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(2))
    return x + x.roll(1, -1) + 0.5 * x.flip(1)


@pytest.mark.parametrize("size", [(60,), (12, 13), (6, 7, 8)])
def test_the_stem_decorrelates_the_patches(size):
    x = inputs(*size)
    stem = WhitenedStem(2, spatial_dims=len(size), kernel_size=2, stride=1)
    stem.whiten(x, epsilon=0.0)
    out = stem.conv(x)  # kernel 2, no padding: exactly the patches that were measured
    half = out.shape[1] // 2
    assert half == 2 * 2 ** len(size)
    torch.testing.assert_close(out[:, half:], -out[:, :half])
    cells = out[:, :half].movedim(1, -1).reshape(-1, half)
    torch.testing.assert_close(cells.T @ cells / len(cells), torch.eye(half), atol=1e-4, rtol=0)


def test_directions_come_strongest_first_and_weak_ones_are_not_blown_up():
    stem = WhitenedStem(1, spatial_dims=1, kernel_size=2, stride=1)
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).reshape(2, 1, 2)
    stem.whiten(x, epsilon=0.5)  # covariance [[1, 1], [1, 1]]: eigenvalues 2 along (1, 1) and 0 along (1, -1)
    filters = stem.conv.weight.detach()[:2, 0].abs()
    expected = torch.tensor([[1 / 2.5**0.5], [1 / 0.5**0.5]]) / 2**0.5
    torch.testing.assert_close(filters, expected.expand(2, 2))


def test_many_inputs_are_measured_in_parts(monkeypatch):
    x = inputs(9, 9, count=33)
    whole, parted = (WhitenedStem(2, spatial_dims=2, kernel_size=3, stride=1) for _ in range(2))
    whole.whiten(x)
    monkeypatch.setattr(
        sys.modules[WhitenedStem.__module__], "WHITENING_NUMBERS", 9 * 9 * 2 * 9 * 4
    )  # four inputs at a time
    parted.whiten(x)
    torch.testing.assert_close(parted.conv.weight, whole.conv.weight, atol=1e-4, rtol=1e-4)


def test_the_stems_filters_are_not_trained_but_its_bias_is():
    model = create_model("fastnet", in_channels=1, num_classes=3, options={"widths": [8]})
    model.initialise(torch.randn(20, 1, 12, 12))
    before = model.stages["stem"].conv.weight.clone()
    model(torch.randn(4, 1, 12, 12)).square().sum().backward()
    assert model.stages["stem"].conv.weight.grad is None
    assert model.stages["stem"].conv.bias.grad is not None
    assert torch.equal(model.stages["stem"].conv.weight, before)


@pytest.mark.parametrize("shape", [(20, 3, 12, 12), (20, 1, 1, 1), (20, 1, 12)])
def test_initialising_with_something_else_than_inputs_is_refused(shape):
    model = create_model("fastnet", in_channels=1, num_classes=3, options={"widths": [8]})
    with pytest.raises(CnnError):
        model.initialise(torch.randn(shape))


def test_constant_pictures_leave_finite_filters():
    model = create_model("fastnet", in_channels=1, num_classes=3, options={"widths": [8]})
    model.initialise(torch.zeros(20, 1, 12, 12))
    assert model(torch.zeros(2, 1, 12, 12)).isfinite().all()
