"""The size formula against torch's layers and numbers worked by hand."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from cnn_core.anatomy import output_size
from cnn_core.errors import CnnError


def test_worked_by_hand() -> None:
    assert output_size(32, 5) == 28  # LeNet-5, C1
    assert output_size(28, 2, stride=2) == 14  # S2
    assert output_size(224, 11, stride=4, padding=2) == 55  # AlexNet, conv1
    assert output_size(224, 7, stride=2, padding=3) == 112  # ResNet, conv1
    assert output_size(7, 3, dilation=2) == 3  # extent 5
    assert output_size(112, 3, stride=2) == 55


def test_every_convolution_of_torch() -> None:
    for n, k, s, p, d in product((5, 8, 13), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2)):
        if n + 2 * p < d * (k - 1) + 1:
            continue
        x, w = torch.empty(1, 1, n, device="meta"), torch.empty(1, 1, k, device="meta")
        real = F.conv1d(x, w, stride=s, padding=p, dilation=d).shape[2]
        assert output_size(n, k, stride=s, padding=p, dilation=d) == real, (n, k, s, p, d)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 4, "kernel_size": 5}, "does not fit"),
        ({"n": 5, "kernel_size": 3, "dilation": 3}, "spans 7 cells"),
        ({"n": 0, "kernel_size": 1}, "n must be at least 1"),
        ({"n": 5, "kernel_size": 0}, "kernel_size"),
        ({"n": 5, "kernel_size": 1, "stride": 0}, "stride"),
        ({"n": 5, "kernel_size": 1, "dilation": 0}, "dilation"),
        ({"n": 5, "kernel_size": 1, "padding": -1}, "padding"),
        ({"n": 2, "kernel_size": 4, "stride": 3}, "does not fit"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(CnnError, match=message):
        output_size(**settings)
