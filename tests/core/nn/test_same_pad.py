"""TensorFlow's padding."""

import pytest
import torch

from cnn_core.nn.blocks import SamePad


@pytest.mark.parametrize(
    ("edge", "front", "behind"), [(4, 0, 1), (5, 1, 1), (1, 1, 1), (2, 0, 1)]
)  # by hand: cells = ceil(edge / 2), missing = (cells - 1) * 2 + 3 - edge, the odd one behind
def test_padding_is_tensorflows_same(edge: int, front: int, behind: int) -> None:
    padded = SamePad(3, 2)(torch.ones(1, 1, edge))
    assert padded[0, 0].tolist() == [0.0] * front + [1.0] * edge + [0.0] * behind


def test_it_says_its_kernel_and_stride_where_a_network_is_printed() -> None:
    assert str(SamePad(3, 2)) == "SamePad(kernel_size=3, stride=2)"
