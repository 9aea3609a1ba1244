"""Mixed precision on a CPU: wrong convolutions run in float32, right ones stay fast, in training and in answers."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from toy import ToyRecipe, ToyTask

from cnn_core.models import create_model
from cnn_core.train import devices
from cnn_core.train.config import LoopConfig
from cnn_core.train.devices import checked_autocast
from cnn_core.train.loop import fit


class Twisted(torch.autograd.Function):
    """The identity, whose gradient has the wrong sign."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return -grad


class WrongKernel(TorchFunctionMode):
    """A processor whose reduced precision is wrong in one of the results of convolutions; counts the calls."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.calls = fault, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func not in devices.CONVOLUTIONS or not torch.is_autocast_enabled("cpu"):
            return func(*args, **(kwargs or {}))
        self.calls += 1
        x, weight, *rest = args
        if self.fault == "input gradient":
            x = Twisted.apply(x)
        elif self.fault == "weight gradient":
            weight = Twisted.apply(weight)
        result = func(x, weight, *rest, **(kwargs or {}))
        return result * float("nan") if self.fault == "output" else result


@pytest.fixture(autouse=True)
def verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Begins each test without verdicts, and keeps its own where no other process finds them."""
    file = tmp_path / "cache" / "verdicts.json"
    monkeypatch.setattr(devices, "_file", lambda: file)
    monkeypatch.setattr(devices, "_warned", [])
    devices._verdicts.cache_clear()
    yield file
    devices._verdicts.cache_clear()


def results(layer: nn.Module, x: Tensor, *, checked: bool) -> list[Tensor]:
    """Return output, gradient of the input and gradient of the weight, of the sum of squares."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    if checked:
        with checked_autocast(torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16  # whatever it was computed in, what follows sees the same
    else:
        y = layer(x)
    y.float().square().sum().backward()
    return [y.detach().float(), x.grad, layer.weight.grad]


def assert_near(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= 0.02 * b.norm()


LAYERS = {
    "conv1d": (nn.Conv1d(3, 4, 3), (7,)),
    "conv2d": (nn.Conv2d(3, 4, 3, stride=2, padding=1), (7, 6)),
    "conv3d": (nn.Conv3d(3, 4, 3, padding=1), (5, 4, 6)),
    "conv_transpose2d": (nn.ConvTranspose2d(3, 4, 2, stride=2), (5, 4)),
}


@pytest.mark.parametrize("fault", ["output", "input gradient", "weight gradient"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_wrong_kernel_is_found_said_once_and_replaced_by_float32(
    kind: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer, size = LAYERS[kind]
    x = torch.randn(5, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = results(layer, x, checked=False)
    with WrongKernel(fault):
        for _ in range(2):
            assert_near(results(layer, x, checked=True), expected)
    (line,) = caplog.messages
    assert line.startswith(f"{kind} with kernels {[*layer.kernel_size]} on maps {[*size]}") and "in float32" in line


def test_a_right_kernel_stays_in_bfloat16(caplog: pytest.LogCaptureFixture) -> None:
    layer, x = nn.Conv2d(3, 4, 3), torch.randn(5, 3, 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        plain = layer(x)
    with checked_autocast(torch.bfloat16):
        assert torch.equal(layer(x), plain)
    assert not caplog.messages


@pytest.mark.parametrize("edge", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 16])
def test_small_maps_of_3d_networks_have_right_gradients(edge: int, channels: int) -> None:
    """As this machine computes them: no kernel is planted."""
    torch.manual_seed(0)
    layer = nn.Conv3d(channels, 16, 3, padding=1, bias=False).to(memory_format=torch.channels_last_3d)
    x = torch.randn(2, channels, edge, edge, edge)
    assert_near(results(layer, x, checked=True), results(layer, x, checked=False))


def test_a_3d_network_that_ends_in_small_maps_has_right_gradients() -> None:
    """Rounding moves some maxima and zeros, 0.2 of a gradient's norm; a wrong kernel is off by 0.9 or more."""
    torch.manual_seed(0)
    options = {"widths": (8, 16, 32), "stem_stride": 2}  # those of the nodule's recipe, narrower: 2 x 2 x 2 at last
    model = create_model("fastnet", spatial_dims=3, in_channels=1, num_classes=2, options=options)
    model.to(memory_format=torch.channels_last_3d)
    x, direction = torch.randn(8, 1, 40, 40, 40), torch.randn(8, 2)

    def gradients() -> dict[str, Tensor]:
        kernels = {name: p for name, p in model.named_parameters() if p.ndim == 5 and p.requires_grad}
        return dict(zip(kernels, torch.autograd.grad(model(x), [*kernels.values()], direction), strict=True))

    exact = gradients()
    with checked_autocast(torch.bfloat16):
        found = gradients()
    for name, gradient in exact.items():
        assert (found[name] - gradient).norm() < 0.5 * gradient.norm(), name


def test_verdicts_outlive_the_process_and_a_damaged_file_does_no_harm(verdicts: Path) -> None:
    layer, x = nn.Conv2d(3, 4, 3), torch.randn(5, 3, 7, 7)

    def calls() -> int:
        devices._verdicts.cache_clear()  # as a new process begins
        with WrongKernel("none") as seen, checked_autocast(torch.bfloat16):
            layer(x)
        return seen.calls

    assert (calls(), calls()) == (1 + devices.TRIALS, 1)
    assert list(json.loads(verdicts.read_text()).values()) == [True]
    for damaged in ("{", "[]", '{"a": 1}'):
        verdicts.write_text(damaged)
        assert calls() == 1 + devices.TRIALS


def test_sizes_layouts_and_learning_are_told_apart() -> None:
    layer, x = nn.Conv2d(3, 4, 3), torch.randn(5, 3, 7, 7)
    with checked_autocast(torch.bfloat16):
        for changed in (x, x[:, :, :6], x.to(memory_format=torch.channels_last), x[:1]):
            layer(changed)
        with torch.inference_mode():
            layer(x)
        layer(x[:4])  # two samples stand for all numbers of them
    assert len(devices._verdicts()) == 5


def test_what_runs_in_float32_anyway_and_traced_networks_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = nn.Conv2d(3, 4, 3), torch.randn(5, 3, 7, 7)
    with checked_autocast(torch.bfloat16), torch.autocast("cpu", enabled=False):
        assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with checked_autocast(torch.bfloat16):
        assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias).bfloat16())
    assert not devices._verdicts()


def test_answers_are_guarded(caplog: pytest.LogCaptureFixture) -> None:
    layer = nn.Conv2d(1, 2, 3, padding=1)
    x = torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = layer(x)
        with WrongKernel("output"), checked_autocast(torch.bfloat16):
            found = layer(x)
    assert_near([found], [exact])
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("requested", ["auto", "bf16-mixed"])
def test_training_with_a_wrong_kernel_goes_as_in_float32(
    requested: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cnn_core.train.devices.has_bfloat16_cpu", lambda: True)

    def losses(precision: str) -> list[float]:
        loop = LoopConfig(epochs=3, batch_size=32, device="cpu", precision=precision)
        run = fit(ToyTask(ToyRecipe(loop=loop), dropout=0.0), tmp_path / precision)
        return [row["loss"] for row in run.history]

    exact = losses("32-true")
    with WrongKernel("weight gradient"), caplog.at_level(logging.WARNING):
        assert losses(requested) == pytest.approx(exact, rel=0.02)
    assert [line for line in caplog.messages if "in float32" in line] == caplog.messages[-1:]
