"""One step at a time, over all positions, is torch's convolution and pooling."""

from itertools import product
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.anatomy import convolution_step, output_shape, pooling_step
from cnn_core.errors import CnnError

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


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


def test_pooling_worked_by_hand() -> None:
    x = torch.tensor([[[1.0, 2, 3, 0], [4, 5, 6, 9]], [[8, 2, 0, 0], [1, 1, 0, 2]]])
    step = pooling_step(x, 2, position=(0, 0))
    assert step.values.tolist() == [5, 8]
    assert step.winners.tolist() == [[1, 1], [0, 0]]
    second = pooling_step(x, 2, position=(0, 1))
    assert second.winners.tolist() == [[1, 3], [1, 3]]
    mean = pooling_step(x, 2, position=(0, 1), reduce="mean")
    assert mean.values.tolist() == [4.5, 0.5]
    assert mean.winners is None


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


def test_settings_can_differ_between_axes() -> None:
    x, kernel = torch.randn(3, 8, 9), torch.randn(3, 2, 3)
    settings = {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}
    expected = F.conv2d(x[None], kernel[None], torch.tensor([0.25]), **settings)
    torch.testing.assert_close(assemble(x, kernel, settings), expected[0, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(2, None, 0, 1), (3, 2, 1, 1), (2, 1, 1, 2)])
def test_pooling_is_torchs(spatial_dims: int, kernel: int, stride: int | None, padding: int, dilation: int) -> None:
    x = torch.randn(2, *[7, 6, 5][:spatial_dims]) - 3  # negative: a zero in the padding would win
    settings = {"stride": stride or kernel, "padding": padding}
    shape = output_shape(x, kernel, dilation=dilation, **settings)
    expected, places = MAX[spatial_dims](x[None], kernel, dilation=dilation, return_indices=True, **settings)
    for i in product(*map(range, shape)):
        step = pooling_step(x, kernel, position=i, stride=stride, padding=padding, dilation=dilation)
        assert torch.equal(step.values, expected[(0, slice(None), *i)])
        weights = torch.tensor([prod(x.shape[2 + axis :]) for axis in range(spatial_dims)])
        assert torch.equal((step.winners * weights).sum(1), places[(0, slice(None), *i)])
    if dilation == 1:
        expected = MEAN[spatial_dims](x[None], kernel, **settings)
        for i in product(*map(range, shape)):
            step = pooling_step(x, kernel, position=i, stride=stride, padding=padding, reduce="mean")
            torch.testing.assert_close(step.values, expected[(0, slice(None), *i)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position": (5, 0)}, r"inside the output \(5, 5\)"),
        ({"position": (-1, 0)}, "inside the output"),
        ({"position": (0,)}, "inside the output"),
        ({"position": (0, 0), "padding": 7, "padding_mode": "reflect"}, "mirrored"),
        ({"position": (0, 0), "padding": 1, "padding_mode": "circle"}, "padding_mode"),
        ({"position": (0, 0), "padding_mode": "circle"}, "padding_mode"),
        ({"position": (0, 0), "stride": (1, 1, 1)}, "stride needs one number or 2"),
        ({"position": (0, 0), "dilation": 9}, "does not fit"),
    ],
)
def test_convolution_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(CnnError, match=message):
        convolution_step(torch.zeros(1, 7, 7), torch.zeros(1, 3, 3), **settings)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(CnnError, match="2 channels"):
        convolution_step(torch.zeros(2, 7, 7), torch.zeros(1, 3, 3), position=(0, 0))
    with pytest.raises(CnnError, match="half the window"):
        pooling_step(torch.zeros(1, 7), 2, position=(0,), padding=2)
    with pytest.raises(CnnError, match="dilation of a mean must be 1"):
        pooling_step(torch.zeros(1, 7), 2, position=(0,), dilation=2, reduce="mean")
    with pytest.raises(CnnError, match="max or mean"):
        pooling_step(torch.zeros(1, 7), 2, position=(0,), reduce="median")
