"""One small sample in halves: what torch's own convolution gives, and only where it is worth it."""

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from cnn_core.nn.conv3d import Conv3d
from cnn_core.nn.dims import dims

SHAPES = ((8, 9, 10), (9, 8, 11), (16, 5, 7), (7, 16, 16))


class Batches(list[int]):
    """The samples of every convolution that torch was asked for."""


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Batches]:
    seen = Batches()
    plain = torch.conv3d

    def conv3d(x: Tensor, *args: object, **kwargs: object) -> Tensor:
        seen.append(len(x))
        return plain(x, *args, **kwargs)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(nn.functional, "conv3d", conv3d)
    return seen


def pair(channels: int = 3, **options: object) -> tuple[Conv3d, nn.Conv3d]:
    torch.manual_seed(0)
    ours = Conv3d(channels, 4, **options)  # type: ignore[arg-type]  # the options of a test
    theirs = nn.Conv3d(channels, 4, **options).double()  # type: ignore[arg-type]  # the options of a test
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    list(product((2, 3, (1, 3, 3), (5, 1, 2)), (1, 2, 3), (1, 2), (0, 1, 3))),
)
def test_values_and_gradients_are_those_of_torch_in_float64(
    kernel: int | tuple[int, int, int], stride: int, dilation: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnn_core.nn.conv3d.WORTH", 1)
    ours, theirs = pair(kernel_size=kernel, stride=stride, dilation=dilation, padding=padding)
    reach = dilation * (kernel - 1 if isinstance(kernel, int) else kernel[0] - 1) + 1
    for shape in SHAPES:
        if min(shape) + 2 * padding < max(reach, dilation * 4 + 1):
            continue
        x = torch.randn(1, 3, *shape, requires_grad=True)
        exact = x.detach().double().requires_grad_()
        found, wanted = ours(x), theirs(exact)
        assert found.shape == wanted.shape
        torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
        upstream = torch.randn_like(found)
        got = torch.autograd.grad(found, (x, *ours.parameters()), upstream)
        right = torch.autograd.grad(wanted, (exact, *theirs.parameters()), upstream.double())
        for one, other in zip(got, right, strict=True):
            torch.testing.assert_close(one.double(), other, atol=2e-5 * float(other.abs().max()), rtol=1e-4)


def test_one_small_sample_goes_as_two_halves(batches: Batches) -> None:
    ours, _ = pair(16, kernel_size=3, padding=1)
    ours(torch.randn(1, 16, 12, 12, 12))
    assert batches == [2]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 3, 12, 12, 12), {}),  # two samples are fast already
        ((1, 3, 96, 96, 12), {}),  # 3 x 96 x 96 > 20,480: so is a large one
        ((1, 3, 6, 6, 6), {}),  # 216 positions: not worth it
        ((1, 3, 16, 16, 16), {"kernel_size": 1, "padding": 0}),  # a product of matrices
        ((1, 4, 16, 16, 16), {"groups": 4}),
        ((1, 3, 16, 16, 16), {"padding": "same"}),
        ((1, 3, 16, 16, 16), {"padding_mode": "circular"}),
        ((3, 16, 16, 16), {}),  # a sample without a batch
    ],
)
def test_anything_else_goes_as_it_came(shape: tuple[int, ...], options: dict[str, object], batches: Batches) -> None:
    ours, theirs = pair(shape[-4], **{"kernel_size": 3, "padding": 1, **options})
    x = torch.randn(shape)
    found = ours(x)
    assert batches == [shape[0]]
    torch.testing.assert_close(found.double(), theirs(x.double()), atol=1e-5, rtol=1e-5)


def test_other_types_go_as_they_came(batches: Batches) -> None:
    ours, _ = pair(kernel_size=3, padding=1)
    x = torch.randn(1, 3, 12, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        ours(x)
    ours.double()(x.double())
    assert batches == [1, 1]


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:FutureWarning")  # tracing still happens
def test_a_traced_network_holds_one_convolution_for_any_batch() -> None:
    ours, _ = pair(kernel_size=3, padding=1)
    x = torch.randn(1, 3, 12, 12, 12)
    exported = torch.export.export(ours.eval(), (x,)).graph
    traced = torch.jit.trace(ours, x).graph
    assert [node.name for node in exported.nodes if node.op == "call_function"] == ["conv3d"]
    assert "aten::cat" not in str(traced)


def test_too_small_a_sample_is_refused_in_torchs_words() -> None:
    ours, _ = pair(kernel_size=3)
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        ours(torch.randn(1, 3, 2, 40, 40))


def test_the_networks_of_the_core_use_it() -> None:
    assert dims(3).conv is Conv3d
    assert repr(Conv3d(1, 2, 3)) == repr(nn.Conv3d(1, 2, 3))
