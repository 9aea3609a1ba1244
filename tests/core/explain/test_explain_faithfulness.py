"""Deletion and insertion curves against numbers worked by hand."""

import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError
from cnn_core.explain import explain, faithfulness


def weighted_sum_net() -> nn.Module:
    """One logit: 4 a + 3 b + 2 c + 1 d of the pixels a b c d."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    net[1].weight.data = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    return net


def test_curves_and_areas_worked_by_hand():
    x = torch.ones(2, 1, 4)
    heat = torch.tensor([[9.0, 7.0, 5.0, 3.0], [1.0, 2.0, 3.0, 4.0]])  # the true order, and its reverse
    result = faithfulness(weighted_sum_net(), x, heat, target=lambda y: y[:, 0], steps=4)
    assert result.deletion_curve.tolist() == [[10, 6, 3, 1, 0], [10, 9, 7, 4, 0]]
    assert result.insertion_curve.tolist() == [[0, 4, 7, 9, 10], [0, 1, 3, 6, 10]]
    # Trapezoids of width 1/4: (5 + 6 + 3 + 1) / 4, (5 + 9 + 7 + 4) / 4; (4 + 7 + 9 + 5) / 4, (1 + 3 + 6 + 5) / 4.
    assert result.deletion.tolist() == [3.75, 6.25]
    assert result.insertion.tolist() == [6.25, 3.75]


def test_two_steps_and_a_baseline_worked_by_hand():
    heat = torch.tensor([[4.0, 1.0, 3.0, 2.0]])  # half of the pixels: a and c
    result = faithfulness(
        weighted_sum_net(), torch.ones(1, 1, 4), heat, target=lambda y: y[:, 0], steps=2, baseline=2.0, rows=1
    )
    assert result.deletion_curve.tolist() == [[10, 16, 20]]
    assert result.insertion_curve.tolist() == [[20, 14, 10]]


def test_a_class_is_followed_by_its_probability(tiny):
    model, x = tiny().eval(), torch.randn(2, 2, 8, 8)
    result = faithfulness(model, x, torch.rand(2, 8, 8), target=[1, 2], steps=3)
    with torch.no_grad():
        whole = model(x).softmax(1)[[0, 1], [1, 2]]
    torch.testing.assert_close(result.deletion_curve[:, 0], whole)
    torch.testing.assert_close(result.insertion_curve[:, -1], whole)


@pytest.mark.parametrize("size", [(32,), (16, 24), (16, 16, 8)], ids=["1d", "2d", "3d"])
def test_a_true_map_beats_a_map_of_another_class(looker, size):
    model, x = looker(size).eval(), 0.5 + torch.rand(1, 1, *size)
    true, other = (faithfulness(model, x, explain(model, x, target=k).heat, target=lambda y: y[:, 0]) for k in (0, 1))
    assert true.deletion < 0.8 * other.deletion
    assert true.insertion > 1.2 * other.insertion


def test_a_heat_map_that_does_not_fit_is_refused(tiny):
    x = torch.randn(2, 2, 8, 8)
    with pytest.raises(CnnError, match=r"finite heat map \[2, 8, 8\], got \[2, 4, 4\]"):
        faithfulness(tiny(), x, torch.rand(2, 4, 4))
    with pytest.raises(CnnError, match="finite heat map"):
        faithfulness(tiny(), x, torch.full((2, 8, 8), torch.nan))
    with pytest.raises(CnnError, match="steps must be"):
        faithfulness(tiny(), x, torch.rand(2, 8, 8), steps=0)
