"""Activations, softmax and the repeated stage: equal to torch and to numbers worked by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import special

from cnn_core.errors import CnnError, UnknownNameError
from lab.activations import ACTIVATIONS, cross_entropy, curve, softmax
from lab.kernels import find_kernel
from lab.stages import outputs, stage

X = torch.tensor([-2.0, -0.5, 0.5, 3.0], dtype=torch.float64)


def normal_density(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def test_values_and_slopes_are_the_textbooks():
    x = X.numpy()
    s = special.expit(x)
    wanted = {
        "relu": ([0, 0, 0.5, 3], [0, 0, 1, 1]),
        "leaky": ([-0.2, -0.05, 0.5, 3], [0.1, 0.1, 1, 1]),
        "sigmoid": (s, s * (1 - s)),
        "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
        "gelu": (x * special.ndtr(x), special.ndtr(x) + x * normal_density(x)),
    }
    assert {activation.name for activation in ACTIVATIONS} == set(wanted)
    for name, (values, slopes) in wanted.items():
        y, slope = curve(name, X)
        assert np.allclose(y, values), name
        assert np.allclose(slope, slopes), name


def test_softmax_and_its_loss_are_scipys_and_torchs():
    scores = torch.tensor([2.0, -1.0, 0.5])
    found = softmax(scores, 0.5)
    assert np.allclose(found, special.softmax(scores.numpy() / 0.5))
    loss = F.cross_entropy(scores[None] / 0.5, torch.tensor([2]))
    assert cross_entropy(found, 2) == pytest.approx(float(loss), abs=1e-5)
    with pytest.raises(CnnError, match="above 0"):
        softmax(scores, 0)
    with pytest.raises(UnknownNameError, match="relu"):
        curve("rellu", X)


@pytest.mark.parametrize(("pool", "function"), [("max", F.max_pool2d), ("mean", F.avg_pool2d)])
def test_a_stage_is_torchs_three_functions(pool, function):
    x = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    kernel = find_kernel("outline").weight
    convolved, rectified, pooled = outputs(stage(kernel, pool=pool, window=2), x)
    wanted = F.conv2d(F.pad(x[None], (1, 1, 1, 1), mode="replicate"), kernel[None, None])[0]
    torch.testing.assert_close(convolved, wanted)
    torch.testing.assert_close(rectified, wanted.clamp_min(0))
    torch.testing.assert_close(pooled, function(wanted.clamp_min(0)[None], 2)[0])


def test_a_stage_refuses_what_it_does_not_know():
    with pytest.raises(CnnError, match="max or mean"):
        stage(torch.zeros(3, 3), pool="median")
    with pytest.raises(CnnError, match="3 x 3"):
        stage(torch.zeros(5, 5))
