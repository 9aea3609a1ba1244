"""One step at a time, over all positions, is torch's convolution."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.errors import CnnError
from lab.stepwise import convolution_step, output_shape

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_worked_by_hand() -> None:
    x = torch.tensor([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]])
    kernel = torch.tensor([[[1.0, 0], [0, -1]]])
    step = convolution_step(x, kernel, position=(1, 0), bias=0.5)
    assert step.patch.tolist() == [[[4, 5], [7, 8]]]
    assert step.products.tolist() == [[[4, 0], [0, -8]]]
    assert step.total == -3.5
    assert step.start == (1, 0)
    corner = convolution_step(x, kernel, position=(0, 0), padding=1)
    assert corner.patch.tolist() == [[[0, 0], [0, 1]]]
    assert corner.start == (-1, -1)
    reflected = convolution_step(x, kernel, position=(0, 0), padding=1, padding_mode="reflect")
    assert reflected.patch.tolist() == [[[5, 4], [2, 1]]]
    repeated = convolution_step(x, kernel, position=(0, 0), padding=1, padding_mode="replicate")
    assert repeated.patch.tolist() == [[[1, 1], [1, 1]]]


def assemble(x: Tensor, kernel: Tensor, settings: dict[str, object]) -> Tensor:
    shape = output_shape(x, kernel.shape[1:], **{k: v for k, v in settings.items() if k != "padding_mode"})
    totals = [convolution_step(x, kernel, position=i, bias=0.25, **settings).total for i in product(*map(range, shape))]
    return torch.tensor(totals).reshape(shape)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "replicate", "reflect"])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 1, 2)])
def test_convolution_is_torchs(spatial_dims: int, mode: str, stride: int, padding: int, dilation: int) -> None:
    x = torch.randn(2, *[7, 6, 5][:spatial_dims])
    kernel = torch.randn(2, *[3, 2, 2][:spatial_dims])
    settings = {"stride": stride, "padding": padding, "padding_mode": mode, "dilation": dilation}
    padded = F.pad(x, [padding] * 2 * spatial_dims, mode="constant" if mode == "zeros" else mode)
    expected = CONVOLUTIONS[spatial_dims](
        padded[None], kernel[None], torch.tensor([0.25]), stride=stride, dilation=dilation
    )
    torch.testing.assert_close(assemble(x, kernel, settings), expected[0, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position": (5, 0)}, r"inside the output \(5, 5\)"),
        ({"position": (-1, 0)}, "inside the output"),
        ({"position": (0,)}, "inside the output"),
        ({"position": (0, 0), "padding": 7, "padding_mode": "reflect"}, "mirrored"),
        ({"position": (0, 0), "padding": 1, "padding_mode": "circle"}, "padding_mode"),
        ({"position": (0, 0), "padding_mode": "circle"}, "padding_mode"),
        ({"position": (0, 0), "dilation": 9}, "does not fit"),
    ],
)
def test_convolution_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(CnnError, match=message):
        convolution_step(torch.zeros(1, 7, 7), torch.zeros(1, 3, 3), **settings)


def test_a_kernel_of_other_channels_is_refused() -> None:
    with pytest.raises(CnnError, match="2 channels"):
        convolution_step(torch.zeros(2, 7, 7), torch.zeros(1, 3, 3), position=(0, 0))
