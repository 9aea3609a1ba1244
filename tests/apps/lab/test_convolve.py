"""Whole maps and named kernels: equal to torch and SciPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage, signal
from torch import nn

from cnn_core.errors import CnnError, UnknownNameError
from lab.kernels import NAMED_KERNELS, find_kernel
from lab.stepwise import convolution_step, convolve, padded

NUMPY_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(3, 9, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_is_numpys(x, mode):
    wanted = np.pad(x.numpy(), ((0, 0), (2, 2), (2, 2)), mode=NUMPY_MODES[mode])
    assert np.array_equal(padded(x, 2, mode).numpy(), wanted)


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 1, 2)])
def test_a_map_is_that_of_a_torch_layer_and_of_single_steps(x, mode, stride, padding, dilation):
    layer = nn.Conv2d(3, 2, 3, stride=stride, padding=padding, padding_mode=mode, dilation=dilation)
    settings = {"stride": stride, "padding": padding, "padding_mode": mode, "dilation": dilation}
    with torch.no_grad():
        output = convolve(x, layer.weight, bias=layer.bias, **settings)
        torch.testing.assert_close(output, layer(x[None])[0])
        step = convolution_step(x, layer.weight[1], position=(1, 0), bias=float(layer.bias[1]), **settings)
    assert step.total == pytest.approx(float(output[1, 1, 0]), abs=1e-5)


def test_a_turned_kernel_is_scipys_convolution(x):
    kernel = torch.arange(9.0).reshape(3, 3)
    turned = convolve(x[:1], kernel.flip(0, 1)[None, None])[0]
    assert np.allclose(turned, signal.convolve2d(x[0], kernel, mode="valid"), atol=1e-5)
    straight = convolve(x[:1], kernel[None, None])[0]
    assert np.allclose(straight, signal.correlate2d(x[0], kernel, mode="valid"), atol=1e-5)


def test_named_kernels_do_what_they_are_called(x):
    grey = x[:1]

    def done(name: str) -> np.ndarray:
        return convolve(grey, find_kernel(name).weight[None, None].float(), padding=1, padding_mode="replicate")[
            0
        ].numpy()

    # ndimage's "nearest" repeats the border, as "replicate" does
    assert np.allclose(done("sobel-x"), ndimage.sobel(grey[0].numpy(), axis=1, mode="nearest"), atol=1e-5)
    assert np.allclose(done("sobel-y"), ndimage.sobel(grey[0].numpy(), axis=0, mode="nearest"), atol=1e-5)
    assert np.allclose(done("blur"), ndimage.uniform_filter(grey[0].numpy(), 3, mode="nearest"), atol=1e-5)
    assert np.allclose(done("identity"), grey[0].numpy())
    assert np.allclose(done("outline"), 9 * (grey[0].numpy() - done("blur")), atol=1e-4)
    sums = {kernel.name: float(kernel.weight.sum()) for kernel in NAMED_KERNELS}
    assert sums == pytest.approx(
        {"sobel-x": 0, "sobel-y": 0, "outline": 0, "sharpen": 1, "blur": 1, "gauss": 1, "emboss": 1, "identity": 1}
    )


def test_what_does_not_fit_is_said(x):
    with pytest.raises(CnnError, match="3 channels"):
        convolve(x, torch.zeros(1, 1, 3, 3))
    with pytest.raises(CnnError, match="does not fit"):
        convolve(x, torch.zeros(1, 3, 3, 3), dilation=5)
    with pytest.raises(CnnError, match="mirrored by less"):
        padded(x, 8, "reflect")
    with pytest.raises(UnknownNameError, match="sobel-x"):
        find_kernel("sobel-z")
