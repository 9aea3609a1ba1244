"""Searching and drawing what channels want, on a network whose preferences are known."""

import pytest
import torch

from cnn_core.errors import CnnError
from cnn_core.models.registry import create_model
from lab.preferences import best_inputs, preferred_inputs


@pytest.fixture(scope="module")
def lenet():
    torch.manual_seed(0)
    return create_model("lenet", in_channels=1, num_classes=10)


def test_the_best_inputs_are_those_with_the_highest_cells(lenet):
    x = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found = best_inputs(lenet, x, stage=1, channels=[3, 5], count=2)
    with torch.no_grad():
        maps = lenet.eval().forward_features(x)[1]
    for row, channel in enumerate([3, 5]):
        highest = maps[:, channel].amax((1, 2))
        torch.testing.assert_close(found.value[row], highest.sort(descending=True).values[:2])
        torch.testing.assert_close(highest[found.index[row]], found.value[row])  # inputs that tie may come in any order
        i, (r, c) = int(found.index[row, 0]), found.position[row, 0].tolist()
        assert float(maps[i, channel, r, c]) == pytest.approx(float(found.value[row, 0]))


def test_ascent_moves_the_unit_and_needs_no_company(lenet):
    drawn = preferred_inputs(lenet, (32, 32), stage=0, channels=[0, 4], steps=8)
    alone = preferred_inputs(lenet, (32, 32), stage=0, channels=[4], steps=8)
    torch.testing.assert_close(drawn[1:], alone, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        before = float(lenet.forward_features(torch.zeros(1, 1, 32, 32))[0][0, 4, 7, 7])
        after = float(lenet.forward_features(alone)[0][0, 4].max())
    assert after > before
    assert all(parameter.grad is None for parameter in lenet.parameters())


def test_what_is_not_there_is_said(lenet):
    with pytest.raises(CnnError, match="at least 3"):
        best_inputs(lenet, torch.zeros(2, 1, 32, 32), stage=0, channels=[0], count=3)
    with pytest.raises(CnnError, match="channels from 0 to 5"):
        preferred_inputs(lenet, (32, 32), stage=0, channels=[6])
